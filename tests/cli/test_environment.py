"""Environments that nobody means to have: every command still answers, or says in one line why it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gemstones.printable import printable
from tests.cli.conftest import Cli
from tests.cli.test_few_runs import written

COMMAND = [sys.executable, "-m", "gemstones"]
PLAIN = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
ENVIRONMENTS: dict[str, dict[str, str]] = {
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "no home": {"HOME": "/nonexistent", "GEMSTONES_CACHE": "/nonexistent/cache"},
    "no width": {"COLUMNS": "0", "LINES": "-3"},
    "width 1": {"COLUMNS": "1"},
    "garbage": {"COLUMNS": "wide", "TERM": "\x1b[31m", "NO_COLOR": "1", "FORCE_COLOR": "1"},
    "warnings": {"PYTHONWARNINGS": "error", "TMPDIR": "/nonexistent"},
    "no docstrings": {"PYTHONOPTIMIZE": "2"},
}


def gemstones(
    environment: dict[str, str], *words: object, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(os.fsencode, map(str, words))],
        env=environment, cwd=cwd, capture_output=True, text=True, check=False, timeout=120, errors="replace",
    )  # fmt: skip


@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.long
def test_commands_answer(name: str) -> None:
    for words in ("fit pebbles --bootstrap 40 --workers 1", "plan --help"):
        done = gemstones({**PLAIN, **ENVIRONMENTS[name]}, *words.split())
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        assert "40 resamples by run" in done.stdout or "--device-hours" in done.stdout
    wrong = gemstones({**PLAIN, **ENVIRONMENTS[name]}, "plan", "many")
    assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (2, "", 1)


def test_nothing_at_all_is_set(tmp_path: Path) -> None:
    done = gemstones({}, "study", written(tmp_path, "two runs"), "--quick", "--output", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out" / "report.html").is_file()


def test_the_current_folder_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    script = 'mkdir "$0" && cd "$0" && rmdir "$0" && shift 0 && exec "$@"'
    for words, status, said in (
        ("count 1024x28", 0, ""),
        ("fit pebbles", 0, ""),
        (
            "fit pebbles --bootstrap 128 --workers 2",
            1,
            "the current folder has been removed, change to another",
        ),
        ("fit pebbles --output fit.json", 2, "output fit.json cannot be written"),
        ("study pebbles --output out", 2, "output out cannot be made a folder"),
        ("fit mine.csv", 2, "mine.csv: does not exist"),
    ):
        done = subprocess.run(
            ["bash", "-c", script, gone, *COMMAND, *words.split()],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr.count("\n")) == (status, int(status > 0)), done
        assert said in done.stderr


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="a folder in which nobody writes, root neither")
@pytest.mark.parametrize(
    "words",
    [
        "fit pebbles --output fit.json",
        "study pebbles --quick --output out",
        "throughput pebbles --output a.json",
    ],
)
def test_a_folder_that_cannot_be_written(words: str) -> None:
    done = gemstones(PLAIN, *words.split(), cwd=Path("/proc"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "cannot be" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.long
def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """Names of files are bytes; in the locale C all but ASCII is."""
    latin, greek = tmp_path / "r\udcfcn.csv", tmp_path / "μ ü.csv"
    for file in (latin, greek):
        written(tmp_path, "two runs").rename(file)
        for environment in (PLAIN, {**PLAIN, **ENVIRONMENTS["C"]}):
            done = gemstones(environment, "fit", file, "--law", "T", "--output", f"{file}.json")
            assert (done.returncode, done.stderr) == (0, ""), done
            done = gemstones(environment, "fit", f"{file}x.csv")
            assert (done.returncode, done.stderr.count("\n")) == (2, 1)
            names = ("r\\xfcn.csvx.csv: does", "μ ü.csvx.csv: does", "? ?.csvx.csv: does")
            assert any(name in done.stderr for name in names)


EVIL = "a\x1b[31mb\nc\rd\u202ee\tf"


def test_control_characters_are_printed_as_escapes(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / f"{EVIL}.csv"
    head, *rows = written(tmp_path, "two runs").read_text().replace("r0", "r\x1b0").splitlines()
    file.write_text("\n".join([f"{head},\x1b[1m", *(f"{row},1" for row in rows)]))
    law = tmp_path / f"{EVIL}.json"
    for words in (
        ("data", "show", file),
        ("fit", file, "--law", "T", "--output", law),
        ("plan", "1e20", "--law", law),
        ("envelope", file),
        ("overspend", file, "--tokens", "2B"),
        ("fit", file, "--where", EVIL),
        ("fit", file, "--columns", f"loss={EVIL}"),
        ("fit", file, "--law", EVIL),
        ("fit", file, "--select", EVIL),
        ("fit", file, "--format", EVIL),
        ("fit", file, "--weights", EVIL),
        ("fit", tmp_path / f"none{EVIL}.csv"),
        ("fit", "pebbles", "--output", tmp_path / f"none{EVIL}" / "x.json"),
        ("study", "pebbles", "--output", file),
        ("plan", "1e20", "--law", f"none{EVIL}"),
        ("plan", "1e20", "--throughput", f"none{EVIL}"),
        ("count", EVIL),
        (EVIL,),
    ):
        outcome = cli(*words)
        assert outcome.status in {0, 2}, outcome
        for text in (outcome.out, outcome.err):
            assert all(c.isprintable() or c == "\n" for c in text), (words, text)
        assert outcome.status == 0 or (outcome.out, outcome.err.count("\n")) == ("", 1), outcome
    assert "\\x1b[31mb\\nc" in cli("fit", file, "--law", "T", "--output", law).out


def test_printable() -> None:
    assert printable("a b-ü·√N") == "a b-ü·√N"
    assert printable("\x1b[2J\0\r\n\t\u202e\u2028") == "\\x1b[2J\\x00\\r\\n\\t\\u202e\\u2028"
    assert printable("\udcff") == "\\xff" and printable("\udcc3\udcbc") == "ü"
