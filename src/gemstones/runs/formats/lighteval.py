"""Scores of lighteval: its `results_….json`, the same as Parquet, and a frame of many checkpoints.

    {"config_general": {"model_name": …}, "results": {"leaderboard|hellaswag|10": {"acc": …}}}
    one row of Parquet, these objects as JSON text or structs
    an index of Gemstone-256x23-step_00002385 and a column for each task, as the Gemstones' benchmarks are published

Sources: https://github.com/huggingface/lighteval (logging/evaluation_tracker.py),
https://github.com/mcleish7/gemstone-scaling-laws (benchmarks/light_eval_df.parquet)
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from gemstones.errors import InvalidTable
from gemstones.runs.formats.arrow_files import parse_parquet
from gemstones.runs.formats.content import Content
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.task_results import checkpoint, column_of, has_keys, is_number, object_of, opened

_NAMED = "__index_level_0__"
"""The index of a frame of pandas."""
_INDEX = re.compile(r"(?P<model>.+?)-(?P<revision>main|(?:stage\d-)?step[_-]?\d+\S*|ckpt_\d+)")
_FOOTER = 1 << 20


def _detect(content: Content) -> bool:
    return content.is_text and has_keys(content.text, "results", "config_general")


def _open_lighteval(content: Content) -> Opened:
    return opened(
        [_of_lighteval(object_of(content.json, content.file), content.file)], LIGHTEVAL.name, content.file
    )


def _of_lighteval(held: Mapping[str, Any], file: str) -> dict[str, Any]:
    general = object_of(held.get("config_general"), file)
    configuration = general.get("model_config")
    told = configuration if isinstance(configuration, dict) else {}
    model = general.get("model_name") or told.get("model_name") or told.get("pretrained")
    row = checkpoint(model, told.get("revision") or general.get("revision") or "main", file)
    row["commit"] = general.get("model_sha") or None
    for task, scores in object_of(held.get("results"), file).items():
        if task == "all" or task.endswith(":_average|0"):
            continue
        parts = task.split("|")  # suite, task, examples; or task and examples
        name = parts[1] if len(parts) > 2 else parts[0]
        for metric, value in object_of(scores, file).items():
            if is_number(value):
                row[column_of(name, metric, "")] = value
    return row


def _is_table(content: Content) -> bool:
    footer = content.data[-_FOOTER:]
    if not content.data.startswith(b"PAR1") or b'"schema_version"' in footer:
        return False
    names = {_NAMED.encode()} if _NAMED.encode() in footer else {b"config_general", b"results"}
    if not all(name in footer for name in names):
        return False
    try:
        return bool(_rows_of_table(content))
    except InvalidTable:
        return False


def _open_table(content: Content) -> Opened:
    rows = _rows_of_table(content)
    if not rows:
        raise InvalidTable(
            "is no table of lighteval's scores: no index of models and revisions", file=content.file
        )
    return opened(rows, LIGHTEVAL_TABLE.name, content.file)


def _rows_of_table(content: Content) -> list[dict[str, Any]] | None:
    """Rows by an index of models and revisions, or of lighteval's own objects; None where there are none."""
    frame, _, _ = parse_parquet(content)
    if {"config_general", "results"} <= {*frame.columns}:
        return [
            _of_lighteval(
                {name: _unpacked(row[name]) for name in ("config_general", "results")}, content.file
            )
            for row in frame.to_dicts()
        ]
    if any(name.startswith("results.") for name in frame.columns):  # objects of Parquet come as columns
        return [_of_lighteval(_nested(row), content.file) for row in frame.to_dicts()]
    rows = []
    for values in frame.to_dicts():
        found = _INDEX.fullmatch(str(values.pop(_NAMED, "")))
        if found is None or not all(value is None or is_number(value) for value in values.values()):
            return None
        row = checkpoint(found["model"], found["revision"], content.file)
        rows.append(row | {column_of(task, "acc", ""): value for task, value in values.items()})
    return rows


def _nested(row: Mapping[str, Any]) -> dict[str, Any]:
    """`config_general` and `results` of columns like `results.leaderboard|piqa|0.acc`."""
    held: dict[str, Any] = {"config_general": {"model_config": {}}, "results": {}}
    for name, value in row.items():
        first, _, rest = name.partition(".")
        task, _, metric = rest.rpartition(".")
        if first == "results":
            held["results"].setdefault(task, {})[metric] = value
        elif first == "config_general" and value is not None:
            into = held[first]["model_config"] if task == "model_config" else held[first]
            into[metric] = value
    return held


def _unpacked(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None


LIGHTEVAL = Format(
    name="lighteval",
    files="`results_….json` of lighteval",
    command="gemstones data show 'results/*/*/results_*.json' --columns loss=1-hellaswag_acc",
    source="https://github.com/huggingface/lighteval",
    detect=_detect,
    open=_open_lighteval,
)
LIGHTEVAL_TABLE = Format(
    name="lighteval-table",
    files="a Parquet file of lighteval's scores: its results, or a frame by model and revision",
    command="gemstones data show light_eval_df.parquet --columns loss=1-hellaswag_acc",
    source="https://github.com/mcleish7/gemstone-scaling-laws",
    detect=_is_table,
    open=_open_table,
)
