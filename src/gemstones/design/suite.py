"""`Suite` → `RunSpec`s: every run of a suite, parents first (paper §3, "Polishing the Gemstones").

Main runs are one per shape, rate and seed. A learning rate ablation is those again at another rate. A
cooldown branches off a main run at a checkpoint; the parent keeps that checkpoint for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import msgspec

from gemstones.design.choose import choose_shapes
from gemstones.design.feasible import Constraints
from gemstones.design.field_errors import at, under
from gemstones.design.recipe import Patch
from gemstones.design.schedule import step_of
from gemstones.design.spec import RunSpec
from gemstones.design.suite_file import Cooldown, LrAblation, Suite, load_suite
from gemstones.errors import InvalidRequest
from gemstones.shape import Shape
from gemstones.units import format_quantity

__all__ = ["Suite", "choose_shapes", "expand", "load_suite", "suite_shapes"]

FORK_TOLERANCE = 0.005
"""A fork this near, as a fraction of its steps, to a regular checkpoint of the parent is at that checkpoint.

Intervals are rounded to steps once, so "every 10B" drifts off "every 2B": 10B is nearest to step 2384, the
fifth checkpoint is at step 2385, and the published cooldowns start there.
"""
MOST_FORKS = 10_000
"""Of one cooldown family: more is a slip of units."""
WRITTEN_AT = {
    "tokens": "training.tokens",
    "lr_base": "training.lr_base",
    "learning_rate": "training.lr_base",
    "evaluate_tokens": "training.evaluate_every",
    "checkpoint_tokens": "training.checkpoint_every",
}
"""Where a suite file sets what `RunSpec` may still refuse in a main run."""


def expand(suite: Suite, vocabulary: int | None = None, corpus_fingerprint: str = "") -> tuple[RunSpec, ...]:
    """The runs of `suite`, every parent before its children: main runs, then families in their order.

    `vocabulary` and `corpus_fingerprint` are the corpus's; a vocabulary in the file may be larger (padding).
    A mistake is an `InvalidRequest` with file, field and rule, in one line.
    """
    with under(str(suite.file)):
        shapes = _shapes(suite, vocabulary)
        main = list(_main_runs(suite, shapes, corpus_fingerprint))
        runs: dict[str, RunSpec] = {}
        _add(runs, main, "training")
        for i, family in enumerate(suite.families):
            path = f"families[{i}]"
            wanted = _named(family.shapes, shapes, f"{path}.shapes") or shapes
            parents = [run for run in main if run.shape in wanted]
            if isinstance(family, LrAblation):
                _add(runs, [_ablated(run, family, path) for run in parents], f"{path}.lr_factor")
                continue
            for fork_path, fork in _forks(family, path):
                _add(runs, [_cooled(run, fork, family.length, fork_path) for run in parents], fork_path)
        return _with_permanent_checkpoints(runs.values())


def suite_shapes(suite: Suite, vocabulary: int | None = None) -> tuple[Shape, ...]:
    """The shapes of `suite`, as named, or chosen size by size."""
    with under(str(suite.file)):
        return _shapes(suite, vocabulary)


def _shapes(suite: Suite, vocabulary: int | None) -> tuple[Shape, ...]:
    models, table = suite.models, suite.shapes
    architecture = {
        "head_size": models.head_size,
        "queries_per_kv": models.queries_per_kv,
        "mlp_expansion": models.mlp_expansion,
        "vocabulary": _vocabulary(suite, vocabulary),
        "context": models.context,
    }
    by_path: list[tuple[str, tuple[Shape, ...]]] = []
    if isinstance(table.explicit, tuple):
        for i, text in enumerate(table.explicit):
            with under(path := f"shapes.explicit[{i}]"):
                by_path.append((path, (Shape.parse(text, **architecture),)))
    elif isinstance(table.sizes, tuple):
        with under("shapes"):
            constraints = Constraints(
                width_min=table.width_min,
                width_max=table.width_max,
                depth_min=table.depth_min,
                depth_max=table.depth_max,
                even_heads=table.even_heads,
                width_multiple=table.width_multiple,
                template=Shape(2 * models.head_size * models.queries_per_kv, 1, **architecture),
            )
        for i, size in enumerate(table.sizes):
            with under(path := f"shapes.sizes[{i}]"):
                by_path.append((path, choose_shapes(size, table.tolerance, table.per_size, constraints)))
    shapes: list[Shape] = []
    for path, group in by_path:
        for shape in group:
            if shape in shapes:
                raise at(path, f"{shape} is in the suite already: leave one out")
            shapes.append(shape)
    return tuple(shapes)


def _vocabulary(suite: Suite, corpus: int | None) -> int:
    stated = suite.models.vocabulary
    if not isinstance(stated, int):
        if corpus is None:
            raise at("models.vocabulary", "is required as long as no corpus gives it")
        return corpus
    if corpus is not None and stated < corpus:
        raise at("models.vocabulary", f"{stated} is smaller than the corpus's {corpus}: leave it out, or pad")
    return stated


def _main_runs(suite: Suite, shapes: tuple[Shape, ...], corpus_fingerprint: str) -> Iterator[RunSpec]:
    training = suite.training
    on = _named(training.patch.on, shapes, "training.patch.on")
    off = _named(training.patch.off, shapes, "training.patch.off")
    if both := [str(shape) for shape in on if shape in off]:
        raise at("training.patch.off", f"{both[0]} is switched on too")
    sweeps: dict[str, tuple[float, ...]] = {"seeds": suite.seeds, "training.lr_base": training.lr_bases}
    for path, values in sweeps.items():
        for i, value in enumerate(values):
            if value in values[:i]:
                raise at(f"{path}[{i}]", f"{value:g} is there already: leave one out")
    every, windows = training.checkpoint_every, training.evaluate_sequences
    for seed in suite.seeds:
        for lr_base in training.lr_bases:
            for shape in shapes:
                mode = "on" if shape in on else "off" if shape in off else training.patch.mode
                patch = Patch(training.patch.threshold, training.patch.inclusive, mode)
                with _written_at(WRITTEN_AT, "training"):
                    run = RunSpec.of(
                        shape,
                        family="main",
                        tokens=int(training.tokens),
                        batch_sequences=training.batch_sequences,
                        lr_base=lr_base,
                        patch=patch,
                        warmup_tokens=int(training.warmup_tokens),
                        seed=seed,
                        norm_gain=training.norm_gain,
                        clip_norm=training.clip,
                        evaluate_tokens=int(training.evaluate_every),
                        evaluate_sequences=windows if isinstance(windows, int) else 0,
                        spike_nats=training.spike_nats,
                        checkpoint_tokens=int(every if isinstance(every, int) else training.evaluate_every),
                        corpus_fingerprint=corpus_fingerprint,
                        precision=training.precision,
                    )
                yield run


@contextmanager
def _written_at(places: Mapping[str, str], otherwise: str) -> Iterator[None]:
    """Refusals of `RunSpec` within name the place in the suite file, not the field of the run."""
    try:
        yield
    except InvalidRequest as error:
        field, _, rule = str(error).partition(": ")
        raise at(places.get(field, otherwise), rule) from None


def _ablated(run: RunSpec, family: LrAblation, path: str) -> RunSpec:
    with _written_at(dict.fromkeys(("lr_base", "learning_rate"), f"{path}.lr_factor"), f"{path}.tokens"):
        return msgspec.structs.replace(
            run,
            family="lr-ablation",
            lr_base=run.lr_base * family.lr_factor,
            learning_rate=run.learning_rate * family.lr_factor,
            tokens=int(family.tokens) if isinstance(family.tokens, int) else run.tokens,
        )


def _forks(family: Cooldown, path: str) -> list[tuple[str, int]]:
    """Fork points in tokens, as written, and where they are written."""
    if isinstance(family.forks, tuple):
        return [(f"{path}.forks[{i}]", int(fork)) for i, fork in enumerate(family.forks)]
    assert isinstance(family.every, int)
    assert isinstance(family.until, int)
    if not 1 <= family.until // family.every <= MOST_FORKS:
        raise at(f"{path}.until", f"{family.until} must be 1 to {MOST_FORKS:,} times every, {family.every}")
    return [(f"{path}.until", fork) for fork in range(family.every, family.until + 1, family.every)]


def _cooled(parent: RunSpec, fork: int, length: float, path: str) -> RunSpec:
    """The cooldown of `parent` from `fork` tokens on, that lasts `length` times as long as it had trained."""
    step = step_of(fork, parent.batch_tokens)
    regular = min(parent.checkpoint_steps, key=lambda checkpoint: abs(checkpoint - step))
    if abs(regular - step) <= FORK_TOLERANCE * step:
        step = regular
    if step > parent.steps:
        raise at(
            path,
            f"{format_quantity(fork)} is beyond the end of its parent {parent.id} at "
            f"{format_quantity(parent.trained_tokens)} tokens: fork earlier, or train longer",
        )
    fork_tokens = step * parent.batch_tokens
    own_steps = step_of(length * fork_tokens, parent.batch_tokens)
    with under(path):
        return msgspec.structs.replace(
            parent,
            family="cooldown",
            parent=parent.id,
            fork_tokens=fork_tokens,
            tokens=fork_tokens + own_steps * parent.batch_tokens,
            cooldown=True,
        )


def _named(
    names: tuple[str, ...] | msgspec.UnsetType, shapes: tuple[Shape, ...], path: str
) -> tuple[Shape, ...]:
    """The shapes of the suite that `names` names."""
    found = []
    for i, name in enumerate(names if isinstance(names, tuple) else ()):
        same = [shape for shape in shapes if str(shape) == name.strip().lower()]
        if not same:
            raise at(
                f"{path}[{i}]",
                f"{name!r} is no shape of this suite: choose from {', '.join(map(str, shapes))}",
            )
        found += same
    return tuple(found)


def _add(runs: dict[str, RunSpec], new: Iterable[RunSpec], path: str) -> None:
    """Add `new` to `runs`; refused if two train the same thing, whatever their families are called."""
    for run in new:
        first = runs.setdefault(msgspec.structs.replace(run, family="any").id, run)
        if first is not run:
            name = f", as {first.id}" if first.id != run.id else ""
            raise at(path, f"run {run.id} is in the suite already{name}: leave one out")


def _with_permanent_checkpoints(runs: Iterable[RunSpec]) -> tuple[RunSpec, ...]:
    """`runs`, with the fork points of their children as checkpoints to keep; the ids stay."""
    forks: dict[str, tuple[int, ...]] = {}
    for run in runs:
        if run.parent:
            forks[run.parent] = (*forks.get(run.parent, ()), run.fork_tokens)
    return tuple(msgspec.structs.replace(run, permanent_tokens=forks.get(run.id, ())) for run in runs)
