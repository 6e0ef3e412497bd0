"""Text that is not ours, fit to be printed: a name of a file or of a run moves no cursor and hides no letter."""

from __future__ import annotations


def printable(text: object) -> str:
    r"""`text` with control characters, line breaks and the like as escapes; bytes that were no text are told as such.

    >>> print(printable("a\x1b[31m\n"), printable("\udcff"), printable("\u202efdp"))
    a\x1b[31m\n \xff \u202efdp
    """
    # Arguments and names of files hold bytes that the locale could not read as lone surrogates.
    known = str(text).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in known)
