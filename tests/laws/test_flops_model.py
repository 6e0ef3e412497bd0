"""FLOPs that a table gives are learned: planted counts come back, usual ones need no learning."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import gemstones as gs
from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import params
from gemstones.errors import InvalidRequest
from gemstones.laws.flops_model import FlopsModel, learned_flops
from gemstones.runs import RunTable, load
from gemstones.shape import FloatArray, Shape, Shapes

SIZES = np.array([50e6, 120e6, 300e6, 700e6, 1.5e9, 3e9])
SHAPES = ((256, 8), (256, 24), (512, 12), (768, 6), (1024, 28), (1024, 12), (2048, 16), (2560, 10))
TOKENS = (2e9, 8e9, 32e9)


def loss(n: FloatArray, tokens: FloatArray) -> FloatArray:
    return np.asarray(1.7 + 400 * n**-0.34 + 410 * tokens**-0.28)


def by_size(per_token: FloatArray) -> RunTable:
    """Runs that know N, T and FLOPs."""
    n, tokens = (x.ravel() for x in np.meshgrid(SIZES, TOKENS, indexing="ij"))
    flops = np.repeat(per_token, len(TOKENS)) * tokens
    names = [f"r{i}" for i in range(len(SIZES)) for _ in TOKENS]
    return load(
        pl.DataFrame(
            {"run": names, "params_total": n, "tokens": tokens, "loss": loss(n, tokens), "flops": flops}
        )
    )


def by_shape(per_token: FloatArray) -> RunTable:
    """Runs that know their shape, T and FLOPs."""
    rows = [
        {"run": f"{w}x{d}", "width": w, "depth": d, "tokens": t, "flops": f * t,
         "loss": float(loss(np.float64(params(Shape(w, d))), np.float64(t)) + 20 / w)}
        for (w, d), f in zip(SHAPES, per_token, strict=True) for t in TOKENS
    ]  # fmt: skip
    return load(pl.DataFrame(rows))


def shapes() -> Shapes:
    return Shapes.of([w for w, _ in SHAPES], [d for _, d in SHAPES])


def with_context(context: int) -> FloatArray:
    """Multiplications of these shapes at another context: attention is another share."""
    like = Shape(1024, 28, context=context)
    return flops_per_token(Shapes.of([w for w, _ in SHAPES], [d for _, d in SHAPES], like), "matmul")


def test_half_of_6n_is_learned() -> None:
    model = learned_flops(by_size(0.5 * 6 * SIZES), ("N", "T"), "total")
    assert model is not None
    assert model.constants == (pytest.approx(3.0), 1.0)
    assert model.convention == "given (learned from the runs: 0.5·6N, exact)"
    np.testing.assert_allclose(model.of_params(SIZES), 3 * SIZES)


def test_a_power_of_n_is_learned_with_its_error() -> None:
    noise = np.array([1.02, 0.98, 1.01, 0.99, 1.02, 0.98])
    model = learned_flops(by_size(4.2 * SIZES**1.02 * noise), ("N", "T"), "total")
    assert model is not None and model.error is not None
    k, b = model.constants
    assert b == pytest.approx(1.02, abs=0.01) and k * 1e9**b == pytest.approx(4.2 * 1e9**1.02, rel=0.03)
    assert 0.015 < model.error < 0.04
    assert model.convention.startswith("given (learned from the runs: 0.") and model.convention.endswith(
        "% off)"
    )


def test_an_exponent_is_not_taken_from_noise() -> None:
    noise = np.exp(np.random.default_rng(0).normal(0, 0.05, len(SIZES)))
    model = learned_flops(by_size(3.0 * SIZES * noise), ("N", "T"), "total")
    assert model is not None and model.constants[1] == 1.0


def test_one_size_says_so() -> None:
    table = by_size(3.0 * SIZES).select(where="params_total = 50e6")
    model = learned_flops(table, ("N", "T"), "total")
    assert model is not None and (model.constants[1], model.error) == (1.0, None)
    assert model.convention == "given (learned from the runs: 0.5·6N, from runs of one size alone)"


@pytest.mark.parametrize("per_token", [6 * SIZES, 6.01 * SIZES])  # the second as printed to three digits
def test_6n_is_no_convention_of_its_own(per_token: FloatArray) -> None:
    assert learned_flops(by_size(per_token), ("N", "T"), "total") is None


def test_usual_tables_learn_nothing(gemstones: RunTable, chinchilla: RunTable, pebbles: RunTable) -> None:
    for table in (gemstones, chinchilla, pebbles):
        assert learned_flops(table.select(), ("N", "T"), "total") is None
    assert learned_flops(gemstones.select(), ("w", "d", "T"), "total") is None
    # Given, but Appendix G's all the same: nothing changes.
    assert learned_flops(by_shape(flops_per_token(shapes())), ("w", "d", "T"), "total") is None
    assert learned_flops(by_shape(flops_per_token(shapes())), ("N", "T"), "total") is None


@pytest.mark.parametrize("per_token", [
    0.5 * 6 * params(shapes()),
    with_context(8192),
    flops_per_token(shapes(), "6N_non_embedding") + 12 * 4096 * shapes().width * shapes().depth,
], ids=["half of 6N", "attention over 8,192 tokens", "6N and 12·d·w·S"])  # fmt: skip
def test_usual_counts_are_functions_of_the_shape(per_token: FloatArray) -> None:
    model = learned_flops(by_shape(per_token), ("w", "d", "T"), "total")
    assert model is not None and model.kind == "terms" and model.error is not None and model.error < 1e-3
    np.testing.assert_allclose(model.per_token(shapes()), per_token, rtol=1e-3)
    # So are those of shapes ten times as large.
    far = Shapes.of([8192], [80])
    if len(np.unique(per_token / flops_per_token(shapes(), "6N_total"))) == 1:
        np.testing.assert_allclose(model.per_token(far), 0.5 * 6 * params(far), rtol=1e-3)


def test_a_multiple_of_appendix_g_is_one() -> None:
    model = learned_flops(by_shape(0.83 * flops_per_token(shapes())), ("w", "d", "T"), "total")
    assert model is not None and (model.kind, model.constants) == ("ratio", (pytest.approx(0.83),))
    assert model.convention == "given (learned from the runs: 0.83 × Appendix G, exact)"


def test_shapes_of_one_width_do_not_tell_the_terms_apart() -> None:
    table = by_shape(with_context(8192)).select(where="width = 1024 OR width = 256")
    model = learned_flops(table.select(where="width = 1024"), ("w", "d", "T"), "total")
    assert model is not None and model.kind == "ratio"


def test_a_fit_carries_it_and_its_file_too() -> None:
    made = gs.fit(by_size(0.5 * 6 * SIZES), "N,T")
    assert made.law.flops == FlopsModel(
        "params", (pytest.approx(3.0), 1.0), pytest.approx(0, abs=1e-9), "total"
    )
    assert gs.Fit.from_json(made.to_json()) == made
    assert made.summary()["flops_learned"] == "given (learned from the runs: 0.5·6N, exact)"
    # What was fitted is told in the runs' own FLOPs.
    assert made.law.fitted.flops == (pytest.approx(3 * 50e6 * 2e9), pytest.approx(3 * 3e9 * 32e9))
    text = made.to_json()
    start = text.index('"constants"', text.index('"flops": {'))
    spoilt = text[:start] + text[start:].replace("3", "-3", 1)
    with pytest.raises(InvalidRequest, match="is not a fit"):
        gs.Fit.from_json(spoilt)
