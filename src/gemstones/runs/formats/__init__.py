"""Files and frames as people have them → `Opened`: their rows, and what their formats say about them.

path → content → format (by what is in it) → Opened
"""

from gemstones.runs.dropped import Dropped
from gemstones.runs.formats.files import FORMATS, SUFFIXES, open_runs
from gemstones.runs.formats.frames import open_frame
from gemstones.runs.formats.opened import Opened

__all__ = ["FORMATS", "SUFFIXES", "Dropped", "Opened", "open_frame", "open_runs"]
