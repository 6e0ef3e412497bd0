"""A scalar that TensorBoard's page gave as CSV: `Wall time,Step,Value`, the run and the tag in the file's name.

Source: https://github.com/tensorflow/tensorboard, tensorboard/plugins/scalar (download as CSV), whose page calls the
file `run-RUN-tag-TAG.csv`. The page samples: a folder of event files has every step.
"""

from __future__ import annotations

import re

from gemstones.runs.formats.content import Content
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.run_names import with_constants

COLUMNS = ("Wall time", "Step", "Value")
_NAME = re.compile(r"run-(.+)-tag-.+")


def _open(content: Content) -> Opened:
    content.require(*COLUMNS)
    frame = content.table.frame
    if named := _NAME.fullmatch(content.stem):
        frame = with_constants(frame, {"run": named[1]})
    return Opened(
        frame,
        SCALAR.name,
        content.file,
        one_run=named is None,
        known={"loss": "Value", "step": "Step"},
        remedies={"tokens": "Step*TOKENS_PER_STEP", "params_total": "size(run)"},
        assumptions=(
            "TensorBoard's page gives a sample of the steps (its folder of event files has every one)",
        ),
        decimal_comma=content.table.decimal_comma,
    )


SCALAR = Format(
    name="tensorboard-csv",
    files="the CSV download of a scalar on TensorBoard's page: `Wall time,Step,Value`",
    command="gemstones data show 'run-*-tag-eval_loss.csv' --columns 'tokens=Step*524288,params_total=size(run)'",
    source="https://github.com/tensorflow/tensorboard",
    detect=lambda content: content.columns == COLUMNS,
    open=_open,
)
