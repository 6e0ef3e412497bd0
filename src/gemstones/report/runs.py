"""The runs of a study in its page: one row per run, and every loss curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gemstones.errors import InvalidTable
from gemstones.figures import style
from gemstones.figures.table import Table
from gemstones.numbers import counted
from gemstones.page.page import Figure, Section
from gemstones.page.table import TableBlock
from gemstones.report.findings import least_measured
from gemstones.runs.loss_units import PER
from gemstones.runs.schema import UNITS
from gemstones.runs.table import RunTable

if TYPE_CHECKING:
    import altair as alt

MOST_POINTS = 150
"""Drawn of a curve: more cannot be told apart."""
HEIGHT = 200
"""Of a panel of curves, in CSS pixels."""
PANELS_A_ROW, ROW_WIDTH = 6, 800
"""Panels of curves in a row, at most, and how wide they are together."""
SPACING = 12
MOST_FAMILIES = 8
"""That have panels of their own: of more, cooldowns stand with what they are of."""
FAMILY_WORDS = {"main": "Main runs", "lr-ablation": "Halved learning rate", "cooldown": "Cooled down"}
COLUMNS = ("run", "family", "shape", "params_total", "tokens", "checkpoints", "final_loss")


def runs_section(runs: RunTable) -> Section:
    """The runs that were given, and their losses."""
    table = runs_table(runs)
    figures = []
    chart = loss_curves(runs)
    if chart is not None:
        figures.append(
            Figure(
                "loss-curves",
                f"Loss over training tokens of {counted(runs.runs, 'run')}",
                "Validation loss of every run over its tokens, cooldowns too. Colour is the number of parameters, the "
                "same in all figures of this page.",
                chart,
                least_measured(runs),
                "runs",
            )
        )
    return Section(
        "runs",
        "The runs",
        (f"{counted(runs.rows, 'checkpoint')} of {counted(runs.runs, 'run')}.",),
        figures=tuple(figures),
        tables=(
            TableBlock(
                "runs",
                "Runs",
                table,
                {**UNITS, "final_loss": PER[runs.loss_unit]},
                ("run", "final_loss", "shape", "params_total", "tokens"),
            ),
        ),
    )


def runs_table(runs: RunTable) -> Table:
    """One row per run, in the order of the table: its shape, size, tokens, checkpoints, and the loss at its end."""
    import polars as pl

    last = runs.frame.sort("tokens", maintain_order=True).group_by("run", maintain_order=True)
    frame = last.agg(
        pl.col("family").last(),
        pl.col("width").last(),
        pl.col("depth").last(),
        pl.col("params_total").last(),
        pl.col("tokens").last(),
        pl.len().cast(pl.Int64).alias("checkpoints"),
        pl.col("loss").last().alias("final_loss"),
    ).with_columns(pl.format("{}x{}", "width", "depth").alias("shape"))
    order = {run: i for i, run in enumerate(dict.fromkeys(runs.frame["run"].to_list()))}
    frame = frame.sort(pl.col("run").replace_strict(order, return_dtype=pl.Int64)).select(COLUMNS)
    known = [name for name in frame.columns if frame[name].null_count() < frame.height]
    return Table(frame.select(known))


def loss_curves(runs: RunTable) -> alt.TopLevelMixin | None:
    """Loss over tokens, a panel for each family; None if no run has two checkpoints, or sizes are not known."""
    style.need_altair()
    import altair as alt

    try:
        colors = style.RunColors.of(runs)
    except InvalidTable:
        return None
    by_family: dict[str, list[dict[str, Any]]] = {}
    for (family, *_), curve in runs.frame.sort("tokens").group_by(["family", "run"], maintain_order=True):
        points = curve.select("run", "tokens", "loss", "params_total").to_dicts()
        if len(points) > 1:
            step = -(-len(points) // MOST_POINTS)
            thinned = points[: len(points) - 1 : step] + points[-1:]
            by_family.setdefault(str(family or ""), []).extend(thinned)
    if not by_family:
        return None
    if len(by_family) > MOST_FAMILIES:
        by_family = _with_cooldowns(by_family)
    by_family = {family: by_family[family] for family in sorted(by_family, key=_first_usual)}
    every = [point for points in by_family.values() for point in points]
    tokens, losses = (
        style.padded(min(p[name] for p in every), max(p[name] for p in every), 0.03)
        for name in ("tokens", "loss")
    )
    # Rows of about as many panels each; the legend stands beside the first.
    a_row = -(-len(by_family) // -(-len(by_family) // PANELS_A_ROW))
    width = min(style.PANEL_WIDTH, (ROW_WIDTH - (a_row - 1) * SPACING) // a_row)
    last = list(by_family)[a_row - 1]
    panels = []
    for number, (family, points) in enumerate(by_family.items()):
        first = number % a_row == 0
        # `resource` as in Approach 1's figure, whose curves a page names in the same way.
        panel = (
            alt.Chart(alt.InlineData(values=points))
            .mark_line(strokeWidth=1.3, opacity=0.85)
            .encode(
                style.log_x("tokens", "Tokens", tokens, "si", 6 if width > 200 else 4),
                style.log_y(
                    "loss", f"Loss ({PER[runs.loss_unit]})" if first else "", losses, "plain", room=24
                ),
                color=colors.encoding(legend=family == last),
                detail="run:N",
                tooltip=["run:N", "loss:Q"],
            )
            .properties(width=width, height=HEIGHT)
        )
        title = FAMILY_WORDS.get(family, family)
        panels.append(
            panel.properties(title=alt.TitleParams(title, fontSize=13.5)) if len(by_family) > 1 else panel
        )
    rows = [panels[i : i + a_row] for i in range(0, len(panels), a_row)]
    lines = [
        alt.hconcat(*style.kept(row), spacing=SPACING).resolve_scale(color="independent") for row in rows
    ]
    chart = alt.vconcat(*style.kept(lines))
    themed: alt.VConcatChart = style.themed(chart.resolve_scale(color="independent"))
    return themed


def _with_cooldowns(by_family: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Families, each with its cooldowns: `cooldown` are those of `main`."""
    joined: dict[str, list[dict[str, Any]]] = {}
    for family, points in by_family.items():
        parent = "main" if family == "cooldown" else family.removesuffix("-cooldown")
        joined.setdefault(parent if parent in by_family else family, []).extend(points)
    return joined


def _first_usual(family: str) -> tuple[bool, bool]:
    """Families of a usual name before variants, and those before their cooldowns."""
    return family not in ("", *FAMILY_WORDS), family.endswith("-cooldown")
