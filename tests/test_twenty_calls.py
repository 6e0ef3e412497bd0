"""Ordinary calls that users of scikit-learn, statsmodels and arviz try: each works, or one line says what does."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

import gemstones as gs
from gemstones.errors import GemstonesError
from gemstones.runs import RunTable


@pytest.fixture(scope="module")
def fit() -> gs.Fit:
    return gs.fit("pebbles", "N,T", bootstrap=40, seed=3, backtests=False)


def refused(call: Callable[[], Any]) -> str:
    """The one line of a call that cannot be answered."""
    with pytest.raises((GemstonesError, AttributeError)) as caught:
        call()
    said = str(caught.value)
    assert "\n" not in said and 20 < len(said) < 400
    return said


# ---------------------------------------------------------------- runs


def test_1_length_columns_and_a_column(pebbles: RunTable) -> None:
    assert len(pebbles) == pebbles.rows == len(pebbles["loss"]) and pebbles.columns[:2] == ("run", "family")
    assert "rows are chosen by select(where=…)" in refused(lambda: pebbles[0])
    assert "column lossy: is no column of the runs: they have run, family" in refused(
        lambda: pebbles["lossy"]
    )


def test_2_to_polars_and_to_pandas_and_back(pebbles: RunTable) -> None:
    frame, pandas = pebbles.to_polars(), pebbles.to_pandas()
    assert frame.height == len(pandas) == len(pebbles) and list(pandas.columns) == list(pebbles.columns)
    assert gs.load(frame)["loss"].min() == pandas["loss"].min()


def test_3_fit_a_pandas_frame_of_other_names(fit: gs.Fit) -> None:
    own = gs.load("pebbles").select().to_pandas()[["run", "params_total", "tokens", "loss"]]
    renamed = own.rename(columns={"params_total": "n_params", "loss": "val_loss"})
    assert gs.fit(renamed, "N,T").exponents == pytest.approx(fit.exponents)


def test_4_fit_of_arrays_and_of_nothing() -> None:
    line = refused(lambda: gs.fit(np.ones((3, 2)), np.ones(3)))  # type: ignore[arg-type]
    assert line.startswith("law [1.") or "holds no runs" in line or "law array" in line
    assert "holds no runs: give the name of a data set" in refused(lambda: gs.fit(None))


# ---------------------------------------------------------------- what a fit says


def test_5_exponents_and_constants_by_name(fit: gs.Fit) -> None:
    assert fit.exponents == {"N": fit.law.exponents[0], "T": fit.law.exponents[1]}
    assert list(fit.constants) == ["a_N", "a_T", "A_N", "A_T", "E"]
    assert fit.constants["A_N"] == pytest.approx(np.exp(fit.law.log_coefficients[0]))
    bent = gs.fit("pebbles", "E + A*exp(-a*log(N)) + B/(T + C)^b", force=True)
    assert "exponents: its constants are" in refused(lambda: bent.exponents)
    assert {"E", "A", "a", "B", "C", "b"} == {*bent.constants}


def test_6_conf_int_at_a_level(fit: gs.Fit) -> None:
    table = fit.conf_int(fit.level)
    assert table.columns == ["constant", "low", "high"] and fit.intervals is not None
    row = dict(zip(table["constant"], zip(table["low"], table["high"], strict=True), strict=True))
    assert row["a_N"] == fit.intervals["exponents"]["N"] and row["E"] == fit.intervals["irreducible_loss"]
    inner = fit.conf_int(0.5)
    assert (inner["low"] >= table["low"]).all() and (inner["high"] <= table["high"]).all()
    assert fit.conf_int().equals(table)
    assert refused(lambda: fit.conf_int(95)) == "level 95 must lie between 0 and 1, like 0.95"
    assert refused(lambda: fit.conf_int("a")) == "level 'a' must be a number"  # type: ignore[arg-type]
    assert "40 resamples by run are too few for 99.9% intervals" in refused(lambda: fit.conf_int(0.999))
    assert refused(gs.fit("pebbles", "N,T").conf_int).endswith("fit with bootstrap=1000")


def test_7_to_frame(fit: gs.Fit) -> None:
    frame = fit.to_frame()
    assert frame.columns == ["constant", "meaning", "estimate", "low", "high"]
    assert (frame["low"] <= frame["estimate"]).all() and (frame["estimate"] <= frame["high"]).all()
    assert gs.fit("pebbles", "N,T").to_frame()["low"].is_null().all()


def test_8_draws_are_a_labelled_frame(fit: gs.Fit) -> None:
    assert fit.draws.shape == (40, 5) and fit.draws.columns == list(fit.constants)
    np.testing.assert_allclose(fit.draws["a_N"], fit.theta_draws[:, 0])
    np.testing.assert_allclose(np.log(fit.draws["E"]), fit.theta_draws[:, 4])
    assert gs.fit("pebbles", "N,T").draws.height == 0


@pytest.mark.parametrize("release", [0, 1])
def test_9_arviz(fit: gs.Fit, release: int, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: dict[str, Any] = {}
    arviz = types.ModuleType("arviz")
    if release:
        arviz.from_dict = lambda data, attrs: taken.update(data, attrs=attrs["posterior"])  # type: ignore[attr-defined]
    else:
        arviz.InferenceData = object  # type: ignore[attr-defined]
        arviz.from_dict = lambda posterior, posterior_attrs: taken.update(  # type: ignore[attr-defined]
            posterior=posterior, attrs=posterior_attrs
        )
    monkeypatch.setitem(sys.modules, "arviz", arviz)
    fit.to_inference_data()
    assert {name: draws.shape for name, draws in taken["posterior"].items()} == dict.fromkeys(
        fit.constants, (1, 40)
    )
    assert taken["attrs"]["draws"] == "bootstrap resamples by run, not a posterior"
    assert "fit with bootstrap=1000" in refused(gs.fit("pebbles", "N,T").to_inference_data)
    monkeypatch.setitem(sys.modules, "arviz", None)
    assert refused(fit.to_inference_data).endswith("needs the extra 'arviz': pip install 'gemstones[arviz]'")


def test_10_residuals(fit: gs.Fit) -> None:
    table = gs.load("pebbles").select()
    assert fit.residuals.shape == (fit.rows,)
    np.testing.assert_array_equal(fit.residuals, np.log(table["loss"]) - np.log(fit.law.losses(table)))
    np.testing.assert_array_equal(fit.residuals_of("pebbles"), fit.residuals)
    again = gs.Fit.from_json(fit.to_json())
    assert again == fit and refused(lambda: again.residuals).endswith("give them, fit.residuals_of(runs)")


def test_11_names_of_other_libraries_lead_to_ours(fit: gs.Fit) -> None:
    assert refused(lambda: fit.coef_) == "a fit has no attribute 'coef_': see fit.exponents"  # type: ignore[attr-defined]
    assert refused(lambda: fit.resid).endswith("see fit.residuals")  # type: ignore[attr-defined]
    assert refused(lambda: fit.qwertz) == "a fit has no attribute 'qwertz'"  # type: ignore[attr-defined]
    assert not hasattr(fit, "__array_interface__")


# ---------------------------------------------------------------- predictions


def test_12_predict_at_names_arrays_and_quantities(fit: gs.Fit) -> None:
    one = fit.predict(N=3e5, T="4M")
    many = fit.predict(N=["300K", 2e5], T=np.array([4e6, 5e6]))
    assert float(one.loss) == many.loss[0] and np.asarray(many).shape == (2,) and len(many) == 2
    assert many.to_frame().columns == ["loss", "low", "high", "low_of_fit", "high_of_fit"]
    assert many.to_frame()["low"].null_count() == 2 and many.to_frame()["low_of_fit"].null_count() == 0


def test_13_predict_for_frames_and_tables(fit: gs.Fit) -> None:
    table = gs.load("pebbles").select()
    frame = table.to_polars()
    for rows in (
        table,
        frame,
        frame.to_pandas(),
        frame.to_arrow(),
        frame.select("params_total", "tokens").to_dicts(),
    ):
        np.testing.assert_allclose(fit.predict(rows).loss, fit.law.losses(table))
    assert fit.predict({"N": 3e5, "T": 4e6}).loss == fit.predict(N=3e5, T=4e6).loss


def test_14_predict_for_several_recipes() -> None:
    frame = gs.load("pebbles").to_polars().filter(pl.col("family").is_in(["main", "lr-ablation"]))
    fit = gs.fit(frame.rename({"family": "recipe"}), "E[recipe] + A/N^a + B/T^b")
    both = fit.predict(N=3e5, T=[4e6, 4e6, 5e6], recipe=["main", "lr-ablation", "main"])
    apart = [
        fit.predict(N=3e5, T=t, recipe=f).loss
        for t, f in ((4e6, "main"), (4e6, "lr-ablation"), (5e6, "main"))
    ]
    np.testing.assert_allclose(both.loss, apart)


@pytest.mark.parametrize(("at", "named", "says"), [
    ((np.ones((2, 2)),), {}, "points of type ndarray have no names: give columns by name, or a frame or a table"),
    ((), {"N": 1e9}, "law N,T predicts from N, T: T is not given"),
    ((), {"N": 1e9, "T": "many"}, "T 'many' is not a number: write it like 2048, 1e22, 50M or 100B"),
    ((), {"N": -1, "T": 1e9}, "N -1 must be positive and finite"),
    ((), {"n": 1e9, "T": 1e9}, "n is no column of law N,T: it has N, T"),
    ((), {"N": object(), "T": 1e9}, "N of type object must be a number, or numbers of one shape"),
])  # fmt: skip
def test_15_wrong_points_are_refused(fit: gs.Fit, at: Any, named: Any, says: str) -> None:
    assert refused(lambda: fit.predict(*at, **named)).startswith(says)


# ---------------------------------------------------------------- plans


def test_16_plan_is_a_function_and_takes_many_budgets(fit: gs.Fit) -> None:
    import gemstones.planning.plan  # noqa: F401 - which must not shadow it

    plans = gs.plan(np.logspace(13, 14, 3), fit)
    assert len(plans) == 3 and plans[1] == fit.plan(10**13.5) and [*plans[:2]] == [plans[0], plans[1]]
    frame = plans.to_frame()
    assert frame["budget"].to_list() == pytest.approx([1e13, 10**13.5, 1e14])
    assert (frame["params_low"] <= frame["params"]).all() and (frame["tokens"] <= frame["tokens_high"]).all()
    assert repr(plans).startswith("<3 plans\n  1e13 FLOPs") and "<table>" in plans._repr_html_()
    assert fit.plan(["1e13", 1e14])[1] == plans[2]


def test_17_plan_of_nonsense(fit: gs.Fit) -> None:
    assert refused(lambda: gs.plan([], fit)).startswith("budget [] is empty")
    assert "budget 'x' is not a number" in refused(lambda: gs.plan(["x"], fit))
    assert "budget None must be a number or text or a list of" in refused(lambda: gs.plan(None))  # type: ignore[call-overload]
    assert "neither a law (gemstones-refit" in refused(lambda: gs.plan(1e22, "gemini"))
    assert "budget 1e+60 is out of all bounds" in refused(lambda: fit.plan([1e14, 1e60]))


def test_18_published_names_and_laws() -> None:
    names = gs.published()
    assert "chinchilla" in names and all(gs.published(name) for name in names)
    assert "law 'palm' is unknown: choose from gemstones-refit, " in refused(lambda: gs.published("palm"))
    assert "law of the optimum" not in repr(gs.published("kaplan"))


# ---------------------------------------------------------------- seeds and names of arguments


def test_19_seeds() -> None:
    def drawn(seed: Any) -> gs.Fit:
        return gs.fit("pebbles", "N,T", bootstrap=40, seed=seed, backtests=False)

    assert drawn(7).drawn == drawn(np.int64(7)).drawn
    of_generator, none = drawn(np.random.default_rng(1)), drawn(None)
    assert of_generator == drawn(np.random.default_rng(1)) and of_generator != none
    assert none.resampling is not None
    assert drawn(none.resampling.seed) == none  # it says how to draw the same again
    assert refused(lambda: drawn("a")) == "seed 'a' must be a whole number or a numpy Generator"
    assert refused(lambda: drawn(-1)).startswith("seed -1 must be 0 to ")
    seeded = [one["seed"] for name in gs.__all__ if "seed" in (one := _parameters(getattr(gs, name)))]
    assert len(seeded) == 10 and {one.annotation for one in seeded} == {"Seed"}


def _parameters(function: Any) -> Any:
    return inspect.signature(function).parameters if isinstance(function, types.FunctionType) else {}


@pytest.mark.parametrize(("call", "says"), [
    (lambda: gs.fit("pebbles", random_state=1), "fit has no argument random_state: it is called seed"),
    (lambda: gs.fit("pebbles", n_jobs=2), "fit has no argument n_jobs: it is called workers"),
    (lambda: gs.fit("pebbles", confidence_level=0.9), "fit has no argument confidence_level: it is called level"),
    (lambda: gs.fit("pebbles", bootstap=9), "fit has no argument bootstap: it is called bootstrap"),
    (lambda: gs.envelope("pebbles", n_resamples=9), "envelope has no argument n_resamples: it is called bootstrap"),
    (lambda: gs.plan(1e22, shape=3), "plan has no argument shape: it has budget, law, cost, throughput, constraints"),
    (lambda: gs.load([{"N": 1, "T": 1, "loss": 1}], query="T > 0"), "load has no argument query: it is called where"),
    (lambda: gs.fit("pebble"), "data set 'pebble' is unknown: choose from gemstones, "),
    (lambda: gs.fit("pebbles", "N,D"), "pebbles (all), column D: is needed but not known"),
])  # fmt: skip
def test_20_wrong_names_lead_to_the_right_ones(call: Callable[[], Any], says: str) -> None:
    assert refused(call).startswith(says)
