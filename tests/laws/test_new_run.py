"""The interval of a new run: what it holds of runs that were not fitted, and what is said where there is none."""

from __future__ import annotations

import msgspec
import numpy as np
import polars as pl
import pytest

from gemstones.errors import InvalidRequest
from gemstones.laws.fit import Fit
from gemstones.laws.fitting import fit
from gemstones.laws.law import FittedRange, Law
from gemstones.laws.new_run import (
    NewRunError,
    decades_beyond,
    error_at,
    law_flops,
    new_run_note,
    widened,
)
from gemstones.runs import RunTable

ERRORS = (NewRunError(0.0, 0.01, 90, 9), NewRunError(0.5, 0.02, 40, 6), NewRunError(1.5, 0.05, 20, 3))


def planted(noise: float, bend: float = 0.0) -> pl.DataFrame:
    """Sixteen runs of N and T whose loss is no sum of powers: `bend` goes with the square of log FLOPs."""
    rng = np.random.default_rng(3)
    rows = []
    for i, n in enumerate(np.geomspace(1e6, 3e8, 16)):
        off = rng.normal(0, noise)
        for t in np.geomspace(2e8, 1e10, 8):
            log_c = np.log10(6 * n * t / 1e15)
            loss = 1.7 + 400 / n**0.34 + 410 / t**0.28
            rows.append(
                {"run": f"r{i}", "params_total": n, "tokens": t, "loss": loss * np.exp(off - bend * log_c**2)}
            )
    return pl.DataFrame(rows)


def test_errors_by_distance() -> None:
    assert error_at(ERRORS, np.array([0.0, 0.2, 0.5, 0.6, 1.5, 9.0])).tolist() == [
        0.01, 0.02, 0.02, 0.05, 0.05, 0.05,
    ]  # fmt: skip
    assert error_at(ERRORS, None) == 0.05


def test_ends_are_further_apart_by_the_error_in_quadrature() -> None:
    low, high = widened((2.9, 3.2), 3.0, 0.03)
    assert np.log(high / 3.0) == pytest.approx(np.hypot(np.log(3.2 / 3.0), 0.03))
    assert np.log(3.0 / low) == pytest.approx(np.hypot(np.log(3.0 / 2.9), 0.03))
    assert widened((2.9, 3.2), 3.0, 0.0) == pytest.approx((2.9, 3.2))


def test_decades_are_of_the_flops_that_the_law_counts() -> None:
    law = Law(("N", "T"), (0.34, 0.28), (6.0, 6.0), 0.5, fitted=FittedRange(flops=(6e15, 6e18)))
    values = {"N": np.array([1e6, 1e9, 1e10, 1e6]), "T": np.array([1e10, 1e9, 1e10, 1e8])}
    flops = law_flops(law, values)
    assert flops is not None
    beyond = decades_beyond(law, flops)
    assert beyond is not None
    assert beyond == pytest.approx([0.0, 0.0, 2.0, 1.0])


def test_a_form_that_is_wrong_shows_in_the_interval_of_a_new_run_alone() -> None:
    right, wrong = (fit(planted(0.0005, bend), "N,T", bootstrap=60) for bend in (0.0, 0.01))
    n, t = 1e9, 3e10  # a decade beyond
    for made, bent in ((right, 0.0), (wrong, 0.01)):
        predicted = made.predict(N=n, T=t)
        truth = (1.7 + 400 / n**0.34 + 410 / t**0.28) * np.exp(-bent * np.log10(6 * n * t / 1e15) ** 2)
        assert predicted.interval is not None and predicted.interval_of_fit is not None
        low, high = predicted.interval
        assert low <= truth <= high
        assert low < predicted.interval_of_fit[0] and high > predicted.interval_of_fit[1]
    low, high = wrong.predict(N=n, T=t).interval_of_fit  # type: ignore[misc]
    assert not low <= truth <= high
    assert wrong.new_run_error[-1].error > 3 * right.new_run_error[-1].error


def test_errors_grow_with_distance_and_are_those_of_any_number_of_workers() -> None:
    table = planted(0.003, 0.01)
    made = fit(table, "N,T", bootstrap=40)
    assert [one.decades for one in made.new_run_error] == sorted(one.decades for one in made.new_run_error)
    assert [one.error for one in made.new_run_error] == sorted(one.error for one in made.new_run_error)
    assert made.new_run_error[0].decades == 0 and made.new_run_error[0].runs == 16
    assert fit(table, "N,T", bootstrap=40, workers=2).new_run_error == made.new_run_error
    assert fit(table, "N,T").new_run_error == ()
    assert fit(table, "N,T", bootstrap=40, backtests=False).new_run_error == ()


def test_a_saved_fit_keeps_them_and_one_without_says_that_it_has_none(pebbles: RunTable) -> None:
    made = fit(pebbles, "N,T", bootstrap=40)
    assert Fit.from_json(made.to_json()) == made
    assert made.summary()["new_run_error"][0]["runs"] == made.runs
    old = msgspec.structs.replace(made, new_run_error=())
    predicted = Fit.from_json(old.to_json()).predict(N="1M", T="10M")
    assert predicted.interval is None and predicted.interval_of_fit is not None
    assert "none of a new run" in new_run_note((), 0.95, 1.0)
    wrong = msgspec.structs.replace(made, new_run_error=ERRORS[::-1])
    with pytest.raises(InvalidRequest, match="ascending distances"):
        Fit.from_json(wrong.to_json())


def test_the_note_says_where_nothing_was_tested() -> None:
    assert "up to 1.5 decades beyond" in new_run_note(ERRORS, 0.95, 1.0)
    assert "2.5 decades beyond, as here, nothing was tested" in new_run_note(ERRORS, 0.95, 2.5)
