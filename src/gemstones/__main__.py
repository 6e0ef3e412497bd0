"""`python -m gemstones`, the same as the command `gemstones`."""

from __future__ import annotations

import contextlib
import io
import os
import sys

LEAST_COLUMNS = 40


def main() -> None:
    """Run the command line and leave with its exit status."""
    _open_streams()
    _forget_width()
    from gemstones.cli.app import run

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show · or ± is no reason to fail
            stream.reconfigure(errors="replace")

    try:
        sys.exit(run(sys.argv[1:]))
    except SystemExit as left:
        if isinstance(left.code, int) and left.code and "torch._inductor.async_compile" in sys.modules:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(AttributeError, OSError, ValueError):
                    stream.flush()
            os._exit(left.code)  # the interpreter's end waits for compilers that are still at work
        raise


def _open_streams() -> None:
    """Standard streams that the caller closed lead nowhere: else the next file to be opened would take their place."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
                setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))


def _forget_width() -> None:
    """A width of the terminal that no terminal has is none: help would be a column of letters, or fail."""
    columns = os.environ.get("COLUMNS", "")
    if not (columns.isascii() and columns.isdigit() and len(columns) < 5 and int(columns) >= LEAST_COLUMNS):
        os.environ.pop("COLUMNS", None)


if __name__ == "__main__":
    main()
