"""Predicted against measured loss of the rows that laws were fitted to: dots on the diagonal are right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gemstones.arguments import checked
from gemstones.errors import InvalidRequest
from gemstones.figures import style
from gemstones.laws.fit import Fit
from gemstones.runs.loss_units import PER
from gemstones.runs.table import RunTable

if TYPE_CHECKING:
    import altair as alt

WIDTH, HEIGHT = 178, 180
MOST_PANELS = 4
MOST_CHECKPOINTS = 12
"""Drawn of a run."""


@checked
def predicted_figure(
    fits: Sequence[Fit], runs: RunTable, colors: style.RunColors | None = None
) -> alt.HConcatChart:
    """Predicted over measured loss of `runs` by each of `fits`, four at most; a dot is a checkpoint.

    Raises `MissingExtra` without altair, `InvalidRequest` where there is no fit.

    >>> from gemstones.laws.fitting import fit
    >>> from gemstones.runs import load
    >>> runs = load("pebbles").select("all")
    >>> chart = predicted_figure([fit(runs, "N,T")], runs)  # shows itself in a notebook
    """
    style.need_altair()
    import altair as alt

    if not fits:
        raise InvalidRequest("a figure of predicted losses needs a fit: none was given")
    colors = colors or style.RunColors.of(runs)
    frame = runs.frame.select("run", "tokens", "loss", "params_total").with_row_index("row").sort("tokens")
    kept = [
        row["row"]
        for (_,), run in frame.group_by(["run"], maintain_order=True)
        for row in run.to_dicts()[:: -(-run.height // MOST_CHECKPOINTS)]
    ]
    drawn = fits[:MOST_PANELS]
    predicted = [fit.law.losses(runs) for fit in drawn]
    measured = runs.numbers("loss")
    every = np.concatenate([measured, *predicted])
    span = style.padded(float(every[np.isfinite(every)].min()), float(every[np.isfinite(every)].max()), 0.03)
    rows = frame.sort("row").to_dicts()
    panels, data = [], {"diagonal": [{"measured": end, "predicted": end} for end in span]}
    for number, (fit, losses) in enumerate(zip(drawn, predicted, strict=True)):
        data[f"fit-{number}"] = [
            {
                "run": rows[at]["run"],
                "params_total": rows[at]["params_total"],
                "measured": float(measured[at]),
                "predicted": float(losses[at]),
            }
            for at in kept
        ]
        x = style.log_x("measured", f"Measured loss ({PER[runs.loss_unit]})", span, "plain", 5)
        y = style.log_y("predicted", "Predicted loss" if not number else "", span, "plain", 6)
        diagonal = (
            alt.Chart(alt.NamedData("diagonal")).mark_line(color=style.GREY, strokeWidth=1).encode(x, y)
        )
        points = (
            alt.Chart(alt.NamedData(f"fit-{number}"))
            .mark_circle(size=26, opacity=0.75, clip=True)
            .encode(x, y, color=colors.encoding(legend=number == len(drawn) - 1), tooltip=["run:N"])
        )
        title = alt.TitleParams(fit.law.form, fontSize=13)
        panels.append(alt.layer(diagonal, points).properties(width=WIDTH, height=HEIGHT, title=title))
    chart: alt.HConcatChart = alt.hconcat(*style.kept(panels), spacing=16).resolve_scale(color="independent")
    return style.themed(chart, data)
