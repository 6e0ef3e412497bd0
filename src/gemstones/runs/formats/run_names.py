"""Which run the rows of a file belong to, where no column says so: told by the file's name.

`--run-from` is a regular expression that is searched in the file's name, and else in its path: the group called
`run`, or the first group without a name, is the run; groups with other names become columns of constants.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gemstones.errors import InvalidRequest
from gemstones.lazy import pl
from gemstones.runs.formats.opened import Opened
from gemstones.runs.one_line import one_line

RUN_COLUMNS = ("run", "run_name", "run_id", "Name", "name", "experiment", "exp_name", "model_name")
"""Columns that name runs, the first that a file has before the others."""
_GENERIC = re.compile(
    r"metrics(_step\d+)?|results|history|logs?|out(put)?|stdout|std|train(ing|er_state|er_log)?|tracker_metrics",
    re.IGNORECASE,
)
"""Stems that trainers give to the files of every run: the folder tells the runs apart."""


_CHECKPOINT = re.compile(r"checkpoint-\d+")
"""Folders of Hugging Face's Trainer in the folder of a run."""


def run_column(frame: pl.DataFrame) -> str | None:
    """The column that names runs, if there is one with a cell in it."""
    return next(
        (name for name in RUN_COLUMNS if name in frame.columns and frame[name].null_count() < frame.height),
        None,
    )


@dataclass(frozen=True)
class RunPattern:
    """A regular expression of Rust's: it takes time in proportion to the text, whatever is written."""

    text: str

    @classmethod
    def of(cls, text: str | None) -> RunPattern | None:
        """`--run-from` as a pattern. Raises `InvalidRequest`."""
        if text is None:
            return None
        try:
            cls(text).search("")
        except Exception as error:  # polars has several kinds of errors for it
            rule = str(error).rpartition("error: ")[2].strip()
            raise InvalidRequest(
                f"run-from {one_line(text)!r} is no regular expression that can be used: {one_line(rule)}: write one "
                r"like 'olmo_(.+)\.csv'"
            ) from None
        return cls(text)

    def search(self, text: str) -> tuple[str, dict[str, str]] | None:
        """What the first match in `text` holds, and what each of its groups does, numbered where they have no name."""
        cell = pl.Series([text])
        (found,) = cell.str.extract(self.text, 0).to_list()
        if found is None:
            return None
        (groups,) = cell.str.extract_groups(self.text).to_list()
        return found, {name: value or "" for name, value in groups.items()}


def named(parts: Sequence[Opened], paths: Sequence[Path], pattern: RunPattern | None) -> list[Opened]:
    """`parts`, their runs named by their files where that is asked for or nothing else does.

    Raises `InvalidRequest` for a file that `pattern` does not match.
    """
    names = names_by_file(paths)
    done = []
    for part, path, name in zip(parts, paths, names, strict=True):
        columns: dict[str, str] = {}
        said = ""
        if pattern is not None:
            columns = _matched(pattern, path)
            said = f"runs named by what {pattern.text!r} finds in the files' names"
        if "run" not in columns and run_column(part.frame) is None and (len(parts) > 1 or part.one_run):
            columns = {"run": name, **columns}
            said = "each file is a run, named by the file (--run-from '(.+)' to say how)"
        frame = with_constants(part.frame, columns)
        done.append(replace(part, frame=frame, assumptions=(*part.assumptions, said)) if columns else part)
    return done


def names_by_file(paths: Sequence[Path]) -> list[str]:
    """A name for each path, all different: its stem, with as many folders before it as that takes.

    >>> names_by_file([Path("a/190M/metrics.csv"), Path("a/370M/metrics.csv")])
    ['190M', '370M']
    """
    parts = [_parts(path) for path in paths]
    for depth in range(1, max(len(own) for own in parts) + 1):
        names = ["/".join(own[-depth:]) for own in parts]
        if len(set(names)) == len(set(parts)):
            break
    return [one_line(name) for name in names]


def _parts(path: Path) -> tuple[str, ...]:
    """Folders and stem, without the stem where trainers give it to every run."""
    stem = path.stem
    if path.suffix.lower() in (".gz", ".zst"):
        stem = Path(stem).stem
    folders = path.absolute().parent.parts[1:]
    if _GENERIC.fullmatch(stem) and folders and _CHECKPOINT.fullmatch(folders[-1]):
        folders = folders[:-1]
    return folders if folders and _GENERIC.fullmatch(stem) else (*folders, stem)


def _matched(pattern: RunPattern, path: Path) -> dict[str, str]:
    """The run and the constants that `pattern` finds."""
    match = pattern.search(path.name) or pattern.search(path.as_posix())
    if match is None:
        raise InvalidRequest(
            f"run-from {one_line(pattern.text)!r} does not match {one_line(path)}: widen it, or leave the file out"
        )
    found, groups = match
    columns = {name: value for name, value in groups.items() if not name.isdigit()}
    nameless = [value for name, value in groups.items() if name.isdigit()]
    if "run" not in columns and (nameless or not columns):
        columns = {"run": nameless[0] if nameless else found, **columns}
    return columns


def with_constants(frame: pl.DataFrame, columns: dict[str, str]) -> pl.DataFrame:
    """`frame` with columns of one text each before its own, which are kept as `source_…` where a name is taken."""
    taken = {name: f"source_{name}" for name in columns if name in frame.columns}
    constants = [
        pl.lit(one_line(value) or None, dtype=pl.String).alias(name) for name, value in columns.items()
    ]
    return frame.rename(taken).select(*constants, pl.all()) if columns else frame
