"""How a model may be laid out over processes, and the bytes that each of them then holds.

Sharded data parallel × tensor parallel, as `train.layout` does it: a matrix is split over the tensor ranks by
rows or by columns (whole heads, equal pieces of the sequence between blocks), norms are whole on each; then
every piece is split by rows over the data ranks. Of n rows over k ranks each takes ⌈n/k⌉ as long as they
last: 50,304 = 128 · 393 rows over 256 ranks are 255 times 197 and once 69.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

from gemstones.accounting.memory import BYTES_PER_PARAM
from gemstones.errors import InvalidRequest
from gemstones.shape import Shape

MOST_RANKS = 4096
"""Of one layout: beyond, a slip of units."""
_WRITTEN = re.compile(r"\s*(\d{1,6})\s*[xX×]\s*(\d{1,6})\s*")
_BYTES = BYTES_PER_PARAM["float32"]


@dataclass(frozen=True)
class Layout:
    """Degrees of parallelism, written DATAxTENSOR; their product is the number of processes."""

    data: int = 1
    tensor: int = 1

    def __post_init__(self) -> None:
        if min(self.data, self.tensor) < 1 or self.processes > MOST_RANKS:
            raise InvalidRequest(
                f"layout {self} must be 1 to {MOST_RANKS:,} processes: choose smaller degrees"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """The layout written like 64x4."""
        match = _WRITTEN.fullmatch(text)
        if match is None:
            raise InvalidRequest(f"layout {text!r} is not DATAxTENSOR: write it like 64x4")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of_ranks(cls, ranks: int, tensor: int = 1) -> Self:
        """The layout of `ranks` processes, `tensor` of them to a model."""
        if ranks < 1 or tensor < 1:
            raise InvalidRequest(f"ranks {ranks} and tensor {tensor} must be at least 1")
        if ranks % tensor:
            raise InvalidRequest(
                f"tensor parallel degree {tensor} does not divide the {ranks} ranks: "
                f"choose {_either(_divisors_around(tensor, ranks))}"
            )
        return cls(ranks // tensor, tensor)

    @property
    def processes(self) -> int:
        """World size."""
        return self.data * self.tensor

    def check(self, shape: Shape, batch_sequences: int) -> None:
        """Refuse what cannot be split evenly, naming what could."""
        self.check_tensor(shape)
        if problem := self.batch_problem(batch_sequences):
            raise InvalidRequest(problem)

    def check_tensor(self, shape: Shape) -> None:
        """Refuse a tensor parallel degree that a layer does not split over."""
        allowed = tensor_parallel_degrees(shape)
        if self.tensor not in allowed:
            raise InvalidRequest(
                f"tensor parallel degree {self.tensor} does not divide the {shape.kv_heads} kv heads, "
                f"{shape.query_heads} query heads and context {shape.context} of {shape}: choose from "
                f"{', '.join(map(str, allowed))}"
            )

    def batch_problem(self, batch_sequences: int) -> str:
        """Why a batch does not split over the data ranks, or nothing."""
        if batch_sequences % self.data == 0:
            return ""
        return (
            f"data parallel degree {self.data} does not divide the batch of {batch_sequences} sequences: "
            f"choose {_either(_divisors_around(self.data, batch_sequences))}"
        )

    def __str__(self) -> str:
        return f"{self.data}x{self.tensor}"


def tensor_parallel_degrees(shape: Shape) -> tuple[int, ...]:
    """Numbers of devices over which a layer splits evenly, ascending.

    They divide the kv heads, and with them the query heads (whole groups) and the width of any MLP; and the
    context, because the sequence is split between blocks.

    >>> tensor_parallel_degrees(Shape(1024, 28)), tensor_parallel_degrees(Shape(768, 3))
    ((1, 2, 4), (1,))
    """
    return tuple(
        degree
        for degree in range(1, shape.kv_heads + 1)
        if shape.kv_heads % degree == 0 and shape.context % degree == 0
    )


@dataclass(frozen=True)
class DeviceBytes:
    """What one device holds between steps, and what it gathers in a step; without activations."""

    weights: int
    gradients: int
    moments: int
    """AdamW's two."""
    gathered: int = 0
    """On top, in a step, whole but for the tensor ranks' split: see `device_bytes`."""

    @property
    def states(self) -> int:
        """Weights, gradients and moments."""
        return self.weights + self.gradients + self.moments

    @property
    def total(self) -> int:
        """All of it."""
        return self.states + self.gathered


def device_bytes(shape: Shape, layout: Layout, rank: int = 0) -> DeviceBytes:
    """Bytes on `rank` of `layout`, in float32 (under autocast too); rank 0 has the most.

    Gathered, if there are several data ranks: weights and gradients of embedding, head and final norm, which
    FSDP keeps whole throughout a step; and of the blocks, the weights of two (one at work, the next on its
    way) and the gradients of one. Gradient accumulation keeps the gradients of all blocks whole.
    """
    count = local_params(shape, layout, rank)
    gathered = 0
    if layout.data > 1:
        alone = Layout(tensor=layout.tensor)
        tensor_rank = rank % layout.tensor
        outer = sum(_local(matrix, alone, tensor_rank) for matrix in _outer(shape))
        block = sum(_local(matrix, alone, tensor_rank) for matrix in _block(shape))
        blocks_at_once = min(2, shape.depth)
        gathered = _BYTES["weights"] * (outer + blocks_at_once * block) + _BYTES["gradients"] * (
            outer + block
        )
    return DeviceBytes(
        _BYTES["weights"] * count, _BYTES["gradients"] * count, _BYTES["optimizer"] * count, gathered
    )


def local_params(shape: Shape, layout: Layout, rank: int) -> int:
    """Parameters that `rank` holds; over all ranks they add up to the total, but norms count per tensor rank."""
    assert 0 <= rank < layout.processes
    outer = sum(_local(matrix, layout, rank) for matrix in _outer(shape))
    return outer + shape.depth * sum(_local(matrix, layout, rank) for matrix in _block(shape))


class _Matrix(NamedTuple):
    rows: int
    columns: int
    tensor_split: Literal["rows", "columns", "none"]


def _outer(shape: Shape) -> tuple[_Matrix, ...]:
    """Embedding, head and final norm."""
    embedding = _Matrix(shape.vocabulary, shape.width, "rows")
    return embedding, embedding, _Matrix(shape.width, 1, "none")


def _block(shape: Shape) -> tuple[_Matrix, ...]:
    width, queries, keys = shape.width, shape.query_heads * shape.head_size, shape.kv_heads * shape.head_size
    norm, into_mlp = _Matrix(width, 1, "none"), _Matrix(shape.mlp_width, width, "rows")
    key = _Matrix(keys, width, "rows")
    return (
        norm,
        _Matrix(queries, width, "rows"),
        key,
        key,  # the value's
        _Matrix(width, queries, "columns"),
        norm,
        into_mlp,
        into_mlp,  # gate and up
        _Matrix(width, shape.mlp_width, "columns"),
    )


def _local(matrix: _Matrix, layout: Layout, rank: int) -> int:
    data_rank, tensor_rank = divmod(rank, layout.tensor)
    rows, columns, split = matrix
    if split == "rows":
        rows = _share(rows, layout.tensor, tensor_rank)
    elif split == "columns":
        columns = _share(columns, layout.tensor, tensor_rank)
    return _share(rows, layout.data, data_rank) * columns


def _share(rows: int, ranks: int, rank: int) -> int:
    most = -(-rows // ranks)
    return max(0, min(most, rows - rank * most))


def _divisors_around(wanted: int, whole: int) -> list[int]:
    """The divisors of `whole` next to `wanted`, one or two."""
    small = [n for n in range(1, int(whole**0.5) + 1) if whole % n == 0]
    divisors = sorted({*small, *(whole // n for n in small)})
    below, above = ([n for n in divisors if n < wanted], [n for n in divisors if n > wanted])
    return below[-1:] + above[:1]


def _either(numbers: list[int]) -> str:
    return " or ".join(map(str, numbers))
