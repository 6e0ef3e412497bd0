"""IsoFLOP profiles: planted exponents and their intervals, budgets found, and grids that show no minimum."""

from __future__ import annotations

import numpy as np
import pytest

from gemstones.analyses.isoflop.budgets import clusters
from gemstones.analyses.isoflop.isoflop import isoflop
from gemstones.analyses.isoflop.shown import isoflop_lines
from gemstones.errors import InvalidRequest
from gemstones.laws.envelope import envelope
from gemstones.runs import load
from tests.analyses import planted


def test_without_noise_parabolas_are_off_by_what_is_said() -> None:
    made = isoflop(planted.grid(noise=0.0), bootstrap=0)
    assert made.fits["params"].slope == pytest.approx(planted.EXPONENT, abs=1e-3)
    for budget in made.budgets:
        truth = planted.best(budget.flops)
        assert budget.status == "minimum" and budget.n_opt is not None and budget.bias is not None
        assert budget.law_n_opt == pytest.approx(truth, rel=1e-3)
        # The law is the truth here: what the parabola makes of it is what the parabola makes of the losses.
        assert budget.n_opt / truth - 1 == pytest.approx(budget.bias, abs=2e-3)
        assert budget.t_opt == pytest.approx(budget.flops / 6 / budget.n_opt)
    assert made.bias == pytest.approx(made.fits["params"].slope - planted.EXPONENT, abs=1e-4)


@pytest.mark.long
def test_planted_exponents_are_recovered_within_their_intervals() -> None:
    errors, held, tokens = [], [], []
    for seed in range(60):
        made = isoflop(planted.grid(seed), bootstrap=200, law=None)
        low, high = made.interval("params") or (np.nan, np.nan)
        errors.append(made.fits["params"].slope - planted.EXPONENT)
        held.append(low <= planted.EXPONENT <= high)
        tokens.append(made.fits["params"].slope + made.fits["tokens"].slope)
    assert np.sqrt(np.mean(np.square(errors))) <= 0.008
    assert 0.90 <= np.mean(held) <= 0.99
    np.testing.assert_allclose(tokens, 1.0, atol=1e-9)  # 6·N·T


def test_a_minimum_outside_the_sizes_is_none() -> None:
    rows = planted.grid(noise=0.0)
    cut = [
        row for row in rows if row["flops"] > 2e18 or row["params_total"] > 1.05 * planted.best(row["flops"])
    ]
    made = isoflop(cut, bootstrap=0)
    first = made.budgets[0]
    assert (first.status, first.n_opt, first.points) in {("outside", None, 4), ("no_minimum", None, 4)}
    assert "sizes" in first.reason
    assert any(flag.startswith("budgets_without_minimum: 1 of 7") for flag in made.flags)
    assert made.fits["params"].slope == pytest.approx(planted.EXPONENT, abs=2e-3)


def test_losses_that_fall_throughout_have_no_minimum() -> None:
    rows = [row | {"loss": 10 - np.log(row["params_total"]) ** 2 / 400} for row in planted.grid(noise=0.0)]
    made = isoflop(rows, bootstrap=0, law=None)
    assert {budget.status for budget in made.budgets} == {"no_minimum"}
    assert made.fits == {} and any(flag.startswith("no_lines") for flag in made.flags)


@pytest.mark.parametrize(("spread", "apart"), [(0.0, 3.0), (0.05, 2.0), (0.1, 3.0)])
def test_budgets_are_found_in_flops(spread: float, apart: float) -> None:
    rng = np.random.default_rng(1)
    truth = np.repeat(np.arange(5), 8)
    flops = 1e18 * apart**truth * np.exp(spread * rng.uniform(-1, 1, 40))
    order = rng.permutation(40)
    assert clusters(flops[order]).tolist() == truth[order].tolist()


def test_flops_without_budgets_are_refused_with_the_remedy(pebbles: object) -> None:
    with pytest.raises(InvalidRequest, match=r"do not fall into budgets.*budget=…"):
        isoflop(pebbles)


def test_a_column_names_budgets() -> None:
    rng = np.random.default_rng(0)
    rows = [
        row | {"flops": row["flops"] * np.exp(rng.uniform(-0.4, 0.4)), "target": f"{row['flops']:.0e}"}
        for row in planted.grid(noise=0.001)
    ]
    made = isoflop(rows, budget="target", bootstrap=0)
    assert [budget.points for budget in made.budgets] == [9] * 7
    assert made.budgets_are == "budgets are those of column target"
    with pytest.raises(InvalidRequest, match="budget column 'nothing' is not in"):
        isoflop(rows, budget="nothing")


def test_all_three_approaches_stand_side_by_side() -> None:
    made = isoflop(planted.grid(3), bootstrap=200)
    assert [one.number for one in made.approaches] == [1, 2, 3]
    for one in made.approaches:
        ends = one.intervals["params"]
        assert ends is not None and ends[0] < planted.EXPONENT < ends[1]
        assert one.fits["params"].slope + one.fits["tokens"].slope == pytest.approx(1, abs=0.01)
    alone = envelope(planted.grid(3), bootstrap=200)
    assert made.approaches[0].fits["params"] == alone.fits["params"]
    shown = made.summary()["approaches"]
    assert [one["approach"] for one in shown] == [1, 2, 3]
    assert shown[1]["params"]["slope"] == made.fits["params"].slope
    exact = isoflop(planted.grid(noise=0.0), bootstrap=0).approaches[2]
    assert exact.fits["params"].slope == pytest.approx(planted.EXPONENT, abs=1e-4)
    assert exact.intervals == {"params": None, "tokens": None}


def test_a_law_that_misses_the_bowls_is_not_to_be_believed() -> None:
    """At a constant rate its N* grows less than half as fast as the minima of budgets; cooled down they agree."""
    constant, cooled = (
        isoflop(load("pebbles-2").select(name), bootstrap=200) for name in ("all", "cooldown")
    )
    assert "believe the parabolas" in isoflop_lines(constant)[-1]
    assert not any("believe" in line for line in isoflop_lines(cooled))
