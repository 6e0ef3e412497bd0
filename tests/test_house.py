"""Rooms: what imports what, and that a question is filed in one place."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from gemstones.analyses import QUESTIONS
from gemstones.cli.app import COMMANDS, SECTIONS

grimp = pytest.importorskip("grimp")

ROOT = Path(__file__).parents[1]
Links = dict[str, list[str]]


@cache
def links(*, of_types: bool) -> Links:
    """What every module imports, inside its functions too; with `of_types` also for annotations alone."""
    graph = grimp.build_graph("gemstones", cache_dir=None, exclude_type_checking_imports=not of_types)
    return {module: sorted(graph.find_modules_directly_imported_by(module)) for module in graph.modules}


def circles(of: Links) -> Iterator[list[str]]:
    """Strongly connected modules, by Tarjan's algorithm."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []

    def visit(module: str) -> Iterator[list[str]]:
        number[module] = low[module] = len(number)
        stack.append(module)
        for other in of.get(module, ()):
            if other not in number:
                yield from visit(other)
            if other in stack:
                low[module] = min(low[module], low[other])
        if low[module] == number[module]:
            circle = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(circle) > 1:
                yield sorted(circle)

    for module in of:
        if module not in number:
            yield from visit(module)


def test_circles_are_found() -> None:
    assert list(circles({"a": ["b"], "b": ["c"], "c": ["a", "d"], "d": []})) == [["a", "b", "c"]]


def test_files_import_in_no_circle() -> None:
    assert list(circles(links(of_types=False))) == []


def test_types_make_circles_within_a_room_at_most() -> None:
    for circle in circles(links(of_types=True)):
        assert len({module.rpartition(".")[0] for module in circle}) == 1, circle


def test_no_import_is_exempt() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    assert len(contracts) == 3
    assert not any("ignore_imports" in contract for contract in contracts)


def test_every_question_has_its_room_and_its_command() -> None:
    folders = {path.parent.name for path in (ROOT / "src/gemstones/analyses").glob("*/__init__.py")}
    assert folders == {question.folder for question in QUESTIONS}
    commands = [question.command for question in QUESTIONS if question.command]
    assert len({*commands}) == len(commands)
    for question in QUESTIONS:
        if question.command:
            assert COMMANDS[question.command] == question.about
            assert question.command in SECTIONS[question.section]
            assert find_spec(f"gemstones.cli.{question.command}") is not None
        else:
            assert question.in_study and not question.section
        asked = f"gemstones.analyses.{question.folder}.in_study"
        assert (find_spec(asked) is not None) == question.in_study, asked
    assert sorted(name for names in SECTIONS.values() for name in names) == sorted(COMMANDS)


def test_a_study_asks_by_the_list_of_questions() -> None:
    from gemstones.analyses.analysis import Analyses, asked_of_a_study

    asked = asked_of_a_study()
    modules = [f"gemstones.analyses.{q.folder}.in_study" for q in QUESTIONS if q.in_study]
    assert [one.key for one in asked] == [import_module(module).ANALYSIS.key for module in modules]
    nothing = Analyses()
    assert nothing.summary() == {one.key: one.nothing for one in asked} and list(nothing.each()) == []
    assert nothing.sensitivity is None and nothing.overspend == () and len(nothing) == len(asked)
    with pytest.raises(AttributeError, match="no analysis 'astrology'"):
        nothing.astrology  # noqa: B018
    with pytest.raises(KeyError):
        nothing["astrology"]
