"""Tables of the Step Law: a row a run, over sizes, tokens, learning rates and batches.

Source: https://github.com/step-law/steplaw, code/fit_tool.py (arXiv 2503.04715): `N` parameters without embeddings,
`D` tokens, `h`, `ffnh`, `numh` and `numl` the shape, `lr` the peak rate, `bs` the batch in sequences, `smooth loss`
a smoothed training loss.
"""

from __future__ import annotations

from gemstones.lazy import pl
from gemstones.runs.formats.content import Content
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened

_LOSSES = ("smooth loss", "smooth_loss")


def _open(content: Content) -> Opened:
    frame = content.table.frame
    loss = next((name for name in _LOSSES if name in frame.columns), _LOSSES[0])
    content.require("N", "D", loss)
    said = ["losses are smoothed losses of training batches"]
    if "run" not in frame.columns:
        row = pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(len(str(frame.height)))
        frame = frame.select(pl.concat_str(pl.lit("row/"), row).alias("run"), pl.all())
        said.append("each row is a run")
    return Opened(
        frame,
        STEP_LAW.name,
        content.file,
        known={"params_non_embedding": "N", "tokens": "D", "loss": loss},
        assumptions=tuple(said),
        decimal_comma=content.table.decimal_comma,
    )


STEP_LAW = Format(
    name="step-law",
    files="a table of the Step Law: `N`, `D`, `lr`, `bs`, `smooth loss`",
    command="gemstones data show step_law.csv --where 'bs = 256'",
    source="https://github.com/step-law/steplaw",
    detect=lambda content: (
        {"N", "D", "lr", "bs"} <= set(content.columns) and bool(set(_LOSSES) & set(content.columns))
    ),
    open=_open,
)
