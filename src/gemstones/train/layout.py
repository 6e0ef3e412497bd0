"""How a model is laid out over processes: sharded data parallel × tensor and sequence parallel.

One process is the layout 1x1 and needs no process group. Otherwise the mesh has the dimensions `data` (FSDP2:
parameters, gradients and optimizer state sharded) and `tensor` (heads, MLP and vocabulary split; between
blocks the sequence is split, so that norms are replicated DTensors like everything else and gradients can be
clipped over all of them at once).
"""

from __future__ import annotations

import os

import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)

from gemstones.design.layout import Layout
from gemstones.errors import InvalidRequest
from gemstones.train.model import Block, Transformer

__all__ = ["Layout", "build_mesh", "distribute"]


def build_mesh(layout: Layout, device_type: str = "cpu") -> DeviceMesh | None:
    """The mesh of this process's group, started from torchrun's environment; None for one process."""
    if layout.processes == 1:
        return None
    if not dist.is_initialized():
        dist.init_process_group("gloo" if device_type == "cpu" else "nccl")
    if dist.get_world_size() != layout.processes:
        raise InvalidRequest(
            f"layout {layout} needs {layout.processes} processes, "
            f"but {os.environ.get('WORLD_SIZE', '1')} were started"
        )
    return init_device_mesh(device_type, (layout.data, layout.tensor), mesh_dim_names=("data", "tensor"))


def distribute(model: Transformer, layout: Layout, mesh: DeviceMesh | None) -> Transformer:
    """`model` (on the meta device or not), its parameters distributed over the mesh."""
    if mesh is None:
        return model
    if layout.tensor > 1:
        _split_tensors(model, mesh["tensor"])
    if layout.data > 1:
        for block in model.blocks:
            fully_shard(block, mesh=mesh["data"])
        fully_shard(model, mesh=mesh["data"])
    return model


def _split_tensors(model: Transformer, mesh: DeviceMesh) -> None:
    sequence = Shard(1)
    parallelize_module(
        model,
        mesh,
        {
            "embedding": RowwiseParallel(input_layouts=Replicate(), output_layouts=sequence),
            "norm": SequenceParallel(),
            "head": ColwiseParallel(input_layouts=sequence, output_layouts=Replicate()),
        },
    )
    for block in model.blocks:
        assert isinstance(block, Block)
        parallelize_module(
            block,
            mesh,
            {
                "attention_norm": SequenceParallel(),
                "attention": PrepareModuleInput(
                    input_layouts=(sequence, None, None), desired_input_layouts=(Replicate(), None, None)
                ),
                "attention.query": ColwiseParallel(),
                "attention.key": ColwiseParallel(),
                "attention.value": ColwiseParallel(),
                "attention.output": RowwiseParallel(output_layouts=sequence),
                "mlp_norm": SequenceParallel(),
                "mlp": PrepareModuleInput(input_layouts=(sequence,), desired_input_layouts=(Replicate(),)),
                "mlp.gate": ColwiseParallel(),
                "mlp.up": ColwiseParallel(),
                "mlp.output": RowwiseParallel(output_layouts=sequence),
            },
        )
