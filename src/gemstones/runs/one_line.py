"""Text that is not ours (cells, column names, other libraries' messages), made fit for a one-line error."""

from __future__ import annotations

from collections.abc import Iterable

LONGEST = 160
"""Characters kept of foreign text: enough to recognise it, short enough to read."""


def one_line(text: object, longest: int = LONGEST) -> str:
    """`text` up to its first blank line, without control characters, cut to `longest` characters."""
    # Libraries put the matter first and advice about their own options after a blank line.
    # Names of files hold bytes that are no text, or that the locale could not read, as lone surrogates.
    known = str(text).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    head = known.strip().split("\n\n", 1)[0]
    line = " ".join("".join(c if c.isprintable() else " " for c in head).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def listed(names: Iterable[object], most: int = 12) -> str:
    """`a, b, c`, with how many more there are after the first `most`."""
    shown = [one_line(name, 40) for name in names]
    rest = f" and {len(shown) - most} more" if len(shown) > most else ""
    return (", ".join(shown[:most]) + rest) or "none"
