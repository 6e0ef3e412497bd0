"""`Suite` → `RunSpec`s: every run of a suite, parents first (paper §3, "Polishing the Gemstones").

Main runs are one per shape, horizon, rate and seed. A variant is those again with something changed, a learning rate
ablation the best known one. A cooldown branches off another run at a checkpoint; the parent keeps that for good.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import msgspec

from gemstones.accounting.flops import flops_per_token
from gemstones.design.branches import cooled, forks
from gemstones.design.choose import choose_shapes
from gemstones.design.corpora import HeldOut, Source
from gemstones.design.field_errors import at, join, under
from gemstones.design.horizons import falling, horizons, intervals
from gemstones.design.recipe import Patch
from gemstones.design.recipes import RECIPES, RecipeName
from gemstones.design.spec import RunSpec
from gemstones.design.suite_file import Cooldown, LrAblation, Order, Suite, Training, Variant, load_suite
from gemstones.design.suite_folders import held_out_folders, source_folders
from gemstones.design.suite_shapes import shapes_of, suite_shapes
from gemstones.errors import InvalidRequest
from gemstones.shape import Shape

__all__ = [
    "Suite",
    "choose_shapes",
    "expand",
    "held_out_folders",
    "load_suite",
    "source_folders",
    "suite_shapes",
]

MAIN, LR_ABLATION = "main", "lr-ablation"
WRITTEN_AT = {
    "tokens": "training.tokens",
    "mixture": "training.mixture",
    "lr_base": "training.lr_base",
    "learning_rate": "training.lr_base",
    "evaluate_tokens": "training.evaluate_every",
    "checkpoint_tokens": "training.checkpoint_every",
}
"""Where a suite file sets what `RunSpec` may still refuse in a main run."""
AS_GIVEN = (
    "batch_sequences", "rate_power", "norm_gain", "betas", "epsilon", "weight_decay", "spike_nats", "keep", "precision",
    "document_mask",
)  # fmt: skip
"""What a suite file and `RunSpec` call alike."""


def expand(
    suite: Suite,
    vocabulary: int | None = None,
    corpus_fingerprint: str = "",
    held_out: Mapping[str, str] | None = None,
    sources: Mapping[str, str] | None = None,
) -> tuple[RunSpec, ...]:
    """The runs of `suite`, every parent before its children: main runs, then families in their order, or by cost.

    `vocabulary`, `corpus_fingerprint`, `held_out` and `sources` (fingerprints by name) are those of the corpora; a
    vocabulary in the file may be larger (padding). A mistake is an `InvalidRequest` with file, field and rule, in one
    line.
    """
    sets = tuple(HeldOut(name, (held_out or {}).get(name, "")) for name in suite.held_out)
    with under(str(suite.file)):
        shapes = shapes_of(suite, vocabulary)
        runs: dict[str, RunSpec] = {}
        main: list[RunSpec] = []
        ground = _Ground(suite, shapes, corpus_fingerprint, sets, sources or {})
        for path, new in _main_runs(ground):
            _add(runs, new, path)
            main += new
        by_family: dict[str, list[RunSpec]] = {MAIN: main}
        stages: dict[str, int] = {}
        for i, family in enumerate(suite.families):
            path = f"families[{i}]"
            wanted = _named(family.shapes, shapes, f"{path}.shapes") or shapes
            if isinstance(family, LrAblation):
                new = [_ablated(run, family, path) for run in main if run.shape in wanted]
                _add(runs, new, f"{path}.lr_factor")
                stages |= dict.fromkeys((run.id for run in new), family.stage)
                by_family.setdefault(LR_ABLATION, []).extend(new)
            elif isinstance(family, Variant):
                if family.name == MAIN:  # is there already
                    names = {str(shape) for shape in wanted}
                    stages |= {run.id: family.stage for run in main if str(run.shape) in names}
                    continue
                if family.name in by_family:
                    raise at(
                        f"{path}.name", f"{family.name!r} is a family before this one: choose another name"
                    )
                new = list(_varied(ground, family, path, wanted))
                _add(runs, new, path)
                stages |= dict.fromkeys((run.id for run in new), family.stage)
                by_family[family.name] = new
            else:
                for fork_path, new in _cooldowns(family, by_family, wanted, path):
                    _add(runs, new, fork_path)
                    stages |= dict.fromkeys((run.id for run in new), family.stage)
                    by_family.setdefault(family.name, []).extend(new)
        return _with_permanent_checkpoints(_ordered(runs, stages, suite.order))


def _cooldowns(
    family: Cooldown, by_family: Mapping[str, list[RunSpec]], wanted: tuple[Shape, ...], path: str
) -> Iterator[tuple[str, list[RunSpec]]]:
    """The branches, with where in the file they are written."""
    if family.of not in by_family:
        raise at(
            f"{path}.of", f"{family.of!r} is no family before this one: choose from {', '.join(by_family)}"
        )
    if family.name in {MAIN, LR_ABLATION}:
        raise at(f"{path}.name", f"{family.name!r} is another family's: choose another name")
    names = {str(shape) for shape in wanted}
    parents = [run for run in by_family[family.of] if str(run.shape) in names]
    for fork_path, forked in forks(family, parents, path):
        yield fork_path, [cooled(run, fork, family, fork_path) for run, fork in forked]


def _ordered(runs: Mapping[str, RunSpec], stages: Mapping[str, int], order: Order) -> tuple[RunSpec, ...]:
    """`runs` by stage; within one as they come, or by the FLOPs at their end, a parent's included.

    `stages` are by id, where they are not 0. A parent comes before its branches.
    """
    place: dict[str, tuple[int, float]] = {}
    for run in runs.values():  # parents come first
        cost = flops_per_token(run.shape) * run.trained_tokens if order == "cheapest" else 0.0
        before = place.get(run.parent, (0, 0.0))
        stage = max(stages.get(run.id, 0), before[0])
        place[run.id] = (stage, max(cost, before[1]) if stage == before[0] else cost)
    return tuple(sorted(runs.values(), key=lambda run: place[run.id]))


@dataclass(frozen=True)
class _Ground:
    """What all runs of a suite are made from."""

    suite: Suite
    shapes: tuple[Shape, ...]
    corpus_fingerprint: str
    held_out: tuple[HeldOut, ...]
    sources: Mapping[str, str]
    """Fingerprints by name, as far as they are known."""


def _main_runs(ground: _Ground) -> Iterator[tuple[str, list[RunSpec]]]:
    """Those of `training`, and those of variants called main for their shapes, with where they are written."""
    suite, shapes = ground.suite, ground.shapes
    replaced: dict[Shape, str] = {}
    variants: list[tuple[str, list[RunSpec]]] = []
    for i, family in enumerate(suite.families):
        path = f"families[{i}]"
        if not isinstance(family, Variant) or family.name != MAIN:
            continue
        wanted = _named(family.shapes, shapes, f"{path}.shapes") or shapes
        for shape in wanted:
            if shape in replaced:
                raise at(f"{path}.shapes", f"the main runs of {shape} are those of {replaced[shape]} already")
            replaced[shape] = path
        variants.append((path, list(_varied(ground, family, path, wanted))))
    rest = tuple(shape for shape in shapes if shape not in replaced)
    yield "training", list(_trained(ground, suite.training, rest, MAIN, suite.recipe, suite.seeds))
    yield from variants


def _varied(ground: _Ground, variant: Variant, path: str, shapes: tuple[Shape, ...]) -> Iterator[RunSpec]:
    """The runs of a family that differs from the main one; mistakes are of `path`."""
    suite = ground.suite
    recipe = variant.recipe if isinstance(variant.recipe, str) else suite.recipe
    training = variant.training(suite.training)
    rates = tuple(base * variant.lr_factor for base in _lr_bases(training, recipe))
    training = msgspec.structs.replace(training, lr_base=rates)
    if isinstance(context := variant.context, int):
        shapes = tuple(replace(shape, context=context) for shape in shapes)
    seeds = variant.seeds if isinstance(variant.seeds, tuple) else suite.seeds
    try:
        yield from _trained(ground, training, shapes, variant.name, recipe, seeds)
    except InvalidRequest as error:
        where, _, rule = str(error).partition(": ")
        written = re.fullmatch(r"(training\.|training(?=$)|(?=seeds))(.*)", where)
        raise at(
            join(path, written[2]) if written and written[2] else path, rule if written else str(error)
        ) from None


def _lr_bases(training: Training, recipe: RecipeName) -> tuple[float, ...]:
    """The rates of the sweep, one or more."""
    if isinstance(training.lr_base, tuple):
        return training.lr_base
    return (training.lr_base if isinstance(training.lr_base, float) else RECIPES[recipe].lr_base,)


def _trained(
    ground: _Ground,
    training: Training,
    shapes: tuple[Shape, ...],
    family: str,
    recipe: RecipeName,
    seeds: tuple[int, ...],
) -> Iterator[RunSpec]:
    """A run of each of `shapes`, horizon, rate and seed."""
    named_on = _named(training.patch.on, ground.shapes, "training.patch.on")
    named_off = _named(training.patch.off, ground.shapes, "training.patch.off")
    on, off = set(map(str, named_on)), set(map(str, named_off))
    if both := [str(shape) for shape in named_on if str(shape) in off]:
        raise at("training.patch.off", f"{both[0]} is switched on too")
    bases = _lr_bases(training, recipe)
    sweeps: dict[str, tuple[float, ...]] = {"seeds": seeds, "training.lr_base": bases}
    for path, values in sweeps.items():
        for i, value in enumerate(values):
            if value in values[:i]:
                raise at(f"{path}[{i}]", f"{value:g} is there already: leave one out")
    for seed, lr_base, shape in product(seeds, bases, shapes):
        mode = "on" if str(shape) in on else "off" if str(shape) in off else training.patch.mode
        patch = Patch(training.patch.threshold, training.patch.inclusive, mode)
        for tokens in horizons(training, shape):
            yield _run(
                ground,
                training,
                shape,
                tokens,
                family=family,
                recipe=recipe,
                seed=seed,
                lr_base=lr_base,
                patch=patch,
            )


def _mixture(ground: _Ground, training: Training) -> tuple[Source, ...]:
    if not isinstance(training.mixture, dict):
        return ()
    known = ground.suite.sources
    for name in training.mixture:
        if name not in known:
            named = f"choose from {', '.join(known)}" if known else "there are none"
            raise at("training.mixture", f"{name!r} is not in [sources]: {named}")
    return tuple(
        Source(name, weight, ground.sources.get(name, "")) for name, weight in training.mixture.items()
    )


def _run(ground: _Ground, training: Training, shape: Shape, tokens: int, **others: Any) -> RunSpec:
    batch_tokens = training.batch_sequences * shape.context
    evaluate, save = intervals(training, tokens, batch_tokens)
    windows = training.evaluate_sequences
    mixture = _mixture(ground, training)
    with _written_at(WRITTEN_AT, "training"):
        return RunSpec.of(
            shape,
            tokens=tokens,
            warmup_tokens=int(training.warmup_tokens),
            **falling(training, tokens, batch_tokens),
            clip_norm=training.clip,
            evaluate_tokens=evaluate,
            evaluate_sequences=windows if isinstance(windows, int) else 0,
            held_out=ground.held_out,
            mixture=mixture,
            checkpoint_tokens=save,
            corpus_fingerprint=ground.corpus_fingerprint,
            **{name: getattr(training, name) for name in AS_GIVEN},
            **others,
        )


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
            family=LR_ABLATION,
            lr_base=run.lr_base * family.lr_factor,
            learning_rate=run.learning_rate * family.lr_factor,
            tokens=int(family.tokens) if isinstance(family.tokens, int) else run.tokens,
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
