"""Scores of lm-evaluation-harness and lighteval: read as rows, and joined to losses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gemstones.errors import InvalidTable
from gemstones.runs import load


def harness(
    revision: str = "step1000", model: str = "EleutherAI/pythia-70m", **scores: float
) -> dict[str, Any]:
    """As lm-evaluation-harness 0.4 writes it, cut."""
    return {
        "results": {
            "hellaswag": {
                "alias": "hellaswag", "acc,none": scores.get("acc", 0.27), "acc_stderr,none": 0.0044,
                "acc_norm,none": 0.28, "acc_norm_stderr,none": 0.0045,
            },
            "gsm8k": {"alias": "gsm8k", "exact_match,strict-match": 0.01, "exact_match_stderr,strict-match": "N/A"},
        },
        "configs": {"hellaswag": {"task": "hellaswag"}}, "versions": {"hellaswag": 1.0}, "n-shot": {"hellaswag": 0},
        "config": {
            "model": "hf", "model_args": f"pretrained={model},revision={revision},dtype=float16",
            "model_num_parameters": 70_426_624, "model_revision": revision, "model_sha": "f" * 40,
        },
        "model_name": model,
    }  # fmt: skip


def lighteval(step: int = 2385) -> dict[str, Any]:
    """As lighteval writes it, cut."""
    return {
        "config_general": {
            "model_name": "tomg-group-umd/Gemstone-256x23", "model_sha": "e" * 40,
            "model_config": {"model_name": "tomg-group-umd/Gemstone-256x23", "revision": f"step_{step:08d}"},
        },
        "results": {
            "leaderboard|arc:challenge|25": {
                "acc": 0.22, "acc_stderr": 0.012, "acc_norm": 0.25, "acc_norm_stderr": 0.01,
            },
            "all": {"acc": 0.22, "acc_stderr": 0.012},
        },
        "versions": {"leaderboard|arc:challenge|25": 0},
    }  # fmt: skip


def write(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path


def test_files_of_the_harness_are_checkpoints(tmp_path: Path) -> None:
    for step in (1000, 2000):
        write(tmp_path / f"results_{step}.json", harness(f"step{step}", acc=0.25 + step / 1e5))
    table = load(str(tmp_path / "results_*.json"), columns="loss=1-hellaswag_acc")
    assert (table.format, table.rows, table.runs) == ("lm-eval", 2, 1)
    assert table["tokens"].to_list() == [1000 * 2_097_152, 2000 * 2_097_152]
    assert (
        table["hellaswag_acc"].to_list() == [0.26, 0.27] and table["hellaswag_acc_norm_stderr"][0] == 0.0045
    )
    assert table["gsm8k_exact_match_strict_match"][0] == 0.01 and table["commit"][0] == "f" * 40
    assert table["params_total"][0] == 70_426_624 and table["loss"].to_list() == pytest.approx([0.74, 0.73])


def test_a_file_of_lighteval(tmp_path: Path) -> None:
    table = load(write(tmp_path / "results.json", lighteval()), columns="loss=1-arc_challenge_acc_norm")
    assert (table.format, table["tokens"][0], table["step"][0]) == ("lighteval", 2385 * 2048**2, 2385)
    assert table["arc_challenge_acc"][0] == 0.22 and table["arc_challenge_acc_stderr"][0] == 0.012
    assert table["revision"][0] == "step_00002385" and "all_acc" not in table.columns


@pytest.mark.parametrize("as_text", [True, False])
def test_results_of_lighteval_as_parquet(tmp_path: Path, as_text: bool) -> None:
    held = lighteval()
    row = {name: json.dumps(held[name]) if as_text else held[name] for name in ("config_general", "results")}
    pl.DataFrame([row]).write_parquet(tmp_path / "results.parquet")
    table = load(tmp_path / "results.parquet", columns="loss=1-arc_challenge_acc")
    assert (table["run"][0], table["loss"][0]) == ("tomg-group-umd/Gemstone-256x23", pytest.approx(0.78))


@pytest.mark.published_data
def test_the_published_frame(data_dir: Path) -> None:
    path = data_dir / "mcleish7/gemstone-scaling-laws/benchmarks/light_eval_df.parquet"
    table = load(path, columns="loss=1-hellaswag_acc")
    assert (table.rows, table.runs, table.format) == (770, 22, "lighteval-table")
    assert table["tokens"].max() == 83_475 * 2048**2


def test_scores_are_joined_to_the_losses_of_their_checkpoints(tmp_path: Path) -> None:
    losses = tmp_path / "losses.csv"
    model = "EleutherAI/pythia-70m"
    losses.write_text(
        "run,model,revision,tokens,loss\n"
        f"a,{model},step1000,2e9,5\na,{model},step2000,4e9,4\na,{model},step3000,6e9,3\n"
    )
    for step in (1000, 2000):
        write(tmp_path / f"results_{step}.json", harness(f"step{step}", acc=0.25 + step / 1e5))
    table = load([str(losses), str(tmp_path / "results_*.json")])
    assert table["hellaswag_acc"].to_list() == [0.26, 0.27, None] and table["loss"].to_list() == [5, 4, 3]
    assert any("2 of 3 rows have them" in said for said in table.assumptions)
    write(tmp_path / "results_other.json", harness("step1000", "another/model"))
    with pytest.raises(InvalidTable, match="has none of the checkpoints of"):
        load([str(losses), str(tmp_path / "results_other.json")])
    (tmp_path / "without.csv").write_text("run,tokens,loss\na,2e9,5\n")
    with pytest.raises(InvalidTable, match="has no column model, by which"):
        load([str(tmp_path / "without.csv"), str(tmp_path / "results_1000.json")])


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    file = write(tmp_path / "results.json", harness())
    with pytest.raises(InvalidTable, match=r"loss.*hellaswag_acc"):
        load(file)
    held = harness("main", "someone/else")
    with pytest.raises(InvalidTable, match="tokens"):
        load(write(tmp_path / "results.json", held), columns="loss=1-hellaswag_acc")
    held["results"] = {}
    with pytest.raises(InvalidTable, match="has no score of any task"):
        load(write(tmp_path / "results.json", held))
    held["results"] = [1]
    with pytest.raises(InvalidTable, match="has a list where scores are an object"):
        load(write(tmp_path / "results.json", held))
