"""Laws of tasks: planted constants, the published references, what is chained, what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from gemstones.analyses.downstream.downstream import downstream
from gemstones.analyses.downstream.forms import NAMES, TERMS, TaskForm
from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.laws.fitting import fit
from gemstones.runs.benchmarks import TASKS
from gemstones.runs.tasks import CHANCE
from tests.analyses import planted

REFERENCE = {
    "main": (14.92679, 1.816317, 0.675683, 0.008832349),
    "fineweb-edu": (10.74044, 1.689794, 0.676882, 0.007816949),
    "dclm": (14.18645, 1.700669, 0.679195, 0.007846555),
}
"""Least squares of the mean error of nine tasks over 770 rows: k, γ, ε, sum of squares."""


@pytest.mark.published_data
@pytest.mark.parametrize("loss", REFERENCE)
def test_the_published_benchmarks_give_the_reference_constants(loss: str) -> None:
    made = downstream("gemstones-benchmarks", "mean", form="gadre", loss=loss, law="N,T", bootstrap=0)
    found = (*made.constants.values(), made.objective)
    np.testing.assert_allclose(found, REFERENCE[loss], rtol=1e-6)
    assert (made.rows, made.runs, made.tasks) == (770, 22, TASKS)
    assert made.chance == pytest.approx(np.mean([CHANCE[task] for task in TASKS]))
    assert made.error_beyond is not None and made.error_beyond < 0.02


@pytest.mark.parametrize("form", planted.TASK)
@pytest.mark.parametrize("noise", [0.0, 0.002])
def test_planted_constants_are_recovered(form: str, noise: float) -> None:
    rows = planted.tasks(form=form, noise=noise)
    asked = "direct(N,T)" if form == "direct" else form
    made = downstream(rows, "exam", form=asked, chance=0.25, bootstrap=100, law="N,T")
    assert made.form == asked and made.constants.keys() == planted.TASK[form].keys()
    for name, truth in planted.TASK[form].items():
        if noise == 0:
            assert made.constants[name] == pytest.approx(truth, rel=1e-4), name
        else:
            assert made.intervals is not None
            low, high = made.intervals[name]
            assert low <= made.constants[name] <= high
            reach = 3 * (high - low)
            assert low - reach < truth < high + reach, name
    assert made.objective == pytest.approx(0 if noise == 0 else len(rows) * noise**2, rel=0.3, abs=1e-9)


def test_derivatives_are_those_of_differences() -> None:
    rng = np.random.default_rng(0)
    for name in NAMES:
        k = len(TERMS.get(name, ("loss",)))
        x = rng.uniform(2, 4, (7, k))
        form = TaskForm.of(name, x, 0.25)
        theta = {
            "gadre": [0.3, -2.0, 0.4],
            "bhagia": [0.3, 0.8, 0.7, 0.2],
        }.get(name, [-1.0] * k + [0.5] * k + [-2.0])
        at = np.array([theta])
        _, slopes = form.model()(at)
        for i in range(at.shape[1]):
            step = 1e-6 * np.eye(at.shape[1])[i]
            up, down = (form.model()(at + sign * step)[0][0] for sign in (1, -1))
            np.testing.assert_allclose(slopes[0, :, i], (up - down) / 2e-6, atol=1e-8)


@pytest.mark.parametrize("form", ["gadre", "bhagia", "direct(N,T)"])
def test_no_other_start_ends_lower(form: Any) -> None:
    """Against scipy from many random starts, on noisy rows of a law that is another's."""
    from scipy.optimize import least_squares

    other = {"gadre": "bhagia", "bhagia": "direct", "direct(N,T)": "gadre"}[form]
    rows = planted.tasks(form=other, noise=0.02, seed=3)
    y = np.array([row["exam"] for row in rows])
    x = (
        np.log([[row["params_total"], row["tokens"]] for row in rows])
        if form in TERMS
        else np.array([[row["loss"]] for row in rows])
    )
    task = TaskForm.of(form, x, 0.25)
    _, objective = task.fitted(y)
    rng = np.random.default_rng(0)
    model = task.model()
    for _ in range(15):
        start = rng.uniform(np.maximum(task.low, -5), np.minimum(task.high, 5))
        ended = least_squares(
            lambda theta: model(theta[None])[0][0] - y,
            start,
            jac=lambda theta: model(theta[None])[1][0],
            bounds=(task.low, task.high),
            max_nfev=300,
        )
        assert 2 * ended.cost >= objective[0] * (1 - 1e-7)


def test_chance_bounds_the_law_and_is_said() -> None:
    rows = planted.tasks(noise=0.0)
    lowest = min(row["exam"] for row in rows)
    free = downstream(rows, "exam", form="gadre", bootstrap=0, law="N,T")
    assert free.chance is None and free.constants["epsilon"] == pytest.approx(0.68, abs=1e-4)
    held = downstream(rows, "exam", form="gadre", chance=0.4, bootstrap=0, law="N,T")
    assert lowest < 0.4 and held.constants["epsilon"] == pytest.approx(0.6)
    assert any(flag.startswith("at_chance") for flag in held.flags)
    assert held.objective > free.objective


@pytest.mark.long
def test_backtests_choose_the_planted_kind() -> None:
    one = downstream(planted.tasks(form="direct", noise=0.001), "exam", chance=0.25, bootstrap=0, law="N,T")
    # In the direct law accuracy is no function of the loss: the single step wins.
    assert one.form == "direct(N,T)" and "chosen by backtests" in one.reason
    two = downstream(planted.tasks(form="gadre", noise=0.001), "exam", chance=0.25, bootstrap=0, law="N,T")
    assert two.form == "gadre"
    for made in (one, two):
        assert {c.form for c in made.candidates} == {"gadre", "bhagia", "direct(N,T)"}  # no widths are known
        assert {b.form for b in made.baselines} == {"chance", "mean", "last value"}
        for error in ("error_beyond", "error_left_out"):
            least = min(getattr(b, error) for b in made.baselines)
            assert 0 < getattr(made, error) < 0.3 * least
    direct = downstream(planted.tasks(), "exam", form="direct", bootstrap=0, law="N,T")
    assert direct.form == "direct(N,T)"


def test_error_beyond_is_of_a_fit_to_the_rest() -> None:
    """Made again by hand: both steps fitted below the cut, the top fifth of FLOPs predicted."""
    rows = planted.tasks(noise=0.01)
    made = downstream(rows, "exam", form="gadre", bootstrap=0, law="N,T")
    flops = np.array([6 * row["params_total"] * row["tokens"] for row in rows])
    assert made.cut == pytest.approx(np.quantile(flops, 0.8))
    below = [row for row, f in zip(rows, flops, strict=True) if f <= made.cut]
    above = [row for row, f in zip(rows, flops, strict=True) if f > made.cut]
    law = fit(below, "N,T").law
    losses = law.loss(N=[row["params_total"] for row in above], T=[row["tokens"] for row in above])
    task = downstream(below, "exam", form="gadre", bootstrap=0, law="N,T").constants
    predicted = 1 - (task["epsilon"] - task["k"] * np.exp(-task["gamma"] * losses))
    squares: dict[str, list[float]] = {}
    for row, value in zip(above, predicted, strict=True):
        squares.setdefault(row["run"], []).append((value - row["exam"]) ** 2)
    by_hand = np.sqrt(np.mean([np.mean(one) for one in squares.values()]))
    assert made.error_beyond == pytest.approx(by_hand, rel=1e-5)


def test_both_steps_are_in_a_prediction() -> None:
    rows = planted.tasks(noise=0.004)
    made = downstream(
        rows, "exam", form="gadre", chance=0.25, law="N,T", bootstrap=80, workers=1,
        at=[{"N": "7B", "T": "400B"}, {"flops": 1e21}, {"loss": 2.4}],
    )  # fmt: skip
    point, budget, given = made.predictions
    truth = planted.loss(7e9, 4e11)
    assert point.loss == pytest.approx(truth, rel=1e-3)  # losses of the planted runs have no noise
    assert point.accuracy == pytest.approx(planted.TASK_LAWS["gadre"](0, 0, truth), abs=0.03)
    assert budget.at["N"] == pytest.approx(planted.best(1e21), rel=0.02)
    assert 6 * budget.at["N"] * budget.at["T"] == pytest.approx(1e21)  # type: ignore[operator]
    constants = made.constants
    assert given.accuracy == pytest.approx(
        1 - constants["epsilon"] + constants["k"] * np.exp(-2.4 * constants["gamma"])
    )
    for one in made.predictions:
        assert one.interval is not None and one.interval_of_fit is not None
        assert (
            one.interval[0]
            <= one.interval_of_fit[0]
            <= one.accuracy
            <= one.interval_of_fit[1]
            <= one.interval[1]
        )
    # The first step's spread is there: with losses that differ by run, the interval of the fit is wider.
    rng = np.random.default_rng(1)
    shift = {row["run"]: 0.03 * rng.standard_normal() for row in rows}
    noisy = [row | {"loss": row["loss"] * np.exp(shift[row["run"]])} for row in rows]
    wider = downstream(
        noisy,
        "exam",
        form="gadre",
        chance=0.25,
        law="N,T",
        bootstrap=80,
        workers=1,
        at={"N": "7B", "T": "400B"},
    ).predictions[0]
    assert wider.interval_of_fit is not None and point.interval_of_fit is not None
    assert np.ptp(wider.interval_of_fit) > 2 * np.ptp(point.interval_of_fit)


@pytest.mark.long
def test_intervals_hold_planted_predictions() -> None:
    held = []
    for seed in range(12):
        made = downstream(
            planted.tasks(seed, noise=0.006, checkpoints=6), "exam", form="gadre", chance=0.25, law="N,T", bootstrap=60,
            at={"loss": 2.3}, workers=1,
        )  # fmt: skip
        ends = made.predictions[0].interval
        assert ends is not None
        held.append(ends[0] <= planted.TASK_LAWS["gadre"](0, 0, 2.3) <= ends[1])
    assert np.mean(held) >= 0.8


@pytest.mark.long
def test_noise_is_refused_with_the_reason() -> None:
    rows = planted.tasks()
    with pytest.raises(
        InvalidRequest, match=r"^task coin shows no signal in frame \(all\): its accuracies spread by 0"
    ):
        downstream(rows, "coin", chance=0.5, bootstrap=0, law="N,T")
    made = downstream(rows, "coin", chance=0.45, bootstrap=0, law="N,T", force=True)
    assert any(flag.startswith("no_signal") for flag in made.flags)
    # One checkpoint a run: what is stated tells, or that nothing predicts it.
    rng = np.random.default_rng(5)
    lone = [row | {"run": str(i), "coin": 0.5 + 0.01 * rng.standard_normal()} for i, row in enumerate(rows)]
    with pytest.raises(InvalidRequest, match="no form predicts held-out runs better than the mean"):
        downstream(lone, "coin", chance=0.45, bootstrap=0, law="N,T")
    with pytest.raises(InvalidRequest, match="the stated standard error"):
        downstream(
            [row | {"coin_stderr": 0.015} for row in lone], "coin", chance=0.45, bootstrap=0, law="N,T"
        )


@pytest.mark.long
def test_tasks_and_losses_by_name() -> None:
    rows = [
        row | {"hellaswag": row["exam"], "PIQA_acc": 0.5 + row["exam"] / 3, "loss_c4": 1.1 * row["loss"]}
        for row in planted.tasks(noise=0.001)
    ]
    both = downstream(rows, "mean", form="gadre", bootstrap=0, law="N,T")
    assert both.tasks == ("hellaswag", "piqa") and both.chance == pytest.approx(0.375)
    alone = downstream(rows, "hella_swag", form="gadre", bootstrap=0, law="N,T")
    exam = downstream(rows, "exam", form="gadre", chance=0.25, bootstrap=0, law="N,T")
    assert alone.task == "hellaswag" and alone.constants == exam.constants
    other = downstream(rows, "exam", form="gadre", loss="c4", chance=0.25, bootstrap=0, law="N,T")
    assert other.loss_column == "loss_c4"
    assert other.constants["gamma"] == pytest.approx(exam.constants["gamma"] / 1.1, rel=1e-5)
    pair = downstream(rows, "hellaswag,exam", form="gadre", chance=0.25, bootstrap=0, law="N,T")
    assert pair.constants == exam.constants
    # Rows without the task are left out, and that is said.
    some = [row | {"exam": None} if i % 3 else row for i, row in enumerate(rows)]
    assert downstream(some, "exam", form="gadre", bootstrap=0, law="N,T").rows == len(rows) // 3


@pytest.mark.parametrize(("options", "says"), [
    ({"task": "exams"}, "task 'exams' is no column of frame (all): no column of frame (all) is known as a task"),
    ({"form": "linear"}, "form 'linear' is unknown: choose from auto, direct, gadre, bhagia, direct(N,T)"),
    ({"loss": "pile"}, "loss 'pile' is no loss of frame (all): choose from main"),
    ({"chance": 1.5}, "chance 1.5 must be the accuracy of guessing, from 0 to below 1"),
    ({"form": "direct(w,d,N,T)"}, "column width: is needed but not known"),
    ({"at": {"loss": -1}}, "loss -1 must be positive"),
    ({"at": {"loss": 2, "N": 1e9}}, "point loss=2,N=1000000000.0: a loss alone says all that the law needs"),
    ({"at": {"flops": 1e30}}, "decades of FLOPs from the fitted runs"),
    ({"form": "direct(N,T)", "at": {"loss": 2}}, "direct(N,T) takes no loss"),
    ({"bootstrap": 3}, "bootstrap 3 is too few"),
])  # fmt: skip
def test_wrong_requests_are_refused_in_one_line(options: dict[str, Any], says: str) -> None:
    given: dict[str, Any] = {"task": "exam", "form": "gadre", "bootstrap": 0, "law": "N,T"} | options
    with pytest.raises((InvalidRequest, InvalidTable)) as caught:
        downstream(planted.tasks(), **given)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_percent_is_refused_with_what_mends_it() -> None:
    rows = [row | {"exam": 100 * row["exam"]} for row in planted.tasks()]
    with pytest.raises(
        InvalidTable, match=r"no accuracy between 0 and 1: in percent it is columns=.*'exam/100'"
    ):
        downstream(rows, "exam", bootstrap=0)
    with pytest.raises(InvalidTable, match="must be a share of 1"):
        downstream([row | {"exam": row["exam"] - 0.9} for row in planted.tasks()], "exam", bootstrap=0)


def test_few_rows_and_runs() -> None:
    rows = planted.tasks(noise=0.0)
    with pytest.raises(InvalidRequest, match="6 are needed for the 3 constants of gadre"):
        downstream(rows[:5], "exam", form="gadre", law="T")
    few = downstream(list(itertools.islice(rows, 24)), "exam", form="gadre", law="T")  # two runs
    assert few.intervals is None and few.runs == 2 and "not backtested" in few.reason
    with pytest.raises(InvalidRequest, match="name one with form="):
        downstream(rows[:24], "exam", law="T")


@pytest.mark.long
def test_what_a_plan_scores() -> None:
    from gemstones.analyses.downstream.planned import task_of_plan
    from gemstones.planning.plan import plan

    made = plan(1e21, "chinchilla")
    scored = task_of_plan(made, planted.tasks(noise=0.002), "exam", bootstrap=0)
    alone = downstream(
        planted.tasks(noise=0.002), "exam", bootstrap=0, at={"N": made.params, "T": made.tokens}
    )
    assert scored.optimum.accuracy == alone.predictions[0].accuracy
    assert made.near_optimal is not None
    assert [one.at["shape"] for one in scored.members] == [one.shape for one in made.near_optimal.members]
    assert "predicted accuracy on exam" in scored.sentence and scored.summary()["chosen"] == alone.form


def test_value_of_shape_at_equal_loss_is_recovered() -> None:
    from gemstones.analyses.downstream.equal_loss import equal_loss
    from gemstones.analyses.downstream.rows import task_rows
    from gemstones.runs import load

    ratios = np.random.default_rng(2).permutation([4, 8, 16, 32, 64] * 2)

    def rows_of(slope: float) -> list[dict[str, Any]]:
        rows = []
        for row in planted.tasks(noise=0.002, runs=10):
            ratio = int(ratios[int(row["run"])])
            kept = {name: value for name, value in row.items() if name != "params_total"}
            rows.append(
                kept | {"width": 128 * ratio, "depth": 128, "exam": row["exam"] - slope * np.log2(ratio)}
            )
        return rows

    made = equal_loss(task_rows(load(rows_of(0.004)).select(), "exam", None, None), bootstrap=100)
    assert made.interval is not None and made.settled
    assert made.interval[0] <= made.slope <= made.interval[1]
    assert made.slope == pytest.approx(0.004, abs=0.001)
    none = equal_loss(task_rows(load(rows_of(0.0)).select(), "exam", None, None), bootstrap=100)
    assert abs(none.slope) < 0.0006
