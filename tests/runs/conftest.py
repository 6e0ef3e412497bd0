"""Runs small enough to write down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gemstones.remedies import of_options


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


@pytest.fixture(autouse=True)
def of_the_command_line() -> Iterator[None]:
    """Errors are held against what the command line says; `tests/test_remedies.py` has what Python says."""
    with of_options():
        yield
