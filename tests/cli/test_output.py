"""`--output` writes over nothing that is read, and over nothing that the command did not write, unless it is forced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

GOOD = "run,params_total,tokens,loss\n" + "".join(
    f"{n:g},{n:g},{t:g},{1.8 + 400 / n**0.34 + 410 / t**0.28}\n"
    for n in (1e7, 3e7, 1e8, 3e8)
    for t in (1e9, 4e9, 16e9)
)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "runs.csv"
    file.write_text(GOOD)
    return file


def refused(cli: Cli, *words: object, saying: str) -> None:
    outcome = cli(*words)
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1), outcome
    assert saying in outcome.err


@pytest.mark.parametrize("force", [(), ("--force",)], ids=["", "force"])
@pytest.mark.parametrize(
    "command", [("fit", "runs.csv"), ("throughput", "runs.csv")], ids=lambda words: words[0]
)
def test_what_is_read_is_never_written_over(
    cli: Cli, runs: Path, command: tuple[str, ...], force: tuple[str]
) -> None:
    link, hard = runs.with_name("link.csv"), runs.with_name("hard.csv")
    link.symlink_to(runs)
    hard.hardlink_to(runs)
    for output in (runs, "runs.csv", "./runs.csv", link, hard, Path("..") / runs.parent.name / "runs.csv"):
        refused(
            cli, *command, "--output", output, *force, saying="is what is read, runs.csv: name another file"
        )
    assert runs.read_text() == GOOD


def test_a_pattern_of_files_too(cli: Cli, runs: Path) -> None:
    refused(cli, "fit", "*.csv", "--output", "runs.csv", "--force", saying="is what is read, runs.csv")


def test_what_others_wrote_is_not_written_over(cli: Cli, runs: Path) -> None:
    for name, content in (
        ("notes.txt", "precious"),
        ("other.json", '{"a": 1}'),
        ("list.json", "[1]"),
        ("x.bin", "\xff"),
    ):
        Path(name).write_text(content)
        refused(
            cli,
            "fit",
            runs,
            "--output",
            name,
            saying=f"output {name} is there and is not a fit: name another",
        )
        refused(
            cli,
            "throughput",
            "pebbles",
            "--bootstrap",
            0,
            "--output",
            name,
            saying="is not a throughput model",
        )
        assert Path(name).read_text() == content
    assert cli("fit", runs, "--output", "notes.txt", "--force").status == 0
    assert Path("notes.txt").read_text().startswith("{")


def test_what_it_wrote_itself_is(cli: Cli, runs: Path) -> None:
    for _ in range(2):
        assert cli("fit", runs, "--output", "fit.json").status == 0
        assert cli("throughput", "pebbles", "--bootstrap", 0, "--output", "time.json").status == 0
    refused(cli, "fit", runs, "--output", "time.json", saying="is not a fit")
    refused(cli, "throughput", "pebbles", "--output", "fit.json", saying="is not a throughput model")
    Path("empty.json").touch()
    assert cli("fit", runs, "--output", "empty.json").status == 0
    os.mkfifo("pipe")
    Path("link.json").symlink_to("fit.json")
    assert cli("fit", runs, "--output", "link.json").status == 0 and Path("link.json").is_symlink()


@pytest.mark.parametrize(
    "words",
    [
        "fit runs.csv", "throughput pebbles", "study runs.csv", "sensitivity runs.csv", "backtest runs.csv", "paper",
        "runs collect .", "corpus build runs.csv",
    ],
    ids=lambda words: words.split()[0],
)  # fmt: skip
@pytest.mark.parametrize("nothing", ["", " "])
def test_an_empty_name_is_none(cli: Cli, runs: Path, words: str, nothing: str) -> None:
    refused(cli, *words.split(), "--output", nothing, saying="'' names nothing: name a file or a folder")
    assert [path.name for path in runs.parent.iterdir()] == ["runs.csv"]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("study runs.csv --quick --bootstrap 0", "report.html"),
        ("study runs.csv --quick --bootstrap 0", "tables/plans.md"),
        ("sensitivity runs.csv", "sensitivity.json"),
        ("backtest runs.csv", "backtest.json"),
        ("paper", "paper.md"),
        ("paper", "figures/figure-02.png"),
    ],
)
def test_a_folder_with_others_files(cli: Cli, runs: Path, words: str, name: str) -> None:
    file = Path("out", name)
    file.parent.mkdir(parents=True)
    file.write_text("precious")
    refused(
        cli,
        *words.split(),
        "--output",
        "out",
        saying=f"output out/{name} is not what `gemstones {words.split(maxsplit=1)[0]}`",
    )
    assert file.read_text() == "precious"


@pytest.mark.long
def test_a_study_lives_beside_others_files_and_replaces_its_own(cli: Cli, runs: Path) -> None:
    words = ("study", runs, "--quick", "--bootstrap", 0, "--output", "out")
    Path("out/tables").mkdir(parents=True)
    Path("out/notes.md").write_text("precious")
    assert cli(*words).status == 0
    first = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}
    assert cli(*words).status == 0
    assert {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()} == first
    assert Path("out/notes.md").read_text() == "precious"
    page = Path("out/report.html")
    page.write_text("my notes")
    refused(cli, *words, saying="report.html is not what `gemstones study` wrote there")
    assert cli(*words, "--force").status == 0 and "my notes" not in page.read_text()
    refused(cli, "study", "out/study.json", "--output", "out", saying="study.json")
