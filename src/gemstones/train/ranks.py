"""What the processes of a run do together; with one process, nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NoReturn, TypeVar, cast

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh

from gemstones.errors import Failure, GemstonesError

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """The processes of a mesh; rank 0 writes files, and decides where ranks could differ."""

    mesh: DeviceMesh | None
    device: torch.device
    group: dist.ProcessGroup | None = None
    """Through which they talk; the one of all that they train in if None."""

    def beside(self) -> Ranks:
        """The same processes in a group of their own, on the CPU, for a thread; every rank calls it."""
        if self.mesh is None:
            return self
        return replace(self, device=torch.device("cpu"), group=dist.new_group(backend="gloo"))

    @property
    def first(self) -> bool:
        """Whether this is rank 0."""
        return self.mesh is None or dist.get_rank() == 0

    @property
    def rank(self) -> int:
        """Of this process."""
        return 0 if self.mesh is None else dist.get_rank()

    @property
    def count(self) -> int:
        """Number of processes."""
        return 1 if self.mesh is None else dist.get_world_size()

    @property
    def data_rank(self) -> int:
        """Which share of the batch is this process's."""
        return 0 if self.mesh is None else int(self.mesh["data"].get_local_rank())

    @property
    def data_count(self) -> int:
        """Shares of the batch."""
        return 1 if self.mesh is None else int(self.mesh["data"].size())

    def barrier(self) -> None:
        """Wait for all."""
        if self.mesh is not None:
            dist.barrier(self.group)

    def by_first(self, decide: Callable[[], T]) -> T:
        """What rank 0 finds, or the error it raises, on every rank."""
        if self.mesh is None:
            return decide()
        found: list[object] = [None]
        if self.first:
            try:
                found = [decide()]
            except GemstonesError as error:
                found = [error]
        dist.broadcast_object_list(found, src=0, group=self.group)
        if isinstance(found[0], GemstonesError):
            raise found[0]
        return cast(T, found[0])

    def gathered(self, value: T) -> list[T]:
        """The values of all ranks, in their order."""
        if self.mesh is None:
            return [value]
        values: list[T | None] = [None] * self.count
        dist.all_gather_object(values, value, group=self.group)
        return cast(list[T], values)

    def sum_over_data(self, total: torch.Tensor) -> torch.Tensor:
        """`total` summed over the shares of the batch, in place."""
        if self.mesh is not None and self.data_count > 1:
            dist.all_reduce(total, group=self.mesh["data"].get_group())
        return total

    def largest(self, value: int) -> int:
        """The largest of all ranks' values."""
        if self.mesh is None:
            return value
        tensor = torch.tensor(value, device=self.device)
        dist.all_reduce(tensor, op=dist.ReduceOp.MAX, group=self.group)
        return int(tensor)

    def smallest(self, value: int) -> int:
        """The smallest of all ranks' values."""
        return -self.largest(-value)


@contextmanager
def together() -> Iterator[None]:
    """Whoever is left when another process of the group is gone says so: a `Failure`, in the place of gloo's words."""
    try:
        yield
    except RuntimeError as error:
        if "gloo" not in str(error) or "peer" not in str(error):
            raise
        raise Failure(
            "another process of this run is gone, and its log may say why: the same command goes on from the newest "
            "checkpoint"
        ) from error


def leave_group(status: int) -> NoReturn:
    """End a process of a group: together with the others, and without the interpreter's end.

    Ranks that leave at different times, and gloo's threads at the interpreter's end, abort now and then
    ("terminate called without an active exception").
    """
    dist.barrier()
    dist.destroy_process_group()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
