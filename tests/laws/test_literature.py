"""Every named form recovers planted constants: those of its paper where it prints some."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest

from gemstones.laws.columns import table_columns
from gemstones.laws.dual import value_of
from gemstones.laws.fit import Fit
from gemstones.laws.fitting import fit
from gemstones.laws.literature import NAMED
from gemstones.laws.parse_form import parse_form
from gemstones.laws.solver.objective import Objective
from gemstones.runs import RunTable, load

SIZES, TOKENS = np.geomspace(3e7, 3e9, 6), np.geomspace(1e9, 1e11, 6)
SHAPES = [(256, 6), (256, 48), (512, 10), (512, 40), (1024, 8), (1024, 32), (2048, 12), (2048, 36)]
SHAPED = {"E": 1.2, "a_w": 0.22, "a_d": 0.5, "a_T": 0.5, "A_w": 3.0, "A_d": 0.8, "A_T": 4e4}

PLANTED: dict[str, tuple[dict[str, float], dict[str, np.ndarray]]] = {
    "hoffmann": ({"E": 1.69, "A": 406.4, "B": 410.7, "a": 0.34, "b": 0.28}, {}),
    "hoffmann-outer": ({"E": 1.0, "A": 1e6, "B": 3e8, "a": 0.8, "b": 0.9, "p": 0.45}, {}),
    # Kaplan et al. 2020, Table 2: α_N 0.076, α_D 0.103, N_c 6.4e13, D_c 1.8e13.
    "kaplan": ({"a": 0.076 / 0.103, "A": 6.4e13 ** (0.076 / 0.103), "B": 1.8e13, "p": 0.103}, {}),
    "mcleish-2": (SHAPED | {"a_N": 0.36, "A_N": 400.0}, {}),
    "mcleish-3": (SHAPED, {}),
    "mcleish-2-outer": (
        {
            **{"E": 1.0, "p": 0.4, "a_w": 0.4, "a_d": 1.2, "a_N": 0.6, "a_T": 0.7},
            **{"A_w": 3.0, "A_d": 20.0, "A_N": 3e5, "A_T": 3e7},
        },
        {},
    ),
    "mcleish-3-outer": (
        {"E": 1.0, "p": 0.5, "a_w": 0.5, "a_d": 0.9, "a_T": 0.7, "A_w": 30.0, "A_d": 5.0, "A_T": 3e7},
        {},
    ),
    "interaction": (
        {"E": 1.5, "A": 300, "B": 900, "a": 0.35, "b": 0.33, "C": 3000, "c": 0.2, "d": 0.19},
        {"N": np.geomspace(3e7, 3e9, 8), "T": np.geomspace(1e9, 1e11, 8)},
    ),
    "varying": ({"E": 1.6, "A": 400, "B": 500, "a": 0.34, "b": 0.29, "m": 0.05, "g": 0.01}, {}),
    # Muennighoff et al. 2023, Appendix A.
    "muennighoff": (
        {"E": 1.87, "A": 521, "B": 1488, "a": 0.353, "b": 0.353, "R": 5.31, "S": 15.39},
        {"unique_tokens": np.array([5e8, 2e9, 1e10, 1e11])},
    ),
    # Krajewski et al. 2024, Table 1.
    "krajewski": (
        {"E": 0.47, "A": 18.1, "B": 30.8, "a": 0.115, "b": 0.147, "G": 2.1, "g": 0.58},
        {"granularity": np.array([1, 2, 4, 8, 16.0])},
    ),
    # Ludziejewski et al. 2025, Table 3.
    "ludziejewski": (
        {
            **{"E": 1.3637, "A": 35.91, "a": 0.1889, "m": -0.2285, "g": 0.0098},
            **{"B": 35.98, "b": 0.1775, "o": 0.5529, "z": 0.0259},
        },
        {"experts": np.array([1, 2, 4, 8, 16, 32.0])},
    ),
    "gadre": ({"E": 1.8, "A": 140, "B": 90, "h": 0.16}, {}),
    "critical-batch": (
        {"E": 1.7, "A": 400, "B": 600, "a": 0.34, "b": 0.3, "K": 2e6},
        {"batch": np.array([1e5, 5e5, 2e6, 8e6])},
    ),
    # Kaplan et al. 2020, Table 3: α_N 0.077, α_S 0.76, N_c 6.5e13, S_c 2.1e3.
    "kaplan-steps": (
        {"A": 6.5e13**0.077, "a": 0.077, "B": 2.1e3**0.76, "b": 0.76, "K": 2e5},
        {"step": np.geomspace(1e3, 1e5, 6).round(), "batch": np.array([1e5, 5e5, 2e6])},
    ),
    "learning-rate": (
        {"E": 1.7, "A": 400, "B": 900, "a": 0.34, "b": 0.3, "k": 0.04, "L": 6e-4, "n": -0.7, "t": 0.3},
        {"lr": np.geomspace(2e-4, 1e-2, 5)},
    ),
    # Exponents of the optimum as Li et al. 2025 have them.
    "step-law": (
        {
            **{"E": 1.7, "A": 400, "B": 900, "a": 0.34, "b": 0.3},
            **{"k": 0.04, "L": 6e-4, "n": -0.713, "t": 0.307, "q": 0.02, "M": 1.1e6, "u": 0.0, "v": 0.571},
        },
        {
            **{"N": np.geomspace(6e7, 1e9, 4), "T": np.geomspace(2e9, 1e11, 4)},
            **{"lr": np.geomspace(2e-4, 1e-2, 5), "batch": np.geomspace(6e4, 4e6, 5)},
        },
    ),
}


def planted(name: str, noise: float) -> tuple[RunTable, np.ndarray]:
    """Runs whose losses are those of the form, but for `noise`, and the log of these without it."""
    constants, axes = PLANTED[name]
    form = parse_form(name)
    if "w" in form.columns:
        places = itertools.product(SHAPES, TOKENS)
        rows = [{"width": w, "depth": d, "tokens": t} for (w, d), t in places]
    else:
        values = {"N": SIZES, "T": TOKENS} | axes
        if "step" in values:  # tokens are steps times batch
            del values["T"]
        grid = np.meshgrid(*values.values(), indexing="ij")
        named = {c: x.ravel() for c, x in zip(values, grid, strict=True)}
        named["T"] = named["step"] * named["batch"] if "step" in named else named["T"]
        frame = pl.DataFrame(named).rename({"N": "params_total", "T": "tokens"})
        rows = frame.with_columns(pl.col("^step$").cast(pl.Int64)).to_dicts()
    bare = [{"run": f"{i}", **row, "loss": 3.0} for i, row in enumerate(rows)]
    table = load(pl.DataFrame(bare), vocabulary=50_304, head_size=128, context=2048).select()
    theta = np.array(
        [np.log(constants[e.name]) if e.parameter.positive else constants[e.name] for e in form.entries]
    )
    logs = np.log(table_columns(form.columns, table, "total")).T
    clean = value_of(form.log_loss(theta, [*logs]))
    loss = np.exp(clean + noise * np.random.default_rng(0).standard_normal(len(clean)))
    frame = table.frame.with_columns(loss=pl.Series(loss))
    return load(frame, vocabulary=50_304, head_size=128, context=2048).select(), clean


def constants_of(fitted: Fit) -> dict[str, float]:
    """By the names that `PLANTED` has."""
    theta, form = fitted.law.theta, fitted.law.parsed_form
    return {
        e.name: float(np.exp(x) if e.parameter.positive else x)
        for e, x in zip(form.entries, theta, strict=True)
    }


def test_every_form_is_planted() -> None:
    assert set(PLANTED) == set(NAMED), "add its constants to PLANTED"
    for named in NAMED.values():
        assert named.source and named.means


@pytest.mark.parametrize("name", NAMED)
def test_a_form_recovers_its_constants(name: str) -> None:
    table, clean = planted(name, 0.0)
    exact = fit(table, name, objective=Objective(delta=1e-3))
    assert exact.status == "converged" and exact.objective < 1e-12
    for constant, value in constants_of(exact).items():
        truth = PLANTED[name][0][constant]
        assert value == pytest.approx(truth, rel=1e-3, abs=1e-4), constant
    noisy = fit(planted(name, 1e-3)[0], name, objective=Objective(delta=1e-3))
    assert noisy.status == "converged"
    # No worse than the truth under the same noise, and as near to it as the noise lets it be.
    loss = np.log(noisy.law.losses(table))
    assert np.sqrt(np.mean((loss - clean) ** 2)) < 5e-4


def test_a_form_by_name_may_be_fixed_and_bounded() -> None:
    table, _ = planted("muennighoff", 1e-3)
    fitted = fit(table, "muennighoff", fix={"a": 0.353, "b": 0.353}, bounds={"S": (1.0, 100.0)})
    assert "a" not in fitted.law.constants and fitted.law.constants["S"] == pytest.approx(15.39, rel=0.05)
    assert fitted.law.form.startswith("E + A/repeated(N, 0.051*unique_tokens, R)^0.353")


@pytest.mark.long
def test_the_optimum_of_a_bowl_has_an_interval() -> None:
    table, _ = planted("step-law", 1e-3)
    fitted = fit(table, "step-law", objective=Objective(delta=1e-3), bootstrap=40, level=0.9)
    best = fitted.optimum("lr", "batch", N="500M", T="20B")
    truth = {"lr": 6e-4 * 0.5**-0.713 * 0.2**0.307, "batch": 1.1e6 * 0.2**0.571}
    assert best.intervals is not None and best.without == 0
    for column, value in truth.items():
        low, high = best.intervals[column]
        assert low < best.values[column] < high and low * 0.99 < value < high * 1.01
        assert best.values[column] == pytest.approx(value, rel=0.05)
    assert "least loss at lr" in repr(best) and best.summary()["at"] == {"N": 5e8, "T": 2e10}
