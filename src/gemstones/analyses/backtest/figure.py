"""Figures of a backtest: errors by split, with intervals, and residuals over compute beyond a cut.

Errors are dots with whiskers, a line a split and a colour a predictor; a dot without an interval is hollow. Residuals
are what an expert looks at first: how far predictions are off, run by run, and whether they drift away from the cut.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gemstones.analyses.backtest.backtest import Backtest
from gemstones.analyses.backtest.scores import Score, Target
from gemstones.analyses.backtest.splits import CUT_COLUMNS, SplitKind
from gemstones.analyses.backtest.words import TARGET_WORDS, predictor_words, split_words
from gemstones.arguments import checked
from gemstones.errors import InvalidRequest
from gemstones.figures import style
from gemstones.laws.interval import level_text
from gemstones.numbers import counted
from gemstones.words import PARAMS_WORDS, flops_words, selection_words

if TYPE_CHECKING:
    import altair as alt

    from gemstones.runs.table import RunTable

FRONTIERS = {predictor_words("hull", ""): style.BLACK, predictor_words("bins", ""): style.RED}
"""Their colours, as in the figure of Approach 1; laws have theirs as in every figure."""
SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross")
LANE, GAP = 7.0, 5.0
"""Height of a predictor's lane in a split, and between splits, in CSS pixels."""
WIDTH = 360
WIDEST = 400.0
"""From the least error drawn to the largest, at most; what is beyond is written at the edge."""
RESIDUALS_WIDTH, RESIDUALS_HEIGHT = 222, 85
ONCE = "once"
"""Data of one row, for rules that are drawn once and not once a row."""
Rows = list[dict[str, Any]]


@checked
def backtest_figure(
    backtest: Backtest, title: str = "Backtests: how well laws predict what is held out"
) -> alt.VConcatChart:
    """Error in log loss of every predictor of a `backtest` on every split: rows are selections, columns targets.

    `title` stands above. Raises `MissingExtra` without altair, `InvalidRequest` where there is no error to draw.

    >>> from gemstones.analyses.backtest.backtest import backtest
    >>> backtest_figure(backtest("pebbles"))  # doctest: +SKIP
    """
    style.need_altair()
    import altair as alt

    rows = [_error_row(score) for score in backtest.scores if score.error is not None]
    if not rows:
        raise InvalidRequest("there is no error to draw: no law could be fitted to any training part")
    names = list(dict.fromkeys(predictor_words(s.approach, s.law) for s in backtest.scores))
    panel = _Panel(names, _domain(rows))
    data: dict[str, Rows] = {}
    lines: list[alt.HConcatChart] = []
    for number, table in enumerate(backtest.tables):
        own = [row for row in rows if row["selection"] == table.selection]
        splits = list(dict.fromkeys(row["split"] for row in own))
        by_target = {target: [row for row in own if row["target"] == target] for target in TARGET_WORDS}
        by_target = {target: of_target for target, of_target in by_target.items() if of_target}
        panels = []
        for target, of_target in by_target.items():
            name = f"errors-{number}-{target}"
            data[name] = [panel.clipped(row) for row in of_target]
            drawn = [n for n in names if any(row["predictor"] == n for row in of_target)]
            panels.append(panel.of(name, target, splits, drawn, left=target == next(iter(by_target))))
        if panels:
            heading = alt.TitleParams(selection_words(table.dataset, table.selection), offset=8)
            side_by_side = alt.hconcat(*style.kept(panels), spacing=20).resolve_scale(yOffset="independent")
            lines.append(side_by_side.properties(title=heading))
    chart = alt.vconcat(*style.kept(lines), spacing=22).resolve_scale(yOffset="independent")
    heading = alt.TitleParams(title, subtitle=_subtitle(backtest), offset=16, fontSize=17)
    themed: alt.VConcatChart = style.themed(chart.properties(title=heading), data)
    return themed


def _error_row(score: Score) -> dict[str, Any]:
    error = score.error
    assert error is not None
    low, high = score.interval or (None, None)
    return {
        "selection": score.selection,
        "target": score.target,
        "split": split_words(score.split, score.cut),
        "predictor": predictor_words(score.approach, score.law),
        "error": 100 * error,
        "low": None if low is None else 100 * low,
        "high": None if high is None else 100 * high,
        "bias": None if score.bias is None else 100 * score.bias,
        "held_out": f"{counted(score.test_rows, 'row')} of {counted(score.test_runs, 'run')}",
        "flags": "; ".join(score.flags),
    }


def _domain(rows: Rows) -> tuple[float, float]:
    values = [row["error"] for row in rows if row["error"] > 0]
    ends = [end for row in rows for end in (row["low"], row["high"]) if end]
    low = max(min([*values, *ends]), min(values) / 2)
    return style.padded(low, min(max([*values, *ends]), low * WIDEST), 0.03)


def _colors(names: list[str]) -> dict[str, str]:
    laws = [name for name in names if name not in FRONTIERS]
    return FRONTIERS | dict(zip(laws, style.law_colors(laws), strict=True))


@dataclass(frozen=True)
class _Panel:
    """What all panels of errors have in common."""

    names: list[str]
    """Of the predictors."""
    domain: tuple[float, float]
    """Of the errors, in percent."""

    def clipped(self, row: dict[str, Any]) -> dict[str, Any]:
        """`row` with what is drawn of it: beyond the axis a number at its edge."""
        low, high = self.domain
        beyond = row["error"] > high
        ends = (
            None if row[end] is None or beyond else min(max(row[end], low), high) for end in ("low", "high")
        )
        at = min(max(row["error"], low), high)
        label = f"{row['error']:,.0f}% ▸" if beyond else None
        return row | dict(zip(("from", "to"), ends, strict=True)) | {"at": at, "beyond": label}

    def of(
        self, name: str, target: Target, splits: list[str], drawn: list[str], *, left: bool
    ) -> alt.LayerChart:
        """Errors of the predictors `drawn` on one target of one selection, from the data called `name`."""
        import altair as alt

        lanes = LANE * len(self.names)
        names = alt.Axis(title=None, grid=False, ticks=False, domain=False, labelPadding=8, labelLimit=0)
        rows = alt.Scale(
            domain=splits, paddingInner=GAP / (GAP + lanes), paddingOuter=GAP / (GAP + lanes) / 2
        )
        y = alt.Y("split:N", sort=splits, scale=rows, axis=names if left else None)
        lane = alt.YOffset("predictor:N", scale=alt.Scale(domain=drawn))
        key = alt.Legend(
            title=None, orient="top", direction="horizontal", symbolSize=100, columnPadding=20, offset=14
        )
        colors = _colors(self.names)
        scale = alt.Scale(domain=self.names, range=[colors[name] for name in self.names])
        marks = alt.Scale(domain=self.names, range=[SHAPES[i % len(SHAPES)] for i in range(len(self.names))])
        color = alt.Color("predictor:N", scale=scale, legend=key)
        shape = alt.Shape("predictor:N", scale=marks, legend=key)
        base = alt.Chart(alt.NamedData(name=name)).encode(y)
        by_split = base.transform_aggregate(errors="count()", groupby=["split"])
        bands = by_split.mark_bar(color=style.GRID, opacity=0.5).encode(x=alt.value(0), x2=alt.value(WIDTH))
        whiskers = (
            base.transform_filter("isValid(datum.from)")
            .mark_rule(strokeWidth=1.8, opacity=0.75)
            .encode(self._x("from"), alt.X2("to"), lane, color)
        )
        points = base.encode(
            self._x("at"),
            lane,
            color,
            shape,
            tooltip=[
                "split:N",
                "predictor:N",
                "error:Q",
                "low:Q",
                "high:Q",
                "bias:Q",
                "held_out:N",
                "flags:N",
            ],
        )
        known = points.transform_filter("isValid(datum.low) && !isValid(datum.beyond)")
        unknown = points.transform_filter("!isValid(datum.low) && !isValid(datum.beyond)")
        beyond = base.transform_filter("isValid(datum.beyond)").mark_text(
            align="right", fontSize=12, dx=3, color=style.INK
        )
        layers = [
            bands,
            whiskers,
            known.mark_point(filled=True, opacity=1, size=60),
            unknown.mark_point(filled=False, fill="white", opacity=1, strokeWidth=1.6, size=40),
            beyond.encode(self._x("at"), lane, text="beyond:N"),
        ]
        panel: alt.LayerChart = (
            alt.layer(*style.kept(layers))
            .resolve_scale(yOffset="shared")
            .properties(
                width=WIDTH,
                height=len(splits) * (lanes + GAP),
                title=alt.TitleParams(
                    f"Error of {TARGET_WORDS[target]}", fontSize=13, fontWeight="normal", color=style.SOFT_INK
                ),
            )
        )
        return panel

    def _x(self, field: str) -> alt.X:
        return style.log_x(field, "Error (% of the loss)", self.domain, "plain", 8)


def _subtitle(backtest: Backtest) -> list[str]:
    params = f"N counts {PARAMS_WORDS[backtest.params_convention]} parameters"
    return style.clauses(
        [
            "root mean square of log(predicted / measured loss), runs weighted equally",
            f"whiskers: {level_text(backtest.resamples.level)} intervals from {backtest.resamples.draws} resamples of "
            "held-out runs or folds",
            "hollow: too few of them for one",
            f"FLOPs {flops_words(backtest.tables[0].flops_convention)}",
            params,
        ],
        125,
    )


def residuals_figure(
    backtest: Backtest, selection: str, split: SplitKind = "compute", colors: style.RunColors | None = None
) -> alt.VConcatChart:
    """Predicted over measured loss of every row, over FLOPs, for fits below a cut: a column a law, a row a cut.

    `colors` are those of the whole data set. Raises `MissingExtra` without altair, `InvalidRequest` where nothing was
    predicted above a cut of this kind.
    """
    style.need_altair()
    import altair as alt

    table = next(t for t in backtest.tables if t.selection == selection)
    scores = [
        s
        for s in backtest.scores
        if (s.selection, s.split, s.approach, s.target) == (selection, split, "approach3", "all")
        and s.cut is not None
        and s.error is not None
    ]
    if not scores:
        raise InvalidRequest(f"nothing was predicted above a cut by {split} of {selection}")
    data = {_name(score): _residual_rows(table, score) for score in scores}
    flops = [row["flops"] for rows in data.values() for row in rows]
    reach = 1.06 * max(abs(row["residual"]) for rows in data.values() for row in rows if row["held_out"])
    panel = _Residuals(
        colors or style.RunColors.of(table),
        f"FLOPs ({flops_words(table.flops_convention)})",
        style.padded(min(flops), max(flops), 0.02),
        reach,
    )
    # A line a cut; of one law two cuts a line.
    by_cut = [[s for s in scores if s.cut == cut] for cut in dict.fromkeys(s.cut for s in scores)]
    rows = (
        by_cut
        if any(len(row) > 1 for row in by_cut)
        else [scores[i : i + 2] for i in range(0, len(scores), 2)]
    )
    lines = [
        alt.hconcat(
            *style.kept(
                [
                    panel.of(
                        score,
                        left=score is row[0],
                        bottom=row is rows[-1],
                        legend=row is rows[0] and score is row[-1],
                    )
                    for score in row
                ]
            ),
            spacing=16,
        ).resolve_scale(color="independent")
        for row in rows
    ]
    chart = alt.vconcat(*style.kept(lines), spacing=14).resolve_scale(color="independent")
    heading = alt.TitleParams(
        f"Fitted below a cut, predicted above it: {selection_words(table.dataset, selection)}",
        subtitle=style.clauses(
            (
                "every line or dot is a run: grey where it was fitted, coloured where it was predicted",
                "residual: predicted / measured loss − 1",
                "fitted rows beyond the axis are left out",
            ),
            52 * max(map(len, rows)),
        ),
        offset=14,
    )
    themed: alt.VConcatChart = style.themed(chart.properties(title=heading), data | {ONCE: [{}]})
    return themed


def _name(score: Score) -> str:
    return f"residuals-{score.law}-{score.cut:g}"


def _residual_rows(table: RunTable, score: Score) -> Rows:
    """Every fitted and every held-out row."""
    columns = {c: table.frame[c].to_list() for c in ("run", "flops", "tokens", "params_total", "loss")}
    rows: Rows = []
    for numbers, residuals, held_out in (
        (score.fitted, score.fitted_residuals, False),
        (score.rows, score.residuals, True),
    ):
        assert numbers is not None and residuals is not None
        of_run = Counter(columns["run"][i] for i in numbers)
        rows += [
            {name: values[i] for name, values in columns.items()}
            | {"residual": 100 * math.expm1(r), "held_out": held_out, "rows": of_run[columns["run"][i]]}
            for i, r in zip(numbers.tolist(), residuals.tolist(), strict=True)
        ]
    return rows


@dataclass(frozen=True)
class _Residuals:
    """What all panels of residuals have in common."""

    colors: style.RunColors
    x_title: str
    x_domain: tuple[float, float]
    reach: float
    """In percent, both ways."""

    def of(self, score: Score, *, left: bool, bottom: bool, legend: bool) -> alt.LayerChart:
        """One law fitted below one cut."""
        import altair as alt

        assert score.cut is not None
        words = split_words(score.split, score.cut)
        x = style.log_x("flops", self.x_title if bottom else "", self.x_domain, "power", 6)
        y = alt.Y(
            "residual:Q",
            title="Residual (%)" if left else "",
            scale=alt.Scale(domain=[-self.reach, self.reach], nice=False),
            axis=alt.Axis(tickCount=5, minExtent=30),
        )
        data = alt.NamedData(name=_name(score))
        tooltip = ["run:N", "residual:Q", "flops:Q", "tokens:Q", "loss:Q"]
        base = alt.Chart(data).encode(x, y, detail=["run:N", "held_out:N"], tooltip=tooltip)
        # A run with one row on a side has no line there: it is a dot.
        fitted, held_out = (base.transform_filter(side) for side in ("!datum.held_out", "datum.held_out"))
        lines, dots = "datum.rows > 1", "datum.rows == 1"
        key, no_key = self.colors.encoding(legend=legend), self.colors.encoding(legend=False)
        once = alt.Chart(alt.NamedData(name=ONCE))
        layers = [
            once.mark_rule(color=style.INK, strokeWidth=1).encode(y=alt.YDatum(0)),
            fitted.transform_filter(lines).mark_line(strokeWidth=1, opacity=0.6, color="#AAAAAA", clip=True),
            fitted.transform_filter(dots).mark_circle(size=12, opacity=0.6, color="#AAAAAA", clip=True),
            held_out.transform_filter(lines).mark_line(strokeWidth=1.4, opacity=0.9).encode(key),
            held_out.transform_filter(dots).mark_circle(size=20, opacity=0.9).encode(no_key),
        ]
        if CUT_COLUMNS[score.split] == "flops":
            domain = alt.Scale(type="log", domain=list(self.x_domain), nice=False)
            cut = alt.XDatum(score.cut, scale=domain)
            layers.insert(0, once.mark_rule(color=style.SOFT_INK, strokeDash=[4, 3]).encode(cut))
        panel: alt.LayerChart = (
            alt.layer(*style.kept(layers))
            .resolve_scale(color="independent")
            .properties(
                width=RESIDUALS_WIDTH,
                height=RESIDUALS_HEIGHT,
                title=alt.TitleParams(f"{score.law}, {words}", fontSize=13),
            )
        )
        return panel
