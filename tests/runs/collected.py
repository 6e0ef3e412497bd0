"""Columns of collected runs that are not a function of what was trained.

All others are equal, row by row, for a suite that was interrupted and one that was not.
"""

from __future__ import annotations

TIMINGS = ("seconds_per_step", "device_hours")
"""What no two trainings of a run have in common."""
PROVENANCE = (
    "devices", "host", "device", "threads", "layout", "gemstones_version", "torch_version", "sessions", "state",
)  # fmt: skip
"""Where and how a run was trained."""
