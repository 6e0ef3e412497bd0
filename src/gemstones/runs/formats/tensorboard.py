"""TensorBoard's event files: a column a tag, a row a step; sub-folders with event files are runs.

Source: https://github.com/tensorflow/tensorboard, tensorboard/backend/event_processing/event_accumulator.py. Its own
reader is used, told to keep every event (`size_guidance` 0), those of steps that were logged again among them.
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from gemstones.errors import InvalidTable, extra
from gemstones.runs.formats.content import Content
from gemstones.runs.formats.folders import files_in, has_file
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.records import frame_of_records
from gemstones.runs.formats.tool_names import known_by_tool
from gemstones.runs.one_line import one_line
from gemstones.runs.provenance import Source

NAME = "tensorboard"
PATTERN = "*tfevents*"
_FRAME = 16
"""Bytes around a record: its length of 8, and two checksums of 4."""


def _open_folder(folder: Path) -> Opened:
    runs = sorted({path.parent for path in files_in(folder, PATTERN)})
    several = runs != [folder]
    rows: list[dict[str, Any]] = []
    digest, said = hashlib.sha256(), []
    for run in runs:
        # A folder's own events beside those of its sub-folders are a run, "." to TensorBoard.
        name = (
            one_line(run.relative_to(folder).as_posix())
            if run != folder
            else one_line(folder.absolute().name)
        )
        rows += [{"run": name, **row} if several else row for row in _rows(run)]
        for path in sorted(run.glob(PATTERN)):
            digest.update(path.read_bytes())
            said += _left_out(path)
    opened = _opened(rows, one_line(folder), said, one_run=not several)
    source = Source(one_line(folder.absolute().name), str(folder), digest.hexdigest())
    return replace(opened, dataset=one_line(f"{folder.absolute().name}/"), sources=(source,))


def _open_file(content: Content) -> Opened:
    path = Path(content.source.location)
    return _opened(_rows(path), content.file, _left_out(path), one_run=True)


def _opened(rows: list[dict[str, Any]], file: str, said: list[str], one_run: bool) -> Opened:
    if not rows:
        raise InvalidTable("holds no scalars: log the validation loss as one", file=file)
    frame = frame_of_records(rows, file)
    return Opened(
        frame,
        NAME,
        file,
        one_run=one_run,
        known={"step": "step", **known_by_tool(frame.columns)},
        remedies={"tokens": "step*TOKENS_PER_STEP", "params_total": "size(run)"},
        assumptions=tuple(said),
    )


def _left_out(path: Path) -> list[str]:
    """What to know of a file of which TensorBoard's reader does not read all: it stops at the first damage."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader

    lengths = [len(record) for record in RawEventFileLoader(str(path)).Load()]
    rest = path.stat().st_size - sum(lengths) - len(lengths) * _FRAME
    if not rest:
        return []
    return [
        f"the last {rest:,} bytes of {one_line(path.name)}, after {len(lengths):,} events, are damaged or still being "
        "written, and left out"
    ]


def _rows(path: Path) -> list[dict[str, Any]]:
    """A row for each step, and one more where a tag was logged at the step again. Raises `InvalidTable`."""
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for tag, events in _events(path).items():
        again: dict[int, int] = defaultdict(int)
        for step, value in events:
            rows.setdefault((step, again[step]), {"step": step})[tag] = value
            again[step] += 1
    return [rows[key] for key in sorted(rows)]


def _events(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Steps and values by tag, of summaries of both of TensorBoard's versions."""
    with extra("trackers", "reading TensorBoard's event files"):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.util.tensor_util import make_ndarray
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    events: dict[str, list[tuple[int, float]]] = {}
    try:
        accumulator = EventAccumulator(
            str(path),
            size_guidance={"scalars": 0, "tensors": 0, "images": 1, "audio": 1, "histograms": 1},
            purge_orphaned_data=False,
        )
        accumulator.Reload()
        tags = accumulator.Tags()
        for tag in tags["scalars"]:
            events[tag] = [(event.step, event.value) for event in accumulator.Scalars(tag)]
        for tag in tags["tensors"]:
            if accumulator.SummaryMetadata(tag).plugin_data.plugin_name == "scalars":
                events[tag] = [
                    (event.step, float(make_ndarray(event.tensor_proto)))
                    for event in accumulator.Tensors(tag)
                ]
    except Exception as error:
        raise InvalidTable(f"is no whole event file: {one_line(error)}", file=one_line(path)) from None
    return events


FOLDER = Format(
    name=NAME,
    files="a folder of TensorBoard's event files, or of such folders",
    command="gemstones data show runs/ --format tensorboard --columns 'loss=eval/loss,tokens=step*524288'",
    source="https://github.com/tensorflow/tensorboard",
    detect=lambda folder: has_file(folder, PATTERN),
    open=_open_folder,
)
EVENT_FILE = Format(
    name=NAME,
    files="one of TensorBoard's event files",
    command="gemstones data show events.out.tfevents.1700000000.host.1.0 --columns 'loss=eval/loss,tokens=step*524288'",
    source="https://github.com/tensorflow/tensorboard",
    detect=lambda content: "tfevents" in content.path.name,
    open=_open_file,
)
