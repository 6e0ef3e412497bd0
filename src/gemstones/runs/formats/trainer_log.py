"""`trainer_log.jsonl` of LLaMA-Factory: what Hugging Face's Trainer logged, an object a line.

Source: https://github.com/hiyouga/LLaMA-Factory, src/llamafactory/train/callbacks.py (`LogCallback`):
`current_steps`, `total_steps`, `loss` of training, `eval_loss`, and `total_tokens` where they are counted.
"""

from __future__ import annotations

from gemstones.runs.formats.content import Content
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.json_lines import objects_of
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.records import frame_of_records
from gemstones.runs.formats.trainer_state import said_of_losses


def _open(content: Content) -> Opened:
    frame = frame_of_records(objects_of(content), content.file)
    own = {"loss": "eval_loss", "tokens": "total_tokens", "step": "current_steps"}
    return Opened(
        frame,
        TRAINER_LOG.name,
        content.file,
        one_run=True,
        known={name: column for name, column in own.items() if column in frame.columns},
        remedies={"tokens": "current_steps*TOKENS_PER_STEP"},
        assumptions=said_of_losses(frame.columns),
    )


TRAINER_LOG = Format(
    name="hf-trainer-log",
    files="`trainer_log.jsonl` of LLaMA-Factory",
    command="gemstones data show 'runs/*/trainer_log.jsonl' --columns 'params_total=size(run)'",
    source="https://github.com/hiyouga/LLaMA-Factory",
    detect=lambda content: {"current_steps", "total_steps"} <= content.first_object.keys(),
    open=_open,
)
