"""A comparison of recipes as a figure: how much lower each loss is than the reference's, by budget, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gemstones.analyses.compare.result import Comparison
from gemstones.analyses.compare.shown import probability_text, times, where_text
from gemstones.arguments import checked
from gemstones.errors import InvalidRequest
from gemstones.figures import style
from gemstones.laws.interval import level_text
from gemstones.units import Interval

if TYPE_CHECKING:
    import altair as alt

ROW = 34
"""Pixels of a row."""


TEXT_ROOM = 0.65
"""Of the intervals' span, beside them for what is said of them."""


@checked
def compare_figure(made: Comparison | Sequence[Comparison]) -> alt.LayerChart:
    """A row for each recipe and budget (FLOPs): its difference of loss to A with the interval, measured pairs beside.

    `made` is what `compare` or `compare_by` returned. Raises `MissingExtra` without altair, `InvalidRequest` where it
    is empty.

    >>> from gemstones.analyses.compare.compare import compare
    >>> compare_figure(compare("a.csv", "b.csv"))  # doctest: +SKIP
    """
    style.need_altair()
    import altair as alt

    made = [made] if isinstance(made, Comparison) else list(made)
    if not made:
        raise InvalidRequest("a figure of recipes needs a comparison to draw: none was given")
    rows: list[dict[str, Any]] = []
    for one in made:
        of = f"{one.names[1]}, " if len(made) > 1 else ""
        if one.measured is not None:
            what = f"{of}measured, {one.measured.checkpoints} largest pairs"
            rows.append(_row(what, "Measured", one.measured.difference, one.measured.interval))
        for at in one.at:
            if at.interval is None or at.probability_lower is None:
                continue
            said = f"P(lower) {probability_text(at.probability_lower)}"
            if at.multiplier is not None:
                said += f", compute × {times(at.multiplier)}"
            rows.append(_row(of + where_text(at), "Expected", at.difference, at.interval, said))
    if not rows:
        raise InvalidRequest(f"there is nothing to draw: {made[0].reason}")
    ends = [v for row in rows for v in (row["low"], row["high"], row["difference"]) if v is not None]
    low, high = min(0.0, *ends), max(0.0, *ends)
    for row in rows:
        row["end"] = high  # what is said of rows stands in one column, beside all intervals
    room = 0.06 * (high - low)
    x = alt.X(
        "difference:Q",
        title=f"Loss relative to {made[0].names[0]}'s (below 0: better)",
        scale=alt.Scale(domain=[low - room, high + TEXT_ROOM * (high - low)], nice=False),
        axis=alt.Axis(labelExpr="datum.value ? format(datum.value, '+.2~%') : '0%'", tickCount=6),
    )
    labels = list(dict.fromkeys(row["label"] for row in rows))
    y = alt.Y("label:N", sort=labels, title=None, axis=alt.Axis(labelExpr=style.WRAPPED_LABELS, labelLimit=0))
    kinds = [k for k in ("Expected", "Measured") if any(row["kind"] == k for row in rows)]
    color = alt.Color(
        "kind:N",
        scale=alt.Scale(domain=kinds, range=[style.INK if k == "Expected" else style.GREY for k in kinds]),
        legend=alt.Legend(title=None, orient="top"),
    )
    base = alt.Chart(alt.InlineData(rows))
    layers = [
        alt.Chart(alt.InlineData([{"zero": 0}]))
        .mark_rule(color=style.SOFT_INK, strokeDash=[4, 3])
        .encode(x="zero:Q"),
        base.mark_rule(strokeWidth=2.4).encode(alt.X("low:Q"), alt.X2("high:Q"), y, color),
        base.mark_point(filled=True, size=95, opacity=1).encode(
            x, y, color, tooltip=["label:N", "difference:Q"]
        ),
        base.mark_text(align="left", dx=8, fontSize=12, color=style.INK).encode(
            alt.X("end:Q"), y, text="said:N"
        ),
    ]
    a, names = made[0].names[0], ", ".join(one.names[1] for one in made)
    level = level_text(made[0].level)
    title = alt.TitleParams(
        f"{names} against {a}: {_finding(made)}",
        subtitle=[
            f"{level} intervals; pooled law {made[0].fit.law.form}; {made[0].pairs or 'no'} pairs of runs"
        ],
        offset=10,
    )
    return style.themed(alt.LayerChart(layer=layers, title=title, width=560, height=ROW * len(labels)))


def _row(what: str, kind: str, difference: float, ends: Interval | None, said: str = "") -> dict[str, Any]:
    low, high = ends or (None, None)
    return {
        "label": style.series_name(what, 42),
        "kind": kind, "difference": difference, "low": low, "high": high, "said": said,
    }  # fmt: skip


def _finding(made: Sequence[Comparison]) -> str:
    last = next((at for at in reversed(made[0].at) if at.budget is not None), made[0].at[-1])
    if len(made) > 1 or last.interval is None:
        return "differences by budget" if last.interval is not None else "too few runs"
    if not last.decided:
        return f"not decided at {where_text(last)}"
    return f"{abs(last.difference):.1%} {'lower' if last.difference < 0 else 'higher'} at {where_text(last)}"
