"""Relaxed optima are minima: nothing near or far is lower, and those of draws are those of the draws' laws."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import params
from gemstones.laws.fit import Fit
from gemstones.laws.law import Law
from gemstones.laws.published import refit
from gemstones.paper.relaxed import Relaxed, relaxed_optima
from gemstones.planning.plan import plan
from gemstones.shape import Shapes

BUDGETS = (3e18, 1e20, 1e22, 1e24)
DRAWS, CHECKED = 40, 6
"""As many as an interval needs; those whose own optimum is found again."""


@pytest.fixture(scope="module")
def fit() -> Fit:
    whole = refit("gemstones-refit-plain")
    return msgspec.structs.replace(whole, drawn=whole.drawn[:DRAWS])


@pytest.fixture(scope="module")
def relaxed(fit: Fit) -> Relaxed:
    return relaxed_optima(fit, BUDGETS)


def loss(law: Law, width: float, depth: float, budget: float) -> float:
    """Of w,d,N,T, by the law itself."""
    shape = Shapes.of(width, depth, law.models.template())
    tokens = budget / flops_per_token(shape)
    columns = [width, depth, float(params(shape, law.params_convention)), float(tokens)]
    return float(law.loss(np.array(columns)))


def test_they_are_the_plans_own(fit: Fit, relaxed: Relaxed) -> None:
    for i, budget in enumerate(BUDGETS):
        expected = plan(budget, fit.law).relaxed
        assert expected is not None
        for name in ("width", "depth", "tokens"):
            assert relaxed.quantities[name][i, 0] == pytest.approx(expected[name], rel=1e-5)


@given(st.integers(0, len(BUDGETS) - 1), st.floats(0.97, 1.03), st.floats(0.97, 1.03))
def test_nothing_near_is_lower(i: int, wider: float, deeper: float) -> None:
    law = refit("gemstones-refit-plain").law
    found = relaxed_optima(
        msgspec.structs.replace(refit("gemstones-refit-plain"), drawn=()), BUDGETS
    ).quantities
    width, depth = found["width"][i, 0], found["depth"][i, 0]
    best = loss(law, width, depth, BUDGETS[i])
    assert loss(law, width * wider, depth * deeper, BUDGETS[i]) >= best - 1e-12


def test_draws_are_those_of_their_laws(fit: Fit, relaxed: Relaxed) -> None:
    for draw in range(CHECKED):
        law = Law.of_theta(fit.law.terms, fit.theta_draws[draw], models=fit.law.models)
        alone = relaxed_optima(msgspec.structs.replace(fit, law=law, drawn=()), BUDGETS)
        for name, values in alone.quantities.items():
            assert relaxed.quantities[name][:, 1 + draw] == pytest.approx(values[:, 0], rel=1e-4)


def test_intervals_enclose_the_estimate(fit: Fit, relaxed: Relaxed) -> None:
    for name, values in relaxed.quantities.items():
        for i in range(len(BUDGETS)):
            low, high = relaxed.interval(name, i) or (np.nan, np.nan)
            assert low <= values[i, 0] <= high and low < high
    assert relaxed_optima(msgspec.structs.replace(fit, drawn=()), [1e20]).interval("width", 0) is None


def test_n_is_counted_as_in_the_fit(fit: Fit) -> None:
    law = msgspec.structs.replace(fit.law, params_convention="non_embedding")
    found = relaxed_optima(msgspec.structs.replace(fit, law=law, drawn=()), [1e22]).quantities
    shape = Shapes.of(found["width"][0, 0], found["depth"][0, 0])
    assert found["params"][0, 0] == pytest.approx(float(params(shape, "non_embedding")))
    assert found["tokens"][0, 0] * flops_per_token(shape) == pytest.approx(1e22)


def test_a_law_that_wants_no_end_of_width_lies_on_the_edge(fit: Fit) -> None:
    # Width costs nothing here that the law would count: wider is always better.
    law = msgspec.structs.replace(
        fit.law, terms=("w", "T"), exponents=(5.0, 1e-9), log_coefficients=(60.0, 0.0), log_irreducible=0.0
    )
    found = relaxed_optima(msgspec.structs.replace(fit, law=law, drawn=()), [1e22])
    assert found.at_edge.all()
