"""A task's law as a figure: error over loss with the law, its band and chance, and held-out predictions beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gemstones.analyses.downstream.result import Downstream
from gemstones.arguments import checked
from gemstones.errors import InvalidRequest
from gemstones.figures import style
from gemstones.laws.interval import level_text
from gemstones.runs.loss_units import PER

if TYPE_CHECKING:
    import altair as alt

WIDTH, HEIGHT = 330, 290
BEYOND, LEFT_OUT = "Top fifth of compute, by the rest", "Runs left out, by the others"


@checked
def downstream_figure(made: Downstream) -> alt.HConcatChart:
    """Error (1 - accuracy, a share of 1) over loss with the law, and predicted over measured error of held-out rows.

    `made` is what `downstream` returned. Left, checkpoints, the law with the band of its draws, and the error of
    guessing; a law without a loss has no line there. Right, the top fifth of compute predicted by a fit to the rest,
    and runs predicted by fits without them, each with the loss that a loss law predicted. Raises `MissingExtra` without
    altair, `InvalidRequest` where there are no checkpoints.

    >>> from gemstones.analyses.downstream.downstream import downstream
    >>> downstream_figure(downstream("gemstones-benchmarks", "hellaswag"))  # doctest: +SKIP
    """
    style.need_altair()
    import altair as alt

    if made.checkpoints is None or not made.checkpoints.height:
        raise InvalidRequest(f"there is nothing to draw of the task {made.task}: its law has no checkpoints")
    rows = made.checkpoints.to_dicts()
    panels = [_over_loss(made)]
    if any(row["predicted_beyond"] is not None or row["predicted_left_out"] is not None for row in rows):
        panels.append(_held_out())
    notes = [f"{made.form}, fitted to {made.rows:,} checkpoints of {made.runs} runs of {made.dataset}"]
    if made.line is not None and made.line.low is not None:
        notes.append(
            f"band: {level_text(made.level)} interval from {made.asked} resamples by run, if the law's form is right"
        )
    chart: alt.HConcatChart = (
        alt.hconcat(*style.kept(panels), spacing=24)
        .resolve_scale(color="independent")
        .properties(
            title=alt.TitleParams(
                f"{made.task}: {_finding(made)}", subtitle=style.clauses(notes, 100), offset=12
            )
        )
    )
    return style.themed(chart, _data(made, rows))


def _finding(made: Downstream) -> str:
    held = [
        (made.error_beyond, "for the top fifth of compute"),
        (made.error_left_out, "for runs left out"),
    ]
    said = [f"{100 * error:.1f} points {what}" for error, what in held if error is not None]
    return f"predictions are off by {' and '.join(said)}" if said else "not backtested"


def _data(made: Downstream, rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    held = [
        {"run": row["run"], "measured": 1 - row["accuracy"], "predicted": 1 - row[column], "kind": kind}
        for column, kind in (("predicted_left_out", LEFT_OUT), ("predicted_beyond", BEYOND))
        for row in rows
        if row[column] is not None
    ]
    ends = [value for row in held for value in (row["measured"], row["predicted"])]
    data = {
        "checkpoints": [row | {"error": 1 - row["accuracy"]} for row in rows],
        "held-out": held,
        "diagonal": [{"measured": end, "predicted": end} for end in (min(ends), max(ends))] if held else [],
        "chance": [] if made.chance is None else [{"error": 1 - made.chance}],
    }
    if (line := made.line) is not None:
        low, high = (None, None) if line.low is None or line.high is None else (line.low, line.high)
        data["law"] = [
            {"loss": float(line.loss[i]), "error": 1 - float(line.accuracy[i])}
            | ({} if low is None or high is None else {"low": 1 - float(high[i]), "high": 1 - float(low[i])})
            for i in range(len(line.loss))
        ]
    return data


def _over_loss(made: Downstream) -> alt.LayerChart:
    import altair as alt

    scale = alt.Scale(zero=False, nice=False, padding=8)
    axis = alt.Axis(format=".2~f", tickCount=6)
    on = "" if made.loss_column == "loss" else f" on {made.loss_column.removeprefix('loss_')}"
    x = alt.X("loss:Q", title=f"Loss{on} ({PER[made.loss_unit]})", scale=scale, axis=axis)
    y = alt.Y("error:Q", title="Error (1 - accuracy)", scale=scale, axis=axis)
    points = (
        alt.Chart(alt.NamedData("checkpoints"))
        .mark_circle(size=22, opacity=0.5, color=style.GREY)
        .encode(x, y, tooltip=["run:N", "loss:Q", "accuracy:Q", "predicted:Q"])
    )
    layers: list[Any] = [points]
    if made.line is not None:
        law = alt.Chart(alt.NamedData("law"))
        if made.line.low is not None:
            layers.append(
                law.mark_area(opacity=0.3, color=style.ORANGE).encode(
                    x, alt.Y("low:Q", title="Error (1 - accuracy)", scale=scale), alt.Y2("high:Q")
                )
            )
        layers.append(law.mark_line(color=style.ORANGE, strokeWidth=style.LINE_WIDTH).encode(x, y))
    if made.chance is not None:
        chance = alt.Chart(alt.NamedData("chance"))
        layers.append(chance.mark_rule(color=style.INK, strokeDash=[4, 3]).encode(y))
        layers.append(
            chance.mark_text(align="left", baseline="top", dx=4, dy=4, fontSize=12, color=style.INK).encode(
                y, x=alt.value(0), text=alt.value(f"guessing, {1 - made.chance:.3g}")
            )
        )
    title = (
        "Error over loss, and the law"
        if made.line is not None
        else "Error over loss; the law is of size and tokens"
    )
    return _panel(layers, title)


def _held_out() -> alt.LayerChart:
    import altair as alt

    scale = alt.Scale(zero=False, nice=False, padding=8)
    axis = alt.Axis(format=".2~f", tickCount=6)
    x = alt.X("measured:Q", title="Measured error", scale=scale, axis=axis)
    y = alt.Y("predicted:Q", title="Predicted error", scale=scale, axis=axis)
    color = alt.Color(
        "kind:N",
        scale=alt.Scale(domain=[LEFT_OUT, BEYOND], range=[style.TEAL, style.MAGENTA]),
        legend=alt.Legend(title=None, orient="top-left", offset=6, symbolOpacity=1),
    )
    diagonal = alt.Chart(alt.NamedData("diagonal")).mark_line(color=style.GREY, strokeWidth=1).encode(x, y)
    points = (
        alt.Chart(alt.NamedData("held-out"))
        .mark_circle(size=26, opacity=0.6)
        .encode(x, y, color, tooltip=["run:N", "measured:Q", "predicted:Q"])
    )
    return _panel([diagonal, points], "Rows that were held out")


def _panel(layers: list[Any], title: str) -> alt.LayerChart:
    import altair as alt

    return alt.LayerChart(layer=layers, width=WIDTH, height=HEIGHT, title=alt.TitleParams(title, fontSize=13))
