"""Device hours: what a run occupied, from measured step times."""

from __future__ import annotations

from typing import Any


def device_hours(seconds_per_step: Any, step: Any, devices: Any) -> Any:
    """seconds_per_step · step · devices / 3600; numbers, arrays or table columns alike."""
    return seconds_per_step * step * devices / 3600
