"""Paths, patterns and folders → rows: which format each has, and how they become one table."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.runs.formats.content import STANDARD_INPUT, read_content
from gemstones.runs.formats.folders import is_folder, unknown_folder
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.refused import refuse_known
from gemstones.runs.formats.registry import ADDRESSES, FILES, FOLDERS, check_name
from gemstones.runs.formats.run_names import RunPattern, named
from gemstones.runs.formats.together import is_constants, joined_scores, together
from gemstones.runs.one_line import one_line


def open_runs(
    paths: str | Path | Sequence[str | Path],
    *,
    format: str | None = None,  # noqa: A002
    run_from: str | None = None,
    reserved: Iterable[str] = (),
) -> Opened:
    """The rows of files or folders, as their formats have them.

    `paths` are one or several; a pattern such as `logs/*.csv` stands for the files that match it, sorted; `-` is
    standard input. `format` goes before what the content tells. Several files are one table: where they have no
    column of runs, each is a run, named by its file or by what `run_from`, a regular expression, finds in its name;
    named groups of it become columns. A file without losses that names each run once tells constants of the runs.
    The table is called by the file's stem, or by its whole name where that stem is `reserved` for a known data set.

    Raises `InvalidTable` or `InvalidRequest`, in one line, `Failure` where the machine fails.
    """
    pattern = RunPattern.of(run_from)
    if format is not None:
        check_name(format)
    found = [path for given in _listed(paths) for path in _expanded(given)]
    opened = [_open(path, format) for path in found]
    scores = [part for part in opened if part.joined_by]
    if len(scores) == len(opened):
        scores = []  # nothing to join them to: they are the rows
    else:
        found = [path for path, part in zip(found, opened, strict=True) if not part.joined_by]
        opened = [part for part in opened if not part.joined_by]
    constants = [is_constants(part) for part in opened] if len(opened) > 1 else [False]
    if all(constants):
        constants = [False] * len(opened)
    logs = [place for place, constant in enumerate(constants) if not constant]
    parts = named([opened[place] for place in logs], [Path(found[place]) for place in logs], pattern)
    whole = together(parts, [part for part, constant in zip(opened, constants, strict=True) if constant])
    if scores:
        whole = joined_scores(whole, scores)
    return replace(whole, dataset=_dataset([opened[place] for place in logs], found, frozenset(reserved)))


def _listed(paths: str | Path | Sequence[str | Path]) -> list[str | Path]:
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    if not given:
        raise InvalidRequest("runs: no file is given: name one, or a data set")
    return given


def _expanded(path: str | Path) -> list[str | Path]:
    """The files that a pattern stands for, sorted; a path that exists is itself, whatever its name looks like."""
    text = str(path)
    try:
        if not glob.has_magic(text) or Path(text).exists():
            return [path]
        matches = sorted(match for match in glob.glob(text, recursive=True) if Path(match).is_file())  # noqa: PTH207
    except (OSError, ValueError, RecursionError):  # for the reader of files to tell
        return [path]
    if not matches:
        raise InvalidTable("matches no file", file=one_line(text))
    return list(matches)


def _open(path: str | Path, format: str | None) -> Opened:  # noqa: A002
    for addresses in ADDRESSES:
        if addresses.detect(str(path)):
            return addresses.open(str(path))
    if str(path) != STANDARD_INPUT and is_folder(Path(path)):
        return _open_folder(Path(path), format)
    content = read_content(path)
    refuse_known(content)
    for known in FILES:
        if known.name == format if format else known.detect(content):
            opened = known.open(content)
            return replace(
                opened,
                dataset=content.stem,
                sources=opened.fields.sources if opened.fields else (content.source,),
            )
    if format:
        raise InvalidTable(f"is a file, and format {format} is not one of files", file=content.file)
    if not content.data.strip():
        raise InvalidTable("is empty: a header and rows are needed", file=content.file)
    if not content.is_text:
        content.text  # noqa: B018  tells what is wrong with it as text
    raise InvalidTable(
        "is of no format that is told by its content: choose one with --format, of "
        f"{', '.join(known.name for known in FILES)}",
        file=content.file,
    )


def _open_folder(folder: Path, format: str | None) -> Opened:  # noqa: A002
    for known in FOLDERS:
        if known.name == format if format else known.detect(folder):
            return known.open(folder)
    if format:
        raise InvalidTable(
            f"is a folder, and format {format} is not one of folders: give its files, like '{one_line(folder)}/*'",
            file=one_line(folder),
        )
    raise unknown_folder(folder)


def _dataset(parts: Sequence[Opened], paths: Sequence[str | Path], reserved: frozenset[str]) -> str:
    """The stem of a single file; the folder of several, with the slash that no known data set has."""
    if len(parts) > 1:
        parents = {Path(path).absolute().parent.name for path in paths}
        return one_line(f"{parents.pop()}/") if len(parents) == 1 else "runs/"
    stem = parts[0].dataset
    return one_line(Path(paths[0]).name) if stem in reserved and parts[0].fields is None else stem
