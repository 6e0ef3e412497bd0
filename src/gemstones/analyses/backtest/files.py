"""A backtest on disk: its summary, every error, every prediction, and the figures."""

from __future__ import annotations

import re
from pathlib import Path

from gemstones.analyses.backtest.backtest import Backtest
from gemstones.analyses.backtest.figure import backtest_figure, residuals_figure
from gemstones.analyses.backtest.tables import errors_table, predictions_frame
from gemstones.figures.save import save_figure, write_frame, write_table
from gemstones.figures.style import RunColors, need_altair
from gemstones.files import write_json
from gemstones.output_folder import OutputFolder
from gemstones.runs.table import RunTable

BACKTEST_FILES = (
    "errors.parquet", "errors.md", "errors.png", "errors.svg", "predictions.parquet", "residuals-*.png",
    "residuals-*.svg", "backtest.json",
)  # fmt: skip
"""What `write_backtest` may write."""


def backtest_folder(output: Path, runs: RunTable | None = None, *, force: bool = False) -> OutputFolder:
    """The folder of a backtest of `runs`; refused, before the work, where figures cannot be drawn."""
    need_altair()
    inputs = () if runs is None else tuple(Path(source.location) for source in runs.sources)
    return OutputFolder(output, "gemstones backtest", BACKTEST_FILES[-1:], BACKTEST_FILES, inputs, force)


def write_backtest(backtest: Backtest, runs: RunTable, output: Path, *, force: bool = False) -> list[Path]:
    """Write to the folder `output`, which is made if need be; returns the files. See `backtest_files`.

    An earlier backtest there is replaced as a whole. Raises `InvalidPath` where somebody else's file is in the way,
    unless `force`d, and `MissingExtra` without altair.
    """
    folder = backtest_folder(output, runs, force=force)
    folder.check()
    with folder.replacing() as filled:
        files = backtest_files(backtest, runs, filled)
    return [output / path.relative_to(filled) for path in files]


def backtest_files(backtest: Backtest, runs: RunTable, output: Path) -> list[Path]:
    """Write to a folder that exists; returns the files.

    errors.parquet and .md; where there is any error, predictions.parquet and the figure errors (.png, .svg); where
    anything was predicted above a cut by compute, a figure residuals-SELECTION; backtest.json last. `runs` is the
    whole data set: a run has its colour of there. Raises `MissingExtra` without
    altair.
    """
    paths = [*write_table(errors_table(backtest), output / "errors")]
    predicted = [score for score in backtest.scores if score.error is not None]
    if predicted:
        paths.append(write_frame(predictions_frame(backtest), output / "predictions.parquet"))
        paths += save_figure(backtest_figure(backtest), output / "errors")
    colors = RunColors.of(runs)
    above = [s.selection for s in predicted if (s.split, s.target) == ("compute", "all")]
    for selection in dict.fromkeys(above):
        figure = residuals_figure(backtest, selection, colors=colors)
        paths += save_figure(figure, output / f"residuals-{file_name(selection)}")
    paths.append(output / "backtest.json")
    write_json(paths[-1], backtest.summary())
    return paths


def file_name(selection: str) -> str:
    """A selection's name in that of a file: what is no letter, digit, point, dash or underscore becomes a dash.

    >>> file_name("all where width >= 512")
    'all-where-width-512'
    """
    return re.sub(r"[^\w.]+", "-", selection).strip("-.")[:80] or "selection"
