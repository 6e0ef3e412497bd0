"""Suite files: TOML, read strictly; every mistake is one line, `file: path.of.field: rule`.

recipe = "gemstones"            # optional, like seeds, order, corpus and output (paths from the file's folder)
seeds = [0]
order = "listed"                # or "cheapest": by FLOPs at the end, so that a suite cut short is a smaller suite
[held_out]                      # more held-out sets: corpora with the same tokenizer, of which that split is taken
prose = "corpora/prose"
[models]                        # vocabulary may be left to the corpus
head_size = 16
context = 256
[shapes]                        # explicit, or sizes with tolerance, per_size and ranges
explicit = ["64x8", "96x4"]
[training]                      # quantities in tokens; a list as lr_base sweeps it
tokens = "6M"                   # or flops = [1e13, 3e13], or tokens_per_param = 20
batch_sequences = 16
warmup_tokens = "80K"
evaluate_every = "300K"         # or evaluations = 20, of each run
[[families]]                    # beside main, which is implied
family = "cooldown"
forks = ["2M", "4M"]
[[families]]                    # anything else that is to differ
family = "variant"
name = "beta2-99"
betas = [0.9, 0.99]
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gemstones.design.corpora import HeldOut, check_set
from gemstones.design.divergence import SPIKE_NATS
from gemstones.design.feasible import Constraints
from gemstones.design.field_errors import at, field_error, under
from gemstones.design.recipe import BETAS, CLIP_NORM, EPSILON, WEIGHT_DECAY, PatchMode
from gemstones.design.recipes import RecipeName
from gemstones.design.schedule import Decay
from gemstones.design.spec import LARGEST, TrainingPrecision, check_family
from gemstones.errors import InvalidQuantity, InvalidRequest
from gemstones.files import of_the_path, read_bytes
from gemstones.units import parse_count, parse_quantity

Whole = Annotated[int, Meta(ge=1, le=2**53)]
Positive = Annotated[float, Meta(gt=0, le=1e12)]  # a bound, because TOML has inf and nan
Seed = Annotated[int, Meta(ge=0, le=LARGEST)]


class Quantity(int):
    """A positive whole number, also written with a suffix: 6000000, "6M"."""


class Flops(float):
    """A positive number of FLOPs, also written with a suffix: 1e21, "30T"."""


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of a suite file."""


class Models(Table, frozen=True):
    """What all the models have in common."""

    head_size: Whole = 128
    queries_per_kv: Whole = 2
    mlp_expansion: Whole = 4
    vocabulary: Whole | msgspec.UnsetType = msgspec.UNSET
    """The corpus's, if left out."""
    context: Whole = 2048


class ShapesTable(Table, frozen=True):
    """Which shapes: named, or chosen per size within ranges (see `choose.choose_shapes`)."""

    explicit: Annotated[tuple[str, ...], Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET
    sizes: Annotated[tuple[Quantity, ...], Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET
    tolerance: Annotated[float, Meta(ge=0, lt=1)] = 0.05
    per_size: Annotated[int, Meta(ge=1, le=1000)] = 3
    width_min: Annotated[int, Meta(ge=1)] = Constraints().width_min
    width_max: Annotated[int, Meta(ge=1, le=100_000)] = Constraints().width_max
    depth_min: Annotated[int, Meta(ge=1)] = Constraints().depth_min
    depth_max: Annotated[int, Meta(ge=1, le=10_000)] = Constraints().depth_max
    even_heads: bool = True
    width_multiple: Whole = 1

    def __post_init__(self) -> None:
        if (self.explicit is msgspec.UNSET) == (self.sizes is msgspec.UNSET):
            raise InvalidRequest("explicit: give either explicit shapes or sizes, one of them")


class PatchTable(Table, frozen=True):
    """`recipe.Patch`, with the shapes for which it is switched on or off by name."""

    threshold: Positive = 256.0
    inclusive: bool = False
    mode: PatchMode = "rule"
    on: tuple[str, ...] = ()
    off: tuple[str, ...] = ()


class ScheduleTable(Table, frozen=True, kw_only=True):
    """A rate that falls at the end of each run (WSD; cosine with fraction 1); without it, it stays constant."""

    decay: Decay = "linear"
    fraction: Annotated[float, Meta(gt=0, le=1)] = 0.2
    """Of the run's tokens, at its end; what the warm-up takes is left out."""
    floor: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    """Fraction of the rate at the very end."""


Rates = Positive | Annotated[tuple[Positive, ...], Meta(min_length=1)]
Mix = dict[str, float]
"""Weights of sources by name, in any unit."""


def _check_mix(mixture: Mix | msgspec.UnsetType) -> None:
    for name, weight in mixture.items() if isinstance(mixture, dict) else ():
        if not (math.isfinite(weight) and weight > 0):
            raise InvalidRequest(f"mixture: {name} has weight {weight:g}: weights are positive and finite")


Beta = Annotated[float, Meta(ge=0, lt=1)]
Budgets = Annotated[tuple[Flops, ...], Meta(min_length=1)]


class Training(Table, frozen=True, kw_only=True):
    """How every run is trained."""

    tokens: Quantity | msgspec.UnsetType = msgspec.UNSET
    flops: Budgets | msgspec.UnsetType = msgspec.UNSET
    """Of a run, by the paper's Appendix G: each shape has the tokens that they pay for, a run for each of the list."""
    tokens_per_param: Positive | msgspec.UnsetType = msgspec.UNSET
    """Over total parameters."""
    most_flops: Flops | msgspec.UnsetType = msgspec.UNSET
    """A run ends here, if it comes before its tokens."""
    mixture: Mix | msgspec.UnsetType = msgspec.UNSET
    """Trained on in the place of the corpus's own training split; the names are of `sources`."""
    batch_sequences: Whole
    lr_base: Rates | msgspec.UnsetType = msgspec.UNSET
    """The recipe's own, if left out."""
    rate_power: Annotated[float, Meta(ge=0, le=4)] = 1.0
    """lr_eff = lr_base / scale^rate_power, where the scale is the recipe's: width · √depth in `gemstones`."""
    warmup_tokens: Quantity
    schedule: ScheduleTable | msgspec.UnsetType = msgspec.UNSET
    """Constant, if left out."""
    precision: TrainingPrecision = "float32"
    document_mask: bool = False
    """Whether a token attends only to those of its own document; if not, to all before it in its window."""
    norm_gain: Positive = 1.0
    betas: tuple[Beta, Beta] = BETAS
    epsilon: Positive = EPSILON
    weight_decay: Annotated[float, Meta(ge=0, le=1e6)] = WEIGHT_DECAY
    clip: Positive = CLIP_NORM
    patch: PatchTable = PatchTable()
    evaluate_every: Quantity | msgspec.UnsetType = msgspec.UNSET
    evaluations: Whole | msgspec.UnsetType = msgspec.UNSET
    """Of each run, evenly spaced in whole steps, instead of an interval; of runs of few steps it may be fewer."""
    evaluate_sequences: Whole | msgspec.UnsetType = msgspec.UNSET
    """Held-out windows of an evaluation, of each set; all of them, if left out."""
    spike_nats: Positive = SPIKE_NATS
    checkpoint_every: Quantity | msgspec.UnsetType = msgspec.UNSET
    """As evaluations, if left out."""
    keep: Literal["forks", "all"] = "forks"
    """Checkpoints that outlast a run: where it branches and the last, or all, for cooldowns that are added later."""

    def __post_init__(self) -> None:
        _check_mix(self.mixture)
        horizons = [name for name in HORIZONS if getattr(self, name) is not msgspec.UNSET]
        if not horizons:
            raise InvalidRequest(f"tokens: is required: give one of {', '.join(HORIZONS)}")
        if len(horizons) > 1:
            raise InvalidRequest(
                f"{horizons[1]}: {' and '.join(horizons)} say the same in two ways: give one of them"
            )
        if self.evaluate_every is msgspec.UNSET and self.evaluations is msgspec.UNSET:
            raise InvalidRequest(
                "evaluate_every: is required: give it, or evaluations, their number in each run"
            )
        if self.evaluate_every is not msgspec.UNSET and self.evaluations is not msgspec.UNSET:
            raise InvalidRequest("evaluations: evaluate_every says the same in another way: give one of them")


HORIZONS = ("tokens", "flops", "tokens_per_param")
"""What says how long a run is."""


Stage = Annotated[int, Meta(ge=0, le=1000)]
"""Runs of a later stage come after those of an earlier one; `training` is stage 0, a branch never before its parent."""


class Family(Table, frozen=True, tag_field="family"):
    """Runs beside the main ones; of all shapes, unless `shapes` names some."""

    shapes: Annotated[tuple[str, ...], Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET


class LrAblation(Family, frozen=True, tag="lr-ablation"):
    """The main runs at another rate (paper §3.1: halved)."""

    lr_factor: Positive = 0.5
    tokens: Quantity | msgspec.UnsetType = msgspec.UNSET
    """As the main runs, if left out."""
    stage: Stage = 0


class Variant(Family, frozen=True, tag="variant", kw_only=True):
    """The main runs again with whatever is given here in the place of what `training`, `seeds` and so on say."""

    name: str
    """The family of the runs: words of a-z and 0-9, joined by hyphens. What is called main takes the place of the
    main runs of its shapes: horizons by size."""
    recipe: RecipeName | msgspec.UnsetType = msgspec.UNSET
    seeds: Annotated[tuple[Seed, ...], Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET
    context: Whole | msgspec.UnsetType = msgspec.UNSET
    lr_factor: Positive = 1.0
    """Of lr_base."""
    tokens: Quantity | msgspec.UnsetType = msgspec.UNSET
    flops: Budgets | msgspec.UnsetType = msgspec.UNSET
    tokens_per_param: Positive | msgspec.UnsetType = msgspec.UNSET
    most_flops: Flops | msgspec.UnsetType = msgspec.UNSET
    mixture: Mix | msgspec.UnsetType = msgspec.UNSET
    batch_sequences: Whole | msgspec.UnsetType = msgspec.UNSET
    lr_base: Rates | msgspec.UnsetType = msgspec.UNSET
    rate_power: Annotated[float, Meta(ge=0, le=4)] | msgspec.UnsetType = msgspec.UNSET
    warmup_tokens: Quantity | msgspec.UnsetType = msgspec.UNSET
    schedule: ScheduleTable | msgspec.UnsetType = msgspec.UNSET
    precision: TrainingPrecision | msgspec.UnsetType = msgspec.UNSET
    document_mask: bool | msgspec.UnsetType = msgspec.UNSET
    betas: tuple[Beta, Beta] | msgspec.UnsetType = msgspec.UNSET
    epsilon: Positive | msgspec.UnsetType = msgspec.UNSET
    weight_decay: Annotated[float, Meta(ge=0, le=1e6)] | msgspec.UnsetType = msgspec.UNSET
    clip: Positive | msgspec.UnsetType = msgspec.UNSET
    stage: Stage = 0

    def __post_init__(self) -> None:
        check_family(self.name, "name")
        _check_mix(self.mixture)

    def training(self, main: Training) -> Training:
        """That of the main runs, with what is given here in its place."""
        own = {
            name: value
            for name in Training.__struct_fields__
            if (value := getattr(self, name, msgspec.UNSET)) is not msgspec.UNSET
        }
        if any(name in own for name in HORIZONS):
            own = dict.fromkeys(HORIZONS, msgspec.UNSET) | own
        if self.recipe is not msgspec.UNSET and "lr_base" not in own:
            own["lr_base"] = msgspec.UNSET  # its own
        return msgspec.structs.replace(main, **own)


class Cooldown(Family, frozen=True, tag="cooldown"):
    """Branches off other runs whose rate falls to 0 (paper §3: every 10B to 100B, by a further 10%)."""

    forks: Annotated[tuple[Quantity, ...], Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET
    every: Quantity | msgspec.UnsetType = msgspec.UNSET
    until: Quantity | msgspec.UnsetType = msgspec.UNSET
    length: Annotated[float, Meta(gt=0, le=100)] = 0.1
    """Tokens of the cooldown, as a fraction of those at the fork."""
    decay: Decay = "linear"
    floor: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    """Fraction of the rate at the very end."""
    name: str = "cooldown"
    """The family of the runs."""
    of: str = "main"
    """The family that they branch off."""
    fractions: tuple[Annotated[float, Meta(gt=0, le=1)], ...] | msgspec.UnsetType = msgspec.UNSET
    """Forks, as fractions of the tokens of each parent."""
    flops: Budgets | msgspec.UnsetType = msgspec.UNSET
    """Forks from which cooldowns end at these FLOPs, of the runs that are long enough: an isoFLOP grid."""
    stage: Stage = 0

    def __post_init__(self) -> None:
        check_family(self.name, "name")
        by_interval = (self.every is not msgspec.UNSET, self.until is not msgspec.UNSET)
        ways = (
            any(by_interval),
            *(way is not msgspec.UNSET for way in (self.forks, self.fractions, self.flops)),
        )
        if any(by_interval) != all(by_interval) or sum(ways) != 1:
            raise InvalidRequest(
                'forks: give either forks, like ["2M", "4M"], or both every and until, or fractions, or flops'
            )


Order = Literal["listed", "cheapest"]
"""As in the file, families after the main runs; or by FLOPs at the end, a parent before its branches."""


class Contents(Table, frozen=True, kw_only=True):
    """A whole suite file."""

    models: Models
    shapes: ShapesTable
    training: Training
    families: tuple[LrAblation | Cooldown | Variant, ...] = ()
    seeds: Annotated[tuple[Seed, ...], Meta(min_length=1)] = (0,)
    recipe: RecipeName = "gemstones"
    order: Order = "listed"
    held_out: dict[str, str] = {}
    sources: dict[str, str] = {}
    corpus: str = ""
    output: str = ""

    def __post_init__(self) -> None:
        for name in self.held_out:
            with under("held_out"):
                HeldOut(name)
        for name in self.sources:
            with under("sources"):
                check_set(name)


@dataclass(frozen=True)
class Suite:
    """A suite file that has been read; `suite.expand` makes its runs."""

    file: Path
    models: Models
    shapes: ShapesTable
    training: Training
    families: tuple[LrAblation | Cooldown | Variant, ...]
    seeds: tuple[int, ...]
    corpus: Path | None
    output: Path | None
    recipe: RecipeName = "gemstones"
    order: Order = "listed"
    held_out: Mapping[str, Path] = field(default_factory=dict)
    """Folders of corpora by the names of the sets."""
    sources: Mapping[str, Path] = field(default_factory=dict)
    """The same of those that mixtures name."""


def load_suite(path: str | Path) -> Suite:
    """The suite in the TOML file at `path`; `InvalidRequest` names file, field and rule in one line."""
    file = Path(path)
    try:
        document = tomllib.loads(read_bytes(file).decode())
        contents = msgspec.convert(document, Contents, dec_hook=_quantity)
    except OSError as error:
        if not of_the_path(error):
            raise
        raise at(str(file), f"cannot be read: {error.strerror}") from None
    except msgspec.ValidationError as error:
        raise at(str(file), str(field_error(error, document, Contents))) from None
    except (tomllib.TOMLDecodeError, UnicodeError, RecursionError) as error:
        raise at(str(file), f"is not TOML: {error}") from None
    if idle := sorted(document["shapes"].keys() - {"explicit"} if "explicit" in document["shapes"] else ()):
        raise at(
            f"{file}: shapes.{idle[0]}", "chooses among sizes, and the shapes are explicit: leave it out"
        )
    return Suite(
        file,
        contents.models,
        contents.shapes,
        contents.training,
        contents.families,
        contents.seeds,
        file.parent / contents.corpus if contents.corpus else None,
        file.parent / contents.output if contents.output else None,
        contents.recipe,
        contents.order,
        {name: file.parent / folder for name, folder in contents.held_out.items()},
        {name: file.parent / folder for name, folder in contents.sources.items()},
    )


def _quantity(kind: type, value: Any) -> Quantity | Flops:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidQuantity(f'{value!s} is not a number: write it like 2048, 1e9, or "50M" with a suffix')
    if kind is Flops:
        return Flops(parse_quantity(value, "FLOPs"))
    assert kind is Quantity
    count = parse_count(value, "quantity")
    if count > LARGEST:
        raise InvalidQuantity(f"quantity {value!r} must be at most {LARGEST}")
    return Quantity(count)
