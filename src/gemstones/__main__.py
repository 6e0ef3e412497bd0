"""`python -m gemstones`, the same as the command `gemstones`."""

from __future__ import annotations

import io
import sys


def main() -> None:
    """Run the command line and leave with its exit status."""
    from gemstones.cli.app import run

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show · or ± is no reason to fail
            stream.reconfigure(errors="replace")

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
