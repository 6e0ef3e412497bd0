"""`python -m docs.site.explorer_picture [STUDY]`: the pictures of the explorer that the README shows.

The first screen of a study's page, in both themes, as Chromium has it: of the folder of a study that was made before,
or of `make study`, made for it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from docs.site.sources import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page

WIDTH, HEIGHT = 1240, 940
"""Of the window, in CSS pixels."""

PICTURES = ROOT / "docs" / "pictures"
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run")
COLORS = 255
"""Of the palette: text stays sharp, laws keep their colours, and the files are small."""


QUIET, LONGEST = 3, 60
"""Seconds without a change after which the page is taken, and at the most: intervals come after the figures."""


def _settled(tab: Page) -> None:
    said, since = "", 0
    for _ in range(LONGEST):
        tab.wait_for_timeout(1000)
        now = tab.inner_text("body")
        since = since + 1 if now == said else 0
        said = now
        if since >= QUIET:
            return


def take(page: Path, folder: Path) -> list[Path]:
    """The first screen of `page` as `explorer-light.png` and `explorer-dark.png` in `folder`."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    command = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    pictures = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=command, args=[*FLAGS])
        for theme in ("light", "dark"):
            context = browser.new_context(
                viewport={"width": WIDTH, "height": HEIGHT},
                color_scheme="dark" if theme == "dark" else "light",
                device_scale_factor=1.5,
            )
            tab = context.new_page()
            tab.goto(page.resolve().as_uri())
            tab.wait_for_load_state("load")
            _settled(tab)
            pictures.append(folder / f"explorer-{theme}.png")
            tab.screenshot(path=pictures[-1])
            context.close()
        browser.close()
    for picture in pictures:
        with Image.open(picture) as whole:
            small = whole.convert("RGB").quantize(
                COLORS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
            )
        small.save(picture, optimize=True)
    return pictures


def main() -> None:
    """Make the study unless it is given, and take the pictures."""
    parser = argparse.ArgumentParser(prog="python -m docs.site.explorer_picture", description=__doc__)
    parser.add_argument("study", type=Path, nargs="?", help="Folder of a study with its report.html.")
    study = parser.parse_args().study
    with tempfile.TemporaryDirectory() as scratch:
        if study is None:
            study = Path(scratch) / "study"
            made = ["gemstones", "study", "pebbles-2", "--select", "cooldown", "--output", study]
            subprocess.run([sys.executable, "-m", *made], check=True)
        PICTURES.mkdir(exist_ok=True)
        for picture in take(study / "report.html", PICTURES):
            print(f"{picture.relative_to(ROOT)}: {picture.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
