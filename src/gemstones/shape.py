"""The shape of a decoder-only transformer: the one value that everything else is a function of.

`Shape` is one shape, validated. `Shapes` is a whole array of them, unvalidated and possibly real-valued
(relaxed prescriptions, paper §4.1 and Figure 16), with the same attributes, so that the arithmetic of
`gemstones.accounting` is written once.

Source of the defaults: *Gemstones*, §3 "Architecture": head size 128, two query heads per kv head, MLP
expansion 4, vocabulary 50,304, context 2048.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gemstones.errors import InvalidShape

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Column = float | str | Sequence[float] | Sequence[str] | FloatArray
"""Of what a law is asked: a number, a quantity like "7B", or the value of a column by which it differs; or many."""

KV_HEADS_EXCEPTIONS = {(3, 2): 1}
"""(query heads, queries per kv) → kv heads, where the ratio does not divide.

The released Gemstones of width 384 have three query heads that share one kv head. It is an exception by
name, not a rule: every other odd number of query heads is refused at ratio 2.
"""

LARGEST = 2**31 - 1
"""Of every field: counts then stay far within what floats and integers hold."""

_WRITTEN = re.compile(r"\s*(\d{1,9})\s*[xX×]\s*(\d{1,9})\s*")


@dataclass(frozen=True, order=True)
class Shape:
    """One shape, written `1024x28` (width x depth); refused with the broken rule if it cannot be built.

    Its fields give its parameters and FLOPs per token; see `gemstones.params` and `gemstones.flops_per_token`.

    >>> Shape(1024, 28).aspect_ratio, str(Shape.parse("1024x28"))
    (36.57, '1024x28')
    """

    width: int
    """Hidden size w, a multiple of `head_size`."""
    depth: int
    """Number of transformer blocks d."""
    head_size: int = dataclasses.field(default=128, kw_only=True)
    queries_per_kv: int = dataclasses.field(default=2, kw_only=True)
    """Query heads that share one kv head."""
    mlp_expansion: int = dataclasses.field(default=4, kw_only=True)
    """MLP width over width."""
    vocabulary: int = dataclasses.field(default=50_304, kw_only=True)
    """Rows of the embedding and columns of the head (untied), padding included."""
    context: int = dataclasses.field(default=2048, kw_only=True)
    """Sequence length in tokens; attention FLOPs depend on it."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise InvalidShape(f"{field.name} {value!r} of a shape must be a whole number of at least 1")
            if value > LARGEST:
                written = f"{value:.3g}" if value < 10**300 else "of more than 300 digits"
                raise InvalidShape(f"{field.name} {written} of a shape must be at most {LARGEST:,}")
            object.__setattr__(self, field.name, int(value))
        if self.width % self.head_size:
            raise InvalidShape(
                f"width {self.width} is not a multiple of the head size {self.head_size}: "
                f"choose {self._nearest_widths()}, or set another head size"
            )
        if self.query_heads % self.queries_per_kv and not self._kv_exception:
            raise InvalidShape(
                f"width {self.width} has {self.query_heads} query heads of size {self.head_size}, which "
                f"{self.queries_per_kv} queries per kv head do not divide: choose a multiple of "
                f"{self.head_size * self.queries_per_kv} as width, or another ratio"
            )

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        head_size: int = 128,
        queries_per_kv: int = 2,
        mlp_expansion: int = 4,
        vocabulary: int = 50_304,
        context: int = 2048,
    ) -> Shape:
        """The shape written as `WxD`, with the other fields given or default."""
        match = _WRITTEN.fullmatch(text)
        if match is None:
            raise InvalidShape(f"shape {text!r} is not WIDTHxDEPTH: write it like 1024x28")
        return cls(
            int(match[1]),
            int(match[2]),
            head_size=head_size,
            queries_per_kv=queries_per_kv,
            mlp_expansion=mlp_expansion,
            vocabulary=vocabulary,
            context=context,
        )

    @property
    def query_heads(self) -> int:
        """Query heads per block, n_q = w / head size."""
        return self.width // self.head_size

    @property
    def kv_heads(self) -> int:
        """Key-value heads per block, n_kv; divides n_q."""
        return self._kv_exception or self.query_heads // self.queries_per_kv

    @property
    def mlp_width(self) -> int:
        """Width of the gated MLP."""
        return self.width * self.mlp_expansion

    @property
    def aspect_ratio(self) -> float:
        """Width over depth."""
        return self.width / self.depth

    @property
    def architecture(self) -> dict[str, int]:
        """The fields beside width and depth, which the models of a suite have in common."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)[2:]}

    @property
    def _kv_exception(self) -> int | None:
        if self.head_size != 128:
            return None
        return KV_HEADS_EXCEPTIONS.get((self.query_heads, self.queries_per_kv))

    def _nearest_widths(self) -> str:
        below = self.width // self.head_size * self.head_size
        return f"{below} or {below + self.head_size}" if below else f"{self.head_size}"

    def __str__(self) -> str:
        return f"{self.width}x{self.depth}"


def known_shape(shape: Shape | Shapes) -> Shape | Shapes:
    """`shape`, if it is one or several; `InvalidShape` for anything else."""
    if not isinstance(shape, Shape | Shapes):
        raise InvalidShape(
            f"a value of type {type(shape).__name__} is no Shape or Shapes: give one like Shape(1024, 28)"
        )
    return shape


@dataclass(frozen=True, eq=False)
class Shapes:
    """Shapes as arrays that broadcast together, every field of them; widths and depths may be real numbers.

    Nothing is validated: kv heads are n_q / queries_per_kv, a fraction where that does not divide (the
    relaxed convention), except where the released models make their exception.

    >>> Shapes.of([1024, 2048], 24).aspect_ratio  # counts of parameters and FLOPs are arrays alike
    array([42.67, 85.33])
    """

    width: FloatArray
    depth: FloatArray
    head_size: FloatArray | int = 128
    queries_per_kv: FloatArray | int = 2
    mlp_expansion: FloatArray | int = 4
    vocabulary: FloatArray | int = 50_304
    context: FloatArray | int = 2048

    @classmethod
    def of(cls, width: ArrayLike, depth: ArrayLike, like: Shape | None = None) -> Shapes:
        """Arrays of widths and depths; the other fields are those of `like`, or the defaults."""
        w, d = np.asarray(width, np.float64), np.asarray(depth, np.float64)
        architecture: dict[str, Any] = {} if like is None else like.architecture
        return cls(w, d, **architecture)

    @property
    def query_heads(self) -> FloatArray:
        """As `Shape.query_heads`."""
        return self.width / self.head_size

    @property
    def kv_heads(self) -> FloatArray:
        """As `Shape.kv_heads`; may be a fraction."""
        heads = self.query_heads / self.queries_per_kv
        for (query_heads, ratio), kv_heads in KV_HEADS_EXCEPTIONS.items():
            exception = (np.asarray(self.head_size) == 128) & (np.asarray(self.queries_per_kv) == ratio)
            if exception.any():
                heads = np.where(exception & (self.query_heads == query_heads), float(kv_heads), heads)
        return heads

    @property
    def mlp_width(self) -> FloatArray:
        """As `Shape.mlp_width`."""
        return self.width * self.mlp_expansion

    @property
    def aspect_ratio(self) -> FloatArray:
        """Width over depth."""
        return self.width / self.depth
