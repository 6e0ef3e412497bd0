"""What may never end is not waited for: a pipe without a writer and an endless device, wherever a file is asked for."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

pytestmark = [
    pytest.mark.skipif(
        not hasattr(os, "mkfifo") or not Path("/dev/zero").exists(), reason="needs pipes and devices"
    ),
    pytest.mark.timeout(60),
]


@pytest.fixture(params=["pipe", "/dev/zero", "/dev/stdin"])
def endless(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "pipe":
        os.mkfifo(tmp_path / "pipe")
        return tmp_path / "pipe"
    return Path(request.param)


@pytest.mark.parametrize(
    "command",
    [
        "data show {}",
        "fit {}",
        "study {} --output x",
        "plan 1e22 --law {}",
        "plan 1e22 --throughput {}",
        "suite plan {}",
        "corpus build {} --output x --vocabulary 300",
    ],
)
def test_a_file_that_never_ends(
    cli: Cli, endless: Path, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if command.startswith("corpus"):
        pytest.importorskip("tokenizers")
    monkeypatch.chdir(tmp_path)
    before = {*tmp_path.iterdir()}
    reading, writing = os.pipe()  # standard input that nobody writes to, nor closes
    kept = os.dup(0)
    os.dup2(reading, 0)
    try:
        outcome = cli(*command.format(endless).split())
    finally:
        os.dup2(kept, 0)
        for descriptor in (kept, reading, writing):
            os.close(descriptor)
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1), outcome
    assert str(endless) in outcome.err
    assert "pipe or a device" in outcome.err or "neither a file nor a folder" in outcome.err
    assert {*tmp_path.iterdir()} == before


@pytest.mark.parametrize("command", ["data show {}", "runs collect {} --output x.parquet", "suite status {}"])
@pytest.mark.parametrize("name", ["suite.json", "runs/a/run.json", "runs/a/ledger.jsonl"])
def test_in_a_folder(cli: Cli, tmp_path: Path, command: str, name: str) -> None:
    (tmp_path / "runs" / "a").mkdir(parents=True)
    os.mkfifo(tmp_path / name)
    outcome = cli(*command.format(tmp_path).split())
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1), outcome


def test_standard_input(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    table = b"run,params_total,tokens,loss\na,1e8,1e9,3.5\na,1e8,2e9,3.3\nb,2e8,1e9,3.4\nb,2e8,2e9,3.2\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(table)))
    shown = cli("data", "show", "-", "--where", "tokens > 1B", "--json").json
    assert (shown["rows"], shown["runs"]) == (2, 2)
