"""A task's law on disk: its summary, its checkpoints and predictions as tables, and the figure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gemstones.analyses.downstream.figure import downstream_figure
from gemstones.analyses.downstream.result import Downstream
from gemstones.analyses.files import analysis_folder, write_analysis
from gemstones.analyses.predict.shown import at_text
from gemstones.output_folder import OutputFolder
from gemstones.page.rows import typed_frame, with_ends
from gemstones.runs.table import RunTable

if TYPE_CHECKING:
    import polars as pl

FIGURE = "task"
CHECKPOINTS, PREDICTIONS = "checkpoints.parquet", "predictions.parquet"


def downstream_folder(output: Path, runs: RunTable, *, force: bool = False) -> OutputFolder:
    """The folder of a task's law; refused where it holds somebody else's files."""
    return analysis_folder(
        "downstream", output, (FIGURE,), (runs,), texts=(CHECKPOINTS, PREDICTIONS), force=force
    )


def write_downstream(made: Downstream, folder: OutputFolder) -> list[Path]:
    """Fill the folder, whole or not at all; returns the files, downstream.json last."""
    tables = {}
    if made.checkpoints is not None:
        tables[CHECKPOINTS] = made.checkpoints
    if made.predictions:
        tables[PREDICTIONS] = _predictions(made)
    return write_analysis(folder, made.summary(), {FIGURE: downstream_figure(made)}, tables=tables)


def _predictions(made: Downstream) -> pl.DataFrame:
    rows = [
        {
            "at": at_text(one.at),
            "loss": one.loss,
            **with_ends("accuracy", one.accuracy, one.interval),
            "accuracy_of_fit_low": one.interval_of_fit and one.interval_of_fit[0],
            "accuracy_of_fit_high": one.interval_of_fit and one.interval_of_fit[1],
            "decades_beyond": one.decades_beyond,
        }
        for one in made.predictions
    ]
    return typed_frame(rows, {"at"})
