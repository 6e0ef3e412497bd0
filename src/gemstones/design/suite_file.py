"""Suite files: TOML, read strictly; every mistake is one line, `file: path.of.field: rule`.

seeds = [0]                     # optional, like corpus and output (paths from the file's folder)
[models]                        # vocabulary may be left to the corpus
head_size = 16
context = 256
[shapes]                        # explicit, or sizes with tolerance, per_size and ranges
explicit = ["64x8", "96x4"]
[training]                      # quantities in tokens; a list as lr_base sweeps it
tokens = "6M"
batch_sequences = 16
warmup_tokens = "80K"
evaluate_every = "300K"
[[families]]                    # beside main, which is implied
family = "cooldown"
forks = ["2M", "4M"]
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gemstones.design.divergence import SPIKE_NATS
from gemstones.design.feasible import Constraints
from gemstones.design.field_errors import at, field_error
from gemstones.design.recipe import CLIP_NORM, LR_BASE, PatchMode
from gemstones.design.spec import LARGEST, TrainingPrecision
from gemstones.errors import InvalidQuantity, InvalidRequest
from gemstones.files import of_the_path, read_bytes
from gemstones.units import parse_count

Whole = Annotated[int, Meta(ge=1, le=2**53)]
Positive = Annotated[float, Meta(gt=0, le=1e12)]  # a bound, because TOML has inf and nan
Seed = Annotated[int, Meta(ge=0, le=LARGEST)]


class Quantity(int):
    """A positive whole number, also written with a suffix: 6000000, "6M"."""


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


class Training(Table, frozen=True, kw_only=True):
    """How every run is trained."""

    tokens: Quantity
    batch_sequences: Whole
    lr_base: Positive | Annotated[tuple[Positive, ...], Meta(min_length=1)] = LR_BASE
    warmup_tokens: Quantity
    precision: TrainingPrecision = "float32"
    norm_gain: Positive = 1.0
    clip: Positive = CLIP_NORM
    patch: PatchTable = PatchTable()
    evaluate_every: Quantity
    evaluate_sequences: Whole | msgspec.UnsetType = msgspec.UNSET
    """Held-out windows of an evaluation; all of them, if left out."""
    spike_nats: Positive = SPIKE_NATS
    checkpoint_every: Quantity | msgspec.UnsetType = msgspec.UNSET
    """As `evaluate_every`, if left out."""

    @property
    def lr_bases(self) -> tuple[float, ...]:
        """The rates of the sweep, one or more."""
        return self.lr_base if isinstance(self.lr_base, tuple) else (self.lr_base,)


class Family(Table, frozen=True, tag_field="family"):
    """Runs beside the main ones; of all shapes, unless `shapes` names some."""

    shapes: Annotated[tuple[str, ...], Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET


class LrAblation(Family, frozen=True, tag="lr-ablation"):
    """The main runs at another rate (paper §3.1: halved)."""

    lr_factor: Positive = 0.5
    tokens: Quantity | msgspec.UnsetType = msgspec.UNSET
    """As the main runs, if left out."""


class Cooldown(Family, frozen=True, tag="cooldown"):
    """Branches off the main runs whose rate falls to 0 (paper §3: every 10B to 100B, by a further 10%)."""

    forks: Annotated[tuple[Quantity, ...], Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET
    every: Quantity | msgspec.UnsetType = msgspec.UNSET
    until: Quantity | msgspec.UnsetType = msgspec.UNSET
    length: Annotated[float, Meta(gt=0, le=100)] = 0.1
    """Tokens of the cooldown, as a fraction of those at the fork."""

    def __post_init__(self) -> None:
        by_interval = (self.every is not msgspec.UNSET, self.until is not msgspec.UNSET)
        if any(by_interval) != all(by_interval) or any(by_interval) == (self.forks is not msgspec.UNSET):
            raise InvalidRequest('forks: give either forks, like ["2M", "4M"], or both every and until')


class Contents(Table, frozen=True, kw_only=True):
    """A whole suite file."""

    models: Models
    shapes: ShapesTable
    training: Training
    families: tuple[LrAblation | Cooldown, ...] = ()
    seeds: Annotated[tuple[Seed, ...], Meta(min_length=1)] = (0,)
    corpus: str = ""
    output: str = ""


@dataclass(frozen=True)
class Suite:
    """A suite file that has been read; `suite.expand` makes its runs."""

    file: Path
    models: Models
    shapes: ShapesTable
    training: Training
    families: tuple[LrAblation | Cooldown, ...]
    seeds: tuple[int, ...]
    corpus: Path | None
    output: Path | None


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
    )


def _quantity(kind: type, value: Any) -> Quantity:
    assert kind is Quantity
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidQuantity(f'{value!s} is not a number: write it like 2048, 1e9, or "50M" with a suffix')
    count = parse_count(value, "quantity")
    if count > LARGEST:
        raise InvalidQuantity(f"quantity {value!r} must be at most {LARGEST}")
    return Quantity(count)
