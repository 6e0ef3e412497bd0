"""The published data that tests read: from `GEMSTONES_DATA_DIR`, or `shared/data` beside the project."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from gemstones.runs import RunTable, load

# A busy machine is not a slow test; and CI asks about a change, not about luck: new examples are found elsewhere.
settings.register_profile("gemstones", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("gemstones")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


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


@pytest.fixture(scope="session")
def pebbles() -> RunTable:
    return load("pebbles")
