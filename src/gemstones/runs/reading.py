"""A user's frame, as its source has it → `RunTable`.

    definitions → --where → rows with a loss → types → rules → runs → plausibility → duplicates → completion

A condition sees mapped and original names before any rule is applied, so that it can rescue a file. Everything that
was guessed, dropped or assumed is part of the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.lazy import pl
from gemstones.runs.architecture import ASSUMED, Architecture
from gemstones.runs.building import check_rows, schema_types
from gemstones.runs.cells import RowNumbers, escape, is_missing, read_numbers
from gemstones.runs.completion import complete
from gemstones.runs.dropped import Dropped, merged
from gemstones.runs.duplicates import Duplicates, resolve
from gemstones.runs.expressions import Expression, parse_condition
from gemstones.runs.formats.opened import Opened
from gemstones.runs.guessing import guess
from gemstones.runs.identity import with_runs
from gemstones.runs.loss_names import unit_in_loss_name
from gemstones.runs.loss_units import LossUnit, unit_of
from gemstones.runs.mapping import Mapped, apply_mapping, check_names
from gemstones.runs.missing import check_required
from gemstones.runs.one_line import one_line
from gemstones.runs.plausible_table import SIZES, implausible
from gemstones.runs.rules import check_numbers, check_one_unit, check_present, check_shapes, check_sizes
from gemstones.runs.schema import COLUMNS
from gemstones.runs.table import RunTable
from gemstones.runs.typed import readable, typed

LOW_LOSS = 1.3
"""In nats per token: text has about 1.7 that no model takes away; bits per byte are about 0.7 to 1.2."""


@dataclass(frozen=True)
class Request:
    """What a caller says about a table, beside its frame."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Name → expression over the columns of the source."""
    where: str | None = None
    loss_unit: LossUnit | None = None
    duplicates: Duplicates | None = None
    architecture: Architecture = ASSUMED
    force: bool = False
    """Take what cannot be for what it is called, with a warning."""


@dataclass(eq=False)
class _Draft:
    """Rows on their way to a table."""

    frame: pl.DataFrame
    rows: RowNumbers
    """As the source counts them, from 1."""
    file: str
    dropped: list[Dropped] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def keep(self, mask: pl.Series, reason: str) -> None:
        """The rows where `mask` is true; the others were dropped for this reason."""
        lost = int((~mask).sum())
        if lost:
            self.frame, self.rows = self.frame.filter(mask), self.rows[mask.to_numpy()]
            self.dropped.append(Dropped(reason, lost))


def read_table(opened: Opened, request: Request) -> RunTable:
    """The run table of a source: see the order at the head of this module.

    Raises `InvalidTable` or `InvalidRequest`, in one line with the remedy.
    """
    file, frame = opened.file, _with_printable_names(opened.frame)
    check_rows(frame, file)
    known = {name: text for name, text in opened.known.items() if name not in request.columns}
    definitions = {**known, **request.columns}
    check_names(request.columns, frame.columns)
    # A column of the user's own may be one that a name is guessed for.
    own = {name: text for name, text in request.columns.items() if name not in COLUMNS}
    seen = frame if not own else apply_mapping(frame, own | _named_by(own, definitions, frame), file).frame
    decimal_comma = opened.decimal_comma or _has_decimal_commas(seen)
    guessed = guess(seen, definitions, file, decimal_comma=decimal_comma)
    definitions = {**guessed.definitions, **definitions}
    mapped = apply_mapping(frame, definitions, file, decimal_comma=decimal_comma)
    check_required(mapped.frame, frame.columns, definitions, opened.remedies, file)
    rows = np.arange(1, frame.height + 1, dtype=np.int64)
    said = [*opened.assumptions, *guessed.said]
    draft = _Draft(mapped.frame, rows, file, list(opened.dropped), said)
    if decimal_comma:
        draft.said.append("commas read as decimal signs, as of the whole file")
    late = _filter(draft, request.where, decimal_comma)
    _drop_without_loss(draft, decimal_comma)
    draft.frame = typed(draft.frame, file, draft.rows, infer=True, decimal_comma=decimal_comma)
    check_numbers(draft.frame, file, draft.rows)
    unit = _loss_unit(request, opened, mapped, draft)
    architecture = request.architecture.told_by(draft.frame)
    mapped = _with_shapes_that_can_be(draft, mapped, architecture, request)
    named = with_runs(draft.frame)
    draft.frame = named.frame
    check_present(draft.frame, file, draft.rows)
    check_one_unit(draft.frame, file, draft.rows)
    if (problem := implausible(draft.frame, mapped, guessed, architecture, unit, request)) is not None:
        if not request.force:
            raise InvalidTable(f"{problem} (--force takes it as it is)", file=file)
        draft.warnings.append(f"implausible: {problem.partition(': --columns')[0]}, and taken as it is")
    check_sizes(draft.frame, architecture, file, draft.rows)
    if unit == "nats" and request.loss_unit is None and np.median(draft.frame["loss"].to_numpy()) < LOW_LOSS:
        draft.said.append(
            "losses taken for nats per token, and low for that (--loss-unit bits_per_byte if they are bits per byte)"
        )
    resolved = resolve(named, draft.rows, request.duplicates, file)
    completed = complete(resolved.named.frame, architecture, file, resolved.rows)
    result = completed.frame
    if all(result[name].null_count() == result.height for name in SIZES):
        draft.said.append(
            "parameters are not known: give them with --columns params_total=…, a number like 190M, a column, or "
            "size(run) where names of runs hold them"
        )
    dropped = [*draft.dropped, *resolved.dropped]
    if late is not None:
        result, left_out = _late(result, late, file)
        dropped.append(left_out)
    lost = merged(dropped)
    stated = dict.fromkeys(
        (*map(str, lost), *draft.said, *resolved.named.said, *resolved.said, *completed.assumptions)
    )
    return RunTable(
        frame=schema_types(result),
        dataset=opened.dataset,
        assumptions=tuple(stated),
        flops_convention=completed.flops_convention,
        sources=opened.sources,
        architecture=architecture,
        loss_unit=unit,
        format=opened.format,
        mapped=dict(mapped.expressions),
        where=one_line(request.where) if request.where else "",
        dropped=lost,
        warnings=tuple(dict.fromkeys(draft.warnings)),
    )


def _with_shapes_that_can_be(
    draft: _Draft, mapped: Mapped, architecture: Architecture, request: Request
) -> Mapped:
    """Refuse widths that no model can have; where they were not called so by the caller, take them for none."""
    try:
        check_shapes(draft.frame, architecture, draft.file, draft.rows)
    except InvalidTable as error:
        expression = mapped.expressions.get("width")
        if expression is None or "width" in request.columns:
            raise
        draft.frame = draft.frame.with_columns(width=pl.lit(None, pl.Float64))
        draft.said.append(f"{one_line(expression, 60)} not taken for the width: {error.rule}")
        return replace(
            mapped, expressions={name: text for name, text in mapped.expressions.items() if name != "width"}
        )
    return mapped


def _named_by(own: Mapping[str, str], definitions: Mapping[str, str], frame: pl.DataFrame) -> dict[str, str]:
    """Definitions that expressions of the user's own columns may name."""
    return {name: text for name, text in definitions.items() if name not in own and name not in frame.columns}


def _with_printable_names(frame: pl.DataFrame) -> pl.DataFrame:
    renamed: dict[str, str] = {}
    for name in frame.columns:
        printable = escape(name)
        if printable != name:
            while printable in frame.columns or printable in renamed.values():
                printable += "_"
            renamed[name] = printable
    return frame.rename(renamed) if renamed else frame


def _has_decimal_commas(frame: pl.DataFrame) -> bool:
    """Whether a loss has: then the file does, for a loss has no thousands."""
    return any(
        series.dtype == pl.String
        and bool(series.str.contains(",", literal=True).any())
        and read_numbers(series, thousands=False).decimal_comma
        for series in frame.get_columns()
        if "loss" in series.name.lower()
    )


def _filter(draft: _Draft, where: str | None, decimal_comma: bool) -> Expression | None:
    """Keep the rows for which the condition holds; the condition, where it names what is only known at the end."""
    if where is None:
        return None
    try:
        condition = parse_condition(where, draft.frame.columns)
    except InvalidRequest:
        names = [*draft.frame.columns, *COLUMNS]
        condition = parse_condition(where, names)
        if set(condition.names) <= set(draft.frame.columns):
            raise
        return condition
    mask = condition.evaluate(readable(draft.frame, decimal_comma=decimal_comma), decimal_comma=decimal_comma)
    draft.keep(mask.fill_null(False), f"--where {one_line(where)}")
    if draft.frame.height == 0:
        raise InvalidTable(f"has no row for which {one_line(where)!r} holds", file=draft.file)
    return None


def _late(frame: pl.DataFrame, condition: Expression, file: str) -> tuple[pl.DataFrame, Dropped]:
    kept = frame.filter(condition.evaluate(frame).fill_null(False))
    if kept.height == 0:
        raise InvalidTable(f"has no row for which {one_line(condition.text)!r} holds", file=file)
    return kept, Dropped(f"--where {one_line(condition.text)}", frame.height - kept.height)


def _drop_without_loss(draft: _Draft, decimal_comma: bool) -> None:
    """Rows of logs without an evaluation, and of evaluations that diverged."""
    loss = draft.frame["loss"]
    if loss.dtype == pl.String:
        missing = is_missing(loss)
        infinite = (
            loss.str.strip_chars().str.to_lowercase().is_in(["inf", "+inf", "infinity", "-inf", "-infinity"])
        )
        infinite = infinite.fill_null(False)
    elif loss.dtype.is_numeric():
        numbers = loss.cast(pl.Float64)
        missing, infinite = numbers.is_null() | numbers.is_nan(), numbers.is_infinite().fill_null(False)
        missing = missing.fill_null(True)
    elif loss.dtype == pl.Null:
        missing, infinite = loss.is_null(), loss.is_not_null()
    else:
        return
    if (missing | infinite).all():
        raise InvalidTable(
            "is missing in every row: map the column that has it with --columns loss=…",
            file=draft.file,
            column="loss",
        )
    infinite = infinite.filter(~missing)
    draft.keep(~missing, "no loss")
    draft.keep(~infinite, "an infinite loss")


def _loss_unit(request: Request, opened: Opened, mapped: Mapped, draft: _Draft) -> LossUnit:
    """Whose word it is: the caller's, the format's of the loss that it defines, the column's name, else nats."""
    expression = mapped.expressions.get("loss", "loss")
    formats = None
    if opened.known.get("loss", "loss") == expression:
        formats = unit_of(opened.loss_unit or opened.units.get(expression))
    stated = None if "loss" in mapped.computed else unit_in_loss_name(expression)
    if request.loss_unit is not None:
        other = formats or stated
        if other is not None and other != request.loss_unit:
            draft.warnings.append(
                f"loss_unit: {one_line(expression, 60)} says {other}, and is taken for {request.loss_unit} as told"
            )
        return request.loss_unit
    return formats or stated or "nats"
