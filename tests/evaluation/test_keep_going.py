"""One model that fails does not stop the others: what was measured stands, and each failure is a line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import gemstones as gs
from gemstones.errors import InvalidRequest
from gemstones.runs import load
from tests.cli.conftest import Cli, Outcome

Save = Callable[..., Path]
COLUMNS = "tokens=20*params_total"


@pytest.fixture(autouse=True)
def without_a_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GEMSTONES_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def ended(cli: Cli, capsys: pytest.CaptureFixture[str]) -> Cli:
    """As `cli`, of a command that leaves with a status of its own after it has printed."""

    def call(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as leaving:
            cli(*arguments)
        captured = capsys.readouterr()
        return Outcome(int(leaving.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def models(saved: Save) -> list[str]:
    """Two that are models, and between them a missing folder, one without a model, and one with broken weights."""
    saved("gemma", "first")
    (saved("gemma", "broken") / "model.safetensors").write_bytes(b"not weights")
    Path("empty").mkdir()
    saved("gpt2", "last")
    return ["first", "no/such/folder", "empty", "broken", "last"]


@pytest.mark.long
def test_the_others_are_evaluated(cli: Cli, ended: Cli, models: list[str], text: Path) -> None:
    words = ["evaluate", *models, "--corpus", f"a={text}", "--columns", COLUMNS]
    stopped = cli(*words, "--output", "r.parquet")
    assert (stopped.status, stopped.err.count("\n")) == (2, 1) and not Path("r.parquet").exists()
    outcome = ended(*words, "--output", "r.parquet", "--keep-going")
    assert outcome.status == 2
    lines = outcome.err.splitlines()
    assert [line.partition(" failed: ")[0] for line in lines] == [
        "gemstones: no/such/folder", "gemstones: empty", "gemstones: broken",
    ]  # fmt: skip
    assert (
        "does not exist" in lines[0] and "has no config.json" in lines[1] and "cannot be loaded" in lines[2]
    )
    assert "2 rows" in outcome.out
    assert load("r.parquet")["model"].to_list() == ["first", "last"]
    # The same call goes on with what is mended, and computes nothing again.
    Path("broken/model.safetensors").write_bytes(Path("first/model.safetensors").read_bytes())
    words.remove("no/such/folder")
    words.remove("empty")
    mended = cli(*words, "--output", "r.parquet", "--keep-going", "--json").json
    assert mended["resumed"] == 2 and mended["failed"] == []
    assert [row["model"] for row in mended["rows"]] == ["first", "broken", "last"]


def test_status_is_that_of_a_machine_where_it_alone_failed(
    ended: Cli, saved: Save, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gemstones.errors import Failure
    from gemstones.evaluation import evaluate as module

    saved("gemma", "first")
    saved("gpt2", "second")
    real = module.load_folder

    def failing(folder: Path, name: str, *others: Any) -> Any:
        if name == "first":
            raise Failure("model first: out of memory")
        return real(folder, name, *others)

    monkeypatch.setattr(module, "load_folder", failing)
    words = ["evaluate", "first", "second", "--corpus", f"a={text}", "--columns", COLUMNS, "--keep-going"]
    outcome = ended(*words, "--json")
    assert outcome.status == 1 and outcome.err == "gemstones: first failed: model first: out of memory\n"
    told = json.loads(outcome.out)
    assert told["failed"] == [{"model": "first", "error": "model first: out of memory"}]
    assert [row["model"] for row in told["rows"]] == ["second"]
    assert ended(*words, "no/such/folder").status == 2


def test_a_table_that_cannot_be_written_is_no_failure_of_a_model(
    cli: Cli, saved: Save, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each model would be computed for nothing."""
    from gemstones.evaluation.table import Output

    def full(self: Output, rows: Any, notes: Any) -> None:
        raise OSError(28, "No space left on device", "r.parquet")

    monkeypatch.setattr(Output, "write", full)
    saved("gemma", "first")
    words = ["evaluate", "first", "--corpus", f"a={text}", "--columns", COLUMNS, "--output", "r.parquet"]
    outcome = cli(*words, "--keep-going")
    assert (outcome.status, outcome.err) == (1, "gemstones: r.parquet: No space left on device\n")


# ---------------------------------------------------------------- from Python


@pytest.mark.long
def test_python_gives_the_table_of_the_file(models: list[str], text: Path) -> None:
    sets = {"a": text, "b": text}
    table = gs.evaluate(models, sets, columns=COLUMNS, output="r.parquet", keep_going=True, context=16)
    assert table["run"].to_list() == ["first on a", "first on b", "last on a", "last on b"]
    assert_frame_equal(table.frame, load("r.parquet").frame)
    assert [said.partition(" failed: ")[0] for said in table.warnings] == [
        "no/such/folder",
        "empty",
        "broken",
    ]
    again = gs.evaluate(["first", "last"], sets, columns={"tokens": "20*params_total"}, context=16)
    assert_frame_equal(table.frame, again.frame)
    assert again.warnings == () and again.loss_unit == "nats"
    bits = gs.evaluate(Path("first"), str(text), columns=COLUMNS, loss_unit="bits_per_byte", context=16)
    assert bits["loss"].to_list() == bits["bits_per_byte"].to_list() == table["bits_per_byte"].to_list()[:1]


@pytest.mark.long
def test_what_python_gives_goes_into_a_fit_and_a_comparison(saved: Save, text: Path) -> None:
    for step in (2385, 4770, 7155, 9540):
        saved("gemma", f"Gemstone-256x23/step_{step:08d}", seed=step)
    table = gs.evaluate("Gemstone-256x23", {"a": text}, revision="step_*", context=32)
    assert table["tokens"].to_list() == [step * 2048**2 for step in (2385, 4770, 7155, 9540)]
    made = gs.fit(table, "T", bootstrap=0, force=True)
    assert made.rows == 4
    thinned = gs.evaluate("Gemstone-256x23", {"a": text}, every="20B", context=32)
    assert_frame_equal(thinned.frame, table.frame.filter(pl.col("step") % 4770 == 0))


def test_mistakes_in_python_name_arguments(saved: Save, text: Path) -> None:
    saved()
    for wrong, said in (
        ({"corpus": {}}, "no text was given"),
        ({"models": "no/such/folder"}, "does not exist"),
        ({"columns": None}, r"give them with columns=…, over number"),
        ({"windows": "line"}, "windows 'line' are unknown"),
        ({"context": "many"}, "context 'many' must be a whole number"),
        ({"keep_going": True, "models": ["no/such/folder"]}, "does not exist"),
    ):
        with pytest.raises(InvalidRequest, match=said):
            gs.evaluate(**({"models": "model", "corpus": {"a": text}, "columns": COLUMNS} | wrong))
