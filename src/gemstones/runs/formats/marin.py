"""`tracker_metrics.jsonl` of Marin and Levanter: a run a line, or the events of one run.

Source: https://github.com/marin-community/marin: WandbTracker writes `{"config": {…}, "summary": {…}}` when a run
ends; JsonLoggerTracker `{"tracker": "json_logger", "event": "log", "step": …, "metrics": {…}}` for each step, which
logs may have behind a prefix. FLOPs are in units of 1e9. There are losses and bits per byte of many texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from gemstones.errors import InvalidTable
from gemstones.runs.formats.content import Content
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.json_lines import objects_of
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.records import flat, frame_of_records
from gemstones.runs.formats.tool_names import known_by_tool

_EVENT = '{"tracker"'
_MODEL = {"width": "config.model.hidden_dim", "depth": "config.model.num_layers"}


def _open(content: Content) -> Opened:
    events = _EVENT in content.text
    rows = list(_events(content.text) if events else _summaries(content))
    if not rows:
        raise InvalidTable("holds no metrics: no step was logged yet", file=content.file)
    frame = frame_of_records(rows, content.file)
    known = known_by_tool(frame.columns)
    known |= {name: column for name, column in _MODEL.items() if column in frame.columns}
    return Opened(frame, MARIN.name, content.file, one_run=events or frame.height == 1, known=known)


def _summaries(content: Content) -> Iterator[dict[str, Any]]:
    for row, record in enumerate(objects_of(content), start=1):
        summary, config = record.get("summary"), record.get("config")
        if not isinstance(summary, dict) or not isinstance(config, dict):
            raise InvalidTable("has no config and summary", file=content.file, row=row)
        path = record.get("run_path")
        run = {"run": path.rstrip("/").rpartition("/")[2]} if isinstance(path, str) else {}
        yield {**run, **flat(summary, "/"), "config": config}


def _events(text: str) -> Iterator[dict[str, Any]]:
    """The steps; a line that is cut, as the last of a running job, is passed over."""
    decoder = json.JSONDecoder()
    for line in text.split("\n"):
        start = line.find(_EVENT)
        if start < 0:
            continue
        try:
            event, _ = decoder.raw_decode(line, start)
        except (ValueError, RecursionError):
            continue
        metrics = event.get("metrics")
        if event.get("event") == "log" and isinstance(metrics, dict):
            yield {"step": event.get("step"), **flat(metrics, "/")}


MARIN = Format(
    name="marin",
    files="`tracker_metrics.jsonl` of Marin or Levanter",
    command="gemstones data show 'runs/*/tracker_metrics.jsonl' --columns loss=eval/paloma/c4_en/bpb "
    "--loss-unit bits_per_byte",
    source="https://github.com/marin-community/marin",
    detect=lambda content: (
        {"config", "summary"} <= content.first_object.keys()
        or (content.is_text and _EVENT in content.text[: 1 << 20] and '"metrics"' in content.text)
    ),
    open=_open,
)
