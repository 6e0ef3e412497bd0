"""Figures and tables on disk, whole or not at all."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from gemstones.files import write_bytes
from gemstones.report.words import need_altair, number_text

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

PNG_SCALE = 2
"""Pixels per CSS pixel."""


def save_figure(chart: alt.TopLevelMixin, stem: Path) -> tuple[Path, Path]:
    """`stem`.png (at twice the size) and `stem`.svg; raises `MissingExtra` without altair and vl-convert."""
    need_altair()
    import altair as alt
    import vl_convert

    specification: dict[str, Any] = chart.to_dict()
    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    png = vl_convert.vegalite_to_png(specification, vl_version=version, scale=PNG_SCALE)
    svg = _renumbered(vl_convert.vegalite_to_svg(specification, vl_version=version))
    paths = _beside(stem, ".png"), _beside(stem, ".svg")
    write_bytes(paths[0], png)
    write_bytes(paths[1], svg.encode())
    return paths


def _renumbered(svg: str) -> str:
    """`svg` with its identifiers numbered from 1: they count on through all that one process has drawn."""
    numbers: dict[str, str] = {}

    def renumber(match: re.Match[str]) -> str:
        return match[1] + numbers.setdefault(match[2], f"{match[3]}{len(numbers) + 1}")

    return re.sub(r"""(\bid=["']|url\(#)(([A-Za-z_]+?)\d+)(?=["')])""", renumber, svg)


def write_table(frame: pl.DataFrame, stem: Path, units: Mapping[str, str] | None = None) -> tuple[Path, Path]:
    """`stem`.parquet (every digit; `units` in its metadata) and `stem`.md (for people; see `markdown`)."""
    buffer = io.BytesIO()
    known = {name: unit for name, unit in (units or {}).items() if name in frame.columns}
    frame.write_parquet(buffer, metadata={"units": msgspec.json.encode(known).decode()})
    paths = _beside(stem, ".parquet"), _beside(stem, ".md")
    write_bytes(paths[0], buffer.getvalue())
    write_bytes(paths[1], markdown(frame, known).encode())
    return paths


def markdown(frame: pl.DataFrame, units: Mapping[str, str]) -> str:
    """A Markdown table: units in the header, three significant digits, `x_low` and `x_high` in brackets after x."""
    names = [n for n in frame.columns if not _is_end(n, frame.columns)]
    numeric = {n: frame[n].dtype.is_numeric() for n in names}
    titles = [n.replace("_", " ") + (f" ({units[n]})" if n in units else "") for n in names]
    rows = [
        [_cell(row[n], row.get(f"{n}_low"), row.get(f"{n}_high")) for n in names]
        for row in frame.iter_rows(named=True)
    ]
    lines = [titles, ["---:" if numeric[n] else "---" for n in names], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _is_end(name: str, columns: list[str]) -> bool:
    return any(name.endswith(end) and name.removesuffix(end) in columns for end in ("_low", "_high"))


def _cell(value: Any, low: float | None, high: float | None) -> str:
    if isinstance(value, str):
        return value.replace("|", "\\|").replace("\n", " ")
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        text = ""
    else:
        text = str(value) if isinstance(value, bool | int) else number_text(value)
    return text if low is None or high is None else f"{text} ({number_text(low)} to {number_text(high)})"


def _beside(stem: Path, suffix: str) -> Path:
    # Not with_suffix, which would take `delta-0.001` for a name with a suffix.
    return stem.with_name(stem.name + suffix)
