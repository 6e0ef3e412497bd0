"""Checkpoints: weights and AdamW's moments, sharded as they lie on the processes, in safetensors.

    checkpoints/step-0000000120/
        shard-00001-model-00001-of-00001.safetensors    by `torch.distributed.checkpoint`, one a process
        complete.json                                   written last: names, bytes and CRC-32 of the files

A folder is filled under another name and renamed when all of it is on the disk, so that what was interrupted
is never taken for a checkpoint; a folder without its marker, with one of another run, or with files that are not
as the marker says, is passed over with a message. Nothing in it is a pickle, and any layout reads what any other
wrote.
"""

from __future__ import annotations

import shutil
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import torch
from msgspec import Meta
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
from torch.distributed.checkpoint.state_dict_loader import load

from gemstones.design.cost import KEPT_CHECKPOINTS
from gemstones.design.divergence import LEVEL_STEPS
from gemstones.design.spec import RunSpec
from gemstones.errors import Failure, InvalidRequest
from gemstones.runs.checksum import without_checksum
from gemstones.runs.folders import CHECKPOINTS, RUN, read_run
from gemstones.runs.ledger import Count
from gemstones.runs.one_line import one_line
from gemstones.shape import Shape
from gemstones.train.model import Transformer
from gemstones.train.ranks import Ranks

COMPLETE = "complete.json"
UNFINISHED = "."
"""Start of the names of folders that are being filled or deleted."""
_READ = 1 << 22
"""Bytes read at a time."""

Say = Callable[[str], None]
"""Takes a message to the user."""


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of a checkpoint."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")]
    bytes: Count
    crc32: Count


class Complete(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`complete.json`, which ends with its own checksum (`gemstones.runs.checksum`); that of format 1 has none."""

    format: Literal[1, 2] = 2
    run: str
    """Id of the run: whoever looks for checkpoints takes those of his own alone."""
    step: Count
    skipped_batches: Count
    """Passed over by rollbacks up to this step: a branch that starts here goes on with them."""
    files: tuple[File, ...]

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(file.bytes for file in self.files)


@dataclass(frozen=True)
class Checkpoint:
    """A folder with a valid marker; `problem` tells whether its files are as the marker says."""

    folder: Path
    complete: Complete

    @property
    def step(self) -> int:
        """Steps done when it was saved."""
        return self.complete.step

    def problem(self) -> str:
        """What is wrong with the files, or nothing; reads all of them."""
        for file in self.complete.files:
            path = self.folder / file.name
            try:
                if path.stat().st_size != file.bytes:
                    return f"{file.name} has {path.stat().st_size} bytes instead of {file.bytes}"
                if crc32_of(path) != file.crc32:
                    return f"{file.name} is corrupted: its checksum is not the one of when it was written"
            except OSError as error:
                return f"{file.name} cannot be read: {error.strerror}"
        return ""


def checkpoints(run_folder: Path, say: Say = lambda message: None) -> list[Checkpoint]:
    """The complete checkpoints of the run that the folder's `run.json` describes, by step.

    `say` hears of folders that are none: without a marker, with a damaged one, or with that of another run.
    """
    run = read_run(run_folder).spec.id if (run_folder / RUN).exists() else None  # a folder by itself: of any
    found = []
    root = run_folder / CHECKPOINTS
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        if folder.name.startswith(UNFINISHED) or not folder.is_dir():
            continue
        try:
            marker = _decode((folder / COMPLETE).read_bytes())
        except FileNotFoundError:
            say(f"{folder} is incomplete and is passed over: it has no {COMPLETE}")
            continue
        except (OSError, ValueError) as error:
            say(f"{folder} is passed over: its {COMPLETE} is damaged ({one_line(error)})")
            continue
        if run is not None and marker.run != run:
            say(f"{folder} is passed over: it is of run {one_line(marker.run)}, not of {run}")
            continue
        found.append(Checkpoint(folder, marker))
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def newest(
    run_folder: Path, last_step: int | None = None, say: Say = lambda message: None
) -> Checkpoint | None:
    """The run's newest checkpoint, of at most `last_step`, that is whole; `say` hears of those passed over."""
    for checkpoint in reversed(checkpoints(run_folder, say)):
        if last_step is not None and checkpoint.step > last_step:
            continue
        if not (problem := checkpoint.problem()):
            return checkpoint
        say(f"{checkpoint.folder} is passed over: {problem}")
    return None


def restore(checkpoint: Checkpoint, model: nn.Module, optimizer: torch.optim.Optimizer, ranks: Ranks) -> None:
    """Read weights and moments into `model` and `optimizer`, whatever layout wrote them; every rank calls it."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter] = {
                "step": torch.tensor(float(checkpoint.step), device=ranks.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
            if "momentum" in group:  # Muon's have this one state
                optimizer.state[parameter] = {"exp_avg": torch.zeros_like(parameter)}
    _load(checkpoint, state_of(model, optimizer), single=ranks.mesh is None)


def read_weights(run_folder: Path, step: int | None = None) -> tuple[int, dict[str, Tensor]]:
    """Step and whole weights, in float32 on the CPU, of a run's newest checkpoint, or of the one at `step`."""
    if step is None:
        passed_over: list[str] = []
        checkpoint = newest(run_folder, say=passed_over.append)
        if checkpoint is None:
            why = f" ({passed_over[-1]})" if passed_over else ""
            raise InvalidRequest(f"{run_folder} has no complete checkpoint{why}: train it first")
    else:
        checkpoint = at_step(run_folder, step)
    weights = {f"weights.{name}": tensor for name, tensor in empty_weights(read_run(run_folder).spec.shape)}
    _load(checkpoint, weights, single=True)
    return checkpoint.step, {name.removeprefix("weights."): tensor for name, tensor in weights.items()}


def at_step(run_folder: Path, step: int) -> Checkpoint:
    """The run's checkpoint of `step`, whole; `InvalidRequest` if there is none."""
    passed_over: list[str] = []
    found = checkpoints(run_folder, passed_over.append)
    for checkpoint in found:
        if checkpoint.step == step:
            if problem := checkpoint.problem():
                raise InvalidRequest(f"{checkpoint.folder}: {problem}")
            return checkpoint
    there = ", ".join(str(checkpoint.step) for checkpoint in found) or "none"
    besides = f" ({'; '.join(passed_over)})" if passed_over else ""
    raise InvalidRequest(f"{run_folder} has no checkpoint of step {step}: there are {there}{besides}")


def empty_weights(shape: Shape) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of undefined content, of the model's parameters."""
    with torch.device("meta"):
        model = Transformer(shape)
    for name, parameter in model.named_parameters():
        yield name, torch.empty(parameter.shape, dtype=torch.float32)


def retire(run_folder: Path, spec: RunSpec, step: int) -> None:
    """Delete checkpoints that a run at `step` does not need any more; on rank 0."""
    regular = frozenset(spec.regular_steps)
    passing = [c for c in checkpoints(run_folder) if c.step not in spec.permanent_steps and c.step < step]
    # What a signal or the budget saved is for resuming only: no rollback may depend on it.
    incidental = [c for c in passing if c.step not in regular]
    for checkpoint in (
        *incidental,
        *[c for c in passing if c.step in regular and safe(c, step)][:-KEPT_CHECKPOINTS],
    ):
        delete(checkpoint.folder)


def safe(checkpoint: Checkpoint, step: int) -> bool:
    """Whether it is from well before a divergence that is seen at `step`."""
    return checkpoint.step <= step - 2 * LEVEL_STEPS


def keep_permanent(run_folder: Path, permanent_steps: tuple[int, ...]) -> None:
    """Delete all checkpoints but the permanent ones: the run is finished; on rank 0."""
    for checkpoint in checkpoints(run_folder):
        if checkpoint.step not in permanent_steps:
            delete(checkpoint.folder)


def discard_after(run_folder: Path, step: int) -> None:
    """Delete the checkpoints of later steps: a rollback makes them another run's; on rank 0."""
    for checkpoint in checkpoints(run_folder):
        if checkpoint.step > step:
            delete(checkpoint.folder)


def clear_unfinished(run_folder: Path) -> None:
    """Delete what an interrupted save or deletion left; on rank 0, with the run's lock held."""
    root = run_folder / CHECKPOINTS
    for folder in root.iterdir() if root.is_dir() else []:
        if folder.name.startswith(UNFINISHED):
            shutil.rmtree(folder, ignore_errors=True)


def name_of(step: int) -> str:
    """Of the folder; names sort as steps do."""
    return f"step-{step:010d}"


def delete(folder: Path) -> None:
    """Delete a checkpoint so that an interruption leaves nothing that looks like one."""
    doomed = folder.parent / f"{UNFINISHED}deleting-{folder.name}"
    shutil.rmtree(doomed, ignore_errors=True)
    folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def state_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Flat: weights and moments by the names of the parameters. The step count is the checkpoint's own."""
    state: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        state[f"weights.{name}"] = parameter.detach()
        for moment in ("exp_avg", "exp_avg_sq"):
            if moment in optimizer.state[parameter]:
                state[f"{moment}.{name}"] = optimizer.state[parameter][moment]
    return state


def _load(checkpoint: Checkpoint, state: Mapping[str, Tensor], *, single: bool) -> None:
    try:
        be_quiet()
        load(dict(state), storage_reader=HuggingFaceStorageReader(str(checkpoint.folder)), no_dist=single)
    except (ValueError, KeyError, RuntimeError, AssertionError, OSError, CheckpointException) as error:
        raise Failure(f"{checkpoint.folder} does not fit this run: {one_line(error)}") from error


def _decode(content: bytes) -> Complete:
    """The marker; `ValueError` for one that is damaged."""
    line, right = without_checksum(content)
    marker = msgspec.json.decode(line, type=Complete)
    if right is False or (right is None and marker.format > 1):
        raise ValueError("its checksum is not the one of when it was written")
    return marker


def crc32_of(path: Path) -> int:
    """Of the whole file."""
    checksum = 0
    with path.open("rb") as file:
        while piece := file.read(_READ):
            checksum = zlib.crc32(piece, checksum)
    return checksum


def be_quiet() -> None:
    """No word of the library that a single process is one; not put back, for threads share what is said."""
    warnings.filterwarnings("ignore", message="torch.distributed is disabled")
