"""Where a suite's runs live: `RUNS/suite.json`, and a folder for each run with its `run.json` and ledger.

RUNS/suite.json            the runs in their order, and the corpus
RUNS/<run id>/run.json     what the run is: its `RunSpec`, and the corpus
RUNS/<run id>/ledger.jsonl what happened
RUNS/<run id>/checkpoints/ `gemstones.train.checkpoint`
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from gemstones.design.field_errors import field_error
from gemstones.design.spec import RunSpec
from gemstones.errors import InvalidRequest
from gemstones.files import read_bytes, trouble, write_text
from gemstones.runs.ledger import LEDGER, Ledger, read_ledger
from gemstones.runs.one_line import one_line

RUN, SUITE, CHECKPOINTS = "run.json", "suite.json", "checkpoints"
FORMAT = 1
"""Raised when a field changes its meaning."""


class _Stated(msgspec.Struct, frozen=True):
    format: int = FORMAT


class RunFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`run.json`."""

    format: int = FORMAT
    corpus: str
    """Folder of the corpus: absolute, or beside where the command is called."""
    held_out: dict[str, str] = {}
    """Folders of the corpora of the other held-out sets, by the names of the sets."""
    sources: dict[str, str] = {}
    """Folders of the corpora of the mixture, by the names of the sources."""
    spec: RunSpec


class SuiteFolder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`suite.json`."""

    format: int = FORMAT
    suite: str
    """The suite file that it was made from, as given."""
    corpus: str
    runs: tuple[str, ...]
    """Ids of the runs, in the suite's order: parents before children."""


_Kind = TypeVar("_Kind", RunFile, SuiteFolder)


def read_run(folder: Path) -> RunFile:
    """`run.json` of a run's folder; `InvalidRequest` for a folder that is none."""
    return _read(folder / RUN, RunFile, "a run's folder, made by `gemstones suite run`")


def read_suite(folder: Path) -> SuiteFolder:
    """`suite.json` of a suite's folder; `InvalidRequest` for a folder that is none."""
    suite = _read(folder / SUITE, SuiteFolder, "a suite's folder, made by `gemstones suite run`")
    for i, run in enumerate(suite.runs):
        if not run or not run.isprintable() or Path(run).name != run or run.startswith("."):
            raise InvalidRequest(f"{folder / SUITE}: runs[{i}]: {one_line(run)!r} is no name of a folder")
        if run in suite.runs[:i]:
            raise InvalidRequest(f"{folder / SUITE}: runs[{i}]: {one_line(run)} is there already")
    return suite


def write_run(folder: Path, run: RunFile) -> None:
    """Write `run.json`, making the folder."""
    _make(folder)
    write_text(folder / RUN, _pretty(run))


def write_suite(folder: Path, suite: SuiteFolder) -> None:
    """Write `suite.json`, making the folder."""
    _make(folder)
    write_text(folder / SUITE, _pretty(suite))


def ledger_of(folder: Path) -> Ledger:
    """The ledger of a run's folder; empty before its first session."""
    return read_ledger(folder / LEDGER)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise trouble(error, f"folder {folder} cannot be made") from None


def _read(path: Path, kind: type[_Kind], what: str) -> _Kind:
    try:
        document = msgspec.json.decode(read_bytes(path))
    except FileNotFoundError:
        raise InvalidRequest(f"{path.parent} has no {path.name}: name {what}") from None
    except OSError as error:
        raise trouble(error, f"{path} cannot be read") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidRequest(f"{path} is not JSON: {one_line(error)}") from None
    try:
        stated = msgspec.convert(document, _Stated).format
        if stated != FORMAT:  # before its fields, which another format may name otherwise
            raise InvalidRequest(
                f"{path}: format {stated} is not the {FORMAT} that this gemstones reads: use the version that wrote it"
            )
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{path}: {field_error(error, document, kind)}") from None


def _pretty(value: RunFile | SuiteFolder) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=1).decode() + "\n"
