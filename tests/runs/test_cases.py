"""Files in the shapes that people have : the right table, or the refusal whose remedy works when pasted."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import params
from gemstones.errors import UserError
from gemstones.laws.fitting import fit
from gemstones.runs import RunTable, load, read_runs
from gemstones.shape import Shape

CASES = Path(__file__).parents[1] / "cases" / "runs"


def read(name: str, **options: Any) -> RunTable:
    return read_runs(CASES / name, **options)


def refusal(name: str, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        read(name, **options)
    message = str(caught.value)
    assert message.count("\n") == 0
    return message


def remedies(message: str) -> list[str]:
    """What a shell would take after every `--columns` of a message."""
    return [next(iter(shlex.split(text))) for text in re.findall(r"--columns ('[^']*'|[^\s]+)", message)]


def test_a_wide_chart_of_wandb() -> None:
    message = refusal("c11_wandb_wide.csv", columns="params_total=size(run)")
    assert remedies(message) == ["tokens=_step*524288"]
    table = read("c11_wandb_wide.csv", columns=f"params_total=size(run),{remedies(message)[0]}")
    assert (table.rows, table.runs) == (58, 6)
    first = table.frame.row(0, named=True)
    assert (first["run"], first["params_total"], first["tokens"], first["loss"]) == (
        "ladder-20M",
        20e6,
        524_288_000,
        4.6603,
    )
    assert table.mapped["params_total"] == "size(run)"


def test_a_history_of_wandb() -> None:
    table = read("c12_wandb_history_nan.csv")
    assert (table.rows, table.runs, table.mapped["loss"]) == (60, 6, "eval/loss")
    assert [(one.reason, one.rows) for one in table.dropped] == [("no loss", 66)]
    assert table.numbers("loss")[:2].tolist() == [4.6603, 4.38698]
    assert table.numbers("tokens")[:2].tolist() == [524_288_000, 1_048_576_000]


def test_steps_are_not_tokens() -> None:
    assert read("c12d_step_as_tokens.csv").numbers("tokens")[0] == 524_288_000
    message = refusal("c12d_step_as_tokens.csv", columns="tokens=_step")
    assert "column tokens: _step counts steps, not tokens" in message
    table = read("c12d_step_as_tokens.csv", columns=remedies(message)[0])
    np.testing.assert_array_equal(table.numbers("tokens"), table.numbers("source_tokens"))
    forced = read("c12d_step_as_tokens.csv", columns="tokens=_step", force=True)
    assert forced.numbers("tokens").max() == 10_000
    assert forced.warnings[0].startswith("implausible: column tokens: _step counts steps")
    assert any(flag.startswith("implausible") for flag in fit(forced.select()).flags)


def test_a_resumed_run_has_its_later_rows() -> None:
    table = read("c13_resumed_duplicates.csv")
    assert table.rows == 60
    assert sum(one.rows for one in table.dropped) == 2
    at = table.frame.filter((table.frame["run"] == "ladder-90M") & (table.frame["step"] == 5000))
    assert at["loss"].to_list() == [3.50491]
    said = "\n".join(table.assumptions)
    assert "row 27, run 'ladder-90M' has 2621440000 tokens in row 25 already" in said
    assert "--duplicates last" in said
    first = read("c13_resumed_duplicates.csv", duplicates="first")
    assert 3.50191 in first.frame["loss"].to_list()
    assert "--duplicates last" in refusal("c13_resumed_duplicates.csv", duplicates="refuse")


def test_metrics_of_lightning() -> None:
    message = refusal("c14_lightning_metrics.csv")
    assert "column tokens: is missing" in message
    table = read("c14_lightning_metrics.csv", columns=f"{remedies(message)[0]},params_total=20M")
    assert (table.rows, table.runs) == (10, 1)
    assert table.numbers("loss")[0] == 3.1101
    assert [(one.reason, one.rows) for one in table.dropped] == [("no loss", 10)]


def test_the_state_of_a_hugging_face_trainer() -> None:
    table = read("c15_trainer_state.json", columns="params_total=125M")
    assert table.numbers("tokens").tolist() == [262_144_000, 524_288_000, 786_432_000, 1_048_576_000]
    assert table.numbers("loss").tolist() == [3.1] * 4
    assert table.runs == 1


def test_a_sweep_of_nanochat() -> None:
    table = read("c16_nanochat_results.csv")
    assert (table.rows, table.runs, table.loss_unit, table.flops_convention) == (
        24,
        24,
        "bits_per_byte",
        "given",
    )
    first = table.frame.row(0, named=True)
    assert (first["loss"], first["flops"], first["params_total"]) == (0.822523, 1e18, 195_952_660)
    assert any(
        "flops_budget" in sentence and "a run of its own" in sentence for sentence in table.assumptions
    )
    assert fit(table.select()).law.loss_unit == "bits_per_byte"


def test_billions() -> None:
    message = refusal("c17d_billions.csv")
    assert remedies(message) == ["params_total=params*1e9,tokens=tokens_B*1e9"]
    page = (Path(__file__).parents[2] / "docs" / "your-runs.md").read_text("utf-8")
    assert message.partition("c17d_billions.csv")[2] in page
    table = read("c17d_billions.csv", columns=remedies(message)[0])
    assert table.numbers("tokens")[0] == 1.4e9
    np.testing.assert_allclose(table.numbers("params_total")[0], 7e7)
    # Half mended is still refused, with both.
    half = refusal("c17d_billions.csv", columns="tokens=tokens_B*1e9")
    assert remedies(half) == ["tokens=tokens_B*1e9,params_total=params*1e9"]


def test_a_mixture_of_experts() -> None:
    table = read("c20_moe.csv")
    assert table.mapped == {"params_total": "total_params", "flops_per_token": "6*active_params"}
    assert table.numbers("flops_per_token")[0] == 6 * 20e6
    by_name = fit(table.select(), "active_params,T")
    assert by_name.law.exponents == pytest.approx((0.30, 0.33), abs=1e-3)
    mapped = fit(read("c20_moe.csv", columns="params_total=active_params").select())
    assert mapped.law.exponents == pytest.approx(by_name.law.exponents, abs=1e-6)


def test_repeated_data() -> None:
    table = read("c21_epochs.csv")
    assert (table.rows, table.runs) == (48, 48)
    assert table.numbers("unique_tokens")[0] == 1e8
    assert table.numbers("epochs")[:4].tolist() == [1, 4, 16, 40]


def test_a_file_a_run_with_several_losses() -> None:
    pattern = str(CASES / "c22_olmo_*.csv")
    with pytest.raises(UserError) as caught:
        read_runs(pattern)
    losses = remedies(str(caught.value))
    assert losses == [
        f"loss=eval/{name}-validation/CrossEntropyLoss" for name in ("c4_en", "dolma_books", "dolma_stack")
    ]
    table = read_runs(
        pattern,
        columns=f"{losses[0]},params_total=size(run),flops=throughput/total_training_Gflops*1e9",
        run_from=r"olmo_(.+)\.csv",
    )
    assert (table.rows, table.runs) == (10, 2)
    assert set(table.frame["run"]) == {"190M-1xC", "370M-1xC"}
    assert table.numbers("loss")[0] == 4.7909
    assert table.numbers("tokens")[0] == 104_857_600
    np.testing.assert_allclose(
        table.numbers("flops") / (6 * table.numbers("params_total") * table.numbers("tokens")), 1, rtol=0.01
    )


def test_gigaflops() -> None:
    columns = (
        "loss=eval/c4_en-validation/CrossEntropyLoss,params_total=190M,flops=throughput/total_training_Gflops"
    )
    message = refusal("c22_olmo_190M-1xC.csv", columns=columns)
    assert remedies(message) == [f"{columns}*1e9"]
    assert read("c22_olmo_190M-1xC.csv", columns=remedies(message)[0]).rows == 5


@pytest.mark.parametrize(
    ("name", "family", "rows"),
    [("c23_family_column.csv", "llama", 8), ("c23b_family_partly_blank.csv", "muon", 8)],
)
def test_a_family_of_the_users_own_decides_nothing(name: str, family: str, rows: int) -> None:
    assert read(name).select().rows == 24
    one = read(name, where=f"family = '{family}'")
    assert one.select().rows == rows
    assert one.select().selection == f"all where family = '{family}'"


def test_fields_of_the_shape_row_by_row() -> None:
    table = read("c24_headsize_column.csv")
    for row in table.frame.unique("run").iter_rows(named=True):
        shape = Shape(
            row["width"],
            row["depth"],
            head_size=row["head_size"],
            queries_per_kv=row["queries_per_kv"],
            vocabulary=row["vocabulary"],
        )
        assert row["params_total"] == params(shape)
        assert row["params_non_embedding"] == params(shape, "non_embedding")
        assert row["flops_per_token"] == flops_per_token(shape)
    assert table.assumptions == (
        "context 2,048 assumed for FLOPs (set it with --context)",
        "gated MLPs of 4 widths and an untied head assumed for parameters and FLOPs "
        "(give params_total and flops where they differ)",
    )


@pytest.mark.long
def test_every_case_is_read_again_as_it_was_written(tmp_path: Path) -> None:
    for path in sorted(CASES.glob("*.csv")):
        try:
            table = read_runs(path)
        except UserError:
            continue
        table.write_parquet(tmp_path / "t.parquet")
        again = load(tmp_path / "t.parquet")
        assert again.frame.equals(table.frame), path
        for field in ("loss_unit", "mapped", "dropped", "warnings", "where", "assumptions", "format"):
            assert getattr(again, field) == getattr(table, field), (path, field)
