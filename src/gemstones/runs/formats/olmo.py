"""Histories of OLMo's runs: a CSV file a run from W&B, or OLMo-core's JSON file a step.

Sources: https://github.com/allenai/OLMo-ladder, src/scaling/download_wandb_logs.py
(`throughput/total_tokens`, `throughput/total_training_Gflops`, `eval/NAME/CrossEntropyLoss`);
https://github.com/allenai/OLMo-core, src/olmo_core/train/callbacks/metric_saver.py (`metrics_step{step}.json` and
`metrics.json`, with `throughput/total tokens`, `throughput/total petaflops`, `eval/lm/NAME/CE loss`).

Both have a validation loss for each of many texts: which is meant is the user's to say, unless there is only one.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from gemstones.errors import InvalidTable
from gemstones.lazy import pl
from gemstones.runs.formats.content import Content
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.records import frame_of_records
from gemstones.runs.formats.run_names import run_column
from gemstones.runs.formats.tool_names import known_by_tool, only_one

_LOSS = re.compile(r"eval/.*/(CrossEntropyLoss|CE loss)")
_TOKENS = ("throughput/total_tokens", "throughput/total tokens")
_STEP = re.compile(r"metrics_step([0-9]{1,15})")


def _losses(columns: Collection[str]) -> list[str]:
    return [name for name in columns if _LOSS.fullmatch(name)]


def _known(columns: Collection[str]) -> dict[str, str]:
    return {**known_by_tool(columns), **only_one(columns, _losses(columns))}


def _open_csv(content: Content) -> Opened:
    frame = content.table.frame
    return Opened(
        frame,
        OLMO_CSV.name,
        content.file,
        one_run=run_column(frame) is None,
        known=_known(frame.columns),
        remedies={"params_total": "size(run)"},
        decimal_comma=content.table.decimal_comma,
    )


def _open_json(content: Content) -> Opened:
    if not isinstance(content.json, dict):
        raise InvalidTable("is no object of metrics", file=content.file)
    frame = frame_of_records([content.json], content.file)
    if (found := _STEP.search(content.stem)) and "step" not in frame.columns:
        frame = frame.select(pl.lit(int(found[1])).alias("step"), pl.all())
    return Opened(
        frame,
        OLMO_JSON.name,
        content.file,
        one_run=True,
        known=_known(frame.columns),
        remedies={"params_total": "size(run)"},
    )


def _is_json(content: Content) -> bool:
    if not content.is_text or content.text.lstrip()[:1] != "{":
        return False
    try:
        metrics = content.json
    except InvalidTable:
        return False
    return isinstance(metrics, dict) and (
        any(name in metrics for name in _TOKENS) or bool(_losses(metrics)) or "train/CE loss" in metrics
    )


OLMO_CSV = Format(
    name="olmo-csv",
    files="a CSV file for each of OLMo's runs, as the ladder downloads them",
    command="gemstones data show 'olmo_*.csv' --run-from 'olmo_(.+)\\.csv' "
    "--columns 'loss=eval/c4_en-validation/CrossEntropyLoss,params_total=size(run)'",
    source="https://github.com/allenai/OLMo-ladder",
    detect=lambda content: (
        any(name in content.columns for name in _TOKENS) and bool(_losses(content.columns))
    ),
    open=_open_csv,
)
OLMO_JSON = Format(
    name="olmo-json",
    files="OLMo-core's `metrics_step*.json`",
    command="gemstones data show 'runs/*/metrics_step*.json' --columns 'loss=eval/lm/c4_en-validation/CE loss'",
    source="https://github.com/allenai/OLMo-core",
    detect=_is_json,
    open=_open_json,
)
