"""In a terminal words wrap at its width, and the answer comes before what it rests on; to a pipe lines stay whole."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.test_environment import COMMAND

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


@pytest.mark.parametrize(
    "words", ["plan 1e22", "overtrain 1e22 --factors 1,4", "predict gemstones-refit --at N=7e9,T=1e12"]
)
def test_short_answers_fit_eighty_columns_tables_included(words: str, cli: Cli) -> None:
    lines = in_terminal(80, *words.split(), NO_COLOR="1").splitlines()
    assert max(len(re.sub(r"\033\[[0-9;]*m", "", line)) for line in lines) <= 80
    short, whole = (cli(*words.split(), *more).out for more in ([], ["--verbose"]))
    assert "cautions and " in short and ": --verbose" in short and "[term_at_zero]" not in short
    assert "[term_at_zero]" in whole and len(whole) > len(short)


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
