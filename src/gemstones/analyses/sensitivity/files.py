"""A sensitivity analysis on disk: its summary, tables and figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gemstones.analyses.sensitivity.sensitivity import Sensitivity
from gemstones.analyses.sensitivity.tables import studies_frame
from gemstones.errors import MissingExtra
from gemstones.figures.save import save_figure, write_frame
from gemstones.files import write_json
from gemstones.output_folder import OutputFolder
from gemstones.runs.table import RunTable

SENSITIVITY_FILES = (
    "sensitivity.parquet", "studies.png", "studies.svg", "shares.png", "shares.svg", "sensitivity.json",
)  # fmt: skip
"""What `write_sensitivity` may write."""


def sensitivity_folder(output: Path, runs: RunTable | None = None, *, force: bool = False) -> OutputFolder:
    """The folder of an analysis of `runs`."""
    inputs = () if runs is None else tuple(Path(source.location) for source in runs.sources)
    return OutputFolder(
        output, "gemstones sensitivity", SENSITIVITY_FILES[-1:], SENSITIVITY_FILES, inputs, force
    )


def write_sensitivity(
    made: Sensitivity, output: Path, runs: RunTable | None = None, *, force: bool = False
) -> list[Path]:
    """As `sensitivity_files`, to a folder whose earlier analysis is replaced as a whole.

    Raises `InvalidPath` where somebody else's file is in the way, unless `force`d.
    """
    with sensitivity_folder(output, runs, force=force).replacing() as filled:
        files = sensitivity_files(made, filled)
    return [output / path.relative_to(filled) for path in files]


def sensitivity_files(made: Sensitivity, output: Path) -> list[Path]:
    """`sensitivity.parquet`, `sensitivity.json` and, with the extra `report`, the figures `studies` and `shares`, in a
    folder that exists."""
    files = [write_frame(studies_frame(made), output / "sensitivity.parquet")]
    from gemstones.analyses.sensitivity.figures import shares_figure, studies_figure

    try:
        headline = made.budgets.index(made.headline_budget)
        if np.isfinite([study.prescribed.n_opt[0][headline] for study in made.studies]).any():
            files += save_figure(studies_figure(made), output / "studies")
        if made.decompositions:
            files += save_figure(shares_figure(made), output / "shares")
    except MissingExtra:
        pass  # tables without figures are of use
    files.append(output / "sensitivity.json")
    write_json(files[-1], made.summary())
    return files
