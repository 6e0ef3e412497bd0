from itertools import pairwise

import numpy as np
import pytest

from gemstones.errors import InvalidRequest
from gemstones.laws.fit import Fit
from gemstones.laws.fitting import fit, fitted_range
from gemstones.laws.law import Law
from gemstones.laws.published import LAW_NAMES, LAWS, REFIT_COMMAND, FrontierLaw, published
from gemstones.runs import RunTable


def test_names() -> None:
    assert LAW_NAMES == (
        "gemstones-refit", "gemstones", "gemstones-width-depth", "chinchilla", "chinchilla-unrounded",
        "chinchilla-epoch", "kaplan",
    )  # fmt: skip
    assert all(published(name) is not None for name in LAW_NAMES)
    with pytest.raises(InvalidRequest, match="choose from gemstones-refit, gemstones,"):
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


def test_the_shipped_refit_is_made_by_its_command(gemstones: RunTable) -> None:
    shipped = published("gemstones-refit")
    assert isinstance(shipped, Fit)
    words = dict(pairwise(REFIT_COMMAND.split()))
    assert len(shipped.draws) == int(words["--bootstrap"]) and shipped.resampling is not None
    again = fit(gemstones.select(words["--select"]), words["--law"], bootstrap=40, seed=int(words["--seed"]))
    # Another number of resamples refits the same first ones, started together with others.
    np.testing.assert_allclose(again.theta_draws[:40, :4], shipped.theta_draws[:40, :4], rtol=0.02, atol=0.01)
    assert shipped.fingerprint == again.fingerprint
    assert shipped.objective == pytest.approx(again.objective, rel=1e-9)
    assert shipped.objective <= 2.948052764e-4 * (1 + 1e-6)
    assert shipped.law.exponents == pytest.approx(again.law.exponents, rel=1e-6)
    assert shipped.status == "converged" and shipped.resampling == again.resampling
