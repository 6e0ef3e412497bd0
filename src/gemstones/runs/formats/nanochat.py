"""`results.csv` of nanochat's sweeps: a row a run, its loss in bits per byte, parameters by group.

Source: https://github.com/karpathy/nanochat, runs/scaling_laws.sh (a grid of FLOPs and depths, all parameters by
group) and runs/miniseries.sh (a run a depth, `num_params`). FLOPs are nanochat's own count, which the run was
trained up to; heads are of size 128, with as many key-value heads.
"""

from __future__ import annotations

from gemstones.runs.formats.content import Content
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened

_MEANINGS = {
    "loss": "val_bpb",
    "tokens": "tokens_trained",
    "step": "num_iterations",
    "width": "model_dim",
    "flops": "flops_budget",
    "params_total": "params_total",
}
_HEADS = {"head_size": "128", "queries_per_kv": "1"}
_GROUPS = ("params_lm_head", "params_transformer", "params_scalars")


def _open(content: Content) -> Opened:
    frame = content.table.frame
    known = {name: column for name, column in _MEANINGS.items() if column in frame.columns}
    if "model_dim" in frame.columns:
        known |= _HEADS
        if "params_wte" in frame.columns:
            known["vocabulary"] = "params_wte/model_dim"
    if "num_params" in frame.columns:
        known.setdefault("params_total", "num_params")
    if set(_GROUPS) <= set(frame.columns):
        known["params_no_embedding"] = "+".join(_GROUPS)
        known["params_non_embedding"] = "+".join(_GROUPS[1:])
    return Opened(
        frame,
        NANOCHAT.name,
        content.file,
        known=known | _HEADS,
        loss_unit="bits_per_byte",
        decimal_comma=content.table.decimal_comma,
    )


NANOCHAT = Format(
    name="nanochat",
    files="`results.csv` of nanochat's scaling laws or miniseries",
    command="gemstones data show results.csv",
    source="https://github.com/karpathy/nanochat",
    detect=lambda content: {"val_bpb", "tokens_trained", "num_iterations"} <= set(content.columns),
    open=_open,
)
