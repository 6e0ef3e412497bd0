"""Folders of W&B's offline runs: `run-ID.wandb`, a log of records as the SDK writes them before they are synced.

Source: https://github.com/wandb/wandb, core/pkg/leveldb/record.go (LevelDB's log format: blocks of 32 KiB; chunks of
a checksum, a length and a type, which are whole, first, middle or last) and wandb/proto/wandb_internal.proto. The
records are read with the SDK's own messages; a log that ends in the middle of a record is that of a run that goes on.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from gemstones.errors import InvalidTable, extra
from gemstones.runs.formats.content import read_content
from gemstones.runs.formats.folders import files_in, has_file
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.wandb_runs import LoggedRun, opened_runs
from gemstones.runs.one_line import one_line
from gemstones.runs.provenance import Source

PATTERN = "*.wandb"
SUPERSEDED = "superseded by"
"""How the state begins of a run that `gemstones train` took back (`gemstones.train.sinks`)."""
_HEADER, _BLOCK, _CHUNK_HEADER = b":W&B", 32 * 1024, 7
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def _open(folder: Path) -> Opened:
    paths = files_in(folder, PATTERN)
    runs, said, digest = [], list[str](), hashlib.sha256()
    for path in paths:
        content = read_content(path)
        digest.update(content.data)
        run = _run(content.data, content.file, said)
        if run.state.startswith(SUPERSEDED):  # by our own sink: the run that followed has all that counts
            said.append(f"{run.id} is left out: it is {run.state}")
        else:
            runs.append(run)
    name = one_line(folder.absolute().name)
    source = Source(name, str(folder), digest.hexdigest())
    opened = opened_runs(runs, OFFLINE.name, one_line(folder), dataset=f"{name}/", source=source)
    return replace(opened, assumptions=tuple(said))


def _run(data: bytes, file: str, said: list[str]) -> LoggedRun:
    with extra("trackers", "reading W&B's offline runs"):
        from google.protobuf.message import DecodeError
        from wandb.proto import wandb_internal_pb2 as messages
    run = LoggedRun()
    try:
        for chunk in _records(data, file, said):
            record: Any = getattr(messages, "Record").FromString(chunk)  # noqa: B009  made when it is imported
            kind = record.WhichOneof("record_type")
            if kind == "run":
                run.id = record.run.run_id or run.id
                run.name = record.run.display_name or run.name
                run.config |= _items(record.run.config.update)
            elif kind == "config":
                run.config |= _items(record.config.update)
            elif kind == "summary":
                state = str(_items(record.summary.update).get("state", ""))
                run.state = state if state.startswith(SUPERSEDED) else run.state
            elif kind == "history":
                run.rows.append(_items(record.history.item))
    except InvalidTable:
        raise
    except (DecodeError, ValueError, RecursionError) as error:
        raise InvalidTable(f"is no whole log of W&B: {one_line(error)}", file=file) from None
    return run


def _items(items: Any) -> dict[str, Any]:
    """Values by name, the parts of a nested name joined by a point."""
    return {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def _records(data: bytes, file: str, said: list[str]) -> Iterator[bytes]:
    """The records, put together from their chunks; a log that is cut is told in `said`."""
    if not data.startswith(_HEADER):
        raise InvalidTable("is no log of W&B: it does not begin as one", file=file)
    place, parts, whole = _CHUNK_HEADER, list[bytes](), True
    while place + _CHUNK_HEADER <= len(data):
        left = _BLOCK - place % _BLOCK
        if left < _CHUNK_HEADER:  # the end of a block, too short for a chunk, is zeros
            place += left
            continue
        length = int.from_bytes(data[place + 4 : place + 6], "little")
        kind = data[place + 6]
        start, end = place + _CHUNK_HEADER, place + _CHUNK_HEADER + length
        if kind not in (_WHOLE, _FIRST, _MIDDLE, _LAST) or length > left - _CHUNK_HEADER:
            raise InvalidTable(f"is damaged from byte {place} on: copy it again", file=file)
        if end > len(data):
            break
        if zlib.crc32(data[place + 6 : end]) != int.from_bytes(data[place : place + 4], "little"):
            raise InvalidTable(f"is damaged from byte {place} on: copy it again", file=file)
        parts = [] if kind in (_WHOLE, _FIRST) else parts
        parts.append(data[start:end])
        whole = kind in (_WHOLE, _LAST)
        if whole:
            yield b"".join(parts)
        place = end
    if place < len(data) or not whole:
        said.append(f"{file} ends in the middle of a record, as of a run that goes on")


OFFLINE = Format(
    name="wandb-offline",
    files="a folder of W&B's offline runs (`wandb/`)",
    command="gemstones data show wandb/ --columns 'loss=eval/loss,tokens=_step*524288,params_total=n_params'",
    source="https://github.com/wandb/wandb",
    detect=lambda folder: has_file(folder, PATTERN),
    open=_open,
)
