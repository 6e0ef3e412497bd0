"""Scores of benchmarks by checkpoint: what `lm_eval.py` and `lighteval.py` have in common.

A row is a checkpoint: model, revision, commit, training tokens where the model's family is known, and of each task
`hellaswag_acc` and `hellaswag_acc_stderr` (metrics by the tool's names). There is no loss: scores are joined to a file
beside them that has one for the same model and revision, else --columns says what the loss is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gemstones.errors import InvalidTable
from gemstones.runs.families import read
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.records import frame_of_records
from gemstones.runs.one_line import one_line
from gemstones.runs.tasks import STANDARD_ERROR, task_name

JOINED_BY = ("model", "revision")
"""What scores are of."""
_OF_CHECKPOINT = {"run", "model", "revision", "family", "tokens", "step", "commit", "params_total"}


def checkpoint(model: Any, revision: Any, file: str) -> dict[str, Any]:
    """What is said of a model and a revision."""
    if not isinstance(model, str) or not model:
        raise InvalidTable("does not say which model was evaluated", file=file)
    revision = revision if isinstance(revision, str) and revision else "main"
    found = read(model, revision)
    told = None if found is None else found[1]
    return {
        "run": model, "model": model, "revision": revision, "family": None if told is None else told.kind or None,
        "tokens": None if told is None or not told.tokens else told.tokens,
        "step": None if told is None else told.step,
    }  # fmt: skip


def column_of(task: str, metric: str, kind: str) -> str:
    """`hellaswag_acc_norm_stderr`: a task and a metric as columns have them."""
    error = metric.endswith(STANDARD_ERROR)
    metric = metric.removesuffix(STANDARD_ERROR)
    name = "_".join(
        part for part in (task_name(task), re.sub(r"\W+", "_", metric), re.sub(r"\W+", "_", kind)) if part
    )
    return name + (STANDARD_ERROR if error else "")


def opened(rows: Sequence[Mapping[str, Any]], name: str, file: str) -> Opened:
    """The rows as a file of format `name`."""
    scores = [column for row in rows for column in row if column not in _OF_CHECKPOINT]
    if not scores:
        raise InvalidTable("has no score of any task", file=file)
    # A column without a value in any row says nothing: --columns can give it.
    rows = [
        {key: value for key, value in row.items() if any(r.get(key) is not None for r in rows)}
        for row in rows
    ]
    first = next((column for column in scores if column.endswith("_acc")), scores[0])
    return Opened(
        frame_of_records(rows, file),
        name,
        file,
        remedies={"loss": f"1-{first}", "tokens": "10B"},
        joined_by=JOINED_BY,
    )


def is_number(value: Any) -> bool:
    """Whether it is a number of JSON."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def object_of(value: Any, file: str) -> Mapping[str, Any]:
    """`value`, which is to be an object."""
    if not isinstance(value, dict):
        raise InvalidTable(
            f"has a {type(value).__name__} where scores are an object: {one_line(value, 40)}", file=file
        )
    return value


def has_keys(text: str, *keys: str) -> bool:
    """Whether a text of JSON is an object with all these keys, somewhere in it."""
    return text.lstrip()[:1] == "{" and all(f'"{key}"' in text for key in keys)
