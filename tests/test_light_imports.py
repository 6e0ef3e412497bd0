"""The package and its help load nothing heavy: by the interpreter's own log of imports, not a stopwatch."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "scipy",
    "polars",
    "pandas",
    "joblib",
    "altair",
    "torch",
    "vl_convert",
    "pooch",
    "tokenizers",
    "transformers",
}
COMMANDS = {
    *("count", "design", "data", "corpus", "suite", "train", "runs", "export"),
    *("fit", "envelope", "plan", "throughput", "study"),
}


def python(*arguments: str) -> tuple[str, set[str]]:
    """What a fresh interpreter printed, and the top-level packages that it imported."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        env=os.environ | {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    log = done.stderr.splitlines()
    assert [line for line in log if not line.startswith("import time:")] == []
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in log}
    assert "gemstones" in imported
    return done.stdout, imported


def commands(text: str) -> list[str]:
    """Names in the panels of commands of a help page, options left out."""
    panels = re.findall(r"^╭─ (?!Parameters|Arguments|Options).*?^╰", text, re.MULTILINE | re.DOTALL)
    return [name for panel in panels for name in re.findall(r"^│ ([a-z][a-z-]*) ", panel, re.MULTILINE)]


def test_the_package() -> None:
    _, imported = python("-c", "import gemstones")
    assert imported & HEAVY == set()


def test_help_lists_the_commands() -> None:
    text, imported = python("-m", "gemstones", "--help")
    assert imported & (HEAVY | {"numpy"}) == set()
    assert set(commands(text)) >= COMMANDS


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_of_a_command_and_of_those_below_it(command: str) -> None:
    pages = [[command]]
    while pages:
        page = pages.pop()
        text, imported = python("-m", "gemstones", *page, "--help")
        assert (page, imported & HEAVY) == (page, set())
        assert f"gemstones {' '.join(page)}" in text
        pages += [[*page, below] for below in commands(text)]


SAVE_WITHOUT = """
import pathlib, sys
from gemstones.errors import Failure, MissingExtra
sys.modules[sys.argv[1]] = None
from gemstones.figures.save import save_figure
try:
    save_figure(None, pathlib.Path(sys.argv[2], "figure"))
except MissingExtra as error:
    print(error, end="")
    sys.exit(error.exit_status - Failure.exit_status)
"""


@pytest.mark.parametrize("missing", ["altair", "vl_convert"])
def test_a_missing_extra_is_one_line_with_the_command_that_installs_it(missing: str, tmp_path: Path) -> None:
    text, _ = python("-c", SAVE_WITHOUT, missing, str(tmp_path))
    assert re.fullmatch(r"[\w ]+ needs the extra 'report': pip install 'gemstones\[report\]'", text)
    assert list(tmp_path.iterdir()) == []
