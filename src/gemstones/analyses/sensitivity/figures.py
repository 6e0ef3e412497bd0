"""A sensitivity analysis as figures: every study in order, and the shares of the choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gemstones.analyses.sensitivity.choices import CHOICES, NO_LAW
from gemstones.analyses.sensitivity.decomposition import INTERACTIONS
from gemstones.analyses.sensitivity.prescribe import Quantity
from gemstones.analyses.sensitivity.sensitivity import CHOICE_WORDS, Sensitivity, plain
from gemstones.analyses.sensitivity.tables import CHOICE_TITLES, QUANTITY_WORDS, level_words
from gemstones.arguments import checked
from gemstones.errors import InvalidRequest
from gemstones.figures import style
from gemstones.laws.interval import level_text
from gemstones.numbers import flops_text

if TYPE_CHECKING:
    import altair as alt

COLORS = ("#555555", "#117733", "#56B4E9", "#CC6677", "#DDAA33", "#44AA99", "#999933")
"""Of levels other than laws, which have their own: of Paul Tol's `muted` scheme, its sand and cyan darkened to be seen
as lines, without those of laws."""
BUDGET_COLORS = ("#DDAA33", "#BB5566", "#004488")
"""Of budgets, ascending: three hues (Paul Tol's high-contrast scheme), told apart on light and dark paper."""
STUDIES_WIDTH = 780
ROW = 15
"""Height of a level's row, in CSS pixels."""
SHARES_WIDTH, BAR = 190, 8
LEAST_ROW = 17
"""Height of a choice's row, for its name to be legible, in CSS pixels."""

# ---------------------------------------------------------------- every study


@checked
def studies_figure(
    made: Sensitivity, budget: float | None = None, quantity: Quantity = "n_opt"
) -> alt.VConcatChart:
    """What every study of `made` prescribes for one `budget` (FLOPs; by default the headline's), in order.

    A specification curve (Simonsohn, Simmons & Nelson 2020): dots of `quantity` with intervals above, and under each
    study a mark in the row of every level that it chose. The colour is that of the choice that matters most. Raises
    `MissingExtra` without altair, `InvalidRequest` where no study has a prescription.

    >>> from gemstones.analyses.sensitivity.ask import sensitivity
    >>> studies_figure(sensitivity("pebbles"))  # doctest: +SKIP
    """
    style.need_altair()
    import altair as alt

    budget = made.headline_budget if budget is None else budget
    if budget not in made.budgets:
        raise InvalidRequest(f"budget {budget:g} is none of {', '.join(f'{b:g}' for b in made.budgets)}")
    rows = _study_rows(made, made.budgets.index(budget), quantity)
    if not rows:
        raise InvalidRequest(f"no study of {made.dataset} prescribes {quantity} for {budget:g} FLOPs")
    main = _main_choice(made, budget, quantity)
    colors = _level_colors(made, main)
    ends = [row[name] for row in rows for name in ("value", "low", "high") if row[name] is not None]
    values = [row["value"] for row in rows]
    # Intervals may reach far beyond the studies: they are cut at ten times their range.
    domain = style.padded(max(min(ends), min(values) / 10), min(max(ends), max(values) * 10), 0.03)
    x = alt.X(
        "rank:Q",
        scale=alt.Scale(domain=[0, len(rows) + 1], nice=False),
        axis=alt.Axis(labels=False, ticks=False, grid=False, title=None),
    )
    color = alt.Color(f"{main}:N", scale=alt.Scale(domain=[*colors], range=[*colors.values()]), legend=None)
    base, crowded = alt.Chart(alt.NamedData(name="studies")), len(rows) > 100
    title = f"{QUANTITY_WORDS[quantity]} prescribed"
    y = style.log_y("value", title, domain, "si")
    intervals = (
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=1 if crowded else 2, opacity=0.45, clip=True)
        .encode(x, style.log_y("low", title, domain, "si"), alt.Y2("high:Q"), color=color)
    )
    dots = base.mark_circle(size=16 if crowded else 60, opacity=1).encode(
        x, y, color=color, tooltip=[*(f"{name}:N" for name in CHOICES), "value:Q", "low:Q", "high:Q"]
    )
    at_base = (
        base.transform_filter("datum.base")
        .mark_point(shape="diamond", size=130, filled=False, strokeWidth=2, color=style.BLACK)
        .encode(x, y)
    )
    above = alt.layer(intervals, dots, at_base).properties(width=STUDIES_WIDTH, height=180)
    panels = [_choice_panel(made, rows, choice, x, color) for choice in _varied(made)]
    heading = alt.TitleParams(
        f"{made.dataset}: {len(rows):,} studies of the same runs, {flops_text(budget)} FLOPs",
        subtitle=style.clauses(_studies_notes(made, rows, main), 115),
        offset=14,
    )
    chart: alt.VConcatChart = alt.vconcat(*style.kept([above, *panels]), spacing=5).properties(title=heading)
    return style.themed(chart, {"studies": rows})


def _studies_notes(made: Sensitivity, rows: Sequence[dict[str, Any]], main: str) -> list[str]:
    notes = [f"Each column is one study, coloured by {CHOICE_WORDS[main]}, the choice that matters most"]
    if made.bootstrap:
        notes.append(f"bars: {level_text(made.level)} intervals from {made.bootstrap} resamples by run")
    if any(row["base"] for row in rows):
        notes.append("diamond: the base study")
    missing = len(made.studies) - len(rows)
    if missing:
        notes.append(f"{missing} more have no optimum within the shapes that are searched")
    return notes


def _study_rows(made: Sensitivity, position: int, quantity: Quantity) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for study in made.studies:
        value = plain(study.prescribed.of(quantity)[0])[position]
        if value is not None:
            low, high = study.prescribed.interval(quantity, position, made.level) or (None, None)
            levels = {name: level_words(name, getattr(study.choices, name)) for name in CHOICES}
            rows.append(levels | {"value": value, "low": low, "high": high, "base": study is made.base})
    rows.sort(key=lambda row: row["value"])
    return [row | {"rank": rank} for rank, row in enumerate(rows, start=1)]


def _choice_panel(
    made: Sensitivity, rows: Sequence[dict[str, Any]], choice: str, x: alt.X, color: alt.Color
) -> alt.Chart:
    import altair as alt

    levels = _levels(made, choice)
    y = alt.Y(
        f"{choice}:N",
        sort=levels,
        scale=alt.Scale(domain=levels),
        axis=alt.Axis(
            title=CHOICE_TITLES[choice], titleAngle=0, titleAlign="right", titleAnchor="middle", titleX=-190,
            titleFontWeight="bold", titleFontSize=12, ticks=False, domain=False, labelFontSize=12, grid=False,
            minExtent=180, maxExtent=180, labelLimit=0,
        ),
    )  # fmt: skip
    panel: alt.Chart = (
        alt.Chart(alt.NamedData(name="studies"))
        .transform_filter(alt.FieldOneOfPredicate(field=choice, oneOf=levels))
        .mark_tick(
            thickness=min(max(1.0, 0.8 * STUDIES_WIDTH / len(rows)), ROW), size=ROW - 4, orient="vertical"
        )
        .encode(x, y, color=color)
        .properties(width=STUDIES_WIDTH, height=ROW * len(levels))
    )
    return panel


def _varied(made: Sensitivity) -> list[str]:
    """Choices of which there is more than one level."""
    return [name for name in CHOICES if len(_levels(made, name)) > 1]


def _levels(made: Sensitivity, choice: str) -> list[str]:
    """Levels in words, but for that of Approach 1, which has neither a law nor δ."""
    levels = dict.fromkeys(getattr(study.choices, choice) for study in made.studies)
    return [level_words(choice, level) for level in levels if level not in {NO_LAW, None}]


def _main_choice(made: Sensitivity, budget: float, quantity: Quantity) -> str:
    at = [
        s for s in made.decompositions if (s.quantity, s.budget) == (quantity, budget) and s.choice in CHOICES
    ]
    return max(at, key=lambda share: share.share).choice if at else CHOICES[0]


def _level_colors(made: Sensitivity, choice: str) -> dict[str, str]:
    levels = _levels(made, choice)
    colors = {level: COLORS[i % len(COLORS)] for i, level in enumerate(levels)}
    if choice == "law":
        colors = dict(zip(levels, style.law_colors(levels), strict=True))
    every = {level_words(choice, getattr(study.choices, choice)) for study in made.studies}
    return colors | dict.fromkeys(every - {*colors}, style.GREY)


# ---------------------------------------------------------------- the choices' shares


@checked
def shares_figure(made: Sensitivity) -> alt.HConcatChart:
    """The share of each choice in the variance of what is prescribed (of its log), by quantity and budget (FLOPs).

    `made` is what `sensitivity` returned. Raises `MissingExtra` without altair, `InvalidRequest` where the studies do
    not differ.

    >>> from gemstones.analyses.sensitivity.ask import sensitivity
    >>> shares_figure(sensitivity("pebbles"))  # doctest: +SKIP
    """
    style.need_altair()
    import altair as alt

    quantities = list(dict.fromkeys(share.quantity for share in made.decompositions))
    if not quantities:
        raise InvalidRequest(
            f"the studies of {made.dataset} do not differ, so there is no variance to share out"
        )
    varied = {*_varied(made), INTERACTIONS}
    order = [CHOICE_TITLES[c] for c in _by_share(made) if c in varied]
    order.append(CHOICE_TITLES[INTERACTIONS])
    budgets = [f"{flops_text(budget)} FLOPs" for budget in made.budgets]
    panels: list[alt.LayerChart] = []
    data: dict[str, list[dict[str, Any]]] = {}
    for quantity in quantities:
        data[f"shares-{quantity}"] = [
            {
                "choice": CHOICE_TITLES[share.choice],
                "budget": f"{flops_text(share.budget)} FLOPs",
                "share": share.share,
                "low": share.interval and share.interval[0],
                "high": share.interval and share.interval[1],
            }
            for share in made.decompositions
            if share.quantity == quantity and share.choice in varied
        ]
        panels.append(_share_panel(quantity, order, budgets, first=not panels))
    notes = ["Share of each choice in the variance of the log, over all studies"]
    if made.bootstrap:
        notes.append(f"lines: {level_text(made.level)} intervals from {made.bootstrap} resamples by run")
    heading = alt.TitleParams(
        f"{made.dataset}: which choice moves the prescription", subtitle=style.clauses(notes, 90), offset=14
    )
    chart: alt.HConcatChart = alt.hconcat(*style.kept(panels), spacing=18).properties(title=heading)
    return style.themed(chart, data)


def _by_share(made: Sensitivity) -> list[str]:
    """Choices, that with the largest share of the first quantity over all budgets first."""
    first = made.decompositions[0].quantity
    sizes = {
        choice: sum(s.share for s in made.decompositions if (s.quantity, s.choice) == (first, choice))
        for choice in CHOICES
    }
    return sorted(CHOICES, key=lambda choice: -sizes[choice])


def _share_panel(quantity: Quantity, order: list[str], budgets: list[str], *, first: bool) -> alt.LayerChart:
    import altair as alt

    colors = [*BUDGET_COLORS[-len(budgets) :]] if len(budgets) <= len(BUDGET_COLORS) else None
    scale = alt.Scale(domain=budgets, range=colors) if colors else alt.Scale(domain=budgets, scheme="blues")
    y = alt.Y(
        "choice:N", sort=order, scale=alt.Scale(domain=order, paddingInner=0.28),
        axis=alt.Axis(title=None, labels=first, labelOverlap=False, ticks=False, domain=False, grid=False),
    )  # fmt: skip
    offset = alt.YOffset("budget:N", sort=budgets, scale=alt.Scale(domain=budgets))
    x_scale = alt.Scale(domain=[0, 1], nice=False)
    percent = alt.Axis(format=".0%", title="", values=[0, 0.5, 1])
    base = alt.Chart(alt.NamedData(name=f"shares-{quantity}"))
    bars = base.mark_bar().encode(
        alt.X("share:Q", scale=x_scale, axis=percent),
        y,
        offset,
        color=alt.Color("budget:N", scale=scale, legend=alt.Legend(title="Budget") if first else None),
        tooltip=["choice:N", "budget:N", "share:Q", "low:Q", "high:Q"],
    )
    rules = (
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=1.2, color=style.INK)
        .encode(alt.X("low:Q", scale=x_scale, axis=percent), alt.X2("high:Q"), y, offset)
    )
    height = max(BAR * len(budgets) * 1.4, LEAST_ROW) * len(order)
    heading = alt.TitleParams(QUANTITY_WORDS[quantity], fontSize=13.5, anchor="start")
    return alt.LayerChart(layer=[bars, rules], width=SHARES_WIDTH, height=height, title=heading)
