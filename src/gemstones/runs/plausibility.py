"""Whole columns in another unit than the table's: refused with the expression that mends them.

N, T and FLOPs are held against each other and against what any language model is. Where that cannot be, the smallest
change of units (thousands to trillions of N and T, giga- to zettaFLOPs and petaFLOP/s-days) that makes it possible is
the remedy; of several that which agrees with the columns' names, then that whose losses a known law predicts best.
Steps taken as tokens and perplexities taken as losses are told by what they do.

The thresholds, and the suites that they have to let through (`tests/runs/test_plausibility.py`):

                     Gemstones      Chinchilla     pebbles       published extremes
    N                50M–2B         44M–16B        0.1M–0.5M     768 (Kaplan et al. 2020) to 2T (mixtures of experts)
    T at the end     350B           2B–400B        6M            36T (Qwen3)
    T/N at the end   160–7000       0.3–1e3        12–60         250,000 (Pythia 14M, its 1.2M without embeddings)
    FLOPs/(6·N·T)    0.9–1.4        1              1.3           0.004 (Switch, all parameters) to 10 (tiny models)

so that a factor of 1000, the smallest unit that people leave out, lies outside whatever the suite. (A table in
thousands of tokens, or of small models in thousands of parameters, may pass: nothing tells.)
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gemstones.runs.loss_units import LossUnit
from gemstones.shape import FloatArray
from gemstones.units import format_quantity

LEAST_PARAMS, MOST_PARAMS = 500.0, 1e14
LEAST_TOKENS, MOST_TOKENS = 1e4, 1e15
"""Of the longest run: 10^4 tokens train nothing, and there are not 10^15."""
LEAST_TOKENS_PER_PARAM, MOST_TOKENS_PER_PARAM = 0.01, 1e6
"""Of the most trained run at its end, and of the median."""
FLOPS_RATIO = (1 / 300, 100.0)
"""Median of FLOPs/(6·N·T)."""
LEAST_FLOPS_PER_TOKEN = 6 * LEAST_PARAMS
FRACTIONAL_BELOW = 1e6
"""Tokens and parameters are whole numbers; above this they may have been computed."""
CLOSED_FORM = 20.0
"""Architectures differ by factors of a few for the same width and depth; units by 1000 and more."""

LARGEST_VOCABULARY = 262_144
"""Of tokenizers in use: an untrained model has a loss of ln(vocabulary), and a trained one less."""
FIRST_LOSS = 14.0
"""In nats: where a run begins it may be a little above ln(vocabulary), no more."""
BITS = {"nats": 1.0, "bits": 1 / math.log(2)}
"""Of a nat."""
NATS = {"nats": 1.0, "bits": math.log(2), "bits_per_byte": math.log(2) * 4.3}
"""Per token; with 4.3 bytes a token, which is good enough to rank remedies, and used for nothing else."""
FROM_USUAL, EACH_CHANGE, EACH_DECADE = 0.1, 1.0, 0.02
"""What a factor of e away from the usual counts beside one of the loss, what another changed column does, and every
decade that it is changed by."""

COUNT_FACTORS = (1.0, 1e3, 1e6, 1e9, 1e12)
FLOPS_FACTORS = (1.0, 1e9, 1e12, 1e15, 1e18, 1e21, 8.64e19)
"""Giga, tera, peta, exa, zetta; a petaFLOP/s-day."""
MOST_SEARCHED = 4000
"""Rows that remedies are tried on."""

# Besiroglu et al. (2024), Equation 4: only to rank remedies.
_E, _A, _B, _ALPHA, _BETA = 1.8172, 482.01, 2085.43, 0.3478, 0.3658

UNIT_WORDS = {
    1e3: "thousands",
    1e6: "millions",
    1e9: "billions",
    1e12: "trillions",
    8.64e19: "petaFLOP/s-days",
}


@dataclass(frozen=True, eq=False)
class Columns:
    """What is held against each other, row by row; NaN where it is not known."""

    tokens: FloatArray
    loss: FloatArray
    params: FloatArray | None = None
    flops: FloatArray | None = None
    closed_form: FloatArray | None = None
    """Parameters of the shapes, where these are known."""
    run: FloatArray | None = None
    """A number for each run."""
    loss_unit: LossUnit = "nats"
    vocabulary: float | None = None


@dataclass(frozen=True)
class Finding:
    """What cannot be, and by how much which columns (`params`, `tokens`, `flops`, `loss`) have to be multiplied."""

    reason: str
    factors: Mapping[str, float]
    """Empty where no unit mends it."""


def units(columns: Columns, hints: Mapping[str, float]) -> Finding | None:
    """Whether `params`, `tokens` and `flops` are in units of their own; `hints` are those that names speak of."""
    problems = list(_problems(columns))
    if not problems:
        return None
    sample = _sampled(columns)
    found: list[tuple[tuple[float, ...], dict[str, float]]] = []
    choices = [
        COUNT_FACTORS if sample.params is not None else (1.0,),
        COUNT_FACTORS,
        FLOPS_FACTORS if sample.flops is not None else (1.0,),
    ]
    for n, t, c in itertools.product(*choices):
        factors = {"params": n, "tokens": t, "flops": c}
        scaled = _times(sample, factors)
        if next(_problems(scaled), None) is not None:
            continue
        against = sum(1 for name, factor in hints.items() if factors.get(name, factor) != factor)
        changed = [factor for factor in factors.values() if factor != 1]
        changes = EACH_CHANGE * len(changed) + EACH_DECADE * sum(map(math.log10, changed))
        found.append(((against, _surprise(scaled) + changes), factors))
    if not found:
        return Finding("; ".join(problems), {})
    best = min(found, key=lambda one: one[0])[1]
    return Finding("; ".join(problems), {name: factor for name, factor in best.items() if factor != 1})


def _problems(columns: Columns) -> Iterator[str]:
    """Every rule that the columns break, as a clause."""
    tokens, sizes = columns.tokens, columns.params
    if (problem := _tokens_problem(tokens)) is not None:
        yield problem
    if sizes is not None:
        if (problem := _params_problem(sizes)) is not None:
            yield problem
        yield from _ratio_problems(tokens / sizes)
        if columns.closed_form is not None:
            off = _median(np.log(sizes / columns.closed_form))
            if abs(off) > math.log(CLOSED_FORM):
                yield f"parameters are {math.exp(off):.2g} times those of the shapes"
    if columns.flops is not None:
        ratio = math.nan if sizes is None else _median(columns.flops / (6 * sizes * tokens))
        per_token = _median(columns.flops / tokens)
        if math.isfinite(ratio):
            if not FLOPS_RATIO[0] <= ratio <= FLOPS_RATIO[1]:
                yield f"FLOPs are {ratio:.2g} of 6·N·T"
        elif per_token < LEAST_FLOPS_PER_TOKEN:
            yield f"FLOPs are {per_token:.2g} a token"


def _tokens_problem(tokens: FloatArray) -> str | None:
    most = float(np.nanmax(tokens))
    if _fractional(tokens):
        return f"tokens of {_span(tokens)} are fractions"
    if most < LEAST_TOKENS:
        return f"tokens are {format_quantity(most)} at most"
    return f"tokens reach {most:.3g}" if most > MOST_TOKENS else None


def _params_problem(sizes: FloatArray) -> str | None:
    if _fractional(sizes):
        return f"parameters of {_span(sizes)} are fractions"
    if float(np.nanmin(sizes)) < LEAST_PARAMS:
        return f"parameters are {_span(sizes)}"
    most = float(np.nanmax(sizes))
    return f"parameters reach {most:.3g}" if most > MOST_PARAMS else None


def _ratio_problems(ratio: FloatArray) -> Iterator[str]:
    """Of tokens per parameter."""
    if np.isfinite(ratio).any():
        if float(np.nanmax(ratio)) < LEAST_TOKENS_PER_PARAM:
            yield f"no run has more than {np.nanmax(ratio):.2g} tokens per parameter"
        elif (typical := _median(ratio)) > MOST_TOKENS_PER_PARAM:
            yield f"there are {typical:.2g} tokens per parameter"


def _median(values: FloatArray) -> float:
    """Of what is finite; NaN of nothing."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else math.nan


def _fractional(values: FloatArray) -> bool:
    small = values[np.isfinite(values) & (values < FRACTIONAL_BELOW)]
    return bool((np.abs(small - np.round(small)) > 1e-9 * np.maximum(small, 1)).any())


def _span(values: FloatArray) -> str:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _sampled(columns: Columns) -> Columns:
    rows = len(columns.tokens)
    if rows <= MOST_SEARCHED:
        return columns
    # Those of the extremes are what rules are about.
    at = np.unique(
        np.r_[
            np.linspace(0, rows - 1, MOST_SEARCHED).astype(np.int64),
            *(
                [np.nanargmin(x), np.nanargmax(x)]
                for x in (columns.tokens, columns.params, columns.flops)
                if x is not None
            ),
        ]
    )

    def part(x: FloatArray | None) -> FloatArray | None:
        return None if x is None else x[at]

    return Columns(
        columns.tokens[at],
        columns.loss[at],
        part(columns.params),
        part(columns.flops),
        part(columns.closed_form),
    )


def _times(columns: Columns, factors: Mapping[str, float]) -> Columns:
    def times(x: FloatArray | None, name: str) -> FloatArray | None:
        return None if x is None else x * factors[name]

    return dataclasses.replace(
        columns,
        tokens=columns.tokens * factors["tokens"],
        params=times(columns.params, "params"),
        flops=times(columns.flops, "flops"),
    )


def _surprise(columns: Columns) -> float:
    """How far a known law is off, T/N from 20 and FLOPs from 6·N·T: to choose between remedies only."""
    if columns.params is None:
        return 0.0
    law = _E + _A * columns.params**-_ALPHA + _B * columns.tokens**-_BETA
    surprise = _median(np.abs(np.log(columns.loss * NATS[columns.loss_unit] / law)))
    surprise += FROM_USUAL * abs(math.log(_median(columns.tokens / columns.params) / 20))
    if columns.flops is not None:
        surprise += FROM_USUAL * abs(math.log(_median(columns.flops / (6 * columns.params * columns.tokens))))
    return surprise


def counts_steps(tokens: FloatArray, run: FloatArray, steps: Sequence[FloatArray]) -> bool:
    """Whether `tokens` count steps: they equal one of the columns `steps`, or grow by 1 from row to row of a run."""
    if any(np.array_equal(tokens, step, equal_nan=True) for step in steps):
        return True
    if len(tokens) < 3:
        return False
    same = run[1:] == run[:-1]
    grown = np.diff(tokens)[same]
    return bool(grown.size >= 2 and np.mean(grown == 1) > 0.9)


@dataclass(frozen=True)
class TooHigh:
    """Why losses are none in their unit."""

    reason: str
    may_be_bits: bool
    """Whether they would be losses in bits per token."""


def too_high(columns: Columns) -> TooHigh | None:
    """Why the losses look like perplexities, or bits called nats; None where they can be losses."""
    if (reason := _too_high(columns)) is None:
        return None
    in_bits = dataclasses.replace(columns, loss_unit="bits")
    return TooHigh(reason, columns.loss_unit == "nats" and _too_high(in_bits) is None)


def _too_high(columns: Columns) -> str | None:
    most = _most_loss(columns)
    typical = float(np.nanmedian(columns.loss))
    if typical > most:
        return f"a typical loss of {typical:.4g} is above that of an untrained model, {_untrained(columns, most)}"
    if columns.run is None or columns.loss_unit == "bits_per_byte":
        return None
    order = np.lexsort((columns.tokens, columns.run))
    firsts = np.flatnonzero(np.diff(columns.run[order], prepend=-1))
    counts = np.diff(np.r_[firsts, len(order)])
    begun = columns.loss[order][firsts[counts > 1]]
    limit = FIRST_LOSS * BITS[columns.loss_unit]
    if begun.size and float(np.mean(begun > limit)) > 0.5:
        untrained = _untrained(columns, most)
        return (
            f"runs begin at a loss of {float(np.median(begun)):.4g}, and an untrained model has {untrained}"
        )
    return None


def _most_loss(columns: Columns) -> float:
    if columns.loss_unit == "bits_per_byte":
        return 8.0
    return math.log(columns.vocabulary or LARGEST_VOCABULARY) * BITS[columns.loss_unit]


def _untrained(columns: Columns, most: float) -> str:
    if columns.loss_unit == "bits_per_byte":
        return "8 bits per byte"
    return f"{most:.4g} (of vocabulary {int(columns.vocabulary or LARGEST_VOCABULARY):,})"
