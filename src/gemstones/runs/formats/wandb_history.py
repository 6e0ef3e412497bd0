"""The history of W&B runs as a table: a row a logged step, empty where a metric was not logged.

Source: https://docs.wandb.ai/ref/python/public-api/run (`run.history()`, `run.scan_history()`), whose rows have
`_step`, `_runtime` and `_timestamp`. `_step` counts calls of `log`, not steps of the optimizer.
"""

from __future__ import annotations

from gemstones.runs.formats.content import Content
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.run_names import run_column
from gemstones.runs.formats.tool_names import known_by_tool

STEP_REMEDY = {"tokens": "_step*TOKENS_PER_STEP"}


def _open(content: Content) -> Opened:
    table = content.table
    return Opened(
        table.frame,
        HISTORY.name,
        content.file,
        one_run=run_column(table.frame) is None,
        known=known_by_tool(table.frame.columns),
        remedies=STEP_REMEDY,
        decimal_comma=table.decimal_comma,
    )


HISTORY = Format(
    name="wandb-history",
    files="the history of W&B runs as CSV, with `_step`",
    command="gemstones data show history.csv --columns 'loss=eval/loss,tokens=_step*524288'",
    source="https://docs.wandb.ai/ref/python/public-api/run",
    detect=lambda content: "_step" in content.columns,
    open=_open,
)
