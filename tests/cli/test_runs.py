"""`gemstones runs collect`, and what comes after it, on a made-up suite that follows a planted law."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from gemstones.accounting.parameters import params
from gemstones.design.spec import RunSpec
from gemstones.runs import read_runs
from tests.cli.conftest import Cli
from tests.runs.made_up import Trainer, cooldown_of, put_suite, spec_of

ALPHA, BETA, FLOOR = 0.34, 0.28, 1.69
"""L = 406 N^-α + 411 T^-β + E, with the exponents of Hoffmann et al., and N in all parameters."""
SHAPES = ("32x2", "64x2", "64x8", "128x4", "256x2", "256x8")
STEP = 128 * 32
HOW = {"tokens": 24 * STEP, "batch_sequences": 128, "checkpoint_tokens": 5 * STEP}
MAIN = [spec_of(shape, evaluate_tokens=STEP, **HOW) for shape in SHAPES]
ABLATED = [spec_of("64x2", family="lr-ablation", evaluate_tokens=4 * STEP, lr_base=2.5, **HOW)]
COOLED = [cooldown_of(MAIN[1], 10, 3)]


def law(run: RunSpec, step: int) -> float:
    return FLOOR + 406 * params(run.shape) ** -ALPHA + 411 * (step * run.batch_tokens) ** -BETA


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Finished, but for the last main run, which stands at step 12."""
    trainers = [
        Trainer(run, held_out=lambda step, run=run: law(run, step) - (run.family == "cooldown") * 0.1)
        for run in (*MAIN, *ABLATED, *COOLED)
    ]
    for trainer in trainers:
        if trainer.spec is MAIN[-1]:
            trainer.stop_after(1 + 2 * 12 + 2)  # a start, steps and evaluations, two checkpoints
        else:
            trainer.train()
    return put_suite(tmp_path / "suite", trainers)


def test_from_ledgers_to_a_plan(cli: Cli, suite: Path, tmp_path: Path) -> None:
    table, fit = tmp_path / "runs.parquet", tmp_path / "fit.json"
    collected = cli("runs", "collect", suite, "--output", table, "--json").json
    assert collected.keys() == {
        "output", "rows", "runs", "suite_runs", "finished", "families", "tokens", "loss", "notes", "fingerprint",
    }  # fmt: skip
    assert collected["output"] == str(table)
    assert (collected["rows"], collected["runs"], collected["suite_runs"], collected["finished"]) == (
        5 * 24 + 12 + 6 + 3,
        8,
        8,
        7,
    )
    assert collected["families"] == {
        "main": {"runs": 6, "rows": 132},
        "lr-ablation": {"runs": 1, "rows": 6},
        "cooldown": {"runs": 1, "rows": 3},
    }
    assert collected["tokens"] == [4096, 24 * 4096]
    assert collected["loss"][1] == law(MAIN[0], 1)
    assert collected["notes"] == [f"7 of 8 runs finished, the others taken as far as they are: {MAIN[-1].id}"]
    assert collected["fingerprint"] == read_runs(table).fingerprint

    fitted = cli("fit", table, "--law", "N,T", "--json", "--output", fit).json
    assert (fitted["rows"], fitted["runs"], fitted["selection"]) == (132, 6, "all")
    assert fitted["exponents"] == {"N": pytest.approx(ALPHA, abs=1e-4), "T": pytest.approx(BETA, abs=1e-4)}
    assert fitted["irreducible_loss"] == pytest.approx(FLOOR, abs=1e-3)
    assert fitted["assumptions"] == collected["notes"]
    # The ledgers themselves are as good as the table.
    assert cli("fit", suite, "--law", "N,T", "--json").json["exponents"] == fitted["exponents"]

    planned = cli("plan", "1e13", "--law", fit, "--width-multiple", "32", "--min-width", "32", "--json").json
    assert planned["models"] == {
        "head_size": 16, "queries_per_kv": 2, "mlp_expansion": 4, "vocabulary": 512, "context": 32,
    }  # fmt: skip
    assert planned["assumptions"] == collected["notes"]
    best = planned["params_total"] or planned["params"]
    exact = (ALPHA * 406 / (BETA * 411)) ** (1 / (ALPHA + BETA)) * (1e13 / 6) ** (BETA / (ALPHA + BETA))
    assert best == pytest.approx(exact, rel=1e-2)
    assert planned["nearest_shapes"]


def test_only_what_is_finished(cli: Cli, suite: Path, tmp_path: Path) -> None:
    table = tmp_path / "runs.parquet"
    collected = cli("runs", "collect", suite, "-o", table, "--finished", "--json").json
    assert (collected["rows"], collected["runs"], collected["finished"]) == (129, 7, 7)
    assert MAIN[-1].id not in read_runs(table).frame["run"].to_list()


def test_in_words(cli: Cli, suite: Path, tmp_path: Path) -> None:
    shown = cli("runs", "collect", suite, "--output", tmp_path / "runs.parquet")
    assert shown.status == 0
    lines = shown.out.splitlines()
    assert lines[0].startswith("141 rows of 8 runs; 7 of 8 runs finished; 4.1K to 98.3K tokens, loss ")
    assert f"note: 7 of 8 runs finished, the others taken as far as they are: {MAIN[-1].id}" in lines
    assert lines[-1] == f"written to {tmp_path / 'runs.parquet'}"
    assert "cooldown" in shown.out
    assert math.isfinite(float(lines[0].split()[-2]))
    assert f"assumed: {lines[-2].removeprefix('note: ')}" in cli("data", "show", suite).out.splitlines()


def test_refusals(cli: Cli, suite: Path, tmp_path: Path) -> None:
    def error(*arguments: object) -> str:
        outcome = cli("runs", "collect", *arguments)
        assert (outcome.status, outcome.out) == (2, "")
        assert outcome.err.count("\n") == 1
        return outcome.err

    assert "must be a Parquet file" in error(suite, "--output", tmp_path / "runs.csv")
    (tmp_path / "a.parquet").mkdir()
    assert "is a folder" in error(suite, "--output", tmp_path / "a.parquet")
    assert "No such file" in error(tmp_path / "absent", "--output", tmp_path / "runs.parquet")
    assert "is a folder without suite.json" in error(tmp_path, "--output", tmp_path / "runs.parquet")
    ledger = suite / MAIN[0].id / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"event":"saved"', b'"event":"save"', 1))
    told = error(suite, "--output", tmp_path / "runs.parquet")
    assert f"{ledger}: line 12 is no record of a ledger: Invalid value 'save'" in told
    assert not (tmp_path / "runs.parquet").exists()
    assert f"{ledger}: line 12" in cli("fit", suite, "--law", "N,T").err
