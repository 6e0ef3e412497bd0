"""`RunSpec`: everything that decides what a run computes, as one frozen value with an id of its content."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from functools import cache
from typing import Any, Literal, Self

import msgspec

from gemstones.design.corpora import HeldOut, Source, check_corpora
from gemstones.design.divergence import SPIKE_NATS
from gemstones.design.field_errors import at, field_error
from gemstones.design.recipe import (
    BETAS,
    BY_RULE,
    CLIP_NORM,
    EPSILON,
    LR_BASE,
    WEIGHT_DECAY,
    Patch,
    PatchMode,
)
from gemstones.design.recipes import RECIPES, Recipe, RecipeName
from gemstones.design.schedule import Decay, Schedule, points, step_of
from gemstones.errors import InvalidRequest, InvalidShape
from gemstones.shape import Shape
from gemstones.units import format_quantity

TrainingPrecision = Literal["float32", "bfloat16"]
"""Of the arithmetic: bfloat16 is autocast; weights and optimizer are float32 in both."""

LEAST = {
    "width": 1,
    "depth": 1,
    "head_size": 1,
    "queries_per_kv": 1,
    "mlp_expansion": 1,
    "vocabulary": 1,
    "context": 1,
    "tokens": 1,
    "batch_sequences": 1,
    "warmup_tokens": 0,
    "evaluate_tokens": 1,
    "evaluate_sequences": 0,
    "checkpoint_tokens": 1,
    "fork_tokens": 0,
    "decay_tokens": 0,
    "seed": 0,
}
"""Smallest values of the whole numbers."""
LARGEST = 2**63 - 1
"""Largest value of a whole number: what files and tables hold in 64 bits."""
POSITIVE = ("lr_base", "learning_rate", "norm_gain", "clip_norm", "spike_nats", "epsilon")
MOST_POINTS = 1_000_000
"""Of evaluations or checkpoints in a run: more is a slip of units."""
SAVING_ONLY = frozenset({"checkpoint_tokens", "permanent_tokens", "keep"})
"""Fields outside the id: when weights are saved changes nothing that is trained.

A suite that gains a cooldown later gives its parents new permanent checkpoints; they must stay the same runs.
"""
ADDED = frozenset({
    "recipe", "rate_power", "decay_tokens", "decay", "floor", "epsilon", "held_out", "mixture", "document_mask",
})  # fmt: skip
"""Fields that came later: at their defaults they are not in the id, so that runs made before keep theirs."""


class RunSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One run. Every number is checked; `from_json` reads what `to_json` wrote, and refuses anything else."""

    family: str
    """Kind of run: main, lr-ablation, cooldown, or any word of a-z, 0-9 and hyphens."""
    width: int
    depth: int
    head_size: int
    queries_per_kv: int
    mlp_expansion: int
    vocabulary: int
    context: int
    parent: str = ""
    """Id of the run that this one goes on from, or nothing."""
    fork_tokens: int = 0
    """Tokens of the parent's checkpoint that it starts from: a whole number of steps; 0 without a parent."""
    tokens: int
    """Tokens at which the run ends, the parent's up to the fork included, before rounding to steps."""
    batch_sequences: int
    lr_base: float = LR_BASE
    learning_rate: float
    """lr_eff, by the rule of the recipe from the fields of this value."""
    recipe: RecipeName = "gemstones"
    """Initialisation, rates of the tensors, optimizer: see `gemstones.design.recipes`."""
    rate_power: float = 1.0
    """Of the shape's scale in the rule of the rate: lr_eff = lr_base / scale^power; 1 is the recipe's own."""
    patch_threshold: float = BY_RULE.threshold
    patch_inclusive: bool = False
    patch_mode: PatchMode = "rule"
    warmup_tokens: int
    cooldown: bool = False
    """The rate falls from the fork to the end."""
    decay_tokens: int = 0
    """Of a run without a fork: tokens at its end over which the rate falls; 0 for a constant rate."""
    decay: Decay = "linear"
    """How it falls, if it does."""
    floor: float = 0.0
    """Fraction of the rate at the very end, if it falls."""
    seed: int = 0
    norm_gain: float = 1.0
    """Gain of the norms at the start."""
    betas: tuple[float, float] = BETAS
    epsilon: float = EPSILON
    """AdamW's."""
    weight_decay: float = WEIGHT_DECAY
    clip_norm: float = CLIP_NORM
    evaluate_tokens: int
    """Interval between evaluations."""
    evaluate_sequences: int = 0
    """Held-out windows of an evaluation, evenly spread over the split; 0 for all of them. Of each set as many."""
    held_out: tuple[HeldOut, ...] = ()
    """Held-out sets beside the corpus's own, evaluated whenever it is, in the order of their names."""
    spike_nats: float = SPIKE_NATS
    """A loss that stays this far above its own recent level has diverged (see `divergence.diverged`)."""
    checkpoint_tokens: int
    """Interval between checkpoints."""
    permanent_tokens: tuple[int, ...] = ()
    """Checkpoints that are never deleted, because runs branch off there: whole numbers of steps."""
    keep: Literal["forks", "all"] = "forks"
    """Checkpoints that outlast the run: those of its branches and the last, or all at the interval too, so that
    branches can be added to a finished run."""
    corpus_fingerprint: str = ""
    """Hash of the corpus's manifest; nothing until it is known."""
    precision: TrainingPrecision = "float32"
    mixture: tuple[Source, ...] = ()
    """What is trained on in the place of the corpus's own training split, in the order of the names."""
    document_mask: bool = False
    """Whether a token attends only to those of its own document, in training and in evaluations."""

    @classmethod
    def of(
        cls,
        shape: Shape,
        *,
        lr_base: float = LR_BASE,
        patch: Patch = BY_RULE,
        recipe: RecipeName = "gemstones",
        rate_power: float = 1.0,
        **others: Any,
    ) -> Self:
        """A run of `shape` at the rate of the recipe; `others` are the remaining fields by name."""
        if recipe not in RECIPES:
            raise InvalidRequest(f"recipe: {recipe!r} is not known: choose from {', '.join(RECIPES)}")
        return cls(
            recipe=recipe,
            rate_power=rate_power,
            width=shape.width,
            depth=shape.depth,
            lr_base=lr_base,
            learning_rate=RECIPES[recipe].learning_rate(shape, lr_base, patch, rate_power),
            patch_threshold=patch.threshold,
            patch_inclusive=patch.inclusive,
            patch_mode=patch.mode,
            **(others | shape.architecture),
        )

    def __post_init__(self) -> None:
        for field in (*POSITIVE, "weight_decay", "patch_threshold", "rate_power", "floor"):
            # One value, one text: 5 and 5.0 must not give two ids.
            msgspec.structs.force_setattr(self, field, float(getattr(self, field)))
        msgspec.structs.force_setattr(self, "betas", tuple(map(float, self.betas)))
        msgspec.structs.force_setattr(self, "permanent_tokens", tuple(sorted(set(self.permanent_tokens))))
        mixture = tuple(sorted(self.mixture, key=lambda source: source.name))
        msgspec.structs.force_setattr(self, "mixture", mixture)
        sets = tuple(sorted(self.held_out, key=lambda held_out: held_out.name))
        msgspec.structs.force_setattr(self, "held_out", sets)
        self._check_numbers()
        check_corpora(self.held_out, self.mixture)
        self._check_rate()
        self._check_tokens()

    @property
    def shape(self) -> Shape:
        """The shape of the model."""
        return Shape(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Shape)})

    @property
    def patch(self) -> Patch:
        """The patch of the recipe."""
        return Patch(self.patch_threshold, self.patch_inclusive, self.patch_mode)

    @property
    def rules(self) -> Recipe:
        """The recipe itself."""
        return RECIPES[self.recipe]

    @property
    def batch_tokens(self) -> int:
        """Tokens of one step."""
        return self.batch_sequences * self.context

    @property
    def fork_step(self) -> int:
        """Steps done before this run's own first one."""
        return self.fork_tokens // self.batch_tokens

    @property
    def steps(self) -> int:
        """Steps at the end of the run, counted from the start of training: the parent's are included."""
        return step_of(self.tokens, self.batch_tokens)

    @property
    def trained_tokens(self) -> int:
        """Tokens at the end of the run: `tokens`, rounded to steps."""
        return self.steps * self.batch_tokens

    @property
    def own_tokens(self) -> int:
        """Tokens that this run itself trains on, after the fork."""
        return self.trained_tokens - self.fork_tokens

    @property
    def schedule(self) -> Schedule:
        """The rate over tokens, as a fraction of `learning_rate`."""
        if not self.falls:
            return Schedule(self.warmup_tokens)
        return Schedule(
            self.warmup_tokens, self.decay_start, self.trained_tokens, decay=self.decay, floor=self.floor
        )

    @property
    def falls(self) -> bool:
        """Whether the rate falls at the end of the run: its last loss is an annealed one."""
        return self.cooldown or self.decay_tokens > 0

    @property
    def decay_start(self) -> int:
        """Tokens from which on the rate falls; those of the whole run if it does not."""
        if self.cooldown:
            return self.fork_tokens
        return self.trained_tokens - self.decay_tokens

    @property
    def evaluation_steps(self) -> tuple[int, ...]:
        """Steps after which the run is evaluated, the last included."""
        return self._own_points(self.evaluate_tokens)

    @property
    def checkpoint_steps(self) -> tuple[int, ...]:
        """Steps after which the run is saved: at the interval, for branches, and at the end."""
        return tuple(sorted({*self.regular_steps, *self.permanent_steps}))

    @property
    def regular_steps(self) -> tuple[int, ...]:
        """Of those, the ones at the interval: where a run that diverges may go back to."""
        return self._own_points(self.checkpoint_tokens)

    @property
    def permanent_steps(self) -> tuple[int, ...]:
        """Steps whose checkpoints are kept for good: those of branches, and the last; all, if they are to be kept."""
        forks = {tokens // self.batch_tokens for tokens in self.permanent_tokens}
        return tuple(sorted({*forks, *(self.regular_steps if self.keep == "all" else ()), self.steps}))

    @property
    def id(self) -> str:
        """`family-WxD[-fork]-hash`, with the first 8 hexadecimal digits of the content's SHA-256."""
        fields = [
            field
            for field, default in zip(self.__struct_fields__, _defaults(type(self)), strict=True)
            if field not in SAVING_ONLY and not (field in ADDED and getattr(self, field) == default)
        ]
        content = msgspec.json.encode({field: getattr(self, field) for field in fields})
        fork = [format_quantity(self.fork_tokens)] if self.fork_tokens else []
        return "-".join([self.family, str(self.shape), *fork, hashlib.sha256(content).hexdigest()[:8]])

    def to_json(self) -> str:
        """Canonical JSON: every field, in the order of this class; floats in their shortest exact form."""
        return msgspec.json.encode(self, order="deterministic").decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The run that `text` describes; `InvalidRequest` names the field that is wrong, in one line."""
        try:
            document = msgspec.json.decode(text)
            return msgspec.convert(document, cls)
        except msgspec.ValidationError as error:
            raise field_error(error, document, cls) from None
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise at("", f"a run's specification is not JSON: {error}") from None

    def _own_points(self, every_tokens: int) -> tuple[int, ...]:
        return tuple(
            step for step in points(every_tokens, self.tokens, self.batch_tokens) if step > self.fork_step
        )

    def _check_numbers(self) -> None:
        check_family(self.family, "family")
        for field, least in LEAST.items():
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= LARGEST:
                raise InvalidRequest(f"{field}: {value!r} must be a whole number of {least} to {LARGEST}")
        for field in POSITIVE:
            value = getattr(self, field)
            if not (math.isfinite(value) and value > 0):
                raise InvalidRequest(f"{field}: {value!r} must be positive and finite")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise InvalidRequest(f"weight_decay: {self.weight_decay!r} must be finite and at least 0")
        if not (math.isfinite(self.rate_power) and 0 <= self.rate_power <= 4):
            raise InvalidRequest(f"rate_power: {self.rate_power!r} must be a number from 0 to 4")
        if not 0 <= self.floor < 1:
            raise InvalidRequest(f"floor: {self.floor!r} must be at least 0 and below 1")
        if self.recipe not in RECIPES:
            raise InvalidRequest(f"recipe: {self.recipe!r} is not known: choose from {', '.join(RECIPES)}")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise InvalidRequest(f"betas: {self.betas!r} must be two numbers from 0 to below 1")

    def _check_rate(self) -> None:
        try:
            shape = self.shape
        except InvalidShape as error:
            raise InvalidRequest(f"width: {error}") from None
        try:
            patch = self.patch
        except InvalidRequest as error:
            raise InvalidRequest(f"patch_{error}") from None
        rate = self.rules.learning_rate(shape, self.lr_base, patch, self.rate_power)
        if not math.isclose(self.learning_rate, rate, rel_tol=1e-9):
            raise InvalidRequest(
                f"learning_rate: {self.learning_rate!r} is not the {rate!r} of shape {shape} at lr_base "
                f"{self.lr_base:g}: change lr_base, the rate follows from it"
            )

    def _check_tokens(self) -> None:
        if bool(self.parent) != (self.fork_tokens > 0):
            raise InvalidRequest(
                f"fork_tokens: {self.fork_tokens} with parent {self.parent!r}: a fork needs both, other runs neither"
            )
        if self.cooldown and not self.parent:
            raise InvalidRequest("cooldown: true needs a parent and fork_tokens, where it starts")
        if self.fork_tokens % self.batch_tokens:
            raise InvalidRequest(
                f"fork_tokens: {self.fork_tokens} is not a multiple of the {self.batch_tokens} tokens of a step"
            )
        if self.own_tokens <= 0:
            raise InvalidRequest(f"tokens: {self.tokens} leaves no step after the fork at {self.fork_tokens}")
        if self.decay_tokens and self.parent:
            raise InvalidRequest(
                "decay_tokens: a branch has cooldown = true instead: its rate falls from the fork on"
            )
        if self.decay_tokens % self.batch_tokens or self.decay_tokens > self.trained_tokens:
            raise InvalidRequest(
                f"decay_tokens: {self.decay_tokens} must be a multiple of the {self.batch_tokens} tokens of a step, "
                f"up to the {self.trained_tokens} of the run"
            )
        if not self.falls and (self.floor or self.decay != "linear"):
            raise InvalidRequest(
                f"floor: {self.floor:g} and decay {self.decay} are of a rate that falls: give decay_tokens too"
            )
        for field in ("evaluate_tokens", "checkpoint_tokens"):
            count = self.steps / step_of(getattr(self, field), self.batch_tokens)
            if count > MOST_POINTS:
                raise InvalidRequest(
                    f"{field}: {getattr(self, field)} of {self.tokens} tokens is more than {MOST_POINTS:,} times: "
                    f"choose a longer interval"
                )
        for tokens in self.permanent_tokens:
            if tokens % self.batch_tokens or not self.fork_tokens < tokens <= self.trained_tokens:
                raise InvalidRequest(
                    f"permanent_tokens: {tokens} is not a step of this run: a multiple of {self.batch_tokens} "
                    f"after {self.fork_tokens}, up to {self.trained_tokens}"
                )


def check_family(name: str, field: str) -> None:
    """Refuse what cannot name a family; `field` is what the name was given as."""
    if not all(word.isascii() and word.isalnum() and word == word.lower() for word in name.split("-")):
        raise InvalidRequest(f"{field}: {name!r} must be words of a-z and 0-9, joined by hyphens")


@cache
def _defaults(of: type[RunSpec]) -> tuple[Any, ...]:
    """Of every field, in their order."""
    return tuple(field.default for field in msgspec.structs.fields(of))
