"""`gemstones suite plan FILE`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gemstones.cli.options import HeldOut, Json, Sources, Verbose, named_folders
from gemstones.cli.output import print_json
from gemstones.cli.suite.planned import print_suite
from gemstones.errors import InvalidRequest, MissingExtra
from gemstones.units import parse_quantity

if TYPE_CHECKING:
    from gemstones.design.cost import Finding, SuiteCost
    from gemstones.design.layout import DeviceBytes, Layout
    from gemstones.design.spec import RunSpec, TrainingPrecision
    from gemstones.design.suite_file import Suite
    from gemstones.design.throughput import Throughput
    from gemstones.train.corpus import Corpus

CONVENTIONS = {
    "tokens": "at the end of a run, its parent's up to the fork included; own_tokens are trained by itself",
    "params": "total: embedding and head included",
    "flops": "forward and backward, of own tokens, by the paper's Appendix G (`gemstones`)",
    "flops_matmul": "forward and backward, of own tokens, multiplications alone (`matmul`)",
    "checkpoints": "float32 weights and AdamW's two moments, 12 bytes per parameter; kept for good are those of "
    "forks and the last, and a run under way needs room for a few more",
    "memory": "float32 weights, gradients and AdamW's two moments, 16 bytes per parameter, over all devices of a "
    "run together; activations are not included, nor the copy on the CPU from which a run of one process writes its "
    "checkpoints, 12 bytes per parameter",
    "step": "weights, moments, gradients and activations at their most in a step of the whole batch, on one process "
    "and a CPU, not compiled; --micro-batch and --recompute of `suite run` take less",
}
DISK = (
    "at once, one run at a time: checkpoints kept for good, those that pass of the largest run, and ledgers; against "
    "what is free where the runs will be"
)
GATHERED = (
    "weights and gradients that a step holds whole but for the tensor split, if there are several data ranks: of "
    "embedding, head and final norm, and of the blocks at work (weights of two, gradients of one); activations "
    "are not included, nor the gradients that accumulation over micro-batches keeps whole"
)
SHARDED = (
    "weights, gradients and two moments as torch shards them on the meta device, a fake process group in the "
    "place of the ranks; nothing gathered, activations not included"
)


def plan(
    file: Annotated[Path, Parameter(help="A suite file (TOML).")],
    /,
    *,
    corpus: Annotated[Path | None, Parameter(help="Folder of the corpus, instead of the file's.")] = None,
    held_out: HeldOut = (),
    source: Sources = (),
    throughput: Annotated[
        str | None, Parameter(help="Matmul FLOP/s per device in training, like 150T (default: measured).")
    ] = None,
    utilisation: Annotated[
        float | None, Parameter(help="Of the matmul peak measured here (default: 0.5).")
    ] = None,
    layout: Annotated[
        str | None, Parameter(help="Memory per device as DATAxTENSOR parallel, like 64x4.")
    ] = None,
    ranks: Annotated[
        int | None, Parameter(help="Shard the largest model for so many ranks, without having them.")
    ] = None,
    tensor: Annotated[int | None, Parameter(help="Tensor parallel degree of --ranks (default: 1).")] = None,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """What a suite trains, what it costs, and what is wrong with it, before anything is spent.

    Runs, tokens, FLOPs, device hours, disk and memory in all and by family, memory per device for a stated layout, and
    findings, those alike once; with --verbose every run with its parent and rate, every shape with its tensor parallel
    degrees, and how each number is counted. Nothing is written.

    Example: gemstones suite plan studies/tiny.toml --corpus corpus
    """
    from gemstones.design.cost import Finding, suite_cost
    from gemstones.design.layout import Layout
    from gemstones.design.suite import expand, load_suite
    from gemstones.train.corpus import windows
    from gemstones.train.disk import room_for

    if tensor is not None and ranks is None:
        raise InvalidRequest(f"tensor {tensor} is the degree of a dry run: give --ranks too, or use --layout")
    suite = load_suite(file)
    opened = _corpus(suite, corpus)
    sets, sources = _beside(suite, opened, held_out, source)
    specs = expand(suite, *(() if opened is None else (opened.vocabulary, opened.fingerprint, sets, sources)))
    stated_layout = None if layout is None else Layout.parse(layout)
    if stated_layout is not None:
        for spec in specs:
            stated_layout.check(spec.shape, spec.batch_sequences)
    sharded = None if ranks is None else _sharded(specs, ranks, 1 if tensor is None else tensor)
    rate = _throughput(throughput, utilisation, suite.training.precision)
    cost = suite_cost(
        specs,
        rate.flops_per_second_per_device,
        None if opened is None else opened.total("train"),
        None if opened is None else windows(opened, "validation", suite.models.context),
    )
    findings = [*cost.findings, *_on_corpus(suite, opened, specs)]
    room = room_for(suite.output or Path(), cost)
    if room.problem:
        findings.insert(0, Finding("warning", room.problem, tuple(spec.id for spec in specs)))
    if sharded is not None and sharded["problem"]:
        findings.insert(0, Finding("warning", sharded["problem"], (sharded["run"],)))
    summary = {
        "suite": str(file),
        "corpus": None
        if opened is None
        else {
            "folder": str(opened.folder),
            "fingerprint": opened.fingerprint,
            "vocabulary": opened.vocabulary,
            "train_tokens": opened.total("train"),
        },
        "ids_final": opened is not None,
        "runs": _runs(specs, cost, stated_layout),
        "totals": {
            "runs": len(cost.runs),
            **{
                name: getattr(cost, name)
                for name in (
                    *("own_tokens", "flops", "flops_matmul", "device_hours", "memory_bytes", "step_bytes"),
                    *("checkpoints", "bytes_written", "bytes_kept"),
                )
            },
        },
        "disk": {
            "folder": str(room.folder),
            "bytes_needed": room.bytes_needed,
            "bytes_free": room.bytes_free,
        },
        "throughput": asdict(rate),
        "memory": _memory(specs, stated_layout),
        "ranks": sharded,
        "findings": [asdict(finding) for finding in findings],
        "conventions": {
            **CONVENTIONS,
            "device_hours": rate.convention,
            "disk": DISK,
            "gathered": GATHERED,
            "ranks": SHARDED,
        },
    }
    if json:
        print_json(summary)
    else:
        print_suite(summary, verbose)


def _corpus(suite: Suite, given: Path | None) -> Corpus | None:
    """The corpus, if there is one yet: the file's may be built later, if the file says the vocabulary."""
    from gemstones.train.corpus import Corpus, windows

    folder = given or suite.corpus
    if folder is None:
        return None
    if given is None and not folder.exists():
        if isinstance(suite.models.vocabulary, int):
            return None
        raise InvalidRequest(
            f"{suite.file}: corpus: {folder} is not built, and gives the vocabulary: build it with `gemstones corpus "
            "build`, give another with --corpus, or write models.vocabulary"
        )
    corpus = Corpus.open(folder)
    for split in ("train", "validation"):
        windows(corpus, split, suite.models.context)
    return corpus


def _beside(
    suite: Suite, corpus: Corpus | None, held_out: Sequence[str], sources: Sequence[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Fingerprints of the other held-out sets, and of the sources of mixtures, once they and the corpus are built."""
    from gemstones.design.suite import held_out_folders, source_folders
    from gemstones.train.beside import fingerprints, open_held_out, open_sources

    sets = held_out_folders(suite, named_folders(held_out, "held-out"))
    parts = source_folders(suite, named_folders(sources, "source"))
    if corpus is None:
        return {}, {}
    context = suite.models.context
    return (
        fingerprints(open_held_out(corpus, sets, context)) if held_out or _all_built(sets) else {},
        fingerprints(open_sources(corpus, parts, context)) if sources or _all_built(parts) else {},
    )


def _all_built(folders: Mapping[str, Path]) -> bool:
    return all(folder.exists() for folder in folders.values())


def _on_corpus(suite: Suite, corpus: Corpus | None, specs: Sequence[RunSpec]) -> list[Finding]:
    from gemstones.design.cost import Finding

    if corpus is not None:
        return []
    why = "no corpus is named" if suite.corpus is None else f"corpus {suite.corpus} is not built"
    message = f"ids are not final: {why}, and its fingerprint will be part of them"
    return [Finding("note", message, tuple(spec.id for spec in specs))]


def _throughput(stated: str | None, utilisation: float | None, precision: TrainingPrecision) -> Throughput:
    from gemstones.design.throughput import UTILISATION, Throughput

    if stated is not None:
        if utilisation is not None:
            raise InvalidRequest(
                f"utilisation {utilisation:g} is of a measured peak, and --throughput {stated} is stated: "
                "give one of them"
            )
        return Throughput.stated(parse_quantity(stated, "throughput"))
    try:
        from gemstones.train.throughput import measured_throughput
    except ModuleNotFoundError:
        raise MissingExtra("train", "without --throughput, measuring this machine") from None
    return measured_throughput(precision, UTILISATION if utilisation is None else utilisation)


def _sharded(specs: Sequence[RunSpec], ranks: int, tensor: int) -> dict[str, Any]:
    from gemstones.accounting.parameters import params
    from gemstones.design.layout import Layout

    largest = max(specs, key=lambda spec: params(spec.shape))
    layout = Layout.of_ranks(ranks, tensor)
    layout.check_tensor(largest.shape)
    try:
        from gemstones.train.dry_run import dry_run
    except ModuleNotFoundError:
        raise MissingExtra("train", "sharding a model for --ranks") from None
    found = dry_run(largest.shape, layout)
    return {
        "ranks": ranks,
        **asdict(layout),
        "run": largest.id,
        "problem": layout.batch_problem(largest.batch_sequences) or None,
        "shape": str(largest.shape),
        "params_total": params(largest.shape),
        "bytes_max": max(found.bytes_per_rank),
        "bytes_min": min(found.bytes_per_rank),
        "bytes_total": found.bytes_total,
        "bytes_replicated": found.bytes_replicated,
        "bytes_per_rank": found.bytes_per_rank,
        "sharded_by_torch": [{"rank": rank, **_bytes_of(held)} for rank, held in found.played.items()],
    }


def _runs(specs: Sequence[RunSpec], cost: SuiteCost, layout: Layout | None) -> list[dict[str, Any]]:
    from gemstones.design.layout import device_bytes, tensor_parallel_degrees

    rows = []
    for spec, run in zip(specs, cost.runs, strict=True):
        row = {**asdict(run), "parent": run.parent or None, "bytes_kept": run.bytes_kept}
        row["tensor_parallel_degrees"] = tensor_parallel_degrees(spec.shape)
        if layout is not None:
            row["memory_per_device_bytes"] = device_bytes(spec.shape, layout).total
        rows.append(row)
    return rows


def _memory(specs: Sequence[RunSpec], layout: Layout | None) -> dict[str, Any]:
    """Of each shape, from the largest on."""
    from gemstones.accounting.memory import memory_bytes
    from gemstones.accounting.parameters import params
    from gemstones.design.layout import device_bytes, tensor_parallel_degrees

    shapes = sorted({spec.shape for spec in specs}, key=params, reverse=True)
    rows = [
        {
            "shape": str(shape),
            "params_total": params(shape),
            "states_bytes": memory_bytes(shape, "float32")["total"],
            "tensor_parallel_degrees": tensor_parallel_degrees(shape),
            "per_device": None if layout is None else _bytes_of(device_bytes(shape, layout)),
        }
        for shape in shapes
    ]
    return {
        "layout": None if layout is None else {**asdict(layout), "devices": layout.processes},
        "shapes": rows,
    }


def _bytes_of(held: DeviceBytes) -> dict[str, int]:
    parts = {f"{name}_bytes": count for name, count in asdict(held).items()}
    return {**parts, "states_bytes": held.states, "total_bytes": held.total}
