"""Columns that tools of training always call alike: what they mean in a run table.

- OLMo (github.com/allenai/OLMo, olmo/train.py, SpeedMonitor): `throughput/total_tokens`, and FLOPs in units of 1e9.
- OLMo-core (github.com/allenai/OLMo-core, train/callbacks/speed_monitor.py): the same with spaces, in units of 1e15.
- Levanter and Marin (github.com/marin-community/marin, callbacks of performance statistics): FLOPs in units of 1e9,
  `parameter_count`.
"""

from __future__ import annotations

from collections.abc import Collection

_MEANINGS = {
    "tokens": ("throughput/total_tokens", "throughput/total tokens"),
    "flops": (
        "throughput/total_training_Gflops*1e9",
        "throughput/total_gflops*1e9",
        "throughput/total petaflops*1e15",
    ),
    "params_total": ("parameter_count",),
}
"""Expressions by name of the schema; the column is what stands before `*`."""


def known_by_tool(columns: Collection[str]) -> dict[str, str]:
    """What the tools' own columns, as far as they are among `columns`, are in the schema."""
    known = {}
    for name, texts in _MEANINGS.items():
        present = [text for text in texts if text.partition("*")[0] in columns]
        if len(present) == 1:
            known[name] = present[0]
    return known


def only_one(columns: Collection[str], matches: Collection[str]) -> dict[str, str]:
    """The loss, where a single column can be it; of several none is chosen."""
    found = [name for name in columns if name in matches]
    return {"loss": found[0]} if len(found) == 1 else {}
