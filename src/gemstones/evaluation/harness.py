"""Tasks by name, through lm-evaluation-harness: its prompts, its data, its metrics."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gemstones.errors import InvalidRequest, MissingExtra, Unavailable
from gemstones.runs.formats.task_results import column_of, is_number
from gemstones.runs.one_line import one_line

if TYPE_CHECKING:
    from gemstones.evaluation.models import Loaded


def require_harness() -> tuple[Any, Any]:
    """The package and its module of transformers; `MissingExtra` where they, or what they import, are not installed."""
    try:
        return import_module("lm_eval"), import_module("lm_eval.models.huggingface")
    except ImportError:
        raise MissingExtra("tasks", "a task by name (a file of questions needs none)") from None


def harness_scores(name: str, loaded: Loaded, *, batch_sequences: int) -> dict[str, float]:
    """Scores of a task by the names of a table's columns, like `hellaswag_acc` and `hellaswag_acc_stderr`."""
    module, huggingface = require_harness()
    if loaded.parts is None:
        raise InvalidRequest(f"task {name} of a run of ours: evaluate an export of it (gemstones export)")
    model, tokenizer = loaded.parts
    try:
        wrapped = huggingface.HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_sequences)
        results = module.simple_evaluate(model=wrapped, tasks=[name])["results"]
    except (KeyError, ValueError) as error:
        raise InvalidRequest(
            f"task {name} is none of lm-evaluation-harness: {one_line(error, 120)}"
        ) from None
    except (OSError, RuntimeError) as error:
        raise Unavailable(f"task {name} cannot be had: {one_line(error, 120)}") from None
    found: dict[str, float] = {}
    for task, scores in results.items():
        for written, value in scores.items():
            metric, comma, kind = written.partition(",")
            if comma and is_number(value):
                found[column_of(task, metric, "" if kind == "none" else kind)] = float(value)
    return found
