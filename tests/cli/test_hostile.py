"""Wrong values at every option of every command: an answer, or one line, and nothing written.

Commands and options are those that `--help` names, so that a new one is tried too.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from types import FrameType

import pytest

from gemstones.cli.app import COMMANDS, GROUPS
from tests.cli.conftest import Cli, Outcome
from tests.cli.test_few_runs import ALL, written

SUITE = Path(__file__).parents[2] / "studies" / "tiny.toml"
SECONDS = 20
"""Nothing may hang."""

GOOD: dict[str, str] = {
    "count": "1024x28",
    "design": "--sizes 50M",
    "data list": "",
    "data fetch": "pebbles",
    "data show": "mine.csv",
    "corpus build": "text --output corpus",
    "corpus import": "text --output corpus",
    "corpus show": "folder",
    "suite plan": f"{SUITE}",
    "suite run": f"{SUITE} --prepare",
    "suite status": "folder",
    "train": "folder",
    "runs collect": "folder --output runs.parquet",
    "export": "folder --output export",
    "evaluate": "folder --corpus text --output runs.parquet",
    "fit": "mine.csv --law T",
    "envelope": "mine.csv",
    "downstream": "mine.csv --task loss --law T --bootstrap 0",
    "isoflop": "mine.csv",
    "predict": "chinchilla --at N=1B,T=20B",
    "compare": "mine.csv mine.csv --law T --workers 1",
    "backtest": "mine.csv --law T --workers 1",
    "next": "lossless.csv --for 1e20",
    "plan": "1e20 --law chinchilla",
    "throughput": "mine.csv",
    "overspend": "mine.csv --tokens 2B",
    "overtrain": "1e20 --factors 1 --law chinchilla",
    "paper": "--output paper",
    "sensitivity": "mine.csv --law T --approach approach3 --bootstrap 0 --workers 1",
    "study": "lossless.csv --output study",
}
"""What each command takes, small enough that a value that is no mistake costs nothing."""

NUMBERS = ("", "nan", "inf", "-1", "0", "1e400", "9" * 30, "٣", "1,5")
TEXTS = ("", "-1", "\0", "\x1b[31m\n\u202e")
PATHS = ("folder", "none", "pipe", "/dev/zero", "empty", "binary", "x" * 5000, "=", ",")
"""Of the ways to be no file, or of the wrong kind, each option is given two."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("GEMSTONES_OFFLINE", "1")  # `paper` stops there
    monkeypatch.setenv("GEMSTONES_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GEMSTONES_DATA_DIR", raising=False)
    written(tmp_path, "two runs")
    (tmp_path / "lossless.csv").write_text(
        f"{ALL.replace(' ', ',').replace(',loss', '')}\na,256,4,1e8,1e9,6e17\n"
    )
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("once upon a time\n" * 9)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "binary").write_bytes(bytes(range(256)) * 9)
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


@pytest.fixture
def no_hang() -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"hangs for {SECONDS} s")

    before = signal.signal(signal.SIGALRM, ring)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def options_of(cli: Cli, command: str) -> dict[str, str]:
    """Options that take a value, and its type."""
    told = cli(*command.split(), "--help").out
    return dict(re.findall(r"(--[a-z-]+)(?: -o)?\s+(STR\.\.\.|STR|INT|FLOAT|PATH|CHOICE)\b", told))


def commands(cli: Cli) -> Iterator[str]:
    for command in COMMANDS:
        if command in GROUPS:
            yield from (
                f"{command} {name}" for name in re.findall(r"^│ ([a-z]+) ", cli(command, "--help").out, re.M)
            )
        else:
            yield command


def test_every_command_is_tried(cli: Cli, here: Path) -> None:
    assert set(commands(cli)) == {*GOOD}, "add it to GOOD"
    assert options_of(cli, "runs collect") == {"--output": "PATH"}
    assert options_of(cli, "plan")["--near"] == "FLOAT"


def assert_ends_well(outcome: Outcome, command: str, new: set[Path], words: list[str]) -> None:
    told = (command, words, outcome, sorted(new))
    if outcome.status == 0:
        assert outcome.err == "", told
        return
    offline = command == "paper" and "GEMSTONES_DATA_DIR" in outcome.err
    offline |= command == "evaluate" and "is not in the cache of the hub" in outcome.err
    assert outcome.status == (1 if offline else 2), told
    assert outcome.err.count("\n") == 1 and outcome.err[:-1].isprintable(), told
    assert outcome.out == "" and not new, told


@pytest.mark.long
@pytest.mark.parametrize("command", GOOD)
@pytest.mark.usefixtures("no_hang")
def test_wrong_values_of_every_option(cli: Cli, here: Path, command: str) -> None:
    if command in {"corpus build", "corpus import", "train", "export", "evaluate"}:
        pytest.importorskip("transformers")
    good = GOOD[command].split()
    others = cycle(PATHS)
    tries = []
    for option, kind in options_of(cli, command).items():
        values = NUMBERS if kind in {"INT", "FLOAT"} else (*TEXTS, next(others), next(others))
        tries += [[*good, f"{option}={value}"] for value in values]
    if good and not good[0].startswith("--"):
        tries += [[*good[1:], "--", value] for value in (*NUMBERS, *TEXTS, *PATHS)]
    before = {*here.rglob("*")}
    for words in tries:
        signal.alarm(SECONDS)
        outcome = cli(*command.split(), *words)
        signal.alarm(0)
        new = {*here.rglob("*")} - before
        assert_ends_well(outcome, command, new, words)
        for path in sorted(new, reverse=True):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    assert (here / "binary").read_bytes() == bytes(range(256)) * 9 and (here / "text").read_text().startswith(
        "once"
    )
