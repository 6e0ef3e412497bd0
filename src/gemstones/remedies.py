"""Remedies in the words of whoever is told: options on the command line, arguments in Python.

Everything that says what to write, errors and notes alike, is written with options (`--where 'tokens > 1B'`), and kept
so in results. An error that reaches a Python user names the argument (`where='tokens > 1B'`), and so do displays.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterator
from contextvars import ContextVar

_OF_OPTIONS: ContextVar[bool] = ContextVar("_OF_OPTIONS", default=False)

_WORD = r"""(?:'[^']*'|"[^"]*"|[\w@%+=:,./…*-])+"""
_OPTION = re.compile(rf"`[^`]*`|(?<![\w-])--(?P<name>[a-z][a-z-]*)(?: (?P<value>{_WORD}))?")
"""A command in backticks, which stays as it is, or an option and what may be its value."""

_VALUES = {
    "where": r"['\"].*",
    "run-from": r"['\"].*",
    "columns": r".*=.*",
    "of": r".*=.*",
    "duplicates": "last|first|refuse",
    "loss-unit": "nats|bits|bits_per_byte",
    "format": "[a-z_]+",
    "select": r"[\w-]+",
    "validation": "[0-9.]+",
    "bootstrap": "[0-9]+",
    "draws": "[0-9]+",
    "executor": "slurm|local",
    "form": "gadre",
    "task": "my_exam",
}
"""What is a value of each option, and no next word of the sentence."""

_SWITCHES = {"force": "force=True", "quick": "quick=True", "near-all": "everything=True"}
_OTHERS = {
    "max-width": "constraints=Constraints(width_max=…)",
    "min-width": "constraints=Constraints(width_min=…)",
    "max-depth": "constraints=Constraints(depth_max=…)",
    "min-depth": "constraints=Constraints(depth_min=…)",
    "width-multiple": "constraints=Constraints(width_multiple=…)",
    "inference-tokens": "cost=Cost(inference_tokens=…)",
    "weight-above": "objective=Objective(above=…)",
    "delta": "objective=Objective(delta=…)",
    "resample": "unit=…",
    "level": "level=…",
}
"""Arguments that are called otherwise than the option."""


@contextlib.contextmanager
def of_options() -> Iterator[None]:
    """Within the block, errors name options: it is the command line that speaks."""
    token = _OF_OPTIONS.set(True)
    try:
        yield
    finally:
        _OF_OPTIONS.reset(token)


def for_caller(text: str) -> str:
    """`text` as it is on the command line, with arguments in place of options otherwise.

    >>> for_caller("map it with --columns 'loss=ln(ppl)', or --force")
    "map it with columns={'loss': 'ln(ppl)'}, or force=True"
    """
    return text if _OF_OPTIONS.get() else of_arguments(text)


def of_arguments(text: str) -> str:
    """`text` with an argument in place of every option.

    >>> of_arguments("leave such rows out: --where 'loss > 0'; see `gemstones fit --output`; raise --max-width")
    "leave such rows out: where='loss > 0'; see `gemstones fit --output`; raise constraints=Constraints(width_max=…)"
    """
    return _OPTION.sub(_argument, text) if "--" in text else text


def _argument(match: re.Match[str]) -> str:
    name, value = match["name"], match["value"] or ""
    if name is None:
        return match[0]
    after = match[0].removeprefix(f"--{name}")
    if name in _SWITCHES or name in _OTHERS:
        return (_SWITCHES | _OTHERS)[name] + after
    argument = name.replace("-", "_")
    kept = value if value[-1:] in {"'", '"'} else value.rstrip(".,:;")
    next_word = name == "format" and kept == value and match.end() < len(match.string)
    if next_word or not re.fullmatch(_VALUES.get(name, "(?!)"), kept, re.DOTALL):
        return f"{argument}=…{after}"
    try:
        written = "".join(shlex.split(kept))
    except ValueError:  # a quote that is not closed
        return f"{argument}=…{after}"
    return f"{argument}={_python(name, written)}{value[len(kept) :]}"


def _python(option: str, written: str) -> str:
    if option in {"columns", "of"}:
        pairs = (item.partition("=") for item in split_outside(written))
        return repr({key.strip(): expression.strip() for key, _, expression in pairs})
    return written if re.fullmatch("[0-9.]+", written) else repr(written)


_PIECE = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`|.""", re.DOTALL)
"""A quoted text, or one character; a quote that is not closed is a character."""


def split_outside(text: str) -> list[str]:
    """`text` split at commas outside () and quotes.

    >>> split_outside("flops=max(a,b),run='x,y'")
    ['flops=max(a,b)', "run='x,y'"]
    """
    parts, inside = [""], 0
    for match in _PIECE.finditer(text):
        piece = match[0]
        if piece == "," and not inside:
            parts.append("")
            continue
        inside = max(0, inside + (piece == "(") - (piece == ")"))
        parts[-1] += piece
    return parts
