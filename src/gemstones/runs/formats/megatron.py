"""Text logs of Megatron-LM and its descendants: validation losses, after the samples and arguments printed before.

Source: https://github.com/NVIDIA/Megatron-LM, megatron/training/training.py:

    seq_length ...................................... 2048
    iteration     1000/   20000 | consumed samples:       256000 | … | global batch size:   256 | lm loss: 3.1E+00 | …
    validation loss at iteration 1000 on validation set | lm loss value: 3.0E+00 | lm loss PPL: 2.0E+01 |

Tokens are consumed samples x sequence length; Megatron-DeepSpeed prints `consumed tokens` itself. GPT-NeoX writes
`lm_loss value`. Validation on the test set is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gemstones.errors import InvalidTable
from gemstones.runs.dropped import Dropped
from gemstones.runs.formats.content import Content
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.records import frame_of_records
from gemstones.runs.formats.tool_names import only_one

_NUMBER = r"([-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?|nan|inf)"
_WHOLE = r"([0-9]{1,15})"
_ARGUMENT = re.compile(
    r"(?:^|\s)(seq_length|num_layers|hidden_size|padded_vocab_size|kv_channels|num_attention_heads|num_query_groups)"
    rf" \.{{2,}} {_WHOLE}\s*$"
)
_TRAINING = re.compile(
    rf"iteration\s+{_WHOLE}/\s*[0-9]+ \|\s*consumed samples:\s*{_WHOLE} \|(?:\s*consumed tokens:\s*{_WHOLE} \|)?"
)
_BATCH = re.compile(rf"global batch size:\s*{_WHOLE} \|")
_VALIDATION = re.compile(
    rf"validation loss at iteration {_WHOLE}(?: on (\w+) set)?(?: \[([^\]]+)\])?\s*\|(.*)"
)
_LOSS = re.compile(rf"\s*(\w[\w ]*) value: {_NUMBER}\s*")
LOSSES = ("lm loss value", "lm_loss value")
_MODEL = {
    "width": "hidden_size",
    "depth": "num_layers",
    "vocabulary": "padded_vocab_size",
    "context": "seq_length",
    "head_size": "kv_channels",
}


def _open(content: Content) -> Opened:
    tested: list[int] = []
    rows = list(_evaluations(content.text, tested))
    if not rows:
        raise InvalidTable(
            "is a log of Megatron-LM without a validation loss: train with --eval-interval, or read its TensorBoard "
            "folder",
            file=content.file,
        )
    frame = frame_of_records(rows, content.file)
    known = {"step": "iteration"}
    known |= only_one(frame.columns, LOSSES)
    if "consumed tokens" in frame.columns:
        known["tokens"] = "consumed tokens"
    elif {"consumed samples", "seq_length"} <= set(frame.columns):
        known["tokens"] = "consumed samples*seq_length"
    return Opened(
        frame,
        MEGATRON.name,
        content.file,
        one_run=True,
        known=known | {name: column for name, column in _MODEL.items() if column in frame.columns},
        remedies={"tokens": "consumed samples*CONTEXT", "params_total": "size(run)"},
        dropped=(Dropped("evaluations on the test set", len(tested)),) if tested else (),
    )


def _evaluations(text: str, tested: list[int]) -> Iterator[dict[str, Any]]:
    """A row for each evaluation on the validation set; lines of the test set are put into `tested`."""
    constants: dict[str, int] = {}
    iteration, samples, tokens, batch = 0, 0, 0, 0
    for line in text.split("\n"):
        if " ...." in line and (argument := _ARGUMENT.search(line)):
            constants[argument[1]] = int(argument[2])
        elif "consumed samples" in line and (training := _TRAINING.search(line)):
            iteration, samples, tokens = int(training[1]), int(training[2]), int(training[3] or 0)
            size = _BATCH.search(line)
            batch = int(size[1]) if size else 0
        elif "validation loss at iteration" in line and (evaluation := _VALIDATION.search(line)):
            step, which, text_name, losses = int(evaluation[1]), evaluation[2], evaluation[3], evaluation[4]
            if which == "test":
                tested.append(step)
                continue
            row: dict[str, Any] = {"iteration": step}
            # The evaluation follows the training of its iteration, which is not always printed.
            if samples and step >= iteration and (step == iteration or batch):
                row["consumed samples"] = samples + (step - iteration) * batch
            if tokens and step == iteration:
                row["consumed tokens"] = tokens
            suffix = f" [{text_name}]" if text_name else ""
            for loss in map(_LOSS.fullmatch, losses.split("|")):
                if loss is not None:
                    row[f"{loss[1].strip()} value{suffix}"] = float(loss[2])
            yield row | constants


def _detect(content: Content) -> bool:
    text = content.text if content.is_text else ""
    lines = (("validation loss at iteration ", _VALIDATION), ("consumed samples:", _TRAINING))
    return any(mark in text and line.search(text) is not None for mark, line in lines)


MEGATRON = Format(
    name="megatron-log",
    files="a text log of Megatron-LM",
    command="gemstones data show 'logs/*.log' --columns 'params_total=size(run)'",
    source="https://github.com/NVIDIA/Megatron-LM",
    detect=_detect,
    open=_open,
)
