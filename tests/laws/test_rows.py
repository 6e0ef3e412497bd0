"""Weights, the best of what was tried, one-sided objectives, groups: which rows count, and how much."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.laws.fit import Fit
from gemstones.laws.fitting import fit
from gemstones.laws.solver.objective import Objective

SIZES, TOKENS = np.geomspace(1e8, 1e10, 5), np.geomspace(1e9, 1e11, 5)


def frame(
    noise: float = 1e-3, seed: int = 0, sizes: np.ndarray = SIZES, **more: list[object]
) -> pl.DataFrame:
    n, t = (x.ravel() for x in np.meshgrid(sizes, TOKENS))
    loss = (1.7 + 400 * n**-0.34 + 900 * t**-0.3) * np.exp(
        noise * np.random.default_rng(seed).standard_normal(25)
    )
    rows = pl.DataFrame({"params_total": n, "tokens": t, "loss": loss})
    return rows.with_columns(
        run=pl.int_range(25).cast(pl.String), **{k: pl.Series(v) for k, v in more.items()}
    )


def test_a_weight_of_two_is_the_row_twice() -> None:
    rows = frame(weight=[1.0, 2.0, 0.0, 1.0, 3.0] * 5)
    weighted = fit(rows, weights="weight", objective=Objective(delta=1e-3))
    copies = pl.concat([rows[i : i + 1] for i in range(25) for _ in range(int(rows["weight"][i]))])
    copies = copies.with_columns(run=pl.int_range(pl.len()).cast(pl.String))
    repeated = fit(copies, objective=Objective(delta=1e-3))
    assert weighted.law.exponents == pytest.approx(repeated.law.exponents, rel=1e-6)
    assert weighted.objective == pytest.approx(repeated.objective, rel=1e-9)
    assert weighted.weights == "weight" and Fit.from_json(weighted.to_json()) == weighted
    assert fit(rows).law.exponents != pytest.approx(weighted.law.exponents, rel=1e-3)


def test_weights_are_checked() -> None:
    for weights, said in (
        ([-1.0] + [1.0] * 24, "row 1, column weight: -1 must be"),
        ([0.0] * 25, "0 in every row"),
    ):
        with pytest.raises(InvalidTable, match=said):
            fit(frame(weight=weights), weights="weight")
    with pytest.raises(InvalidTable, match="column colour: is needed"):
        fit(frame(), weights="colour")


def test_the_best_of_what_was_tried() -> None:
    best = frame(noise=0.0)
    tried = [
        best.with_columns(
            pl.col("loss") * (1 + 0.05 * abs(np.log(rate / 1e-3))),
            # Other batches end at other tokens.
            tokens=pl.col("tokens") * (1 + 0.002 * i),
            learning_rate=pl.lit(rate),
            run=pl.col("run") + f" at {rate}",
        )
        for i, rate in enumerate([1e-3, 3e-4, 3e-3])
    ]
    fitted = fit(pl.concat(tried), best_of=["lr"], objective=Objective(delta=1e-3))
    alone = fit(best, objective=Objective(delta=1e-3))
    assert fitted.law.exponents == pytest.approx(alone.law.exponents, rel=1e-4)
    assert (fitted.rows, fitted.best_of) == (25, ("lr",))
    assert (
        fitted.assumptions[-1]
        == "the least loss over lr of each size and tokens (within 1%): 25 rows, 50 left out"
    )
    with pytest.raises(InvalidTable, match="colour"):
        fit(best, best_of=["colour"])
    with pytest.raises(InvalidRequest, match="best-of tokens"):
        fit(best, best_of=["tokens"])


def test_rows_that_differ_in_a_column_of_the_law_are_not_compared() -> None:
    two = pl.concat(
        [
            frame(noise=0.0).with_columns(
                pl.col("loss") * factor, recipe=pl.lit(name), lr=pl.lit(rate), run=pl.col("run") + name
            )
            for name, factor, rate in (("a", 1.0, 1e-3), ("b", 1.1, 2e-3))
        ]
    )
    fitted = fit(two, "E[recipe] + A/N^a + B/T^b", best_of=["lr"], force=True)
    assert fitted.rows == 50
    assert fit(two, "N,T", best_of=["lr"]).rows == 25


def test_losses_that_scatter_upwards() -> None:
    clean = frame(noise=0.0)
    rng = np.random.default_rng(1)
    scattered = clean.with_columns(loss=clean["loss"] * (1 + 0.03 * rng.random(25) ** 2))
    law = {above: fit(scattered, objective=Objective(delta=1e-3, above=above)).law for above in (1.0, 0.1)}
    off = {
        a: np.log(x.loss(N=SIZES, T=TOKENS)) - np.log(1.7 + 400 * SIZES**-0.34 + 900 * TOKENS**-0.3)
        for a, x in law.items()
    }
    assert np.abs(off[0.1]).mean() < 0.6 * np.abs(off[1.0]).mean()


def test_groups_share_what_they_do_not_differ_in() -> None:
    n, t = (x.ravel() for x in np.meshgrid(SIZES, TOKENS))
    rng = np.random.default_rng(2)
    rows = pl.concat(
        [
            pl.DataFrame(
                {
                    "params_total": n,
                    "tokens": t,
                    "loss": (e + a * n**-0.34 + 900 * t**-0.3) * np.exp(1e-3 * rng.standard_normal(25)),
                    "run": [f"{recipe}{i}" for i in range(25)],
                    "recipe": recipe,
                }
            )
            for recipe, e, a in (("plain", 1.7, 400.0), ("clean", 1.6, 300.0), ("code", 1.2, 350.0))
        ]
    )
    fitted = fit(
        rows, "E[recipe] + A[recipe]/N^a + B/T^b", objective=Objective(delta=1e-3), bootstrap=40, level=0.9
    )
    constants = fitted.law.constants
    assert list(constants) == [
        *("a", "b", "A[clean]", "A[code]", "A[plain]", "B"),
        *("E[clean]", "E[code]", "E[plain]"),
    ]
    assert constants["E[clean]"] == pytest.approx(1.6, abs=0.02)
    assert constants["A[plain]"] / constants["A[clean]"] == pytest.approx(4 / 3, rel=0.03)
    assert fitted.summary()["irreducible_loss"] is None and set(fitted.intervals["constants"]) == set(
        constants
    )  # type: ignore[index]
    assert {flag.partition(":")[0] for flag in fitted.flags} <= {"few_draws"}
    assert float(fitted.loss(N="1B", T="10B", recipe="code")) == pytest.approx(
        1.2 + 350 * 1e9**-0.34 + 900 * 1e10**-0.3, rel=2e-3
    )
    predicted = fitted.predict(N=[1e9, 1e10], T=1e10, recipe="code")
    assert (
        predicted.loss.shape == (2,) and predicted.interval is not None and predicted.interval.shape == (2, 2)
    )
    assert (predicted.interval[:, 0] <= predicted.loss).all() and (
        predicted.loss <= predicted.interval[:, 1]
    ).all()
    assert Fit.from_json(fitted.to_json()) == fitted
    with pytest.raises(InvalidRequest, match="differs by recipe: say which"):
        fitted.loss(N="1B", T="10B")
    with pytest.raises(InvalidTable, match="is no column of the runs, so constants cannot differ by it"):
        fit(rows, "E[colour] + A/N^a + B/T^b")
    with pytest.raises(InvalidTable, match="constants differ by text or whole numbers"):
        fit(rows, "E[loss] + A/N^a + B/T^b")


def test_active_bounds_and_undetermined_directions_are_named() -> None:
    bounded = fit(frame(), "E + A/N^a + B/T^b", bounds={"a": (0.5, 0.9)})
    assert bounded.law.constants["a"] == pytest.approx(0.5)
    assert "bound_active: a is at its bound, 0.5; the objective falls beyond it" in bounded.flags
    narrow = frame(sizes=1e9 * np.geomspace(1, 1.3, 5), noise=3e-3)
    [flag] = [f for f in fit(narrow, "(N,T)^p").flags if f.startswith("ill_conditioned")]
    assert flag.startswith("ill_conditioned: these runs hardly determine ") and " fit as well" in flag
    assert not any(f.startswith("ill_conditioned") for f in fit(frame()).flags)


def test_perfect_data_converge() -> None:
    for law in ("N,T", "(N,T)^p", "E + A/N^a + B/T^b"):
        fitted = fit(frame(noise=0.0), law)
        assert fitted.status == "converged" and fitted.objective < 1e-12, law


def test_the_fingerprint_covers_what_the_law_uses() -> None:
    """Columns of the source too, and no others."""
    share = np.tile(np.geomspace(0.1, 1, 5), 5)[np.random.default_rng(0).permutation(25)]
    rows, other = frame(mixture=[*share]), frame(mixture=[*share[::-1]])
    assert fit(rows).fingerprint == fit(other).fingerprint == fit(frame()).fingerprint
    law = "E + A/N^a + B/T^b + C*mixture^c"
    used = fit(rows, law, force=True)
    assert used.fingerprint != fit(other, law, force=True).fingerprint
    assert used.fingerprint == fit(rows, law, force=True).fingerprint != fit(rows).fingerprint
    weights = fit(rows, weights="mixture")
    assert weights.fingerprint not in (fit(rows).fingerprint, fit(other, weights="mixture").fingerprint)
