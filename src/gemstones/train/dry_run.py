"""What each rank of a large layout holds, by sharding the model for real: on the meta device, without the ranks.

One process plays one rank after the other in a fake process group, which moves no data; parameters, gradients
and AdamW's moments then have shapes and no contents. A rank takes about a quarter of a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore

from gemstones.accounting.memory import memory_bytes
from gemstones.design.layout import DeviceBytes, Layout, device_bytes
from gemstones.errors import Failure
from gemstones.shape import Shape
from gemstones.train.layout import build_mesh, distribute
from gemstones.train.model import Transformer


@dataclass(frozen=True)
class Sharded:
    """A model's states over the ranks of a layout, in bytes; nothing is gathered, activations are left out."""

    shape: Shape
    layout: Layout
    played: dict[int, DeviceBytes]
    """By rank, as torch sharded it."""
    bytes_per_rank: tuple[int, ...]
    """Of every rank, by the closed form that those played have confirmed."""

    @property
    def bytes_total(self) -> int:
        """Of all ranks."""
        return sum(self.bytes_per_rank)

    @property
    def bytes_replicated(self) -> int:
        """Of the total, what there is more than once: norms, on every tensor rank."""
        return self.bytes_total - memory_bytes(self.shape, "float32")["total"]


def dry_run(shape: Shape, layout: Layout) -> Sharded:
    """Shard `shape` for a few ranks of `layout` (both ends, some between) and count the bytes of all.

    Not within a process group. `Failure` if torch shards otherwise than the closed form of `design.layout`.
    """
    last, tensor = layout.processes - 1, layout.tensor
    # The first rank has the most; the last data rank's shards are short, and so may be the last tensor rank's.
    ranks = sorted({0, tensor - 1, layout.processes // 2, layout.processes - tensor, last})
    played = {rank: play(shape, layout, rank) for rank in ranks}
    for rank, found in played.items():
        if found.states != (expected := device_bytes(shape, layout, rank).states):
            raise Failure(
                f"torch {torch.__version__} puts {found.states:,} bytes of {shape} on rank {rank} of {layout}, "
                f"{expected:,} expected: report it with the version of torch"
            )
    everywhere = (device_bytes(shape, layout, rank).states for rank in range(layout.processes))
    return Sharded(shape, layout, played, tuple(everywhere))


def play(shape: Shape, layout: Layout, rank: int) -> DeviceBytes:
    """The bytes of `rank`'s own shards, uneven ones as they are."""
    with _playing(layout, rank):
        mesh = build_mesh(layout)
        with torch.device("meta"):
            model = Transformer(shape)
        distribute(model, layout, mesh)
        parameters = list(model.parameters())
        # As in `optimizer.build_optimizer`, whose fused step has no meta kernel.
        optimizer = torch.optim.AdamW(parameters, foreach=False, fused=False)
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        return DeviceBytes(
            weights=sum(map(_local_bytes, parameters)),
            gradients=sum(_local_bytes(p.grad) for p in parameters if p.grad is not None),
            # Beside the moments, AdamW counts steps, in a number per parameter.
            moments=sum(
                _local_bytes(state)
                for of_parameter in optimizer.state.values()
                for state in of_parameter.values()
                if state.dim()
            ),
        )


def _local_bytes(tensor: Tensor) -> int:
    return int((tensor.to_local() if isinstance(tensor, DTensor) else tensor).nbytes)


@contextmanager
def _playing(layout: Layout, rank: int) -> Iterator[None]:
    assert 0 <= rank < layout.processes
    assert not dist.is_initialized()
    dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=layout.processes)
    try:
        yield
    finally:
        dist.destroy_process_group()
