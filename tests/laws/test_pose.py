"""A form and a table as a problem: the same loss, exact derivatives, groups and starting points."""

import msgspec
import numpy as np
import pytest

from gemstones.laws.dual import value_of
from gemstones.laws.form import Form
from gemstones.laws.parse_form import parse_form
from gemstones.laws.pose import pose
from gemstones.laws.solver.problem import Problem
from tests.laws.test_law import COLUMNS, CONSTANTS, REFERENCE, theta_of

GROUPED = (
    "E[recipe] + A[recipe]/N^a + B/T^b[recipe]",
    "E + A[recipe]/N^a + B/(T/(1 + batch/K[recipe]))^b",
    "(A[recipe]/N^a + B/T^b)^p",
)
RECIPES = np.array([0, 1, 1, 2, 0, 2])


def posed(text: str) -> tuple[Form, Problem, np.ndarray]:
    form = parse_form(text)
    levels = tuple((g, ("a", "b", "c")) for g in form.groups)
    form = msgspec.structs.replace(form, levels=levels)
    rng = np.random.default_rng(1)
    theta = theta_of(form) + (0.05 * rng.normal(size=len(form.entries)) if levels else 0)
    codes = dict.fromkeys(form.groups, RECIPES)
    logs = [np.log(COLUMNS[c]) for c in form.columns]
    problem = pose(form, logs, np.exp(value_of(form.log_loss(theta, logs, codes))), codes)
    return form, problem, theta


@pytest.mark.parametrize("text", [*REFERENCE, *GROUPED])
def test_the_problem_has_the_loss_of_the_form(text: str) -> None:
    form, problem, theta = posed(text)
    extra = np.append(theta, np.log(0.5)) if isinstance(form.structure.outer, float) else theta
    np.testing.assert_allclose(problem.residuals(extra[None])[0], 0, atol=1e-12)
    some = problem.taken(np.array([4, 1]))
    np.testing.assert_allclose(
        some.residuals(extra[None] + 0.01)[0], problem.residuals(extra[None] + 0.01)[0, [4, 1]]
    )


@pytest.mark.parametrize("text", [*REFERENCE, *GROUPED])
def test_inner_derivatives_are_those_of_differences(text: str) -> None:
    _, problem, theta = posed(text)
    for inner in (term.inner for term in problem.terms if term.inner is not None):
        at = theta[inner.index][None] + np.array([[0.0], [0.02]])
        gradient, hessian = inner.derivatives(at)
        assert gradient.shape == (2, len(inner.index), 6) and hessian.shape == (
            2,
            *2 * (len(inner.index),),
            6,
        )
        for i in range(len(inner.index)):
            step = np.zeros(len(inner.index))
            step[i] = 1e-5
            up, down = inner.value(at + step), inner.value(at - step)
            np.testing.assert_allclose((up - down) / 2e-5, gradient[:, i], rtol=1e-6, atol=1e-8)
            (g_up, _), (g_down, _) = inner.derivatives(at + step), inner.derivatives(at - step)
            np.testing.assert_allclose((g_up - g_down) / 2e-5, hessian[:, i], rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(inner.taken(np.array([2])).value(at)[:, 0], inner.value(at)[:, 2])


def test_a_list_is_the_problem_that_the_solver_has_for_it() -> None:
    columns = np.column_stack([COLUMNS["N"], COLUMNS["T"]])
    loss = np.linspace(2, 3, 6)
    for text, outer in (("N,T", False), ("(N,T)^p", True)):
        ours, theirs = (
            pose(parse_form(text), [*np.log(columns).T], loss),
            Problem.simple(columns, loss, outer),
        )
        assert ours.kinds == theirs.kinds and ours.outer == theirs.outer
        np.testing.assert_array_equal(ours.lower, theirs.lower)
        np.testing.assert_array_equal(ours.upper, theirs.upper)
        theta = np.array([[0.3, 0.4, 5.0, 6.0, 0.5, -0.7][: len(ours.kinds)]])
        np.testing.assert_allclose(
            ours.residuals(theta), theirs.residuals(theta), rtol=1e-13
        )  # another processor


def test_kinds_and_where_constants_start() -> None:
    _, problem, _ = posed("E[recipe] + A[recipe]/N^a + B/T^b[recipe]")
    assert problem.kinds == (*["exponent"] * 4, *["coefficient"] * 4, *["constant"] * 3)
    assert problem.starts_from is not None
    assert problem.starts_from.tolist() == [0, 1, 1, 1, 4, 4, 4, 7, 8, 8, 8]
    assert problem.constant is not None and problem.constant.tolist() == [8, 9, 9, 10, 8, 10]
    form, problem, _ = posed("E + A*experts^m/N^(a - g*log(experts)) + B/T^b")
    assert [e.name for e in form.entries] == ["a", "b", "A", "B", "E", "m", "g"]
    assert problem.starts_from is not None and problem.starts_from.tolist() == [0, 1, 2, 3, 4, -1, -1]


def test_inner_constants_start_among_what_they_are_compared_with() -> None:
    def starts(text: str, name: str) -> np.ndarray:
        form, problem, _ = posed(text)
        inner = next(term.inner for term in problem.terms if term.inner is not None)
        return np.asarray(inner.starts[:, inner.index.tolist().index(form.index(name))])

    batch = starts("E + A/N^a + B/(T/(1 + batch/K))^b", "K")
    assert (batch > np.log(1e5)).all() and (batch < np.log(4e6)).all()
    assert (np.abs(starts("E + (K/N)^a + B/T^b", "K") - np.log(1.7e9)) < 3).all()
    bowl = "E + (A/N^a + B/T^b)*exp(k*(log(lr/1e-3) - m - n*log(N/1e9))^2)"
    assert starts(bowl, "m")[0] == pytest.approx(0, abs=0.5)
    assert starts(bowl, "k").tolist() == [0.1] * 3 and starts(bowl, "n").tolist() == [0.0] * 3


def test_weights_go_with_the_rows() -> None:
    form = parse_form("N,T")
    weights = np.arange(6.0)
    logs = [np.log(COLUMNS[c]) for c in form.columns]
    problem = pose(form, logs, np.ones(6), weights=weights)
    assert problem.weights is weights and problem.taken(np.array([5])).weights == [5.0]


def test_a_common_factor_is_fitted_by_itself_first() -> None:
    form = parse_form("learning-rate")
    n, t, lr = (
        x.ravel() for x in np.meshgrid([1e8, 3e8, 1e9], [2e9, 1e10, 5e10], np.geomspace(1e-4, 1e-2, 5))
    )
    truth = CONSTANTS | {"L": 6e-4, "n": -0.7, "t": 0.3, "k": 0.04}
    logs = [np.log({"N": n, "T": t, "lr": lr}[c]) for c in form.columns]
    loss = np.exp(value_of(form.log_loss(theta_of(form, truth), logs)))
    inner = pose(form, logs, loss).terms[0].inner
    assert inner is not None
    best = dict(zip([form.entries[i].name for i in inner.index], inner.starts[0], strict=True))
    assert np.exp(best["L"]) == pytest.approx(6e-4, rel=0.3)  # a start, not a fit
    assert (best["n"], best["t"]) == pytest.approx((-0.7, 0.3), abs=0.15)
    assert 0.02 < best["k"] < 0.08
