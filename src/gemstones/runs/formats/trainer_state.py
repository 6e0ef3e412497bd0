"""`trainer_state.json` of Hugging Face's Trainer: `log_history`, a list of what was logged, a row each.

Source: https://huggingface.co/docs/transformers/main_classes/callback#transformers.TrainerState. Training and
evaluation are rows of their own: `loss` is the training loss, `eval_loss` (`eval_NAME_loss` for several data sets)
the validation loss. Tokens are `num_input_tokens_seen`, where the trainer was told to count them
(`include_num_input_tokens_seen`).
"""

from __future__ import annotations

from typing import Any

from gemstones.errors import InvalidTable
from gemstones.runs.formats.content import Content
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.records import frame_of_records

TOKENS = "num_input_tokens_seen"


def _open(content: Content) -> Opened:
    state: dict[str, Any] = content.json
    rows = state.get("log_history") if isinstance(state, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise InvalidTable("has nothing in its log_history: nothing was logged yet", file=content.file)
    frame = frame_of_records(rows, content.file)
    return Opened(
        frame,
        TRAINER_STATE.name,
        content.file,
        one_run=True,
        known=_known(frame.columns),
        remedies={"tokens": f"step*{_tokens_per_step(state) or 'TOKENS_PER_STEP'}"},
        assumptions=said_of_losses(frame.columns),
    )


def said_of_losses(columns: list[str]) -> tuple[str, ...]:
    """A warning where the only losses are those of training."""
    evaluated = any(name.startswith("eval") and name.endswith("loss") for name in columns)
    return () if evaluated else ("losses are of training batches: no evaluation was logged",)


def _known(columns: list[str]) -> dict[str, str]:
    own = {"loss": "eval_loss", "tokens": TOKENS, "step": "step"}
    return {name: column for name, column in own.items() if column in columns}


def _tokens_per_step(state: dict[str, Any]) -> int | None:
    """From the totals beside the log, where they divide."""
    tokens, steps = state.get(TOKENS), state.get("global_step")
    if not (isinstance(tokens, int) and isinstance(steps, int) and steps > 0 and tokens > 0):
        return None
    return tokens // steps if tokens % steps == 0 else None


def _detect(content: Content) -> bool:
    if not content.is_text or '"log_history"' not in content.text or content.text.lstrip()[:1] != "{":
        return False
    try:
        return isinstance(content.json, dict) and isinstance(content.json.get("log_history"), list)
    except InvalidTable:
        return False


TRAINER_STATE = Format(
    name="hf-trainer-state",
    files="`trainer_state.json` of Hugging Face's Trainer",
    command="gemstones data show 'runs/*/trainer_state.json' --columns 'params_total=size(run)'",
    source="https://huggingface.co/docs/transformers/main_classes/callback#transformers.TrainerState",
    detect=_detect,
    open=_open,
)
