from itertools import pairwise

import numpy as np
import pytest

from gemstones.errors import InvalidRequest
from gemstones.laws.choose import choose
from gemstones.laws.fit import Fit
from gemstones.laws.fitting import fit, fitted_range
from gemstones.laws.law import Law
from gemstones.laws.published import (
    LAW_NAMES,
    LAWS,
    REFIT_COMMAND,
    REFIT_PLAIN_COMMAND,
    FrontierLaw,
    published,
)
from gemstones.runs import RunTable


def test_names() -> None:
    assert LAW_NAMES == (
        "gemstones-refit", "gemstones-refit-plain", "gemstones", "gemstones-width-depth", "chinchilla",
        "chinchilla-unrounded", "chinchilla-epoch", "kaplan",
    )  # fmt: skip
    assert all(published(name) is not None for name in LAW_NAMES)
    with pytest.raises(InvalidRequest, match=r"choose from gemstones-refit, gemstones-refit-plain, "):
        published("hoffman")


def test_constants_predict_what_was_published(gemstones: RunTable, chinchilla: RunTable) -> None:
    """Each law explains its own data: the objective of the published constants is the published one."""
    from gemstones.laws.columns import table_columns
    from gemstones.laws.solver.objective import huber

    table = gemstones.select("all")
    for name, objective in (("gemstones", 6.923300e-4), ("gemstones-width-depth", 2.949708e-4)):
        law = LAWS[name]
        assert isinstance(law, Law)
        residuals = np.log(table.numbers("loss")) - np.log(law.loss(table_columns(law.terms, table, "total")))
        assert huber(residuals, 1e-4).sum() == pytest.approx(objective, rel=1e-5)
    epoch = LAWS["chinchilla-epoch"]
    assert isinstance(epoch, Law)
    rows = chinchilla.select("epoch")
    residuals = np.log(rows.numbers("loss")) - np.log(epoch.loss(table_columns(("N", "T"), rows, "total")))
    assert huber(residuals, 1e-3).sum() == pytest.approx(1.018274e-3, rel=1e-2)  # printed to 4 digits


def test_fitted_ranges_are_those_of_the_data(gemstones: RunTable, chinchilla: RunTable) -> None:
    for name, table in (
        ("gemstones", gemstones.select("all")),
        ("gemstones-width-depth", gemstones.select("all")),
        ("chinchilla-epoch", chinchilla.select("epoch")),
    ):
        law = LAWS[name]
        assert isinstance(law, Law)
        span = fitted_range(table, law.terms, "total")
        for field in ("flops", "params", "tokens", "width", "depth"):
            least_and_most = getattr(span, field)
            if least_and_most is not None:
                least_and_most = pytest.approx(least_and_most, rel=1e-12)
            assert getattr(law.fitted, field) == least_and_most, (name, field)


def test_kaplan_at_a_day_of_petaflops() -> None:
    kaplan = LAWS["kaplan"]
    assert isinstance(kaplan, FrontierLaw)
    assert kaplan.params_optimal(1e15 * 86400) == pytest.approx(1.6e9)
    assert kaplan.params_optimal(1e16 * 86400) == pytest.approx(1.6e9 * 10**0.88)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "command", "law", "objective"),
    [
        ("gemstones-refit", REFIT_COMMAND, "(w,d,N,T)^p", 1.475232e-4),
        ("gemstones-refit-plain", REFIT_PLAIN_COMMAND, "w,d,N,T", 2.948052764e-4),
    ],
)
def test_the_shipped_refits_are_made_by_their_commands(
    gemstones: RunTable, name: str, command: str, law: str, objective: float
) -> None:
    shipped = published(name)
    assert isinstance(shipped, Fit)
    words = dict(pairwise(command.split()))
    assert len(shipped.drawn) == int(words["--bootstrap"]) and shipped.resampling is not None
    assert shipped.law.form == law
    table = gemstones.select(words["--select"])
    starts = int(words["--resample-starts"])
    again = fit(table, law, bootstrap=40, resample_starts=starts, seed=int(words["--seed"]), backtests=False)
    # Another number of resamples refits the same first ones, started together with others.
    columns = [np.log(5e9 if s == "N" else 1e11 if s == "T" else 2048 if s == "w" else 40) for s in "wdNT"]
    ours, theirs = (made.law.log_loss(columns, made.theta_draws[:40]) for made in (again, shipped))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    np.testing.assert_allclose(again.theta_draws[:40, :4], shipped.theta_draws[:40, :4], rtol=0.02, atol=0.01)
    assert shipped.fingerprint == again.fingerprint
    assert shipped.objective == pytest.approx(again.objective, rel=1e-9)
    assert shipped.objective <= objective * (1 + 1e-6)
    np.testing.assert_allclose(shipped.law.theta[:4], again.law.theta[:4], rtol=1e-6)
    assert shipped.status == "converged" and shipped.resampling == again.resampling


@pytest.mark.long
def test_the_headline_is_what_backtests_choose(gemstones: RunTable) -> None:
    shipped = published("gemstones-refit")
    assert isinstance(shipped, Fit) and shipped.chosen is not None
    assert shipped.fingerprint == gemstones.select("all").fingerprint
    chosen = choose(gemstones.select("all"), [c.law for c in shipped.chosen.candidates if c.near])
    assert {c.law for c in chosen.candidates} == {shipped.law.form, *shipped.chosen.near}
    for again in chosen.candidates:
        before = next(c for c in shipped.chosen.candidates if c.law == again.law)
        assert again.score == pytest.approx(before.score, rel=1e-3)
