"""Pages on disk, and a browser that reads them: Debian's Chromium, a fresh profile for each test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from gemstones.report.result import Study
from gemstones.report.study import study
from gemstones.runs import load

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "a,b\n'c'&amp;${d}")
"""Names of runs."""


@dataclass
class Reader:
    """A page that is open, and everything that must not happen on it."""

    page: Page
    requests: list[str] = field(default_factory=list)
    """Addresses that the page asked for, other than its own."""
    complaints: list[str] = field(default_factory=list)
    """Errors and warnings of the console, and dialogs."""

    def open(self, file: Path, address: str = "") -> Page:
        """Open a file, at a #hash."""
        self.page.goto(f"{file.as_uri()}{address}")
        return self.page


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    executable = shutil.which(os.environ.get("CHROMIUM") or "chromium") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no Chromium: install one, or set CHROMIUM to its command")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def reader(chromium: Browser) -> Iterator[Reader]:
    """A desktop reader; what was asked of the network or complained of fails the test."""
    yield from read_with(chromium, {"viewport": {"width": 1280, "height": 900}})


@pytest.fixture
def phone(chromium: Browser) -> Iterator[Reader]:
    yield from read_with(
        chromium, {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
    )


def read_with(chromium: Browser, options: dict[str, object]) -> Iterator[Reader]:
    context = chromium.new_context(**options)  # type: ignore[arg-type]
    reader = Reader(context.new_page())

    def dismiss(dialog: object) -> None:
        reader.complaints.append(f"dialog {dialog.message}")  # type: ignore[attr-defined]
        dialog.dismiss()  # type: ignore[attr-defined]

    def route(asked: object) -> None:
        url = asked.request.url  # type: ignore[attr-defined]
        if url.startswith("file:") and url.partition("#")[0].endswith(".html"):
            asked.continue_()  # type: ignore[attr-defined]
        else:
            reader.requests.append(url)
            asked.abort()  # type: ignore[attr-defined]

    context.route("**/*", route)
    reader.page.on(
        "console",
        lambda said: reader.complaints.append(said.text) if said.type in ("error", "warning") else None,
    )
    reader.page.on("pageerror", lambda error: reader.complaints.append(str(error)))
    reader.page.on("dialog", dismiss)
    yield reader
    context.close()
    assert reader.requests == []
    assert reader.complaints == []


PAGE = "report.html"


@pytest.fixture(scope="session")
def stones_page(stones_study: Study) -> Path:
    return stones_study.output / PAGE


@pytest.fixture(scope="session")
def small_page(small_study: Study) -> Path:
    """Of three columns: no shapes, no runs that are named, no device hours."""
    return small_study.output / PAGE


@pytest.fixture(scope="session")
def hostile_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of runs whose names are HTML."""
    import polars as pl

    folder = tmp_path_factory.mktemp("hostile")
    rows = [
        {
            "run": name,
            "params_total": size,
            "tokens": tokens,
            "loss": 1.7 + 400 / size**0.34 + 410 / tokens**0.28,
        }
        for name, size in zip((*HOSTILE, "d", "e"), (1e6, 3e6, 1e7, 3e7, 1e8), strict=True)
        for tokens in (1e8, 3e8, 1e9)
    ]
    file = folder / "<b>runs.csv"
    pl.DataFrame(rows).write_csv(file)
    runs = load(file)
    return (
        study(runs, folder / "out", bootstrap=40, law="N,T", budgets=[1e18], workers=1, quick=True).output
        / PAGE
    )
