"""One process of a layout: initialises, trains, and lets rank 0 write what it saw. Run as torchrun does."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor

from gemstones.design.recipe import learning_rate
from gemstones.shape import Shape
from gemstones.train.initialisation import initialise
from gemstones.train.layout import Layout, build_mesh, distribute
from gemstones.train.model import Transformer
from gemstones.train.optimizer import build_optimizer, set_rate
from gemstones.train.step import train_step

SHAPE = Shape(64, 3, head_size=8, vocabulary=100, context=16)
BATCH, STEPS = 8, 20


def digest(model: torch.nn.Module) -> str:
    whole = hashlib.sha256()
    for name, parameter in model.named_parameters():
        full = parameter.full_tensor() if isinstance(parameter, DTensor) else parameter
        whole.update(name.encode() + full.detach().numpy().tobytes())
    return whole.hexdigest()


def run(layout: Layout, micro_sequences: int | None = None) -> dict[str, object]:
    torch.set_num_threads(1)
    layout.check(SHAPE, BATCH)
    mesh = build_mesh(layout)
    with torch.device("meta"):
        model = Transformer(SHAPE)
    distribute(model, layout, mesh)
    model.to_empty(device=torch.device("cpu"))
    initialise(model, SHAPE, seed=7)
    initial = digest(model)
    optimizer = build_optimizer(model)
    rank = 0 if mesh is None else mesh["data"].get_local_rank()
    share = BATCH // layout.data
    losses, norms = [], []
    for step in range(STEPS):
        generator = torch.Generator().manual_seed(step)
        batch = torch.randint(0, SHAPE.vocabulary, (BATCH, SHAPE.context + 1), generator=generator)
        set_rate(optimizer, learning_rate(SHAPE, 0.5) * min(1.0, (step + 1) / 5))
        mine = batch[rank * share : (rank + 1) * share]
        result = train_step(model, optimizer, mine, clip_norm=1.0, micro_sequences=micro_sequences, mesh=mesh)
        losses.append(result.loss)
        norms.append(result.gradient_norm)
    return {"initial": initial, "losses": losses, "norms": norms, "final": digest(model)}


if __name__ == "__main__":
    data, tensor, output = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    seen = run(Layout(data, tensor))
    if dist.get_rank() == 0:
        output.write_text(json.dumps(seen))
    # Ranks that leave at different times, and gloo's threads at the interpreter's end, abort now and then
    # ("terminate called without an active exception"): leave together, and without that end.
    dist.barrier()
    dist.destroy_process_group()
    sys.stdout.flush()
    os._exit(0)
