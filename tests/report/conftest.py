"""Studies small enough to make once a session, and runs that follow a known law."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from gemstones.analyses.backtest import in_study as backtests
from gemstones.analyses.backtest.backtest import backtest
from gemstones.analyses.sensitivity import in_study as sensitivity
from gemstones.report.result import Study
from gemstones.report.study import study
from gemstones.runs import RunTable, load
from tests import stones
from tests.made_once import once


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
def stones_runs(tmp_path_factory: pytest.TempPathFactory) -> RunTable:
    file = stones.write(tmp_path_factory.mktemp("stones") / "stones.csv")
    return load(file, vocabulary=50_304, head_size=128, queries_per_kv=2, context=2048)


@contextmanager
def short_analyses() -> Iterator[None]:
    """Sensitivity and backtests of few splits and without resamples: they take most of the time of a study."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sensitivity, "DRAWS", 0)
        patch.setattr(backtests, "LAWS", ("N,T", "w,d,T"))
        splits = ("compute", "leave-one-width-out", "leave-one-run-out")
        patch.setattr(backtests, "backtest", partial(backtest, splits=splits, draws=40))
        yield


@pytest.fixture(scope="session")
def stones_study(stones_runs: RunTable, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """With every analysis and every kind of figure, of a law that is named: to choose one takes a minute."""

    def make(folder: Path) -> Study:
        with short_analyses():
            budgets = [1e20, 1e22, 1e24]
            return study(stones_runs, folder, law="w,d,N,T", budgets=budgets, bootstrap=60, workers=1)

    return once(tmp_path_factory, "stones-study", make)


@pytest.fixture(scope="session")
def gemstones_study(gemstones: RunTable, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Without what takes most of the time, and has tests of its own."""
    return once(
        tmp_path_factory,
        "gemstones-study",
        lambda folder: study(gemstones, folder, bootstrap=40, workers=1, quick=True),
    )


@pytest.fixture(scope="session")
def chinchilla_study(chinchilla: RunTable, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return once(
        tmp_path_factory,
        "chinchilla-study",
        lambda folder: study(chinchilla, folder, bootstrap=40, budgets=[1e22], workers=1, quick=True),
    )


@pytest.fixture(scope="session")
def small_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "mine.csv"
    path.write_text(three_columns())
    return path


@pytest.fixture(scope="session")
def small_study(small_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    def make(folder: Path) -> Study:
        with short_analyses():
            return study(load(small_csv), folder, bootstrap=40, budgets=[1e18, 1e20], workers=1)

    return once(tmp_path_factory, "small-study", make)


@pytest.fixture
def shaped_csv(tmp_path: Path) -> Path:
    path = tmp_path / "shaped.csv"
    path.write_text(shaped_runs())
    return path
