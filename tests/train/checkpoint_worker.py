"""One process of a layout that saves a known state, or reads one and tells what it has. Run as torchrun does."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import torch
from torch.distributed.tensor import DTensor

from gemstones.design.layout import Layout
from gemstones.shape import Shape
from gemstones.train.checkpoint import checkpoints, restore, state_of
from gemstones.train.initialisation import initialise
from gemstones.train.layout import build_mesh, distribute
from gemstones.train.model import Transformer
from gemstones.train.optimizer import build_optimizer
from gemstones.train.ranks import Ranks, leave_group
from gemstones.train.write_checkpoint import save

STEP = 7


def run(layout: Layout, shape: Shape, folder: Path, *, saves: bool) -> dict[str, str]:
    """SHA-256 of every whole tensor: weights and moments, by name."""
    torch.set_num_threads(1)
    ranks = Ranks(build_mesh(layout), torch.device("cpu"))
    with torch.device("meta"):
        model = Transformer(shape)
    distribute(model, layout, ranks.mesh)
    model.to_empty(device=ranks.device)
    initialise(model, shape, seed=1 if saves else 2)
    optimizer = build_optimizer(model)
    if saves:
        for parameter in model.parameters():
            moments = {"exp_avg": parameter.detach() * 3, "exp_avg_sq": parameter.detach() ** 2}
            optimizer.state[parameter] = {"step": torch.tensor(float(STEP)), **moments}
        save(folder, state_of(model, optimizer), ranks, run="any", step=STEP, skipped_batches=5)
    else:
        (checkpoint,) = checkpoints(folder)
        assert (checkpoint.step, checkpoint.complete.skipped_batches) == (STEP, 5)
        assert checkpoint.problem() == ""
        restore(checkpoint, model, optimizer, ranks)
    found = {}
    for name, parameter in model.named_parameters():
        state = optimizer.state[parameter]
        assert float(state["step"]) == STEP
        for kind, tensor in (
            ("weight", parameter.detach()),
            *((k, state[k]) for k in ("exp_avg", "exp_avg_sq")),
        ):
            whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
            found[f"{kind} {name}"] = hashlib.sha256(whole.numpy().tobytes()).hexdigest()
    return found


if __name__ == "__main__":
    layout, vocabulary, folder, mode, output = sys.argv[1:]
    seen = run(
        Layout.parse(layout),
        Shape(64, 2, head_size=8, vocabulary=int(vocabulary), context=16),
        Path(folder),
        saves=mode == "save",
    )
    if torch.distributed.get_rank() == 0:
        Path(output).write_text(json.dumps(seen))
    leave_group(0)
