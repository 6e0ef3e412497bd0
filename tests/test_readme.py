"""The README: short, with pictures that are small, and commands that print what it says they print."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")

MOST_WORDS = 900
LARGEST_PICTURES = 300_000
"""Bytes of all pictures that it shows."""

NUMBER = re.compile(r"\d[\d,]*\.?\d*(?:e[-+]?\d+)?")


def shown() -> list[tuple[str, list[str]]]:
    """Every command whose output is shown, and the lines of that; `…` stands for lines that are left out."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif line.strip():
                found[-1][1].append(line.rstrip())
    return [(command, lines) for command, lines in found if lines]


def same(said: str, printed: str) -> bool:
    """Words are the same, and numbers to a percent: their last digits are the machine's."""
    if NUMBER.sub("#", said.strip()) != NUMBER.sub("#", printed.strip()):
        return False
    pairs = zip(NUMBER.findall(said), NUMBER.findall(printed), strict=True)
    values = ((float(a.replace(",", "")), float(b.replace(",", ""))) for a, b in pairs)
    return all(math.isclose(a, b, rel_tol=0.01) for a, b in values)


def test_its_length() -> None:
    assert len(README.split()) <= MOST_WORDS


def test_its_pictures() -> None:
    pictures = re.findall(r'(?:src|srcset)="([^"]+)"', README)
    assert len(pictures) == 2 and "prefers-color-scheme: dark" in README
    assert sum((ROOT / picture).stat().st_size for picture in pictures) < LARGEST_PICTURES


def test_it_shows_three_commands() -> None:
    assert [command.split()[1] for command, _ in shown()] == ["plan", "predict", "fit"]


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        pytest.param(command, lines, marks=[pytest.mark.long] if "--bootstrap" in command else [], id=command)
        for command, lines in shown()
    ],
)
def test_commands_print_what_it_says(command: str, lines: list[str]) -> None:
    words = command.split()
    assert words[0] == "gemstones"
    done = subprocess.run(
        [sys.executable, "-m", *words],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"},
    )
    printed = [line for line in done.stdout.splitlines() if line.strip()]
    at, skips = 0, False
    for line in lines:
        if line == "…":
            skips = True
            continue
        places = range(at, len(printed)) if skips else range(at, at + 1)
        at = 1 + next((i for i in places if i < len(printed) and same(line, printed[i])), len(printed))
        assert at <= len(printed), f"{command} does not print: {line}"
        skips = False
    assert skips or at == len(printed), "lines were left out after the last"


def test_numbers_are_compared() -> None:
    assert same("N 7.39B, T/N 29", "N 7.391B, T/N 29.0")
    assert not same("N 7.39B", "N 8.39B") and not same("N 7.39B", "T 7.39B")
