"""The data that tests read, and runs small enough to write down."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gemstones.runs import RunTable, load

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(autouse=True)
def data_dir(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of published files, in the environment whether the caller set it or not."""
    folder = Path(os.environ.get("GEMSTONES_DATA_DIR") or SHARED_DATA)
    assert folder.is_dir(), f"no data at {folder}: set GEMSTONES_DATA_DIR"
    monkeypatch.setenv("GEMSTONES_DATA_DIR", str(folder))
    for variable in ("GEMSTONES_CACHE", "GEMSTONES_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    return folder


@pytest.fixture(scope="session")
def _session_data_dir() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEMSTONES_DATA_DIR", os.environ.get("GEMSTONES_DATA_DIR") or str(SHARED_DATA))
        yield


@pytest.fixture(scope="session")
def gemstones(_session_data_dir: None) -> RunTable:
    return load("gemstones")


@pytest.fixture(scope="session")
def chinchilla(_session_data_dir: None) -> RunTable:
    return load("chinchilla")


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    """Two runs of two checkpoints each, with everything that a ledger measures."""
    return [
        {
            "run": run,
            "width": width,
            "depth": depth,
            "tokens": step * 2048 * 2048,
            "step": step,
            "loss": loss,
            "seconds_per_step": 1.5,
            "devices": 8,
            "note": note,
        }
        for run, width, depth, step, loss, note in (
            ("a", 512, 12, 477, 3.5, "first"),
            ("a", 512, 12, 954, 3.25, None),
            ("b", 1024, 28, 477, 3.0, "second"),
            ("b", 1024, 28, 954, 2.75, "third"),
        )
    ]
