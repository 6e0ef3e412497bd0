"""Where runs came from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One file, or frame, that rows were read from."""

    name: str
    location: str
    """URL or path; empty for a frame in memory."""
    sha256: str = ""
    licence: str = ""
