"""Figure 3: what the sweep says of the best rates, and that it is drawn."""

from __future__ import annotations

import math

import polars as pl
import pytest

from gemstones.figures.save import render
from gemstones.paper.learning_rates import learning_rate_optima, learning_rates_figure
from gemstones.runs import RunTable
from gemstones.runs.lr_sweep import SweepRun
from gemstones.shape import Shape


@pytest.mark.published_data
def test_the_best_rates_collapse_when_rescaled() -> None:
    optima = learning_rate_optima()
    found = {str(o.shape): (o.lr_eff, round(o.lr_base, 2)) for o in optima.by_shape}
    assert found == {
        "256x80": (5e-3, 11.45),
        "768x3": (5e-3, 6.65),
        "1536x50": (5e-4, 5.43),
        "3072x12": (5e-4, 5.32),
    }
    assert optima.lr_eff_ratio == pytest.approx(10)
    assert optima.lr_base_ratio == pytest.approx(2.1517, abs=1e-4)
    # No rate is a neighbour of the best one of every shape; rescaled, 5 is.
    assert optima.lr_eff_common is None
    assert optima.lr_base_common == pytest.approx((1e-3 * 256 * math.sqrt(80), 1e-3 * 3072 * math.sqrt(12)))
    assert optima.lr_base_common is not None and optima.lr_base_common[0] < 5 < optima.lr_base_common[1]


def test_planted_optima_are_found_and_bounded_by_their_neighbours() -> None:
    def swept(shape: Shape, losses: list[float]) -> list[SweepRun]:
        return [SweepRun(shape, rate, loss) for rate, loss in zip((1e-3, 1e-2, 1e-1), losses, strict=True)]

    inner, edge = Shape(256, 4), Shape(1024, 4)
    optima = learning_rate_optima(swept(inner, [4.0, 3.0, 99.0]) + swept(edge, [2.0, 3.0, 4.0]))
    assert [o.lr_eff for o in optima.by_shape] == [1e-2, 1e-3]
    assert [o.lr_eff_between for o in optima.by_shape] == [(1e-3, 1e-1), (0.0, 1e-2)]
    assert optima.by_shape[0].lr_base_between == pytest.approx((0.512, 51.2))
    assert optima.lr_eff_ratio == pytest.approx(10) and optima.lr_base_ratio == pytest.approx(2.5)
    assert optima.lr_eff_common == (1e-3, 1e-2)


def test_the_figure_has_every_run_once(gemstones: RunTable) -> None:
    figure = learning_rates_figure(gemstones)
    frame = figure.data
    assert (figure.number, frame.height, frame["shape"].n_unique()) == (3, 24, 4)
    assert frame.null_count().pipe(lambda nulls: sum(nulls.row(0))) == 0
    assert frame.filter("best").sort("width")["lr_eff"].to_list() == [5e-3, 5e-3, 5e-4, 5e-4]
    assert frame.filter(pl.col("diverged"))["loss"].min() > math.log(50_304)  # type: ignore[operator]
    svg = render(figure.chart, ("svg",))["svg"].decode()
    for words in (
        "Learning rate, lr_eff",
        "lr_base = lr_eff · width · √depth",
        "nats/token",
        "256x80 (104M)",
    ):
        assert words in svg
    assert svg.count("lr_base = 5<") == 1
    # Of a shape's line what follows the first run that diverged is left out: a line between two arrows says nothing.
    rows = figure.chart.to_dict()["datasets"]["sweep"]
    assert [row["lr_eff"] for row in rows if row["line"] is None] == [5e-2]
    assert all(row["shown"] > math.log(50_304) for row in rows if row["diverged"])
    assert "768x3 (104M), dashed" in svg and "256x80 (104M)<" in svg
