"""Which single run would teach most: what each candidate explains of what the runs so far leave unknown."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gemstones import bounds
from gemstones.analyses.next_run.beliefs import Beliefs
from gemstones.analyses.next_run.candidates import (
    CHECKPOINTS,
    LEAST_RATIO,
    MOST_RATIO,
    Runs,
    checkpoints,
    flops_of,
    grid,
    offered_models,
    ordinary,
    per_token,
    points_of,
)
from gemstones.analyses.next_run.experiment import Candidates, Noise, Points, Target
from gemstones.analyses.next_run.pilot import pilot_of
from gemstones.analyses.next_run.result import factor_of
from gemstones.analyses.next_run.search import LEAST_SHARE
from gemstones.analyses.next_run.shown import next_card
from gemstones.analyses.next_run.wanted import Reference
from gemstones.arguments import checked, shown
from gemstones.design.feasible import Constraints
from gemstones.errors import InvalidRequest, UserError
from gemstones.files import read_bytes
from gemstones.laws.fit import Fit
from gemstones.laws.interval import DEFAULT_LEVEL, check_level
from gemstones.laws.law import Law
from gemstones.laws.parallel import Workers
from gemstones.planning.defaults import default_constraints
from gemstones.runs.table import RunTable
from gemstones.shape import Shape, Shapes
from gemstones.units import format_flops

MOST_CANDIDATES = 3_000
LISTED = 12
"""Candidates that are listed of those made here: the best of as many costs."""
DEARER = 4.0
"""Times the dearest run so far, that a candidate may cost."""
CHEAPER = 1e-3
"""Of the dearest run so far: cheaper ones are no candidates."""
COLUMNS = ("shape", "tokens")
WANTED = ("n_opt", "loss")


@dataclass(frozen=True)
class Candidate:
    """One run, and what it would explain."""

    shape: Shape
    params_total: float
    tokens: float
    flops: float
    """As the law counts them."""
    variance_explained: dict[str, float]
    """Share of the variance of log N* (`n_opt`) and of the log loss there (`loss`), 0 to 1."""

    value: float
    """Share of log N*'s variance for its cost, over the best candidate's: 0 to 1."""

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        per_flop = {name: share / self.flops for name, share in self.variance_explained.items()}
        return vars(self) | {"shape": str(self.shape), "variance_explained_per_flop": per_flop}


@dataclass(frozen=True, eq=False, repr=False)
class NextRuns:
    """Candidates, the one that teaches most about N* for its cost in FLOPs first; what `next_runs` returns.

    >>> next_runs("pebbles", 1e15).best.tokens  # doctest: +SKIP
    """

    budget: float
    law: Law
    dataset: str
    candidates: tuple[Candidate, ...]
    interval_factors: dict[str, float]
    """Either way, before any of them."""
    level: float
    """Probability of the intervals."""
    noise: Noise
    assumptions: tuple[str, ...]
    flags: tuple[str, ...] = ()
    """Of the fit."""

    @property
    def best(self) -> Candidate:
        """The first."""
        return self.candidates[0]

    def summary(self) -> dict[str, Any]:
        """Plain values: what `gemstones next --json` prints."""
        return {
            "budget": self.budget,
            "dataset": self.dataset,
            "law": self.law.form,
            "params_convention": self.law.params_convention,
            "level": self.level,
            "interval_factors": self.interval_factors,
            "candidates": [one.summary() for one in self.candidates],
            "noise": dict(vars(self.noise)),
            "assumptions": list(self.assumptions),
            "flags": list(self.flags),
        }

    def __repr__(self) -> str:
        return next_card(self).text(3)

    def _repr_html_(self) -> str:
        return next_card(self).html()


@checked
def next_runs(
    runs: Any,
    budget: float | str,
    candidates: Sequence[Any] | str | Path = "auto",
    *,
    form: str = "N,T",
    workers: Workers = None,
    level: float = DEFAULT_LEVEL,
    noise: Noise | None = None,
    constraints: Constraints | None = None,
) -> NextRuns:
    """What single further runs would explain of log N* at `budget` FLOPs, and of the loss there.

    `runs` are the runs so far, to which the law `form` is fitted with resamples by run, or a fit with draws: these are
    the prior. `level` is the probability of the intervals. `noise` and misfit are by default estimated from the runs;
    shapes keep to `constraints`, and resamples are made by `workers` (processes). `candidates` are pairs of a shape and
    its tokens, a CSV file with columns `shape` and `tokens`, or `auto`: of feasible shapes, the best at each of several
    costs. Shares of two runs do not add up: buy one, and ask again. Raises `InvalidRequest` for candidates that are
    none.

    >>> next_runs("pebbles", 1e15).best.shape  # doctest: +SKIP
    """
    budget = bounds.FLOPS.parse(budget)
    known = pilot_of(runs, form, workers)
    return valued(
        known.fit, known.runs, budget, candidates, level=level, noise=noise, constraints=constraints
    )


def valued(
    fit: Fit,
    table: RunTable | None,
    budget: float,
    candidates: Sequence[Any] | str | Path = "auto",
    *,
    level: float = DEFAULT_LEVEL,
    noise: Noise | None = None,
    constraints: Constraints | None = None,
) -> NextRuns:
    """As `next_runs`, from a fit with draws and the runs that it was fitted to."""
    check_level(level)
    beliefs = Beliefs.of(fit, pilot=fit, pilot_runs=table, noise=noise)
    law = beliefs.law
    constraints = constraints or default_constraints(law)
    reference = Reference.of(law, budget)
    dearest, usual = _spent(law, table, budget)
    listed = candidates != "auto"
    if listed:
        pool = _given(candidates, constraints.template)
    else:
        most = DEARER * dearest
        models = ordinary(constraints)

        def unit_cost(shapes: Shapes) -> Any:
            return per_token(law, shapes)

        pool = grid(law, offered_models(law, models, most, unit_cost), most, MOST_CANDIDATES, unit_cost)
        pool = pool.taken(np.flatnonzero(flops_of(law, pool) >= CHEAPER * dearest))
    flops = flops_of(law, pool)
    offered = Candidates(points_of(law, checkpoints(law, pool)), CHECKPOINTS, flops)
    targets = [reference.target("n_opt"), reference.target("loss")]
    start = beliefs.start(reference, "n_opt", offered, _together(targets))
    before = np.diag(start.variance)
    shares = np.clip(start.gains() / before, 0.0, 1.0)
    worth = shares[:, 0] / np.maximum(flops, LEAST_SHARE * usual)
    order = np.argsort(-worth, kind="stable")
    if not listed:
        order = _best_by_cost(order, flops, shares[:, 0])
    total = pool.params()
    return NextRuns(
        budget,
        law,
        fit.dataset,
        tuple(
            Candidate(
                constraints.shape(int(pool.width[i]), int(pool.depth[i])),
                float(total[i]),
                float(pool.tokens[i]),
                float(flops[i]),
                {name: float(shares[i, k]) for k, name in enumerate(WANTED)},
                float(worth[i] / worth.max()),
            )
            for i in order
        ),
        {name: factor_of(start.variance[k : k + 1, k : k + 1], level) for k, name in enumerate(WANTED)},
        level,
        beliefs.noise,
        (
            *beliefs.assumptions,
            *([] if listed else [_range_text(dearest)]),
            f"each run gives {CHECKPOINTS} losses, at its end and by halves of its tokens before, at a constant rate",
            f"in order of the share of log N*'s variance over the run's FLOPs, cheap runs counted as "
            f"{format_flops(LEAST_SHARE * usual)} FLOPs",
        ),
        beliefs.flags,
    )


def _range_text(dearest: float) -> str:
    return (
        f"candidates are runs of {format_flops(CHEAPER * dearest)} to {format_flops(DEARER * dearest)} FLOPs, a "
        f"thousandth to four times the dearest so far, on {LEAST_RATIO:g} to {MOST_RATIO:g} tokens per parameter; "
        "cheaper ones may teach more per FLOP"
    )


def _together(targets: Sequence[Target]) -> Target:
    """Several targets as one of several quantities."""
    sizes = [target.weights.shape for target in targets]
    weights = np.zeros((sum(q for q, _ in sizes), sum(n for _, n in sizes)))
    row = column = 0
    for target, (q, n) in zip(targets, sizes, strict=True):
        weights[row : row + q, column : column + n] = target.weights
        row, column = row + q, column + n
    return Target(Points.joined([target.points for target in targets]), weights)


def _spent(law: Law, table: RunTable | None, budget: float) -> tuple[float, float]:
    """FLOPs of the dearest run so far, and of a usual one."""
    if table is None:
        dearest = law.fitted.flops[1] if law.fitted.flops is not None else budget / 100
        return dearest, dearest / 4
    flops, codes = table.numbers("flops"), table.run_codes
    flops = np.where(np.isfinite(flops), flops, 0.0)
    last = np.zeros(int(codes.max()) + 1)
    np.maximum.at(last, codes, flops)
    if not (last > 0).any():
        return budget / 100, budget / 400
    return float(last.max()), float(last.mean())


def _best_by_cost(order: Any, flops: Any, shares: Any) -> Any:
    """Of each of `LISTED` costs, evenly spaced in the logarithm, the one that explains most; in the given order."""
    edges = np.geomspace(flops.min(), flops.max() * (1 + 1e-9), LISTED + 1)
    level = np.clip(np.searchsorted(edges, flops, side="right") - 1, 0, LISTED - 1)
    best = {k: max(np.flatnonzero(level == k), key=lambda i: shares[i]) for k in np.unique(level)}
    kept = {int(i) for i in best.values()} | {int(order[0])}
    return np.array([i for i in order if int(i) in kept])


def _given(candidates: Sequence[Any] | str | Path, template: Shape) -> Runs:
    """Those of a list, or of a CSV file."""
    if isinstance(candidates, str | Path):
        where, pairs = str(candidates), list[Any](_read(Path(candidates)))
    else:
        where, pairs = "candidates", list(candidates)
    if not pairs:
        raise InvalidRequest(
            f"{where}: there is no candidate: give one of a shape and its tokens, like 1024x28,20B"
        )
    found = []
    for i, pair in enumerate(pairs, start=1):
        paired = isinstance(pair, Sequence) and not isinstance(pair, str) and len(pair) == 2
        tokens = pair[1] if paired else None
        if not isinstance(tokens, str | int | float | np.number):
            raise InvalidRequest(
                f"{where}: candidate {i}: {shown(pair)} is no shape with its tokens: give both, like ('1024x28', '20B')"
            )
        try:
            shape = Shape.parse(str(pair[0]), **template.architecture)
            found.append((shape.width, shape.depth, bounds.TOKENS.parse(str(tokens))))
        except UserError as error:
            raise InvalidRequest(f"{where}: candidate {i}: {error.said}") from None
    width, depth, amount = (np.array(x, np.float64) for x in zip(*found, strict=True))
    return Runs(width, depth, amount, template)


def _read(path: Path) -> list[tuple[str, float | str]]:
    try:
        lines = read_bytes(path).decode("utf-8-sig").splitlines()
    except OSError as error:
        raise InvalidRequest(
            f"candidates {path} cannot be read ({error.strerror or error}): name a CSV file with columns shape and "
            "tokens, or auto"
        ) from None
    except UnicodeDecodeError:
        raise InvalidRequest(
            f"candidates {path} is no text: name a CSV file with columns shape and tokens"
        ) from None
    table = csv.DictReader(lines)
    try:
        names, rows = [name.strip() for name in table.fieldnames or ()], list(table)
    except csv.Error as error:
        raise InvalidRequest(f"candidates {path} are no CSV file ({error})") from None
    if missing := [name for name in COLUMNS if name not in names]:
        raise InvalidRequest(
            f"{path} has no column {missing[0]}: candidates are a CSV file with columns {' and '.join(COLUMNS)}"
        )
    if long := [i for i, row in enumerate(rows, start=1) if any(map(str.strip, row.get(None) or ()))]:
        raise InvalidRequest(
            f"{path}: candidate {long[0]} has more values than there are columns: write numbers without "
            "commas, like 20B"
        )
    plain = [
        {(k or "").strip(): (v or "") if isinstance(v, str) else "" for k, v in row.items()} for row in rows
    ]
    return [(row["shape"].strip(), row["tokens"].strip()) for row in plain]
