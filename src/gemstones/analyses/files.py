"""An analysis on disk: its summary as JSON, its tables as Parquet, and its figures."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from gemstones.figures.save import save_figure
from gemstones.figures.style import need_altair
from gemstones.files import write_bytes, write_text
from gemstones.marks import WRITTEN_BY
from gemstones.output_folder import OutputFolder
from gemstones.runs.table import RunTable

if TYPE_CHECKING:
    import altair as alt
    import polars as pl


def analysis_folder(
    name: str,
    output: Path,
    figures: tuple[str, ...],
    runs: tuple[RunTable, ...] = (),
    *,
    texts: tuple[str, ...] = (),
    force: bool = False,
) -> OutputFolder:
    """The folder of an analysis: NAME.json, `figures` as PNG and SVG, and `texts` and tables by file name; refused,
    before the work, where none can be drawn."""
    need_altair()
    closing = f"{name}.json"
    patterns = (*(f"{figure}{suffix}" for figure in figures for suffix in (".png", ".svg")), *texts, closing)
    inputs = tuple(Path(source.location) for table in runs for source in table.sources)
    return OutputFolder(output, f"gemstones {name}", (closing,), patterns, inputs, force)


def write_analysis(
    folder: OutputFolder,
    summary: Mapping[str, Any],
    figures: Mapping[str, alt.TopLevelMixin],
    texts: Mapping[str, str] | None = None,
    tables: Mapping[str, pl.DataFrame] | None = None,
) -> list[Path]:
    """Fill the folder, whole or not at all; returns the files, NAME.json last."""
    folder.check()
    with folder.replacing() as filled:
        files = [path for name, chart in figures.items() for path in save_figure(chart, filled / name)]
        for name, text in (texts or {}).items():
            files.append(filled / name)
            write_text(files[-1], text)
        for name, frame in (tables or {}).items():
            buffer = io.BytesIO()
            frame.write_parquet(buffer, metadata=WRITTEN_BY)
            files.append(filled / name)
            write_bytes(files[-1], buffer.getvalue())
        files.append(filled / folder.closing[0])
        content = msgspec.json.format(msgspec.json.encode({"analysis": folder.command, **summary}), indent=1)
        write_text(files[-1], content.decode() + "\n")
    return [folder.path / path.relative_to(filled) for path in files]
