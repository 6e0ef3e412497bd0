"""What `--help` offers: every command in a section, each with an example that can be called as it is written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from gemstones.cli.app import COMMANDS, GROUPS, SECTIONS, build, run


def leaves(app: Any, words: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command that does something."""
    for name in app:
        if not name.startswith("-"):
            below = app[name]
            if any(not one.startswith("-") for one in below):
                yield from leaves(below, (*words, name))
            else:
                yield " ".join((*words, name))


LEAVES = tuple(leaves(build()))


def test_every_command_is_in_one_section() -> None:
    assert sorted(name for names in SECTIONS.values() for name in names) == sorted(COMMANDS)


def test_the_line_of_a_group_names_each_of_its_commands() -> None:
    for group in GROUPS:
        named = re.findall(r"\w+", COMMANDS[group].partition(": ")[2])
        below = [leaf.split()[1] for leaf in LEAVES if leaf.split()[0] == group]
        assert below and set(below) <= set(named), group


@pytest.mark.parametrize("command", LEAVES)
def test_help_of_every_command_has_examples_that_parse(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    assert run([*command.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    examples = [
        " ".join(one.split()) for one in re.findall(r"^Example: gemstones (.+?)\n *\n", text, re.M | re.S)
    ]
    assert examples
    for example in examples:
        assert example.startswith(command)
        build().parse_args(shlex.split(example), exit_on_error=False, print_error=False)
