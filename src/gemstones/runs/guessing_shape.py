"""Width, depth and the other fields of the shape from columns like `d_model`, `n_heads` and `d_ff`.

They are taken beside a count of parameters only if they give about that count: a model that differs more is of another
architecture, and its count and 6·N·T say more than a shape that is not its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from gemstones.accounting.parameters import params
from gemstones.runs.known_names import KNOWN, SHAPE_FIELDS
from gemstones.runs.mapping import SHAPE_COLUMNS, option, quoted
from gemstones.runs.one_line import one_line
from gemstones.runs.source_columns import SourceColumns
from gemstones.shape import FloatArray, Shapes

ALIKE = 0.25
"""Largest error (of the log) of the count of parameters."""

Values = Callable[[str], FloatArray | None]


@dataclass(frozen=True)
class ShapeGuess:
    """Name → expression, and what is to be said."""

    definitions: Mapping[str, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()


def guess_shape(source: SourceColumns, known: Callable[[str], bool], values_of: Values) -> ShapeGuess:
    """The shape's columns of `source`; `known` tells names that are defined, `values_of` their values."""
    found: dict[str, str] = {}
    for name in ("width", "depth"):
        if known(name):
            continue
        columns = source.candidates(KNOWN[name])
        if len(columns) != 1 or not source.fits(columns[0], whole=True, least=1):
            return ShapeGuess()
        found[name] = columns[0]
    width, depth = (
        source.numbers(found[name]) if name in found else values_of(name) for name in ("width", "depth")
    )
    if width is None or depth is None:
        return ShapeGuess()
    fields, values = _fields(source, known, values_of, quoted(found.get("width", "width")), width)
    total = values_of("params_total")
    if found and total is not None and _error(Shapes(width, depth, **values), total) > ALIKE:
        told = option({name: quoted(column) for name, column in found.items()})
        columns_words = " and ".join(one_line(column, 60) for column in found.values())
        return ShapeGuess(
            said=(
                f"{columns_words} not taken for the shape, which would have other parameters than are given "
                f"({told} takes it)",
            )
        )
    said = [
        f"{one_line(column, 60)} taken for the {name} (--columns {name}=… to change)"
        for name, column in found.items()
    ]
    said += [
        f"{name} taken as {one_line(text, 60)} (--columns {name}=… to change)"
        for name, text in fields.items()
    ]
    return ShapeGuess({**{name: quoted(column) for name, column in found.items()}, **fields}, tuple(said))


def _error(shapes: Shapes, total: FloatArray) -> float:
    with np.errstate(all="ignore"):
        off = np.abs(np.log(total / params(shapes, "total")))
    known = off[np.isfinite(off)]
    return float(np.median(known)) if known.size else np.inf


def _fields(
    source: SourceColumns, known: Callable[[str], bool], values_of: Values, width: str, widths: FloatArray
) -> tuple[dict[str, str], dict[str, FloatArray]]:
    """Expressions, of those that are not known, and values of the fields beside width and depth.

    `width` is the expression of `widths`. A field that is no whole number in every row is left out.
    """
    single: dict[str, tuple[str, FloatArray]] = {}
    for name, names in SHAPE_FIELDS.items():
        values = values_of(name) if known(name) else None
        columns = source.candidates(names)
        if values is not None:
            single[name] = (name, values)
        elif len(columns) == 1 and (values := source.numbers(columns[0])) is not None:
            single[name] = (quoted(columns[0]), values)
    wanted = {name: single[name] for name in SHAPE_COLUMNS if name in single}
    with np.errstate(all="ignore"):
        if "heads" in single:
            heads, head_counts = single["heads"]
            wanted.setdefault("head_size", (f"{width}/{heads}", widths / head_counts))
            # Who has heads of keys and values of their own says so.
            kv_heads, kv_counts = single.get("kv_heads", (heads, head_counts))
            shared = "1" if kv_heads == heads else f"{heads}/{kv_heads}"
            wanted.setdefault("queries_per_kv", (shared, head_counts / kv_counts))
        if "mlp_width" in single:
            mlp, mlp_widths = single["mlp_width"]
            wanted.setdefault("mlp_expansion", (f"{mlp}/{width}", mlp_widths / widths))
    whole = {name: one for name, one in wanted.items() if _counts(one[1])}
    return (
        {name: text for name, (text, _) in whole.items() if not known(name)},
        {name: values for name, (_, values) in whole.items()},
    )


def _counts(values: FloatArray) -> bool:
    return bool(np.isfinite(values).all() and (values >= 1).all() and (values == np.floor(values)).all())
