"""`metrics.csv` of Lightning's CSVLogger, and of litgpt: a row each time something was logged, the rest empty.

Sources: https://lightning.ai/docs/pytorch/stable/api/lightning.pytorch.loggers.csv_logs.html;
https://github.com/Lightning-AI/litgpt, litgpt/pretrain.py: training rows with `loss` (of training), `step`, `iter`,
`tokens` (of one device) and `total_tokens` (of all), and rows of evaluations with `val_loss` and a step only.
Lightning's `step` counts from 0: the first step is 0.
"""

from __future__ import annotations

from gemstones.lazy import pl
from gemstones.runs.formats.content import Content
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened

LOSS, TOKENS = "val_loss", "total_tokens"


def _open(content: Content) -> Opened:
    content.require("step")
    frame = content.table.frame
    known = {"loss": LOSS} if LOSS in frame.columns else {}
    said: tuple[str, ...] = ()
    if TOKENS in frame.columns:
        known["tokens"] = TOKENS
        if LOSS in frame.columns:
            alone = frame[LOSS].is_not_null() & frame[TOKENS].is_null()
            frame = frame.with_columns(pl.col(TOKENS).forward_fill())
            if alone.any():
                said = ("evaluations have the total_tokens of the training row before them",)
    return Opened(
        frame,
        LIGHTNING.name,
        content.file,
        one_run=_is_one_run(frame),
        known=known,
        remedies={"tokens": "(step+1)*TOKENS_PER_STEP"},
        assumptions=said,
        decimal_comma=content.table.decimal_comma,
    )


def _is_one_run(frame: pl.DataFrame) -> bool:
    """Whether all cells are numbers, as metrics are, and steps only grow: else other columns tell runs apart."""
    numbers = frame.with_columns(pl.all().cast(pl.Float64, strict=False))
    return numbers.null_count().equals(frame.null_count()) and numbers["step"].drop_nulls().is_sorted()


def _detect(content: Content) -> bool:
    names = set(content.columns)
    litgpt = {"iter_time", "total_tokens", "step"} <= names
    return litgpt or ({"epoch", "step"} <= names and not names & {"tokens", "run", "_step"})


LIGHTNING = Format(
    name="lightning",
    files="`metrics.csv` of Lightning's CSVLogger or of litgpt",
    command="gemstones data show 'logs/*/metrics.csv' --columns 'tokens=(step+1)*524288,params_total=size(run)'",
    source="https://lightning.ai/docs/pytorch/stable/api/lightning.pytorch.loggers.csv_logs.html",
    detect=_detect,
    open=_open,
)
