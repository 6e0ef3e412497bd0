"""In a terminal words wrap at its width, and the answer comes before what it rests on; to a pipe lines stay whole."""

from __future__ import annotations

import os
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from gemstones.cli.app import GROUPS
from tests.cli.conftest import Cli
from tests.cli.test_environment import COMMAND
from tests.cli.test_hostile import commands

pty = pytest.importorskip("pty")


def in_terminal(columns: int, *words: str, **environment: str) -> str:
    """What a command writes to a terminal so many columns wide."""
    ours, theirs = pty.openpty()
    try:
        running = subprocess.Popen(
            [*COMMAND, *words],
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "COLUMNS": str(columns), "LINES": "40", "TERM": "xterm", **environment},
        )
        os.close(theirs)
        written = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            written += part
        assert running.wait() == 0
    finally:
        os.close(ours)
    return written.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize(
    "words",
    [
        "plan 1e22",
        "plan 1e22 --verbose",
        "data list",
        "predict gemstones-refit --at N=7e9,T=1e12",
        "fit pebbles",
    ],
)
def test_words_wrap_at_the_width(columns: int, words: str, cli: Cli) -> None:
    shown = in_terminal(columns, *words.split(), NO_COLOR="1")
    plain = re.sub(r"\033\[[0-9;]*m", "", shown)
    wide = [line for line in plain.splitlines() if len(line.rstrip()) > columns]
    assert all("─" in line or line.startswith(" ") for line in wide)  # of a table, which is never cut
    told = cli(*words.split()).out
    words_of = [line for line in told.splitlines() if ". " in line or ": " in line]
    for line in words_of:
        assert " ".join(line.split()) in " ".join(plain.split())


ANSWERS: dict[str, int] = {
    "backtest pebbles --law N,T --split leave-one-run-out --split compute --draws 40 --workers 1": 20,
    "backtest pebbles-2 --law N,T --select cooldown,all --split leave-one-run-out --draws 40 --workers 1": 20,
    "compare pebbles-2 --select cooldown --select-b muon --budget 1e13 --bootstrap 40 --workers 1": 12,
    "data show pebbles": 20,
    "data show pebbles-2": 20,
    "design --for 1e21 --spend 1e19 --runs 4": 20,
    "downstream gemstones-benchmarks --task hellaswag --form gadre --bootstrap 0": 16,
    "envelope pebbles --bootstrap 40 --workers 1": 15,
    "fit pebbles --law auto --select cooldown --workers 1": 26,
    "isoflop pebbles-2 --select cooldown --bootstrap 40": 26,
    "next pebbles --for 1e14 --bootstrap 40 --workers 1": 22,
    "overspend gemstones --tokens 300B": 20,
    "overspend pebbles --tokens 4M": 20,
    "overtrain 1e22": 22,
    "overtrain 1e22 --factors 1,4": 16,
    "plan --device-hours 1e5": 17,
    "plan 1e22": 12,
    "predict gemstones-refit --at N=7e9,T=1e12": 10,
    "sensitivity pebbles --law N,T --budgets 1e14 --bootstrap 0 --workers 1": 22,
    "suite plan studies/pebbles-2.toml": 35,
    "throughput pebbles": 15,
}
"""Commands, and the most lines of 80 columns in which each answers; `--verbose` says more."""
WHOLE: dict[str, int] = {
    "count 1280x15": 31,
    "data list": 30,
    "design --sizes 50M": 12,
    "fit pebbles --law N,T": 20,
}
"""Those that say all there is."""
WITHOUT = {
    "corpus build", "corpus import", "corpus show", "data fetch", "evaluate", "export", "paper", "runs collect",
    "study", "suite run", "suite status", "train",
}  # fmt: skip
"""Commands that make files, or tell of them: what they say is as long as those are many."""


def asked(words: str) -> object:
    marks = [pytest.mark.published_data] if " gemstones" in words.partition("gemstones-refit")[0] else []
    if words.startswith("suite plan"):  # it measures this machine
        marks.append(pytest.mark.skipif(find_spec("torch") is None, reason="needs PyTorch"))
    return pytest.param(words, marks=marks)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words are for a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("gemstones.cli.output._in_terminal", lambda: True)
    monkeypatch.chdir(Path(__file__).parents[2])


@pytest.mark.parametrize("words", [*map(asked, [*ANSWERS, *WHOLE])])
def test_answers_are_short_and_fit_eighty_columns_tables_included(
    words: str, cli: Cli, terminal: None
) -> None:
    lines = re.sub(r"\033\[[0-9;]*m", "", cli(*words.split()).out).rstrip().splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert 1 < len(lines) <= (ANSWERS | WHOLE)[words]
    assert ("--verbose" in "".join(lines[-3:])) == (words in ANSWERS)


@pytest.mark.parametrize("words", [*map(asked, ANSWERS)])
def test_what_is_left_out_of_an_answer_is_said_when_asked(words: str, cli: Cli) -> None:
    short, whole = (cli(*words.split(), *more).out for more in ([], ["--verbose"]))
    assert len(whole) > len(short)
    counted = sum(int(count) for count in re.findall(r"(\d+) cautions? and the", short))
    said = [len(re.findall(r"^caution", text, re.M)) for text in (short, whole)]
    assert said[1] == said[0] + counted


def test_every_command_is_held_to_it(cli: Cli) -> None:
    told = {" ".join(words.split()[: 1 + (words.split()[0] in GROUPS)]) for words in (*ANSWERS, *WHOLE)}
    assert {*commands(cli)} == told | WITHOUT


def test_progress_is_lines_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from gemstones.cli import output

    with output.share_bar() as tell:
        tell("resamples", 0.2)
    assert capsys.readouterr().err == ""  # what is quick says none
    monkeypatch.setattr(output, "EVERY_SECONDS", 0.0)
    with output.share_bar() as tell:
        tell("resamples", 0.25)
    assert capsys.readouterr().err == "25% resamples\n"


def test_how_far_a_plan_reaches_has_a_colour() -> None:
    assert "\033[33mtrust: 0.3 decades" in in_terminal(200, "plan", "1e22")
    assert "\033[33mtrust: within" in in_terminal(200, "plan", "1e20")  # with cautions: not green
    assert "\033[32mtrust: within" in in_terminal(200, "plan", "1e20", "--law", "chinchilla-epoch")
    assert "\033[31mtrust: " in in_terminal(200, "plan", "1e25")
    assert "\033[33m" not in in_terminal(200, "plan", "1e22", NO_COLOR="1")


def test_a_plan_answers_first_and_says_the_rest_when_asked(cli: Cli) -> None:
    short, whole = cli("plan", "1e22").out, cli("plan", "1e22", "--verbose").out
    assert len(in_terminal(80, "plan", "1e22").rstrip().splitlines()) <= 12
    assert "; 4 cautions and the rest: --verbose" in short and "[term_at_zero]" not in short
    assert "caution: the irreducible loss is at most " in whole and "[term_at_zero]" in whole
    for said in (
        "Chinchilla (Epoch's constants) would train",
        "95% intervals from 400",
        "of a new run",
        "forms that predict as well, this one included: N ",
    ):
        assert said in short and said in whole
    assert "trust: 0.3 decades" in short and "extrapolation: 0.3 decades" in whole
    for said in ("relaxed (real-valued)", "form chosen by backtests", "near-optimal in"):
        assert said in whole and said not in short
    assert cli("plan", "1e22", "--json").json == cli("plan", "1e22", "--verbose", "--json").json
    assert "near-optimal in" in cli("plan", "1e22", "--near-all").out


def test_a_pipe_has_whole_lines(cli: Cli, tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "plan", "1e22"],
        capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "80"},
    )  # fmt: skip
    assert done.stdout == cli("plan", "1e22").out and "\033" not in done.stdout
