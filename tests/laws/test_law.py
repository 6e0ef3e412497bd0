"""One loss for every form: against formulas written out, in batches, with its derivatives, and through JSON."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemstones.errors import InvalidRequest
from gemstones.laws.dual import Dual
from gemstones.laws.form import Form
from gemstones.laws.law import Law
from gemstones.laws.parse_form import parse_form

REFERENCE = {
    "E + A/N^a + B/T^b": lambda c, x: c["E"] + c["A"] / x["N"] ** c["a"] + c["B"] / x["T"] ** c["b"],
    "1.69 + A/N^a + B/T^a": lambda c, x: 1.69 + c["A"] / x["N"] ** c["a"] + c["B"] / x["T"] ** c["a"],
    "E + A/N^a + B/T^b + C/(N^c*T^d)": lambda c, x: (
        c["E"]
        + c["A"] / x["N"] ** c["a"]
        + c["B"] / x["T"] ** c["b"]
        + c["C"] / (x["N"] ** c["c"] * x["T"] ** c["d"])
    ),
    "(A/N^a + B/T)^p": lambda c, x: (c["A"] / x["N"] ** c["a"] + c["B"] / x["T"]) ** c["p"],
    "E + (A/N^a + B/T^b)^0.5": lambda c, x: (
        c["E"] + (c["A"] / x["N"] ** c["a"] + c["B"] / x["T"] ** c["b"]) ** 0.5
    ),
    "E + (g/granularity^c + A)/N^a + B/T^b": lambda c, x: (
        c["E"] + (c["g"] / x["granularity"] ** c["c"] + c["A"]) / x["N"] ** c["a"] + c["B"] / x["T"] ** c["b"]
    ),
    "E + A*experts^m/N^(a - g*log(experts)) + B/T^b": lambda c, x: (
        c["E"]
        + c["A"] * x["experts"] ** c["m"] * x["N"] ** (c["g"] * np.log(x["experts"]) - c["a"])
        + c["B"] / x["T"] ** c["b"]
    ),
    "E + A/N^a + B/(T/(1 + batch/K))^b": lambda c, x: (
        c["E"] + c["A"] / x["N"] ** c["a"] + c["B"] * ((1 + x["batch"] / c["K"]) / x["T"]) ** c["b"]
    ),
    "E + A/N^a + B/repeated(T, unique_tokens, R)^b": lambda c, x: (
        c["E"] + c["A"] / x["N"] ** c["a"] + c["B"] / repeated(x["T"], x["unique_tokens"], c["R"]) ** c["b"]
    ),
    "E + (A/N^a + B/T^b)*exp(k*(log(lr/1e-3) - m - n*log(N/1e9))^2)": lambda c, x: (
        c["E"]
        + (c["A"] / x["N"] ** c["a"] + c["B"] / x["T"] ** c["b"])
        * np.exp(c["k"] * (np.log(x["lr"] / 1e-3) - c["m"] - c["n"] * np.log(x["N"] / 1e9)) ** 2)
    ),
    "E + A/min(N, 1e9)^a + B/max(T, 2*N)^b": lambda c, x: (
        c["E"]
        + c["A"] / np.minimum(x["N"], 1e9) ** c["a"]
        + c["B"] / np.maximum(x["T"], 2 * x["N"]) ** c["b"]
    ),
    "E + (K/N)^a + B/T^b": lambda c, x: c["E"] + (c["K"] / x["N"]) ** c["a"] + c["B"] / x["T"] ** c["b"],
}
CONSTANTS = {
    **{"E": 1.7, "A": 400.0, "B": 900.0, "C": 3000.0, "a": 0.34, "b": 0.29, "c": 0.2, "d": 0.12, "p": 0.4},
    **{"g": 0.04, "m": 0.1, "K": 3e5, "R": 4.0, "k": 0.05, "n": -0.2},
}
COLUMNS = {
    "N": np.geomspace(1e8, 3e10, 6),
    "T": np.geomspace(3e12, 1e10, 6),
    "granularity": np.array([1.0, 2, 4, 8, 1, 3]),
    "experts": np.array([1.0, 8, 64, 16, 2, 1]),
    "batch": np.array([1e5, 2e5, 4e5, 1e6, 2e6, 4e6]),
    "unique_tokens": np.array([1e13, 1e11, 1e10, 5e10, 2e9, 2e10]),
    "lr": np.geomspace(1e-4, 1e-2, 6),
}


def repeated(x: np.ndarray, unique: np.ndarray, passes: float) -> np.ndarray:
    """D' = U + U·R*·(1 − exp(−R/R*)) with R = D/U − 1 repeats of U (Muennighoff et al. 2023, Eq. 5)."""
    u = np.minimum(x, unique)
    return u + u * passes * (1 - np.exp(-(x / u - 1) / passes))


def theta_of(form: Form, constants: dict[str, float] | None = None) -> np.ndarray:
    known = constants or CONSTANTS
    return np.array(
        [
            np.log(known[e.parameter.name]) if e.parameter.positive else known[e.parameter.name]
            for e in form.entries
        ]
    )


@pytest.mark.parametrize("text", REFERENCE)
def test_a_law_is_what_its_formula_says(text: str) -> None:
    form = parse_form(text)
    law = Law.of_theta(form, theta_of(form))
    expected = REFERENCE[text](law.constants | {"E": law.irreducible_loss}, COLUMNS)
    np.testing.assert_allclose(law.loss(**{c: COLUMNS[c] for c in law.symbols}), expected, rtol=1e-12)


@pytest.mark.parametrize("text", REFERENCE)
def test_derivatives_are_those_of_differences(text: str) -> None:
    form = parse_form(text)
    theta = theta_of(form)
    logs = [np.log(COLUMNS[c]) for c in form.columns]
    exact = form.derivatives(theta, logs)
    step = 1e-4
    for i in range(len(logs)):
        up, down = (
            form.derivatives(theta, [x + sign * step if j == i else x for j, x in enumerate(logs)])
            for sign in (1, -1)
        )
        np.testing.assert_allclose(
            (up.value - down.value) / (2 * step), exact.gradient[i], rtol=2e-6, atol=1e-8
        )
        np.testing.assert_allclose(
            (up.gradient - down.gradient) / (2 * step), exact.hessian[i], rtol=2e-5, atol=1e-7
        )


def test_many_draws_at_once_and_columns_that_broadcast() -> None:
    form = parse_form("(w,d,N,T)^p")
    rng = np.random.default_rng(0)
    draws = np.array([0.3, 0.2, 0.5, 0.6, 1, 2, 3, 4, -1, -0.9]) + 0.01 * rng.normal(size=(7, 10))
    logs = [rng.normal(9, 1, (5, 1)), rng.normal(3, 1, (1, 4)), rng.normal(20, 1, (5, 4)), np.array(23.0)]
    many = form.log_loss(draws, logs)
    assert not isinstance(many, Dual) and np.shape(many) == (7, 5, 4)
    for i, theta in enumerate(draws):
        e, c, log_e, p = theta[:4], theta[4:8], theta[8], np.exp(theta[9])
        inside = sum(np.exp(c[j] - e[j] * logs[j]) for j in range(4))
        np.testing.assert_allclose(many[i], np.log(inside**p + np.exp(log_e)), rtol=1e-12)
        np.testing.assert_allclose(form.log_sum(theta, logs), np.log(inside), rtol=1e-12)


@given(st.floats(-900, 900), st.floats(0.01, 4), st.floats(-700, 1))
@settings(max_examples=50)
def test_no_constant_overflows(coefficient: float, exponent: float, irreducible: float) -> None:
    law = Law(("N", "T"), (exponent, 0.3), (coefficient, 5.0), irreducible, outer_exponent=0.5)
    value = law.log_loss([np.array([1.0, 23.0, 60.0]), np.array(25.0)])
    assert np.isfinite(value).all()


def test_a_list_with_an_exponent_around_it() -> None:
    law = Law(("N", "T"), (0.8, 0.9), (14.0, 19.0), -1.0, outer_exponent=0.4)
    assert law.form == "(N,T)^p" and law.parsed_form == parse_form("(N,T)^p")
    assert str(law) == "L = (1.203e6·N^-0.8 + 1.785e8·T^-0.9)^0.4 + 0.3679"
    expected = (math.exp(14) / 1e9**0.8 + math.exp(19) / 2e10**0.9) ** 0.4 + math.exp(-1)
    assert float(law.loss(N="1B", T=2e10)) == pytest.approx(expected)
    assert Law.of_theta(law.parsed_form, law.theta) == law == Law.of_theta(("N", "T"), law.theta)


def test_columns_by_name_and_by_symbol() -> None:
    law = Law(("w", "N", "T"), (0.3, 0.2, 0.1), (1.0, 2.0, 3.0), 0.5, "non_embedding")
    assert law.columns == ("width", "params_non_embedding", "tokens")
    assert law.loss(width=512, P="1B", tokens="20B") == law.loss(w=512, N=1e9, T=2e10)
    for named, said in (
        ({"w": 512, "N": 1e9}, "T is not given"),
        ({"w": 512, "N": 1e9, "T": 1e9, "z": 1}, "z is no column"),
        ({"w": 512, "N": -1.0, "T": 1e9}, "must be positive"),
    ):
        with pytest.raises(InvalidRequest, match=said):
            law.loss(**named)


def test_a_law_of_groups_is_one_for_each_value() -> None:
    form = msgspec.structs.replace(
        parse_form("E[recipe] + A[recipe]/N^a + B/T^b"), levels=(("recipe", ("cooled", "main")),)
    )
    assert [e.name for e in form.entries] == ["a", "b", "A[cooled]", "A[main]", "B", "E[cooled]", "E[main]"]
    theta = np.array([0.3, 0.4, 5.0, 5.5, 6.0, 0.5, 0.6])
    law = Law.of_theta(form, theta)
    main, index = law.of_group(recipe="main")
    assert main.form == "E + A/N^a + B/T^b" and index.tolist() == [0, 1, 3, 4, 6]
    assert main.constants["A"] == pytest.approx(math.exp(5.5))
    assert law.loss(N=1e9, T=1e10, recipe="main") == main.loss(N=1e9, T=1e10)
    codes = {"recipe": np.array([1, 0])}
    by_row = form.log_loss(theta, [np.log([1e9, 1e9]), np.log([1e10, 1e10])], codes)
    assert np.exp(by_row)[0] == pytest.approx(float(main.loss(N=1e9, T=1e10)))
    with pytest.raises(InvalidRequest, match="differs by recipe: say which, recipe= one of cooled, main"):
        law.loss(N=1e9, T=1e10)
    with pytest.raises(InvalidRequest, match="not 'annealed'"):
        law.loss(N=1e9, T=1e10, recipe="annealed")


@pytest.mark.parametrize("text", [*REFERENCE, "N,T", "(w,d,N,T)^p"])
def test_laws_survive_json(text: str) -> None:
    form = parse_form(text)
    theta = np.arange(len(form.entries)) / 7 - 0.5
    law = Law.of_theta(form, theta, name="one")
    again = msgspec.json.decode(msgspec.json.encode(law), type=Law)
    assert again == law and hash(again) == hash(law)
    np.testing.assert_allclose(again.theta, theta, atol=1e-15)
    assert again.parsed_form == form


def test_sums_of_powers_are_recognised_however_they_are_written() -> None:
    for text, exponents in (
        ("N,T", (0.1, 0.2)),
        ("E + A/N^a + B/T^b", (0.1, 0.2)),
        ("E + A/N^a + B/T^a", (0.1, 0.1)),
        ("E + A/N^0.5 + B/T^b", (0.5, 0.1)),
        ("(A/N^a + 3/T^b)^p", (0.1, 0.2)),
    ):
        form = parse_form(text)
        powers = form.powers(np.arange(1, 1 + len(form.entries)) / 10)
        assert powers is not None and powers[0] == ("N", "T")
        assert powers[1] == pytest.approx(exponents)
    for text in (
        "E + A/N^a + B/T^b + C/(N*T)^c",
        "E + A/N^a + B/N^b",
        "E + A*N^a + B/T^b",
        "E[run] + A/N^a + B/T^b",
    ):
        assert parse_form(text).powers(np.ones(9)) is None
