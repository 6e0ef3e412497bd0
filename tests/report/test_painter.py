"""Installed fonts are looked at only where the font that vl-convert brings is not among them."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from gemstones.figures.painter import configuration, folders, painter

LETTERS = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="30"><text x="5" y="20" '
    f'font-family="Liberation Sans">{"6·N of 1e21 FLOPs " * 9}</text></svg>'
)


def test_folders_of_the_font_that_is_brought_are_hidden_and_those_beside_it_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in (
        "a/x/LiberationSans-Bold.ttf",
        "a/y/deep/Other.ttf",
        "a/LICENSE",
        "b/Own.ttf",
        "data/fonts/Mine.otf",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    system = (
        f'<dir>{tmp_path}/a</dir>\n<dir>{tmp_path}/b</dir><dir prefix="xdg">fonts</dir><dir>/nowhere</dir>'
    )
    found = folders(system)
    assert found == [tmp_path / "a/y", tmp_path / "b", tmp_path / "data/fonts"]
    assert configuration(found).count("<dir>") == 3


def test_letters_are_drawn_without_opening_a_font_for_each() -> None:
    """A font that is opened is mapped, and each of its pages that is looked at is a fault: 2 or 3 a letter."""
    painter().svg_to_pdf(LETTERS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        painter().svg_to_pdf(LETTERS)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 500


def test_nothing_is_left_in_the_environment() -> None:
    before = dict(os.environ)
    painter.cache_clear()
    painter()
    assert dict(os.environ) == before
