"""The reference of the command line: a page for every command, made of the application itself."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from docs.site.prose import markdown
from docs.site.sources import write_if_new
from gemstones.cli.app import COMMANDS, SECTIONS, build

FOLDER = "reference/commands"
_UP = "../../"
_EXAMPLE = re.compile(r"^Examples?:\s*", re.MULTILINE)
_FLAGS = ("--help", "-h", "--version")


def commands_of(name: str) -> Iterator[tuple[str, Any]]:
    """What a command is called, and its application; of a group those of its commands."""
    app = build(name)[name]
    own = [one for one in app if one not in _FLAGS]
    if own:
        yield from ((f"{name} {one}", app[one]) for one in own)
    else:
        yield name, app


def arguments_of(app: Any) -> list[Any]:
    """The arguments of one command that are given on the command line, in the order of its help."""
    return [one for one in app.assemble_argument_collection() if one.show]


def positional(argument: Any) -> bool:
    """Whether an argument is given by its place, and has no name."""
    return not any(name.startswith("-") for name in argument.names)


def _value(argument: Any) -> str:
    """What stands for the value of an option; nothing for a flag."""
    if argument.hint is bool:
        return ""
    kinds = {one for one in (argument.hint, *get_args(argument.hint)) if isinstance(one, type)}
    words = {int: "INTEGER", float: "NUMBER", Path: "PATH", bool: ""}
    return next((word for kind, word in words.items() if kind in kinds), "TEXT")


def _default(argument: Any) -> str:
    default = argument.field_info.default
    if argument.required:
        return "Required."
    if default is inspect.Parameter.empty or default is None or default is False or default in ((), ""):
        return ""
    text = ",".join(map(str, default)) if isinstance(default, tuple) else f"{default}"
    return f"Default: `{text}`."


def _option(argument: Any) -> str:
    names = [name for name in argument.names if name.startswith("-")] or list(argument.names)
    value = "" if positional(argument) else _value(argument)
    title = ", ".join(f"{name} {value}".strip() for name in names)
    choices = argument.get_choices() or ()
    one_of = f"One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else ""
    said = " ".join(filter(None, [markdown(argument.parameter.help or "", _UP), one_of, _default(argument)]))
    return f":::{{option}} {title}\n{said}\n:::\n"


def _words(argument: Any) -> str:
    (name, *_) = argument.names
    many = "..." if "tuple" in str(argument.hint) or "list" in str(argument.hint) else ""
    return f"{name}{many}" if argument.required else f"[{name}{many}]"


def _described(app: Any) -> tuple[list[str], str]:
    """Paragraphs of a command's description, and its example."""
    said, _, example = (app.help or "").partition("Example:")
    paragraphs = [" ".join(one.split()) for one in re.split(r"\n\s*\n", inspect.cleandoc(said))]
    return [one for one in paragraphs if one], inspect.cleandoc(example)


def command_text(called: str, app: Any, level: int) -> str:
    """What one command does, how it is called, an example, its arguments and its options."""
    arguments = arguments_of(app)
    places = [one for one in arguments if positional(one)]
    options = [one for one in arguments if not positional(one)]
    usage = " ".join(["gemstones", called, *map(_words, places), *(["[OPTIONS]"] if options else [])])
    paragraphs, example = _described(app)
    parts = [f"{'#' * level} gemstones {called}", *(markdown(one, _UP) for one in paragraphs)]
    parts.append(f"```text\n{usage}\n```")
    if example:
        lines = "\n".join(f"$ {line.strip()}" for line in example.splitlines() if line.strip())
        parts.append(f"Example:\n\n```console\n{lines}\n```")
    parts.append(f":::{{program}} gemstones {called}\n:::")
    for title, found in (("Arguments", places), ("Options", options)):
        if found:
            heading = title if level == 1 else f"{title} of `{called}`"
            parts += [f"{'#' * (level + 1)} {heading}", *map(_option, found)]
    return "\n\n".join(parts) + "\n"


def page(name: str) -> str:
    """The page of a command, or of a group with all its commands."""
    commands = list(commands_of(name))
    if [called for called, _ in commands] == [name]:
        return command_text(*commands[0], 1)
    head = f"# gemstones {name}\n\n{markdown(COMMANDS[name], _UP)}\n\n"
    return head + "\n".join(command_text(called, app, 2) for called, app in commands)


def index() -> str:
    """The page that lists them, in the order of `gemstones --help`."""
    parts = [
        "# The command line",
        "Made from the application itself when this site was built; `gemstones COMMAND --help` says the same. `--json` "
        "puts one JSON object on standard output, in base units. The exit status is 0 when done, 2 for a mistake of "
        "yours (one line says which value breaks which rule, and the remedy), 1 for a failure, 128 and its number for "
        "a signal, and 75 where the budget of `train` was over before the run.",
    ]
    for title, names in SECTIONS.items():
        rows = [f"| [`{name}`]({name}.md) | {markdown(COMMANDS[name], _UP)} |" for name in names]
        parts.append(f"## {title}\n\n| command | what it answers |\n|---|---|\n" + "\n".join(rows))
    every = "\n".join(name for names in SECTIONS.values() for name in names)
    parts.append(f":::{{toctree}}\n:hidden:\n:maxdepth: 1\n\n{every}\n:::")
    return "\n\n".join(parts) + "\n"


def write(folder: Path) -> None:
    """Write the pages below the folder of sources."""
    write_if_new(folder / FOLDER / "index.md", index())
    for name in COMMANDS:
        write_if_new(folder / FOLDER / f"{name}.md", page(name))
