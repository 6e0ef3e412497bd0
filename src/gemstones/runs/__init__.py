"""Published files, ledgers and users' tables → one validated `RunTable`, one row per (run, checkpoint).

    fetch / a path / a frame → readers → cells → rules → completion → RunTable → selections
    a folder of runs → folders → ledger → collect → rules → …

`load("gemstones").select("le100B-2B")` is the usual way in. polars and pooch are imported inside functions,
so that importing this package stays light.
"""

from gemstones.runs.architecture import GEMSTONES_ARCHITECTURE, Architecture
from gemstones.runs.building import build_table
from gemstones.runs.fetch import ENTRIES, Entry
from gemstones.runs.mapping import parse_columns
from gemstones.runs.provenance import Source
from gemstones.runs.readers import read_runs
from gemstones.runs.schema import SCHEMA, Column
from gemstones.runs.selections import Selection, default_selection, selections_of
from gemstones.runs.sources import DATASETS, Dataset, load
from gemstones.runs.table import RunTable

__all__ = [
    "DATASETS",
    "ENTRIES",
    "GEMSTONES_ARCHITECTURE",
    "SCHEMA",
    "Architecture",
    "Column",
    "Dataset",
    "Entry",
    "RunTable",
    "Selection",
    "Source",
    "build_table",
    "default_selection",
    "load",
    "parse_columns",
    "read_runs",
    "selections_of",
]
