"""`python -m docs.site [--output FOLDER]`: build the site, and fail at a warning or at a link that leads nowhere."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from docs.site import command_line, gallery, links, public_names, sources


def main() -> int:
    """Gather, generate, build, and follow every link; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m docs.site", description=__doc__)
    parser.add_argument("--output", type=Path, default=sources.ROOT / "out" / "docs")
    output = parser.parse_args().output.resolve()
    gathered = output.with_name(output.name + "-sources")
    began = time.monotonic()
    for step in (sources.gather, command_line.write, public_names.write, gallery.write):
        step(gathered)
    print(f"docs: sources after {time.monotonic() - began:.0f} s", flush=True)
    here = Path(__file__).parent
    build = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-c", str(here)]
    doctrees = output.with_name(output.name + "-doctrees")
    done = subprocess.run(
        [*build, "-d", str(doctrees), str(gathered), str(output)], cwd=sources.ROOT, check=False
    )
    if done.returncode:
        return done.returncode
    gallery.write_study(output)
    if lost := links.broken(output):
        print("docs: links that lead nowhere:", *lost, sep="\n  ", file=sys.stderr)
        return 1
    pages = sum(1 for _ in output.rglob("*.html"))
    print(
        f"docs: {pages} pages, every link followed, {time.monotonic() - began:.0f} s: {output / 'index.html'}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
