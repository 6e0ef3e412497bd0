"""Studies small enough to make once a session, and runs that follow a known law."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from gemstones.report.study import Study, study
from gemstones.runs import RunTable, load


def shaped_runs() -> str:
    """CSV of nine shapes at four checkpoints each, whose losses follow a law of N and T with a little bend."""
    lines = ["width,depth,tokens,loss"]
    for width, depth, tokens in itertools.product((256, 512, 1024), (6, 12, 24), (1e9, 3e9, 9e9, 27e9)):
        params = 2 * 50304 * width + 12 * width**2 * depth
        loss = 1.8 + 480 / params**0.34 + 2000 / tokens**0.36 + 0.1 / depth + 3 / width
        lines.append(f"{width},{depth},{tokens:.0f},{loss:.6f}")
    return "\n".join(lines) + "\n"


def three_columns() -> str:
    """CSV of the least that a study can use: parameters, tokens, loss."""
    lines = ["params_total,tokens,loss"]
    for params, tokens in itertools.product((1e6, 3e6, 1e7, 3e7), (1e8, 3e8, 1e9)):
        lines.append(f"{params:.0f},{tokens:.0f},{1.7 + 400 / params**0.34 + 410 / tokens**0.28:.6f}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def gemstones_study(gemstones: RunTable, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study(gemstones, tmp_path_factory.mktemp("gemstones"), bootstrap=40)


@pytest.fixture(scope="session")
def chinchilla_study(chinchilla: RunTable, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study(chinchilla, tmp_path_factory.mktemp("chinchilla"), bootstrap=40, budgets=[1e22])


@pytest.fixture(scope="session")
def small_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "mine.csv"
    path.write_text(three_columns())
    return path


@pytest.fixture(scope="session")
def small_study(small_csv: Path) -> Study:
    return study(load(small_csv), small_csv.parent / "out", bootstrap=40, budgets=[1e18, 1e20])


@pytest.fixture
def shaped_csv(tmp_path: Path) -> Path:
    path = tmp_path / "shaped.csv"
    path.write_text(shaped_runs())
    return path
