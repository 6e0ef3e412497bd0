"""What a fit must say about itself: flags, and the one request that is refused.

A flag is a sentence that starts with its code, e.g. `term_at_zero: …`; a doubtful fit is a value that says
so all the way into the report.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import ParamsConvention, params
from gemstones.laws.dual import value_of
from gemstones.laws.form import Codes, Form
from gemstones.laws.interval import FEW_DRAWS
from gemstones.laws.law import Models
from gemstones.laws.separable import FLAT, jacobian
from gemstones.laws.solver.problem import Problem
from gemstones.laws.solver.quality import Quality
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray, Shapes

STATIONARY = 1e-6
"""Relative gradient under which a fit counts as converged."""
ZERO_SHARE = 1e-3
"""A term that is nowhere a larger share of the predicted loss is at zero."""
UNITS: dict[str, float] = {"exponent": 0.3, "coefficient": 3.0, "constant": 0.3, "outer": 0.5, "inner": 1.0}
"""What is a large change of a constant, by kind: as much as it usually is."""
ADRIFT = 5.0
"""Units that a direction may be uncertain by before it counts as undetermined. Planted tables whose exponents come out
within a tenth have 0.4 to 1.5, tokens tied to parameters within 2% 37 (benchmarks/conditioning.py, LOG.md); of
published runs most have 0.05 to 4."""
EXPONENT_RANGE = (0.02, 2.0)
"""Exponents outside are out of range: the standard grid of starts ends at 2, and a power of 0.02 falls
by less than 5% over a decade."""
FEW_RUNS = 6
"""Under so many runs, intervals by run are rough (benchmarks/interval_kinds.md)."""
LEAST_RUNS = 4
"""Under so many runs there are none at all."""
FEW_DRAWS_FLAG = "few_draws"
COUNT_TOLERANCE = 0.005
"""Relative difference from which a table's counts are not those of its shapes."""


def shares(form: Form, theta: FloatArray, log_columns: Sequence[FloatArray], codes: Codes) -> FloatArray:
    """Share of every term of the predicted loss in every row, (terms, rows), for θ (m,).

    What is left is the constant's. Of a power of a sum, each term has its share of the sum.
    """
    rows = len(log_columns[0])
    terms = np.array(
        [np.broadcast_to(value_of(term), rows) for term in form.log_terms(theta, log_columns, codes)]
    )
    log_sum = np.logaddexp.reduce(terms)
    outside = value_of(form.outside(theta, log_sum, codes))
    powered = (form.outer_exponent(theta) or 1.0) * log_sum
    with np.errstate(under="ignore"):
        return np.asarray(np.exp(terms - log_sum + powered - outside))


def alive_constants(form: Form, share: FloatArray) -> frozenset[str]:
    """The constants of terms that are somewhere `ZERO_SHARE` of the predicted loss, and those outside the sum."""
    structure = form.structure
    outside = {name for name in (structure.constant, structure.outer) if isinstance(name, str)}
    terms = zip(structure.terms, share.max(1), strict=True)
    return frozenset(outside).union(*(term.constants for term, most in terms if most >= ZERO_SHARE))


def law_flags(form: Form, theta: FloatArray, share: FloatArray) -> list[str]:
    """Terms at zero and exponents out of range; `share` is that of every term in every row, (terms, rows)."""
    flags = []
    largest = share.max(1)
    alive = alive_constants(form, share)
    names = [f"the term in {term}" for term in form.terms or ()] or [
        f"the term {term.text}" for term in form.structure.terms
    ]
    parts = [*zip(names, largest, strict=True)]
    if form.structure.constant is not None:
        parts.append(("the irreducible loss", 1 - share.sum(0).min()))
    for name, most in parts:
        if most < ZERO_SHARE:
            flags.append(f"term_at_zero: {name} is at most {max(most, 0.0):.1g} of the predicted loss")
    low, high = EXPONENT_RANGE
    outer = form.outer_exponent(theta) or 1.0
    for entry, value in zip(form.entries, theta, strict=True):
        if entry.kind != "exponent":
            continue
        if entry.parameter.name in alive and not low <= value * outer <= high:
            what = entry.name.removeprefix("a_") if form.terms else entry.name
            power = f" (times the outer exponent {outer:.3g})" if outer != 1 else ""
            flags.append(
                f"exponent_out_of_range: {what} has exponent {value:.3g}{power}, outside {low:g} to {high:g}"
            )
    return flags


def undetermined_flags(
    form: Form, problem: Problem, quality: Quality, theta: FloatArray, alive: frozenset[str], runs: int
) -> list[str]:
    """Bounds that keep the objective from falling, and constants that the rows hardly determine together, by name.

    `alive` are the constants of terms that are not at zero. The second is the direction in which constants go farthest
    at the cost of one standard error: residuals of robust spread s, checkpoints of a run counted as one, change
    predictions along it by less than s for `ADRIFT` units.
    """
    lower, upper = form.limits()
    flags = []
    for i, entry in enumerate(form.entries):
        bound = lower[i] if theta[i] <= lower[i] else upper[i]
        if quality.at_bound[i] and np.isfinite(bound) and entry.parameter.name in alive:
            value = float(np.exp(bound)) if entry.parameter.positive else float(bound)
            flags.append(
                f"bound_active: {entry.label} is at its bound, {value:.3g}; the objective falls beyond it"
            )
    units, names = adrift(form, problem, quality, theta, runs)
    if units > ADRIFT:
        flags.append(
            f"ill_conditioned: these runs hardly determine {listed_words(names)}: other values"
            f"{' of them together' if len(names) > 1 else ''} fit as well"
        )
    return flags


def adrift(
    form: Form, problem: Problem, quality: Quality, theta: FloatArray, runs: int
) -> tuple[float, list[str]]:
    """How many `UNITS` constants go in their least determined direction at the cost of one standard error, and which.

    Infinite where predictions do not change along it at all.
    """
    free = np.flatnonzero(~quality.at_bound[: len(form.entries)]).tolist()
    if not free:
        return 0.0, []
    units = np.array([UNITS[form.entries[i].kind] for i in free])
    # Of an irreducible loss nats, not their logarithm: it may be next to nothing.
    log_nats = np.array([theta[i] if form.entries[i].kind == "constant" else 0.0 for i in free])
    units /= np.exp(np.clip(log_nats, -50.0, 50.0))
    slopes = jacobian(problem, theta)[:, free] * units
    residuals = problem.residuals(theta[None])[0]
    _, values, directions = np.linalg.svd(slopes, full_matrices=False)
    spread = 1.4826 * float(np.median(np.abs(residuals))) * np.sqrt(len(residuals) / runs)
    share = np.abs(directions[-1])
    names = [form.entries[i].label for i, s in zip(free, share, strict=True) if s > 0.3 * share.max()]
    if len(values) < len(free) or values[-1] < FLAT * values[0]:
        return float("inf"), names
    return spread / float(values[-1]), names


def listed_words(names: Sequence[str]) -> str:
    """Names in a sentence: a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def convergence_flags(stationarity: float) -> list[str]:
    """A fit that did not come to rest."""
    if stationarity < STATIONARY:
        return []
    return [
        f"not_converged: the relative gradient is {stationarity:.1g}, not below {STATIONARY:g}: these runs may not "
        "determine every term"
    ]


def row_flags(parameters: int, rows: int) -> list[str]:
    """Too few rows for the law."""
    if rows >= 2 * parameters:
        return []
    return [
        f"too_few_rows: {rows} rows for a law of {parameters} parameters; it needs at least {2 * parameters}"
    ]


def run_flags(runs: int) -> list[str]:
    """Too few runs for intervals by run."""
    if runs >= FEW_RUNS:
        return []
    what = f"intervals by run from {runs} runs are rough"
    if runs < LEAST_RUNS:
        what = f"{runs} runs give no intervals by run"
    return [f"too_few_runs: {what}; {FEW_RUNS} or more are needed for good ones"]


def count_flags(table: RunTable, models: Models, convention: ParamsConvention) -> list[str]:
    """Parameters or FLOPs of the table that are not those of its shapes.

    A plan counts shapes by closed form: where the table counted otherwise, the two do not match.
    """
    frame = table.frame
    if frame["width"].null_count() or frame["depth"].null_count():
        return []
    shapes = Shapes.of(table.numbers("width"), table.numbers("depth"), models.template())
    flags = []
    for column, closed_form in (
        (f"params_{convention}", params(shapes, convention)),
        ("flops_per_token", flops_per_token(shapes)),
    ):
        if frame[column].null_count() == 0:
            off = float(np.abs(table.numbers(column) / closed_form - 1).max())
            if off > COUNT_TOLERANCE:
                flags.append(
                    f"counts_differ: {column} of the table is up to {off:.1%} off the closed form of its shapes, "
                    "by which plans count"
                )
    return flags


def few_draws_flags(draws: int) -> list[str]:
    """Resamples that give intervals with rough ends."""
    if not draws or draws >= FEW_DRAWS:
        return []
    return [
        f"{FEW_DRAWS_FLAG}: the ends of intervals from {draws} resamples are rough; {FEW_DRAWS} or more are needed for "
        "good ones"
    ]


def doubts(flags: Iterable[str]) -> tuple[str, ...]:
    """The flags that say something against a fit; that its intervals have rough ends does not."""
    return tuple(flag for flag in flags if not flag.startswith(FEW_DRAWS_FLAG))


def draw_flags(form: Form, draws: FloatArray) -> list[str]:
    """Exponents that leave their range in a tenth of the resamples or more."""
    low, high = EXPONENT_RANGE
    outer = form.structure.outer
    around = (
        np.exp(draws[:, form.index(outer)]) if isinstance(outer, str) else np.full(len(draws), outer or 1.0)
    )
    flags = []
    for i, entry in enumerate(form.entries):
        if entry.kind == "exponent":
            exponents = draws[:, i] * around
            outside = ((exponents < low) | (exponents > high)).mean()
            if outside >= 0.1:
                what = entry.name.removeprefix("a_") if form.terms else entry.name
                flags.append(
                    f"unstable_exponent: {what} leaves {low:g} to {high:g} in {outside:.0%} of the resamples"
                )
    return flags
