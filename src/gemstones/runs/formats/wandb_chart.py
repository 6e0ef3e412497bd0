"""The CSV file that W&B's page gives for a chart: a row a step, and three columns a run.

    "Step","ladder-20M - eval/loss","ladder-20M - eval/loss__MIN","ladder-20M - eval/loss__MAX", …

Source: https://docs.wandb.ai/guides/app/features/panels/line-plot (a panel's data as CSV). A run is named before
the last " - ", the metric after it; MIN and MAX are of the steps, or runs, that the chart drew as one point.
"""

from __future__ import annotations

from gemstones.errors import InvalidTable
from gemstones.lazy import pl
from gemstones.runs.formats.content import Content
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.tool_names import known_by_tool
from gemstones.runs.one_line import one_line

BETWEEN = " - "
_BOUNDS = ("__MIN", "__MAX")


def _detect(content: Content) -> bool:
    """Whether all columns but the first are of runs, and one has its bounds, or all have the same metric."""
    names = content.columns
    own = set(names)
    if len(names) < 2 or not all(BETWEEN in name for name in names[1:]):
        return False
    metrics = {name.rpartition(BETWEEN)[2] for name in names[1:]}
    return any(name.endswith(_BOUNDS) and name[:-5] in own for name in names) or len(metrics) == 1


def _open(content: Content) -> Opened:
    table = content.table
    first, *others = table.frame.columns
    columns: dict[str, dict[str, str]] = {}
    for name in others:
        run, between, metric = name.rpartition(BETWEEN)
        if not between:
            raise InvalidTable(
                f"is no column of a W&B chart, RUN{BETWEEN}METRIC: read it as --format csv",
                file=content.file,
                column=one_line(name, 60),
            )
        if not metric.endswith(_BOUNDS):
            columns.setdefault(run, {})[metric] = name
    metrics = list(dict.fromkeys(metric for own in columns.values() for metric in own))
    measured = [metric for metric in metrics if not metric.startswith("_")]
    rows = [
        table.frame.select(
            pl.lit(run).alias("run"),
            pl.col(first),
            *(
                (pl.col(own[metric]) if metric in own else pl.lit(None, dtype=pl.String)).alias(metric)
                for metric in metrics
            ),
        ).filter(pl.any_horizontal(pl.col(measured or metrics).is_not_null()))
        for run, own in columns.items()
        if not set(own) & {"run", first}
    ]
    if not rows:
        raise InvalidTable("holds no column RUN - METRIC", file=content.file)
    return Opened(
        pl.concat(rows),
        CHART.name,
        content.file,
        known={**known_by_tool([first]), **({"loss": measured[0]} if len(measured) == 1 else {})},
        remedies={"tokens": f"{first}*TOKENS_PER_STEP", "params_total": "size(run)"},
        assumptions=_drawn_as_one(table.frame.to_dict(as_series=False), others),
        decimal_comma=table.decimal_comma,
    )


def _drawn_as_one(cells: dict[str, list[str | None]], names: list[str]) -> tuple[str, ...]:
    """What to know of a chart that drew several steps, or several runs, as one point."""
    points = sum(
        least != most
        for name in names
        if f"{name}__MIN" in cells and f"{name}__MAX" in cells
        for least, most in zip(cells[f"{name}__MIN"], cells[f"{name}__MAX"], strict=True)
    )
    if not points:
        return ()
    return (
        f"{points:,} points of the chart stand for several steps or runs (their MIN and MAX differ): the history of "
        "the runs has every step",
    )


CHART = Format(
    name="wandb-wide",
    files="the CSV export of a W&B chart: `Step`, then three columns a run",
    command="gemstones data show chart.csv --columns 'tokens=Step*524288,params_total=size(run)'",
    source="https://docs.wandb.ai/guides/app/features/panels/line-plot",
    detect=_detect,
    open=_open,
)
