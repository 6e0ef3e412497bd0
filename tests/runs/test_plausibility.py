"""Columns in another unit than their own: refused, with the factor that mends them; real tables pass."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from gemstones.errors import InvalidTable
from gemstones.runs import RunTable, load, read_runs
from gemstones.runs.plausibility import Columns, units
from gemstones.shape import FloatArray
from tests.runs.test_cases import CASES, remedies

# N and T are written in millions and billions (T in trillions), FLOPs with any prefix.
FACTORS = list(itertools.product((1.0, 1e6, 1e9), (1.0, 1e6, 1e9, 1e12), (1.0, 1e9, 1e12, 1e15, 1e18, 1e21)))


def columns_of(table: RunTable, *, flops: bool = True) -> Columns:
    def floats(name: str) -> FloatArray:
        values: FloatArray = table.frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        return values

    return Columns(
        tokens=floats("tokens"),
        loss=floats("loss"),
        params=floats("params_total"),
        flops=floats("flops") if flops else None,
        loss_unit=table.loss_unit,
    )


def check_units(table: RunTable) -> None:
    """Nothing to mend as it is; every planted unit is found and told."""
    for flops in (False, True):
        true = columns_of(table, flops=flops)
        assert true.params is not None
        assert units(true, {}) is None
        for n, t, c in FACTORS:
            if n == t == c == 1 or (c != 1 and not flops):
                continue
            wrong = Columns(
                true.tokens / t,
                true.loss,
                true.params / n,
                None if true.flops is None else true.flops / c,
                loss_unit=true.loss_unit,
            )
            found = units(wrong, {})
            assert found is not None, (n, t, c)
            wanted = {name: x for name, x in (("params", n), ("tokens", t), ("flops", c)) if x != 1}
            assert found.factors == wanted, (n, t, c)


@pytest.mark.parametrize(
    "name", ["c12d_step_as_tokens", "c16_nanochat_results", "c20_moe", "c21_epochs", "c23_family_column"]
)
def test_units_of_cases(name: str) -> None:
    check_units(read_runs(CASES / f"{name}.csv"))


def test_units_of_gemstones(gemstones: RunTable) -> None:
    check_units(gemstones.select("all"))


def test_units_of_chinchilla(chinchilla: RunTable) -> None:
    check_units(chinchilla)


def test_pebbles_pass_and_their_units_are_refused() -> None:
    """Of models so small the right factor cannot be told, but that there is one can."""
    table = load("pebbles")
    true = columns_of(table)
    assert units(true, {}) is None
    assert true.params is not None
    assert true.flops is not None
    for n, t, c in FACTORS[1:]:
        assert units(Columns(true.tokens / t, true.loss, true.params / n, true.flops / c), {}) is not None
    found = units(Columns(true.tokens / 1e6, true.loss, true.params), {"tokens": 1e6})
    assert found is not None
    assert found.factors == {"tokens": 1e6}


def grid(**changed: Any) -> pl.DataFrame:
    """Six runs of three checkpoints under a known law."""
    n = np.repeat([2e7, 5e7, 1.2e8, 3e8, 7e8, 1.5e9], 3)
    t = np.tile([2e9, 8e9, 3.2e10], 6)
    frame = {
        "run": [f"r{i}" for i in range(6) for _ in range(3)],
        "params_total": n,
        "tokens": t,
        "loss": 1.8 + 406 / n**0.34 + 410 / t**0.28,
    }
    return pl.DataFrame({name: column for name, column in (frame | changed).items() if column is not None})


def message_of(frame: pl.DataFrame, **options: Any) -> str:
    with pytest.raises(InvalidTable) as caught:
        read_runs(frame, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "other", "factor", "taken"),
    [
        ("tokens", "tokens_B", 1e9, "tokens=tokens_B*1e9"),
        ("tokens", "Tokens (M)", 1e6, 'tokens="Tokens (M)"*1e6'),
        ("tokens", "tokens_in_billions", 1e9, "tokens=tokens_in_billions*1e9"),
        ("tokens", "D", 1e9, "tokens=D*1e9"),
        ("tokens", "tokens", 1e6, "tokens=tokens*1e6"),
        ("params_total", "params_M", 1e6, "params_total=params_M*1e6"),
        ("params_total", "N", 1e6, "params_total=N*1e6"),
        ("params_total", "model_size_b", 1e9, "params_total=model_size_b*1e9"),
        ("params_total", "params_total", 1e9, "params_total=params_total*1e9"),
    ],
)
def test_a_remedy_works_when_pasted(name: str, other: str, factor: float, taken: str) -> None:
    right = grid()
    wrong = right.with_columns(pl.col(name) / factor).rename({name: other})
    (remedy,) = remedies(message_of(wrong))
    assert remedy == taken
    mended = read_runs(wrong, columns=remedy)
    np.testing.assert_allclose(mended.numbers(name), right[name].to_numpy())
    forced = read_runs(wrong, force=True)
    assert forced.warnings[0].startswith("implausible: ")
    assert forced.rows == right.height


@pytest.mark.parametrize(
    ("column", "factor"),
    [("flops", 1e9), ("total_flops", 1e12), ("compute", 1e15), ("C", 1e18), ("flops", 8.64e19)],
)
def test_flops_of_another_unit(column: str, factor: float) -> None:
    right = grid()
    flops = 6 * right["params_total"] * right["tokens"]
    (remedy,) = remedies(message_of(right.with_columns((flops / factor).alias(column))))
    mended = read_runs(right.with_columns((flops / factor).alias(column)), columns=remedy)
    np.testing.assert_allclose(mended.numbers("flops"), flops.to_numpy())


def test_flops_in_a_unit_that_the_name_states_are_proposed_and_not_taken() -> None:
    frame = grid().with_columns(total_gflops=6 * pl.col("params_total") * pl.col("tokens") / 1e9)
    table = read_runs(frame)
    assert table.flops_convention == "6N_total"
    (proposed,) = [s for s in table.assumptions if "total_gflops" in s]
    assert remedies(proposed) == ["flops=total_gflops*1e9"]
    assert read_runs(frame, columns=remedies(proposed)[0]).flops_convention == "given"
    assert "FLOPs are 1e-09 of 6·N·T" in message_of(frame, columns="flops=total_gflops")


def test_flops_below_tokens_without_a_size() -> None:
    frame = grid().with_columns(flops=pl.col("tokens") * 1.2).drop("params_total")
    assert remedies(message_of(frame)) == ["flops=flops*1e9"]


@pytest.mark.parametrize("ratio", [0.02, 0.36, 1.07, 8.0])
def test_other_ways_of_counting_flops_pass(ratio: float) -> None:
    frame = grid().with_columns(flops=6 * ratio * pl.col("params_total") * pl.col("tokens"))
    assert read_runs(frame).flops_convention == "given"


@pytest.mark.parametrize("column", ["ppl", "val_ppl", "eval/perplexity"])
def test_a_perplexity_alone(column: str) -> None:
    frame = grid().with_columns(pl.col("loss").exp().alias(column)).drop("loss")
    (remedy,) = remedies(message_of(frame))
    assert remedy == f"loss=ln({column})"
    np.testing.assert_allclose(read_runs(frame, columns=remedy).numbers("loss"), grid()["loss"].to_numpy())
    assert f"{column} is a perplexity" in message_of(frame, columns=f"loss={column}")


def test_a_perplexity_called_loss() -> None:
    frame = grid().with_columns(pl.col("loss").exp())
    (remedy,) = remedies(message_of(frame))
    assert remedy == "loss=ln(loss)"
    np.testing.assert_allclose(read_runs(frame, columns=remedy).numbers("loss"), grid()["loss"].to_numpy())


def test_perplexities_that_fall_from_hundreds() -> None:
    """Their median is that of a loss: where runs begin tells."""
    tokens = np.geomspace(1e8, 1e11, 40)
    frame = pl.DataFrame(
        {
            "run": np.repeat(["a", "b", "c"], 40),
            "params_total": np.repeat([1e8, 3e8, 1e9], 40),
            "tokens": np.tile(tokens, 3),
            "loss": np.tile(np.r_[np.geomspace(400, 12, 10), np.linspace(11, 6, 30)], 3),
        }
    )
    assert "runs begin at a loss of 400" in message_of(frame)


def test_losses_of_other_kinds_pass() -> None:
    """A first checkpoint near ln(vocabulary), a spike, bits per byte, and bits."""
    first = grid().with_columns(loss=pl.when(pl.col("tokens") == 2e9).then(10.9).otherwise("loss"))
    assert read_runs(first).warnings == ()
    spike = grid().with_columns(loss=pl.when(pl.int_range(pl.len()) == 7).then(60.0).otherwise("loss"))
    assert read_runs(spike).warnings == ()
    bits = grid().with_columns(pl.col("loss") / np.log(2))
    assert read_runs(bits, loss_unit="bits").loss_unit == "bits"


def test_steps_called_tokens() -> None:
    steps = np.tile([1, 2, 3], 6)
    assert "counts steps" in message_of(grid(tokens=steps))
    frame = grid(tokens=None, iteration=np.tile([1000, 2000, 3000], 6))
    (remedy,) = remedies(message_of(frame, columns="tokens=iteration"))
    assert remedy == "tokens=iteration*524288"
    assert read_runs(frame, columns=remedy).numbers("tokens")[0] == 524_288_000
    equal = grid(tokens=np.tile([1000, 2000, 3000], 6), global_step=np.tile([1000, 2000, 3000], 6))
    assert remedies(message_of(equal)) == ["tokens=tokens*524288"]


def test_models_of_thousands_of_parameters_pass() -> None:
    n = np.repeat([768.0, 5e3, 2e4, 1e5], 3)
    t = np.tile([1e6, 4e6, 1.6e7], 4)
    table = read_runs(pl.DataFrame({"params_non_embedding": n, "tokens": t, "loss": 2 + n**-0.1 + t**-0.1}))
    assert table.warnings == ()


def test_early_checkpoints_of_large_models_pass() -> None:
    t = np.tile([5e5, 1e8, 3e10], 3)
    n = np.repeat([1e9, 7e9, 7e10], 3)
    assert read_runs(grid(run=None, params_total=n, tokens=t, loss=2 + 100 / t**0.2)).rows == 9


def test_what_no_unit_mends(tmp_path: Path) -> None:
    frame = grid(tokens=np.tile([0.5, 2e9 + 0.0, 1e16], 6))
    frame.write_csv(tmp_path / "odd.csv")
    with pytest.raises(InvalidTable, match="mixed units"):
        read_runs(tmp_path / "odd.csv")
