"""Files and frames as people have them → `Opened`: their rows, and what their formats say about them.

path → content → format (by what is in it) → Opened → one table of several files
"""

from gemstones.runs.formats.files import open_runs
from gemstones.runs.formats.frames import open_frame
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.registry import ADDRESSES, FILES, FOLDERS

SUFFIXES = (".parquet", ".csv", ".jsonl", ".ndjson")
"""Of files that are read; what a file holds goes before its name."""

__all__ = ["ADDRESSES", "FILES", "FOLDERS", "SUFFIXES", "Opened", "open_frame", "open_runs"]
