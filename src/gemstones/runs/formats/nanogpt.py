"""Text logs of nanoGPT, build-nanogpt, modded-nanogpt and llm.c: a line an evaluation, with its step and loss.

Sources: https://github.com/KellerJordan/modded-nanogpt, train_gpt.py: `step:250/1750 val_loss:4.1 train_time:…`;
https://github.com/karpathy/nanoGPT, train.py: `step 250: train loss 4.2, val loss 4.1`;
https://github.com/karpathy/build-nanogpt, train_gpt2.py: `250 val 4.1`;
https://github.com/karpathy/llm.c, llmc/logger.h: `s:250 tel:4.1`.

The logs of modded-nanogpt begin with the whole program. None of them has tokens or parameters.
"""

from __future__ import annotations

import re

from gemstones.errors import InvalidTable
from gemstones.runs.formats.content import Content
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.records import frame_of_records

_NUMBER = r"([0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?|nan|inf)(?![0-9.])"
_STEP = r"(?P<step>[0-9]{1,15})"
_LINES = {
    " val_loss:": re.compile(rf"^step:{_STEP}/[0-9]+ val_loss:{_NUMBER}", re.MULTILINE),
    ", val loss ": re.compile(
        rf"^(?:\S+: )?step {_STEP}: train loss [0-9.]+, val loss {_NUMBER}", re.MULTILINE
    ),
    " val ": re.compile(rf"^{_STEP} val {_NUMBER}[ \r]*$", re.MULTILINE),
    " tel:": re.compile(rf"^s:{_STEP} tel:{_NUMBER}", re.MULTILINE),
}
"""A line of an evaluation, by what any such line has in it: far quicker to find in what is no log."""


def _line(content: Content) -> re.Pattern[str] | None:
    """The pattern of the evaluations' lines, if there is one that matches."""
    text = content.text if content.is_text else ""
    return next((line for mark, line in _LINES.items() if mark in text and line.search(text)), None)


def _open(content: Content) -> Opened:
    line = _line(content)
    if line is None:
        raise InvalidTable(
            "has no line like 'step:250/1750 val_loss:4.1' or 'step 250: train loss 4.2, val loss 4.1'",
            file=content.file,
        )
    rows = [
        {"step": int(found["step"]), "val_loss": float(found[line.groups])}
        for found in line.finditer(content.text)
    ]
    return Opened(
        frame_of_records(rows, content.file),
        NANOGPT.name,
        content.file,
        one_run=True,
        known={"loss": "val_loss", "step": "step"},
        remedies={"tokens": "step*TOKENS_PER_STEP", "params_total": "size(run)"},
    )


NANOGPT = Format(
    name="nanogpt-log",
    files="a text log of modded-nanogpt, nanoGPT or llm.c",
    command="gemstones data show 'logs/*.txt' --columns 'tokens=step*524288,params_total=124M'",
    source="https://github.com/KellerJordan/modded-nanogpt",
    detect=lambda content: _line(content) is not None,
    open=_open,
)
