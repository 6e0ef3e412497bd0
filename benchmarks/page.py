"""What opening a study's page costs: its size, and the main thread's time until the answer, and until all is there.

    gemstones study pebbles --output out/study
    python benchmarks/page.py out/study/report.html [--times 5]

Chromium by playwright, a fresh profile for each opening, 1440 x 900. `TaskDuration` of the protocol's Performance
domain is the time of all tasks of the page's main thread (parsing, scripts, style, layout, painting), in the thread's
own clock: what other work on the machine takes is not in it. The least of several openings is told.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu")
PARTS = ("TaskDuration", "ScriptDuration", "LayoutDuration", "RecalcStyleDuration")


def opening(browser: Browser, page: Path, theme: str) -> dict[str, dict[str, float]]:
    """Seconds of the main thread when the answer is there, and when intervals, other laws and the curve's are too."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=theme)  # type: ignore[arg-type]
    tab = context.new_page()
    protocol = context.new_cdp_session(tab)
    protocol.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> dict[str, float]:
        found = {one["name"]: one["value"] for one in protocol.send("Performance.getMetrics")["metrics"]}
        return {name: found[name] for name in PARTS}

    tab.goto(page.resolve().as_uri(), wait_until="load")
    tab.wait_for_selector(".answer[data-shown]", state="attached")
    opened = spent()
    tab.wait_for_selector(".answer[data-complete]", state="attached", timeout=120_000)
    tab.wait_for_timeout(300)
    complete = spent()
    context.close()
    return {"opened": opened, "complete": complete}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=Path)
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    content = given.page.read_bytes()
    print(f"size: {len(content) / 1e6:.2f} MB, {len(gzip.compress(content)) / 1e6:.2f} MB compressed")
    executable = shutil.which(os.environ.get("CHROMIUM") or "chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        print(browser.version)
        for theme in ("light", "dark"):
            runs = [opening(browser, given.page, theme) for _ in range(given.times)]
            for when in ("opened", "complete"):
                best = min((run[when] for run in runs), key=lambda one: one["TaskDuration"])
                every = ", ".join(f"{run[when]['TaskDuration']:.2f}" for run in runs)
                parts = ", ".join(f"{name.removesuffix('Duration')} {best[name]:.2f}" for name in PARTS)
                print(f"{theme}, {when}: {parts} s (all openings: {every})")
        browser.close()


if __name__ == "__main__":
    main()
