"""Losses that are not of one thing, in a table of `gemstones evaluate`: of several texts, or of several tokenizers."""

from __future__ import annotations

from collections.abc import Collection

from gemstones.runs.one_line import listed
from gemstones.runs.table import RunTable


def mixed_flags(table: RunTable, kept_apart: Collection[str] = ()) -> list[str]:
    """What makes the rows of an evaluation no one loss; `kept_apart` are columns that a law has constants for."""
    if table.format != "evaluation":
        return []
    flags = []
    if "set" not in kept_apart and len(sets := table.frame["set"].unique(maintain_order=True).to_list()) > 1:
        flags.append(
            f"mixed_sets: losses on {len(sets)} sets together, {listed(sets, 4)}: choose one with "
            f"--where \"set = '{sets[0]}'\""
        )
    tokenizers = table.frame["tokenizer"].n_unique()
    if "tokenizer" not in kept_apart and tokenizers > 1 and table.loss_unit != "bits_per_byte":
        flags.append(
            f"mixed_tokenizers: losses per token of {tokenizers} tokenizers together, which do not compare: take "
            "--columns loss=bits_per_byte --loss-unit bits_per_byte"
        )
    return flags
