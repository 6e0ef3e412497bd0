"""What a table does not say about its models, but counting parameters and FLOPs from a shape needs.

A field left open takes the Gemstones' value (paper §3), and that this was assumed is part of the table.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from gemstones.lazy import pl
from gemstones.shape import FloatArray, Shape, Shapes


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

    def told_by(self, frame: pl.DataFrame) -> Architecture:
        """This architecture, with the open fields that a column of `frame` has in every row, where all rows agree."""
        told = {}
        for name in self.open_fields(frame):
            values = frame[name].unique()
            if len(values) == 1 and values[0] is not None:
                told[name] = int(values[0])
        return self.overridden(by=Architecture(**told))

    def open_fields(self, frame: pl.DataFrame) -> list[str]:
        """Fields that nobody has said for all models, and that `frame` has a column of counts for."""
        return [
            field.name
            for field in dataclasses.fields(self)
            if getattr(self, field.name) is None
            and field.name in frame.columns
            and _counts(frame[field.name])
        ]

    def shapes(self, frame: pl.DataFrame) -> Shapes:
        """The shapes of the rows of `frame`: fields that are open are those of its columns, or assumed."""
        like = self.like()
        own: dict[str, FloatArray] = {
            name: frame[name].cast(float).fill_null(getattr(like, name)).to_numpy()
            for name in self.open_fields(frame)
        }
        width, depth = (
            frame[name].cast(float).fill_null(float("nan")).to_numpy() for name in ("width", "depth")
        )
        return dataclasses.replace(Shapes.of(width, depth, like), **own)

    def assumed_beside(self, frame: pl.DataFrame) -> Architecture:
        """As if said: the fields that `frame` has in every row with a shape, so that they are not called assumed."""
        shaped = frame.filter(frame["width"].is_not_null() & frame["depth"].is_not_null())
        told = {name: 1 for name in self.open_fields(frame) if not shaped[name].null_count()}
        return self.overridden(by=Architecture(**told))


def _counts(series: pl.Series) -> bool:
    """Whether a column holds counts: whole numbers from 1, in one row at least."""
    if not series.dtype.is_numeric():
        return False
    known = series.drop_nulls().cast(pl.Float64)
    return bool(len(known)) and bool(((known >= 1) & (known == known.floor())).all())


ASSUMED = Architecture()
"""Nothing said: the Gemstones' values, each an assumption."""

GEMSTONES_ARCHITECTURE = Architecture(
    vocabulary=50_304, head_size=128, context=2048, queries_per_kv=2, mlp_expansion=4
)
"""That of the released Gemstones (paper §3): stated, not assumed."""
