"""Several files → one table: rows under each other, and files of constants joined to them by run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gemstones.errors import InvalidTable
from gemstones.lazy import pl
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.run_names import run_column
from gemstones.runs.one_line import listed, one_line

_LOGGED = re.compile(r"loss|perplexity|ppl|bpb|nll|entropy|^tokens$|total_tokens", re.IGNORECASE)
"""Columns of measurements, which constants of runs do not have."""


def is_constants(part: Opened) -> bool:
    """Whether each row tells constants of a run: a column names it, no other row does, and there is no loss."""
    column = run_column(part.frame)
    if column is None or any(_LOGGED.search(name) for name in part.frame.columns):
        return False
    return bool(part.frame[column].null_count() == 0 and part.frame[column].is_unique().all())


def together(parts: Sequence[Opened], constants: Sequence[Opened]) -> Opened:
    """One table of the rows of all `parts`, in their order, with the `constants` of their runs.

    Raises `InvalidTable` where formats contradict each other, or constants belong to none of the runs.
    """
    if any(part.decimal_comma for part in parts) and not all(part.decimal_comma for part in parts):
        parts = [_with_points(part) for part in parts]
    frame, said = _stacked(parts)
    for part in constants:
        frame, joined = _joined(frame, part)
        said.append(joined)
    everything = [*parts, *constants]
    formats = dict.fromkeys(part.format for part in parts)
    return replace(
        parts[0],
        frame=frame,
        format="+".join(formats),
        file=f"{parts[0].file} and {len(everything) - 1} more" if len(everything) > 1 else parts[0].file,
        known=_agreed([part.known for part in parts], "reads", parts),
        remedies={name: text for part in reversed(parts) for name, text in part.remedies.items()},
        loss_unit=_agreed([{"loss": part.loss_unit or ""} for part in parts], "has losses in", parts)["loss"]
        or None,
        assumptions=tuple(
            dict.fromkeys([*(said for part in everything for said in part.assumptions), *said])
        ),
        dropped=tuple(dropped for part in parts for dropped in part.dropped),
        sources=tuple(dict.fromkeys(source for part in everything for source in part.sources)),
        fields=None if len(everything) > 1 else parts[0].fields,
        units=_agreed([part.units for part in everything], "declares units", everything),
    )


def _agreed(facts: Sequence[Mapping[str, str]], what: str, parts: Sequence[Opened]) -> dict[str, str]:
    """All facts, refused where two files have different ones of the same name."""
    agreed: dict[str, str] = {}
    owner: dict[str, str] = {}
    for own, part in zip(facts, parts, strict=True):
        for name, fact in own.items():
            if agreed.setdefault(name, fact) != fact:
                raise InvalidTable(
                    f"{what} {name} {fact or 'nats'}, but {owner[name]} {agreed[name] or 'nats'}: read them apart",
                    file=part.file,
                )
            owner.setdefault(name, part.file)
    return agreed


def _stacked(parts: Sequence[Opened]) -> tuple[pl.DataFrame, list[str]]:
    """All rows under each other, and what that says of columns that some files lack."""
    dtypes: dict[str, set[pl.DataType]] = {}
    for part in parts:
        for name, dtype in part.frame.schema.items():
            dtypes.setdefault(name, set()).add(dtype)
    common = {name: _common(found) for name, found in dtypes.items()}
    # By series, not by pl.col: a column may be called `*` or `^a$`.
    frames = [
        pl.DataFrame(
            [
                part.frame.get_column(name).cast(dtype)
                if name in part.frame.columns
                else pl.Series(name, [None] * part.frame.height, dtype=dtype)
                for name, dtype in common.items()
            ]
        )
        for part in parts
    ]
    said = []
    lacking = [(name, sum(name not in part.frame.columns for part in parts)) for name in common]
    if lacking := [(name, files) for name, files in lacking if files]:
        shown = listed((f"{one_line(name, 40)} ({files} of {len(parts)})" for name, files in lacking), 6)
        said.append(f"columns that some files lack are empty for them: {shown}")
    return pl.concat(frames, how="vertical", rechunk=True), said


def _common(dtypes: set[pl.DataType]) -> pl.DataType:
    """The plain type that all of these become."""
    own = dtypes - {pl.Null()}
    if len(own) <= 1:
        return next(iter(own), pl.Null())
    return pl.Float64() if own == {pl.Int64(), pl.Float64()} else pl.String()


def _joined(frame: pl.DataFrame, constants: Opened) -> tuple[pl.DataFrame, str]:
    """`frame` with the columns of `constants`, for the runs of the same name."""
    column, own = run_column(frame), run_column(constants.frame)
    assert column is not None
    assert own is not None
    names = frame[column].cast(pl.String)
    runs = constants.frame[own].cast(pl.String)
    if not names.is_in(runs.implode()).any():
        raise InvalidTable(
            f"names none of the runs: it has {listed(runs.to_list(), 4)}, they are "
            f"{listed(names.unique(maintain_order=True).to_list(), 4)}",
            file=constants.file,
            column=one_line(own, 40),
        )
    without = names.filter(~names.is_in(runs.implode())).unique(maintain_order=True).to_list()
    key = "\0run"
    right = constants.frame.select(
        pl.col(own).cast(pl.String).alias(key),
        *(pl.col(name).alias(f"\0{name}") for name in constants.frame.columns if name != own),
    )
    joined = (
        frame.with_columns(names.alias(key)).join(right, on=key, how="left", maintain_order="left").drop(key)
    )
    for name in constants.frame.columns:
        if name == own:
            continue
        fresh = pl.col(f"\0{name}").alias(name)
        if name in frame.columns:
            dtype = _common({frame.schema[name], constants.frame.schema[name]})
            fresh = pl.coalesce(pl.col(name).cast(dtype), pl.col(f"\0{name}").cast(dtype)).alias(name)
        joined = joined.with_columns(fresh).drop(f"\0{name}")
    said = f"constants of runs joined by {one_line(own, 40)} from {constants.file}"
    return joined, said + (f"; it has none for {listed(without, 4)}" if without else "")


def joined_scores(whole: Opened, scores: Sequence[Opened]) -> Opened:
    """`whole` with the columns of `scores`, files without a loss, where model and revision are the same.

    Raises `InvalidTable` where `whole` does not name them, where none is the same, and where one is scored twice.
    """
    by = scores[0].joined_by
    if lacking := [name for name in by if name not in whole.frame.columns]:
        raise InvalidTable(
            f"has no column {lacking[0]}, by which {scores[0].file} would be joined to it: evaluate the models with "
            "gemstones evaluate, or give the column",
            file=whole.file,
        )
    keys = [
        pl.col(name).cast(pl.String).fill_null("main" if name == "revision" else "").alias(f"\0{name}")
        for name in by
    ]
    names = [f"\0{name}" for name in by]
    stacked, _ = _stacked(scores)
    # Files of one checkpoint may have a task each: the first score of each counts.
    merged = (
        stacked.with_columns(keys).group_by(names, maintain_order=True).agg(pl.all().drop_nulls().first())
    )
    fresh = [name for name in merged.columns if name not in names and name not in whole.frame.columns]
    left = whole.frame.with_columns(keys)
    found = left.join(merged.select(*names, *fresh), on=names, how="left", maintain_order="left")
    matched = left.join(merged.select(names), on=names, how="semi").height
    if not matched:
        raise InvalidTable(
            f"has none of the checkpoints of {whole.file}: it has {listed(stacked['model'].unique().to_list(), 3)}",
            file=scores[0].file,
        )
    said = f"scores of {len(scores)} files joined by {' and '.join(by)}: {matched} of {left.height} rows have them"
    return replace(
        whole,
        frame=found.drop(names),
        fields=None,
        format=f"{whole.format}+{scores[0].format}",
        assumptions=(*whole.assumptions, said),
        sources=tuple(
            dict.fromkeys([*whole.sources, *(source for part in scores for source in part.sources)])
        ),
    )


def _with_points(part: Opened) -> Opened:
    """`part` with decimal points in its numbers, to stand beside files that have them."""
    if not part.decimal_comma:
        return part
    number = r"^([+-]?\d*),(\d+([eE][+-]?\d+)?)$"
    frame = part.frame.with_columns(pl.col(pl.String).str.replace(number, "${1}.${2}"))
    return replace(part, frame=frame, decimal_comma=False)
