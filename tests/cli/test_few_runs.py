"""Tables that are too small, or lack a column: one line with the remedy, or an answer that says what it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

SHAPES = [(256, 4), (256, 8), (512, 6), (512, 12), (768, 8), (768, 16)]
ALL = "run width depth params_total tokens loss flops"
TABLES = {
    "one row": (1, 1, ALL),
    "one run": (1, 5, ALL),
    "two rows": (2, 1, ALL),
    "two runs": (2, 4, ALL),
    "three rows": (3, 1, ALL),
    "no parameters": (6, 3, "run tokens loss"),
    "no parameters, but flops": (6, 3, "run tokens loss flops"),
    "no shapes": (4, 3, "run params_total tokens loss"),
    "no flops": (3, 3, "run width depth tokens loss"),
    "a width and no depth": (6, 3, "run width tokens loss"),
    "no tokens": (6, 3, "run params_total flops loss"),
    "no loss": (6, 3, "run params_total tokens"),
    "no row": (0, 0, ALL),
}


def written(path: Path, name: str) -> Path:
    runs, checkpoints, columns = TABLES[name]
    lines = [",".join(columns.split())]
    for i, (width, depth) in enumerate(SHAPES[:runs]):
        params = 12 * width**2 * depth + 2 * 50304 * width
        for step in range(checkpoints):
            tokens = (step + 1) * 1e9 * (1 + 0.3 * i)
            loss = 1.7 + 400 / params**0.34 + 900 / tokens**0.33
            row = {
                "run": f"r{i}",
                "width": width,
                "depth": depth,
                "params_total": params,
                "tokens": tokens,
                "loss": round(loss + 0.01 * ((7 * i + 3 * step) % 5), 5),
                "flops": 6 * params * tokens,
            }
            lines.append(",".join(str(row[column]) for column in columns.split()))
    file = path / "mine.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


COMMANDS = {
    "data": ("data", "show", "RUNS"),
    "fit": ("fit", "RUNS"),
    "fit of shapes": ("fit", "RUNS", "--law", "w,d,N,T"),
    "fit of tokens": ("fit", "RUNS", "--law", "T", "--bootstrap", "40", "--workers", "1", "--output", "OUT"),
    "forced": ("fit", "RUNS", "--force"),
    "envelope": ("envelope", "RUNS"),
    "bins": ("envelope", "RUNS", "--method", "bins", "--bootstrap", "40", "--workers", "1"),
    "backtest": ("backtest", "RUNS", "--law", "N,T", "--draws", "40", "--workers", "1", "--output", "OUT"),
    "sensitivity": (
        "sensitivity", "RUNS", "--law", "N,T", "--delta", "1e-3", "--bootstrap", "0", "--workers", "1",
        "--output", "OUT",
    ),
    "overspend": ("overspend", "RUNS", "--tokens", "1B"),
    "throughput": ("throughput", "RUNS"),
    "isoflop": ("isoflop", "RUNS", "--bootstrap", "40", "--output", "OUT"),
    "downstream": ("downstream", "RUNS", "--columns", "exam=1/loss", "--task", "exam", "--workers", "1"),
    "compare": ("compare", "RUNS", "RUNS", "--bootstrap", "40", "--workers", "1", "--output", "OUT"),
    "next": ("next", "RUNS", "--for", "1e21", "--bootstrap", "40", "--workers", "1"),
    "predict": ("predict", "chinchilla", "--runs", "RUNS"),
    "plan": ("plan", "--device-hours", "1e3", "--throughput", "RUNS"),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_every_command_answers_or_says_why_not(cli: Cli, tmp_path: Path, name: str) -> None:
    runs = written(tmp_path, name)
    for command, words in COMMANDS.items():
        output = tmp_path / "out"
        outcome = cli(*({"RUNS": runs, "OUT": output}.get(word, word) for word in words))
        if outcome.status == 0:
            assert outcome.out and outcome.err == "", command
            assert not output.is_dir() or [*output.iterdir()], command
        else:
            assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1), (command, outcome)
            assert not output.exists() and "defect" not in outcome.err, (command, outcome)
        for file in sorted(output.rglob("*"), reverse=True) if output.is_dir() else [output]:
            if file.is_dir():
                file.rmdir()
            else:
                file.unlink(missing_ok=True)
        if output.is_dir():
            output.rmdir()


@pytest.mark.parametrize(
    "name", ["one row", "one run", "two rows", "no parameters", "no parameters, but flops"]
)
def test_a_study_says_what_it_cannot(cli: Cli, tmp_path: Path, name: str) -> None:
    output = tmp_path / "out"
    words = (
        "study",
        written(tmp_path, name),
        "--quick",
        "--bootstrap",
        "40",
        "--workers",
        "1",
        "--output",
        output,
    )
    outcome = cli(*words)
    assert (outcome.status, outcome.err) == (0, "")
    second = outcome.out.splitlines()[1]
    assert (
        "no plan from these runs: no law could be fitted" in second and " not fitted to all: " in outcome.out
    )
    assert len(outcome.out.splitlines()) <= 12
    assert "N,T not fitted to all: " in (output / "study.json").read_text()
    assert {"report.html", "study.json"} <= {file.name for file in output.iterdir()}
    assert json.loads((output / "study.json").read_text())["fits"] == []


@pytest.mark.parametrize("name", ["no tokens", "no loss", "no row"])
def test_a_study_of_nothing_is_refused(cli: Cli, tmp_path: Path, name: str) -> None:
    outcome = cli("study", written(tmp_path, name), "--quick", "--output", tmp_path / "out")
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "command", "said"),
    [
        ("one row", "fit", "parameters is the same in every row"),
        ("one row", "envelope", "the frontier by hull of mine (all) has one point: a line needs two or more; add runs"),
        ("one run", "envelope", "every model of mine (all) has 28.9M parameters: the frontier cannot say how size"),
        ("one run", "sensitivity", "no combination of choices has an answer for mine.csv"),
        ("three rows", "fit", "3 rows cannot determine 5 constants: fit fewer terms, add runs that differ, or --force"),
        ("no parameters", "fit", "column params_total: is needed but not known"),
        ("no parameters", "envelope", "column flops: is needed but not known"),
        ("no tokens", "fit", "--columns 'tokens=flops/(6*params_total)'"),
        ("no flops", "fit of shapes", "width has 2 different values"),
        ("two runs", "backtest", "nothing to backtest in all"),
    ],
)  # fmt: skip
def test_what_is_said(cli: Cli, tmp_path: Path, name: str, command: str, said: str) -> None:
    runs = written(tmp_path, name)
    outcome = cli(*({"RUNS": runs, "OUT": tmp_path / "out"}.get(word, word) for word in COMMANDS[command]))
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert said in outcome.err
