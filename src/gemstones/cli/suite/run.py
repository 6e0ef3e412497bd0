"""`gemstones suite run FILE`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from gemstones.cli.options import (
    FLAG,
    OUTPUT,
    Compiled,
    Device,
    HeldOut,
    Json,
    MatrixProducts,
    MicroBatch,
    Recomputed,
    Sinks,
    Sources,
    at_least_one,
    core_count,
    named_folders,
)
from gemstones.cli.output import print_json, print_notes, say
from gemstones.cli.suite.live import view_of
from gemstones.errors import InvalidRequest, MissingExtra
from gemstones.printable import printable

if TYPE_CHECKING:
    from gemstones.train.command import TrainOptions
    from gemstones.train.slurm import SlurmOptions
    from gemstones.train.suite_folder import Prepared, RunTask


@Parameter(name="*")
@dataclass(frozen=True)
class Cluster:
    """What to ask of SLURM; with --executor slurm."""

    partition: Annotated[str | None, Parameter(help="Partition to submit to.")] = None
    account: Annotated[str | None, Parameter(help="Account to charge.")] = None
    time: Annotated[int | None, Parameter(help="Minutes of a job (default: 60).")] = None
    chain: Annotated[
        int | None, Parameter(help="So many jobs one after the other, instead of one that is requeued.")
    ] = None
    array_parallelism: Annotated[int | None, Parameter(help="Runs at once, at most (default: 256).")] = None
    nodes: Annotated[int | None, Parameter(help="Of a run (default: 1).")] = None
    gpus_per_node: Annotated[int | None, Parameter(help="With a process each (default: 0).")] = None
    layout: Annotated[
        str | None, Parameter(help="DATAxTENSOR: how a run's processes share it (default: all data).")
    ] = None
    sbatch: Annotated[
        tuple[str, ...], FLAG, Parameter(help="A further option of sbatch, like mem=64G; may be repeated.")
    ] = ()


def run(
    file: Annotated[Path, Parameter(help="A suite file (TOML).")],
    /,
    *,
    corpus: Annotated[Path | None, Parameter(help="Folder of the corpus, instead of the file's.")] = None,
    output: Annotated[
        Path | None, OUTPUT, Parameter(help="Folder for the runs' folders, instead of the file's.")
    ] = None,
    slots: Annotated[int | None, Parameter(help="Runs at once on this machine (default: 1).")] = None,
    threads: Annotated[int | None, Parameter(help="CPU threads of a run (default: cores / slots).")] = None,
    held_out: HeldOut = (),
    source: Sources = (),
    only: Annotated[
        tuple[str, ...],
        FLAG,
        Parameter(consume_multiple=True, help="Runs by id, or its beginning, and the parents they need."),
    ] = (),
    prepare: Annotated[bool, FLAG, Parameter(help="Make the runs' folders and train nothing.")] = False,
    device: Device = "",
    micro_batch: MicroBatch = None,
    compiled: Compiled = None,
    recompute: Recomputed = "none",
    products: MatrixProducts = None,
    sink: Sinks = (),
    executor: Annotated[
        Literal["local", "slurm"], Parameter(help="Where to train: here, or in SLURM's queue.")
    ] = "local",
    cluster: Cluster | None = None,
    json: Json = False,
) -> None:
    """Train a suite, a run's parent before it; call it again to go on.

    SIGINT, SIGTERM and SIGUSR1 save and leave; after a crash or SIGKILL runs go on from their last checkpoint.
    Nothing that is finished is done again, and a run that diverged is left as it is. A suite file may change
    between calls: runs that it still has keep their work.
    """
    from gemstones.train.command import TrainOptions
    from gemstones.train.queue import Interrupted, signals_noted
    from gemstones.train.suite_folder import asked, chosen, suite_locked
    from gemstones.train.suite_folder import prepare as prepare_folder

    if executor == "local" and cluster is not None:
        raise InvalidRequest(
            "partition, time, nodes and the like are of SLURM's jobs: give --executor slurm too"
        )
    if executor == "slurm" and slots is not None:
        raise InvalidRequest(
            f"slots {slots} are of this machine: limit SLURM's jobs with --array-parallelism"
        )
    slots, threads = at_least_one(slots, "slots") or 1, at_least_one(threads, "threads")
    training = TrainOptions(device, micro_batch, compiled, sink, recompute, products)
    slurm = _slurm_options(cluster or Cluster(), threads, training) if executor == "slurm" else None
    if executor == "local" and not prepare:
        _need_torch()
    with signals_noted() as signals:
        wanted = asked(
            file, corpus, output, named_folders(held_out, "held-out"), named_folders(source, "source")
        )
        tasks = chosen(wanted.tasks, only)
        with suite_locked(wanted.folder):
            prepared = prepare_folder(wanted)
            notes = _notes(prepared, wanted.folder)
            if prepare:
                _print_prepared(wanted.folder, prepared, notes, json=json)
            elif signals:
                raise Interrupted("interrupted: nothing was begun; the same command goes on", signals[0])
            elif slurm is not None:
                _submit(wanted.folder, tasks, slurm, notes, json=json)
            else:
                threads = threads or max(1, core_count() // slots)
                _train(wanted.folder, tasks, slots, threads, training, signals, notes, json=json)


def _train(
    folder: Path,
    tasks: Sequence[RunTask],
    slots: int,
    threads: int,
    training: TrainOptions,
    signals: Sequence[int],
    notes: Sequence[str],
    *,
    json: bool,
) -> None:
    from gemstones.train.disk import check_room
    from gemstones.train.queue import raise_failures, run_queue
    from gemstones.train.status import status_of

    check_room(folder, tasks, slots)
    if not json:
        print_notes(("note", notes))
    with view_of(tasks, quiet=json) as view:
        outcome = run_queue(tasks, slots, threads, view, signals, options=training)
    if json:
        runs = [
            {
                "id": run.id,
                "state": run.state,
                "step": run.step,
                "steps": run.steps,
                "loss": run.loss,
                "reason": run.reason,
            }
            for run in status_of(tasks).runs
        ]
        summary: dict[str, Any] = {"runs": runs, "finished": outcome.finished, "total": len(tasks)}
        print_json({"folder": str(folder), **summary, "notes": list(notes)})
    raise_failures(outcome, len(tasks))
    if not json:
        say(f"{outcome.finished} of {len(tasks)} runs finished in {printable(folder)}")
        left = (("diverged", outcome.diverged), ("not trained, for its parent diverged", outcome.held_back))
        print_notes(*left)
        if outcome.finished:
            say(f"next: gemstones runs collect {printable(folder)} --output runs.parquet")


def _submit(
    folder: Path, tasks: Sequence[RunTask], options: SlurmOptions, notes: Sequence[str], *, json: bool
) -> None:
    from gemstones.train.disk import check_room
    from gemstones.train.slurm import submit_suite

    check_room(folder, tasks, min(len(tasks), options.array_parallelism))
    submitted = submit_suite(folder, tasks, options)
    if json:
        jobs = [{"job": array.id, "runs": list(array.runs)} for array in submitted]
        print_json({"folder": str(folder), "submitted": jobs, "total": len(tasks), "notes": list(notes)})
        return
    print_notes(("note", notes))
    for array in submitted:
        say(f"job {array.id}: {len(array.runs)} runs")
    if submitted:
        say(f"how far they are: gemstones suite status {printable(folder)}")
    else:
        say(f"nothing to do: no run of {printable(folder)} is left to train")


def _print_prepared(folder: Path, prepared: Prepared, notes: Sequence[str], *, json: bool) -> None:
    ids = list(prepared.runs)
    if json:
        print_json({"folder": str(folder), "runs": ids, "added": list(prepared.added), "notes": list(notes)})
        return
    print_notes(("note", notes))
    say(f"{printable(folder)}: {len(ids)} runs are ready to train, {len(prepared.added)} of them new")


def _notes(prepared: Prepared, folder: Path) -> list[str]:
    from gemstones.runs.one_line import listed

    if not prepared.dropped:
        return []
    count = len(prepared.dropped)
    return [
        f"{count} run{'s are' if count > 1 else ' is'} no longer in the suite, and left as "
        f"{'they are' if count > 1 else 'it is'} in {folder}: {listed(prepared.dropped)}"
    ]


def _slurm_options(cluster: Cluster, threads: int | None, training: TrainOptions) -> SlurmOptions:
    from gemstones.train.slurm import SlurmOptions

    further = {}
    for option in cluster.sbatch:
        key, equals, value = option.removeprefix("--").partition("=")
        if not (equals and value):
            raise InvalidRequest(f"sbatch {option!r} is no option with a value: write it like mem=64G")
        further[key] = value
    given = asdict(cluster) | {
        "minutes": cluster.time,
        "threads": threads,
        "sbatch": further,
        "training": training,
    }
    del given["time"]
    return SlurmOptions(**{name: value for name, value in given.items() if value is not None})


def _need_torch() -> None:
    """Found missing here, once, and not by every run."""
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise MissingExtra("train", "training")
