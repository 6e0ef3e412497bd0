"""Figures and tables on disk, whole or not at all."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from gemstones.figures.painter import painter
from gemstones.figures.plain_svg import plain
from gemstones.figures.style import need_altair
from gemstones.figures.table import Table, title_of
from gemstones.files import write_bytes
from gemstones.marks import WRITTEN_BY
from gemstones.numbers import estimate_text, quantity_of

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

Format = Literal["png", "svg", "pdf"]

PNG_SCALE = 2
"""Pixels per CSS pixel."""


def save_figure(chart: alt.TopLevelMixin, stem: Path) -> tuple[Path, Path]:
    """`stem`.png (at twice the size) and `stem`.svg; raises `MissingExtra` without altair and vl-convert."""
    pictures = render(chart, ("png", "svg"))
    paths = _beside(stem, ".png"), _beside(stem, ".svg")
    for path, picture in zip(paths, pictures.values(), strict=True):
        write_bytes(path, picture)
    return paths


def render(chart: alt.TopLevelMixin, formats: Sequence[Format]) -> dict[Format, bytes]:
    """The chart as files of these formats; raises `MissingExtra` without altair and vl-convert."""
    need_altair()
    import altair as alt

    # Tests hold every figure against the schema; rows are plain values, which altair would look through one by one.
    specification: dict[str, Any] = chart.to_dict(validate=False, ignore=["datasets"])
    rows: Any = getattr(chart, "datasets", alt.Undefined)
    if rows is not alt.Undefined:
        specification["datasets"] = {**rows, **specification.get("datasets", {})}
    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])

    # Vega draws once; the other formats are made of what it drew.
    svg = _svg(json.dumps(specification, default=float), version)

    def picture(suffix: Format) -> bytes:
        match suffix:
            case "png":
                made: bytes = painter().svg_to_png(plain(svg), scale=PNG_SCALE)
            case "svg":
                made = _renumbered(svg).encode()
            case "pdf":
                made = painter().svg_to_pdf(svg)
        return made

    return {suffix: picture(suffix) for suffix in formats}


@lru_cache(maxsize=32)
def _svg(specification: str, version: str) -> str:
    """What Vega draws; kept, since a page shows again what its study has saved."""
    # Read here: vl-convert reads some numbers of a text otherwise, in their last digit.
    drawn: str = painter().vegalite_to_svg(json.loads(specification), vl_version=version)
    return drawn


def _renumbered(svg: str) -> str:
    """`svg` with its identifiers numbered from 1: they count on through all that one process has drawn."""
    numbers: dict[str, str] = {}

    def renumber(match: re.Match[str]) -> str:
        return match[1] + numbers.setdefault(match[2], f"{match[3]}{len(numbers) + 1}")

    return re.sub(r"""(\bid=["']|url\(#)(([A-Za-z_]+?)\d+)(?=["')])""", renumber, svg)


def write_table(table: Table, stem: Path, units: Mapping[str, str] | None = None) -> tuple[Path, Path]:
    """`stem`.parquet (every column and digit; `units` in its metadata) and `stem`.md (for people; see `markdown`)."""
    known = {name: unit for name, unit in (units or {}).items() if name in table.frame.columns}
    paths = _beside(stem, ".parquet"), _beside(stem, ".md")
    write_frame(table.frame, paths[0], {"units": msgspec.json.encode(known).decode()})
    write_bytes(paths[1], markdown(table, known).encode())
    return paths


def write_frame(frame: pl.DataFrame, path: Path, metadata: Mapping[str, str] | None = None) -> Path:
    """Parquet, whole or not at all, with `metadata` and our mark."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, metadata={**(metadata or {}), **WRITTEN_BY})
    write_bytes(path, buffer.getvalue())
    return path


def markdown(table: Table, units: Mapping[str, str]) -> str:
    """A Markdown table: units in the header, few digits, `x_low` and `x_high` in brackets after x; then the notes."""
    names = table.shown
    numeric = {n: table.frame[n].dtype.is_numeric() for n in names}
    titles = [title_of(n) + (f" ({units[n]})" if n in units else "") for n in names]
    rows = [
        [_cell(quantity_of(n, row), row[n], row.get(f"{n}_low"), row.get(f"{n}_high")) for n in names]
        for row in table.frame.iter_rows(named=True)
    ]
    lines = [titles, ["---:" if numeric[n] else "---" for n in names], *rows]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return text + ("\n" + "".join(f"- {_one_line(note)}\n" for note in table.notes) if table.notes else "")


def _cell(name: str, value: Any, low: float | None, high: float | None) -> str:
    if isinstance(value, str):
        return _one_line(value).replace("|", "\\|")
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool | int):
        return str(value)
    return estimate_text(name, value, None if low is None or high is None else (low, high))


def _one_line(text: str) -> str:
    return text.replace("\n", " ")


def _beside(stem: Path, suffix: str) -> Path:
    # Not with_suffix, which would take `delta-0.001` for a name with a suffix.
    return stem.with_name(stem.name + suffix)
