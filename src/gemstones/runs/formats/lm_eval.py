"""`results_….json` of lm-evaluation-harness: a file is a checkpoint, `{"hellaswag": {"acc,none": …}}` its scores.

Source: https://github.com/EleutherAI/lm-evaluation-harness (lm_eval/evaluator.py, loggers/evaluation_tracker.py)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gemstones.runs.formats.content import Content
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.task_results import checkpoint, column_of, has_keys, is_number, object_of, opened


def _detect(content: Content) -> bool:
    return (
        content.is_text
        and has_keys(content.text, "results", "config", "versions")
        and not has_keys(content.text, "config_general")
    )


def _open(content: Content) -> Opened:
    held = object_of(content.json, content.file)
    config = object_of(held.get("config") or {}, content.file)
    arguments = config.get("model_args")
    told = arguments if isinstance(arguments, dict) else dict(_pairs(arguments))
    model = held.get("model_name") or told.get("pretrained") or config.get("model")
    revision = config.get("model_revision") or told.get("revision") or "main"
    row = checkpoint(model, revision, content.file) | {
        "commit": config.get("model_sha"), "params_total": _positive(config.get("model_num_parameters")),
    }  # fmt: skip
    for task, scores in object_of(held.get("results"), content.file).items():
        for name, value in object_of(scores, content.file).items():
            metric, comma, kind = name.partition(",")
            if comma and is_number(value):
                row[column_of(task, metric, "" if kind == "none" else kind)] = value
    return opened([row], LM_EVAL.name, content.file)


def _pairs(text: Any) -> Iterator[tuple[str, str]]:
    """Of `pretrained=EleutherAI/pythia-70m,revision=step1000`."""
    for part in str(text or "").split(","):
        name, equals, value = part.partition("=")
        if equals:
            yield name.strip(), value.strip()


def _positive(value: Any) -> float | None:
    return float(value) if is_number(value) and value > 0 else None


LM_EVAL = Format(
    name="lm-eval",
    files="`results_….json` of lm-evaluation-harness",
    command="gemstones data show 'out/*/results_*.json' --columns loss=1-hellaswag_acc",
    source="https://github.com/EleutherAI/lm-evaluation-harness",
    detect=_detect,
    open=_open,
)
