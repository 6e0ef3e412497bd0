"""What is costly to make is made once in a session of tests, not once in each worker of pytest-xdist."""

from __future__ import annotations

import fcntl
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

Made = TypeVar("Made")


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Made]) -> Made:
    """What `make` gives, called with a new folder by the worker that asks first; the others read what it gave."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder, kept = base / f"once-{name}", base / f"once-{name}.pickle"
    with (base / f"once-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            folder.mkdir()
            made = make(folder)
            beside = kept.with_suffix(".part")
            beside.write_bytes(pickle.dumps(made))
            beside.rename(kept)
        return pickle.loads(kept.read_bytes())  # type: ignore[no-any-return]
