"""`RunSpec`: everything that decides what a run computes, as one frozen value with an id of its content."""

from __future__ import annotations

import hashlib
import math
from typing import Any, Literal, Self

import msgspec

from gemstones.design.divergence import SPIKE_NATS
from gemstones.design.field_errors import at, field_error
from gemstones.design.recipe import (
    BETAS,
    BY_RULE,
    CLIP_NORM,
    LR_BASE,
    WEIGHT_DECAY,
    Patch,
    PatchMode,
    learning_rate,
)
from gemstones.design.schedule import Schedule, points, step_of
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
    "seed": 0,
}
"""Smallest values of the whole numbers."""
LARGEST = 2**63 - 1
"""Largest value of a whole number: what files and tables hold in 64 bits."""
POSITIVE = ("lr_base", "learning_rate", "norm_gain", "clip_norm", "spike_nats")
MOST_POINTS = 1_000_000
"""Of evaluations or checkpoints in a run: more is a slip of units."""
SAVING_ONLY = frozenset({"checkpoint_tokens", "permanent_tokens"})
"""Fields outside the id: when weights are saved changes nothing that is trained.

A suite that gains a cooldown later gives its parents new permanent checkpoints; they must stay the same runs.
"""


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
    """lr_eff, by the rule of `recipe.learning_rate` from the fields of this value."""
    patch_threshold: float = BY_RULE.threshold
    patch_inclusive: bool = False
    patch_mode: PatchMode = "rule"
    warmup_tokens: int
    cooldown: bool = False
    """The rate falls linearly to 0 from the fork to the end."""
    seed: int = 0
    norm_gain: float = 1.0
    """Gain of the norms at the start."""
    betas: tuple[float, float] = BETAS
    weight_decay: float = WEIGHT_DECAY
    clip_norm: float = CLIP_NORM
    evaluate_tokens: int
    """Interval between evaluations."""
    evaluate_sequences: int = 0
    """Held-out windows of an evaluation, evenly spread over the split; 0 for all of them."""
    spike_nats: float = SPIKE_NATS
    """A loss that stays this far above its own recent level has diverged (see `divergence.diverged`)."""
    checkpoint_tokens: int
    """Interval between checkpoints."""
    permanent_tokens: tuple[int, ...] = ()
    """Checkpoints that are never deleted, because runs branch off there: whole numbers of steps."""
    corpus_fingerprint: str = ""
    """Hash of the corpus's manifest; nothing until it is known."""
    precision: TrainingPrecision = "float32"

    @classmethod
    def of(cls, shape: Shape, *, lr_base: float = LR_BASE, patch: Patch = BY_RULE, **others: Any) -> Self:
        """A run of `shape` at the rate of the recipe; `others` are the remaining fields by name."""
        return cls(
            width=shape.width,
            depth=shape.depth,
            head_size=shape.head_size,
            queries_per_kv=shape.queries_per_kv,
            mlp_expansion=shape.mlp_expansion,
            vocabulary=shape.vocabulary,
            context=shape.context,
            lr_base=lr_base,
            learning_rate=learning_rate(shape, lr_base, patch),
            patch_threshold=patch.threshold,
            patch_inclusive=patch.inclusive,
            patch_mode=patch.mode,
            **others,
        )

    def __post_init__(self) -> None:
        for field in (*POSITIVE, "weight_decay", "patch_threshold"):
            # One value, one text: 5 and 5.0 must not give two ids.
            msgspec.structs.force_setattr(self, field, float(getattr(self, field)))
        msgspec.structs.force_setattr(self, "betas", tuple(map(float, self.betas)))
        msgspec.structs.force_setattr(self, "permanent_tokens", tuple(sorted(set(self.permanent_tokens))))
        self._check_numbers()
        self._check_rate()
        self._check_tokens()

    @property
    def shape(self) -> Shape:
        """The shape of the model."""
        return Shape(
            self.width,
            self.depth,
            head_size=self.head_size,
            queries_per_kv=self.queries_per_kv,
            mlp_expansion=self.mlp_expansion,
            vocabulary=self.vocabulary,
            context=self.context,
        )

    @property
    def patch(self) -> Patch:
        """The patch of the recipe."""
        return Patch(self.patch_threshold, self.patch_inclusive, self.patch_mode)

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
        if not self.cooldown:
            return Schedule(self.warmup_tokens)
        return Schedule(self.warmup_tokens, self.fork_tokens, self.trained_tokens)

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
        """Steps whose checkpoints are kept for good: those of branches, and the last."""
        forks = {tokens // self.batch_tokens for tokens in self.permanent_tokens}
        return tuple(sorted({*forks, self.steps}))

    @property
    def id(self) -> str:
        """`family-WxD[-fork]-hash`, with the first 8 hexadecimal digits of the content's SHA-256."""
        fields = [field for field in self.__struct_fields__ if field not in SAVING_ONLY]
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
        words = self.family.split("-")
        if not all(word.isascii() and word.isalnum() and word == word.lower() for word in words):
            raise InvalidRequest(f"family: {self.family!r} must be words of a-z and 0-9, joined by hyphens")
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
        rate = learning_rate(shape, self.lr_base, patch)
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
