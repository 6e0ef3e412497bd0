"""Which columns may be the loss that a law is fitted to: an evaluation's, never a training loss by accident.

evaluation   `val_loss`, `eval/loss`, `eval/c4_en-validation/CrossEntropyLoss`, `val_bpb`
training     `train_loss`, `loss_ema`; a bare `loss` beside an evaluation loss
other        `loss`, `final_loss`, `pile_loss`: taken where there is no evaluation loss
perplexity   `ppl`: proposed as `ln(ppl)`
"""

from __future__ import annotations

from typing import Literal

from gemstones.runs.known_names import words
from gemstones.runs.loss_units import LossUnit

Kind = Literal["evaluation", "training", "other", "perplexity", ""]

_EVALUATION = {"val", "valid", "validation", "eval", "evaluation", "evals", "test", "dev", "heldout", "held"}
_TRAINING = {"train", "training", "trn", "ema", "smooth", "smoothed", "running", "batch", "minibatch"}
_LOSS = {"loss", "losses", "nll", "xent", "bpb", "bpt", "crossentropy", "crossentropyloss", "ce"}
_PERPLEXITY = {"ppl", "perplexity"}
_OTHER_NUMBERS = {
    "std", "stderr", "stdev", "se", "sem", "var", "variance", "scale", "scaler", "delta", "diff",
    "difference", "ratio", "weight", "coef", "coefficient", "aux", "auxiliary", "z", "router", "balance",
    "balancing", "lr", "grad", "norm", "time", "seconds", "count", "samples", "predicted", "prediction",
    "residual", "spike", "accuracy", "acc", "max", "mask", "unit", "type", "name", "increase", "gap",
    "low", "high", "lower", "upper",
}  # fmt: skip


def loss_kind(name: str) -> Kind:
    """What kind of loss a column's name speaks of; nothing where of none.

    >>> [loss_kind(name) for name in ("eval/loss", "train_loss", "loss", "val_ppl", "loss_scale", "valLoss")]
    ['evaluation', 'training', 'other', 'perplexity', '', 'evaluation']
    """
    if name == "L":  # as Kaplan et al. and Hoffmann et al. write it
        return "other"
    parts = set(words(name))
    if parts & _OTHER_NUMBERS:
        return ""
    if parts & _PERPLEXITY:
        return "perplexity"
    if not (parts & _LOSS or {"cross", "entropy"} <= parts or {"bits", "per"} <= parts):
        return ""
    if parts & _TRAINING:
        return "training"
    return "evaluation" if parts & _EVALUATION else "other"


def unit_in_loss_name(name: str) -> LossUnit | None:
    """The unit that a loss's name states.

    >>> unit_in_loss_name("val_bpb"), unit_in_loss_name("bits_per_token"), unit_in_loss_name("loss")
    ('bits_per_byte', 'bits', None)
    """
    parts = set(words(name))
    if "bpb" in parts or {"bits", "byte"} <= parts:
        return "bits_per_byte"
    return "bits" if "bpt" in parts or "bits" in parts else None
