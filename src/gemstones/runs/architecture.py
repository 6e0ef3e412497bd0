"""What a table does not say about its models, but counting parameters and FLOPs from a shape needs.

A field left open takes the Gemstones' value (paper §3), and that this was assumed is part of the table.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from gemstones.shape import Shape


@dataclass(frozen=True)
class Architecture:
    """Properties shared by all models of a table; `None` where nobody has said."""

    vocabulary: int | None = None
    head_size: int | None = None
    context: int | None = None
    queries_per_kv: int | None = None
    mlp_expansion: int | None = None

    def like(self) -> Shape:
        """The smallest shape with these properties, open ones at the defaults of `Shape`."""
        given = {field: value for field, value in dataclasses.asdict(self).items() if value is not None}
        smallest = Shape(given.get("head_size", 128) * given.get("queries_per_kv", 2), 1, **given)
        assert smallest.kv_heads == 1
        return smallest

    def overridden(self, by: Architecture) -> Architecture:
        """This architecture, with the fields that `by` gives."""
        given = {field: value for field, value in dataclasses.asdict(by).items() if value is not None}
        return dataclasses.replace(self, **given)

    def assumptions(self, *, params: bool, flops: bool) -> tuple[str, ...]:
        """One sentence for every open field that computing parameters or FLOPs from shapes relied on."""
        what = " and ".join(name for name, used in (("parameters", params), ("FLOPs", flops)) if used)
        if not what:
            return ()
        like = self.like()
        sentences = []
        if self.vocabulary is None:
            sentences.append(f"vocabulary {like.vocabulary:,} assumed for {what} (set it with --vocabulary)")
        if self.head_size is None and flops:
            sentences.append(f"head size {like.head_size} assumed for FLOPs (set it with --head-size)")
        if self.context is None and flops:
            sentences.append(f"context {like.context:,} assumed for FLOPs (set it with --context)")
        if self.queries_per_kv is None:
            sentences.append(
                f"{like.queries_per_kv} query heads per kv head assumed for {what} "
                "(set it with --queries-per-kv)"
            )
        if self.mlp_expansion is None:
            sentences.append(
                f"gated MLPs of {like.mlp_expansion} widths and an untied head assumed for {what} "
                "(give params_total and flops where they differ)"
            )
        return tuple(sentences)


ASSUMED = Architecture()
"""Nothing said: the Gemstones' values, each an assumption."""

GEMSTONES_ARCHITECTURE = Architecture(
    vocabulary=50_304, head_size=128, context=2048, queries_per_kv=2, mlp_expansion=4
)
"""That of the released Gemstones (paper §3): stated, not assumed."""
