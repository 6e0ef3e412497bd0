"""docs/your-runs.md against the formats, and each format's file against the house's rules."""

from __future__ import annotations

import inspect
import re
import shlex
import sys
from pathlib import Path

import pytest

from gemstones.runs.formats import ADDRESSES, FILES, FOLDERS, content, registry, run_names
from gemstones.runs.formats.format import Format

PAGE = (Path(__file__).parents[3] / "docs" / "your-runs.md").read_text("utf-8")
ALL: tuple[Format, ...] = (*FILES, *FOLDERS, *ADDRESSES)  # type: ignore[type-arg]


def test_the_table_is_that_of_the_formats() -> None:
    assert registry.markdown() in PAGE


@pytest.mark.parametrize("known", ALL, ids=lambda known: known.name)
def test_a_command_names_the_data_and_is_one_of_the_shells(known: Format) -> None:  # type: ignore[type-arg]
    words = shlex.split(known.command)
    assert words[:3] == ["gemstones", "data", "show"]
    assert len(words) > 3
    options = {word for word in words if word.startswith("--")}
    assert options <= {"--columns", "--format", "--run-from", "--loss-unit", "--where"}
    assert re.fullmatch(r"https://\S+|ledger.md", known.source)


@pytest.mark.parametrize("known", ALL, ids=lambda known: known.name)
def test_a_format_is_one_short_file_that_names_its_source(known: Format) -> None:  # type: ignore[type-arg]
    module = sys.modules[inspect.getmodule(known.open).__name__]  # type: ignore[union-attr]
    source = inspect.getsource(module)
    assert len(source.splitlines()) < 200, module.__name__
    assert module.__doc__
    assert "Source" in module.__doc__ or known.name == "ledgers"


def test_numbers_on_the_page() -> None:
    assert f"{content.LARGEST >> 30} GiB" in PAGE
    assert ", ".join(f"`{name}`" for name in run_names.RUN_COLUMNS) in " ".join(PAGE.split())
