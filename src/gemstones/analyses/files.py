"""An analysis on disk: its summary as JSON, its tables as Parquet, and its figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gemstones.figures.save import save_figure, write_frame
from gemstones.figures.style import need_altair
from gemstones.files import write_json, write_text
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
    folder = OutputFolder(output, f"gemstones {name}", (closing,), patterns, inputs, force)
    folder.check()
    return folder


def write_analysis(
    folder: OutputFolder,
    summary: Mapping[str, Any],
    figures: Mapping[str, alt.TopLevelMixin],
    texts: Mapping[str, str] | None = None,
    tables: Mapping[str, pl.DataFrame] | None = None,
) -> list[Path]:
    """Fill the folder, whole or not at all; returns the files, NAME.json last."""
    with folder.replacing() as filled:
        files = [path for name, chart in figures.items() for path in save_figure(chart, filled / name)]
        for name, text in (texts or {}).items():
            files.append(filled / name)
            write_text(files[-1], text)
        for name, frame in (tables or {}).items():
            files.append(write_frame(frame, filled / name))
        files.append(filled / folder.closing[0])
        write_json(files[-1], {"analysis": folder.command, **summary})
    return [folder.path / path.relative_to(filled) for path in files]
