"""The runs to train for the narrowest interval of what is wanted, for a spend, from nothing or after a pilot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gemstones import bounds
from gemstones.analyses.next_run.candidates import Runs, as_candidates, conventional, grid, ordinary
from gemstones.analyses.next_run.experiment import Candidates, Learned, Model, Noise
from gemstones.analyses.next_run.search import Limits, search
from gemstones.analyses.next_run.wanted import WANTS, Reference, Want, columns_at
from gemstones.arguments import checked
from gemstones.errors import InvalidRequest
from gemstones.laws.fit import Fit
from gemstones.laws.law import Law
from gemstones.laws.published import FrontierLaw, given_law
from gemstones.planning.plan import default_constraints
from gemstones.shape import FloatArray
from gemstones.units import format_flops

RUNS = 24
MOST_CANDIDATES = 5_000
NORMAL = 1.959963984540054
"""Of a 95% interval."""
WIDE = {"exponent": 0.15, "coefficient": 1.0, "constant": 0.15, "outer": 0.5, "inner": 0.5}
"""Prior standard deviations where there is no pilot: of exponents, of logs of coefficients and E, of log p."""


@dataclass(frozen=True)
class Bought:
    """One run of a design, in the order in which to buy them."""

    shape: str | None
    params: float
    """As the law counts N."""
    tokens: float
    flops: float
    cumulative_flops: float
    interval_factor: float
    """After it: the 95% interval reaches so far either way, as a factor."""

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return dict(vars(self))


@dataclass(frozen=True, eq=False)
class Design:
    """Runs to buy, and what they would leave unknown."""

    want: Want
    budget: float
    spend: float
    runs: tuple[Bought, ...]
    before: float
    """Interval factor without any run."""
    conventional: tuple[dict[str, Any], ...]
    """`name`, `runs`, `flops`, `interval_factor`."""
    law: Law
    noise: Noise
    assumptions: tuple[str, ...]

    @property
    def interval_factor(self) -> float:
        """After all runs."""
        return self.runs[-1].interval_factor if self.runs else self.before

    def summary(self) -> dict[str, Any]:
        """Plain values: what `gemstones design --for --json` prints."""
        return {
            "want": self.want,
            "budget": self.budget,
            "spend": self.spend,
            "law": self.law.form,
            "params_convention": self.law.params_convention,
            "runs": [run.summary() for run in self.runs],
            "interval_factor": self.interval_factor,
            "interval_factor_before": self.before,
            "conventional": list(self.conventional),
            "assumptions": list(self.assumptions),
        }


@checked
def design_runs(
    budget: float | str,
    spend: float | str,
    *,
    want: Want = "n_opt",
    law: Fit | Law | FrontierLaw | str = "gemstones-refit-plain",
    after: Fit | None = None,
    runs: int = RUNS,
    largest: float | str | None = None,
    annealed: bool = False,
    noise: Noise | None = None,
) -> Design:
    """The runs to train, for `spend` FLOPs in all, for the narrowest interval of `want` at `budget` FLOPs.

    `want` is `n_opt` (log N*), `shape` (log width and depth) or `loss` (of the best model). `law` is the reference
    around which everything is linear, with a wide prior; with `after`, the fit of a pilot, its draws are the prior. No
    run costs more than `largest` (by default a quarter of the spend). Raises `InvalidRequest` where nothing can be bought.
    """
    budget, spend = bounds.FLOPS.parse(budget), bounds.FLOPS.parse(spend)
    most = spend / 4 if largest is None else min(bounds.FLOPS.parse(largest), spend)
    if want not in WANTS:
        raise InvalidRequest(f"want {want!r} is unknown: choose from {', '.join(WANTS)}")
    given = after if after is not None else given_law(law)
    if isinstance(given, FrontierLaw):
        raise InvalidRequest(f"law {given.name} predicts no loss: choose one with terms in N and T")
    bare = given.law if isinstance(given, Fit) else given
    reference = Reference.of(bare, budget)
    prior = _prior(after, bare)
    model = Model(prior, noise or Noise())
    target = reference.target(want)
    offered, z = _offered(bare, reference, most)
    plain = conventional(bare, z, spend, _above(reference))
    pool, starts = offered, []
    for of_convention in plain.values():
        if of_convention.count <= runs:
            starts.append(tuple(range(pool.count, pool.count + of_convention.count)))
            pool = pool.joined(of_convention)
    candidates = as_candidates(bare, pool, annealed=annealed)
    usable = candidates.cost <= spend
    if not usable.any():
        raise InvalidRequest(f"{format_flops(spend)} FLOPs buy no run of these models: spend more")
    limits = Limits(spend, runs)
    within = [one for one in starts if candidates.cost[list(one)].sum() <= spend * (1 + 1e-6)]
    order = search(model, candidates, target, limits, within)
    return Design(
        want,
        budget,
        spend,
        _bought(bare, pool, candidates, model, target, order),
        _factor(model.variance(target)),
        tuple(_beside(bare, model, target, name, found, annealed) for name, found in plain.items()),
        bare,
        model.noise,
        _assumptions(after, bare, model.noise, annealed),
    )


def _prior(after: Fit | None, law: Law) -> FloatArray:
    if after is not None:
        if not after.has_intervals:
            raise InvalidRequest("the pilot's fit has too few resamples: fit it with --bootstrap 400")
        return np.asarray(np.cov(after.theta_draws.T))
    return np.diag([WIDE[entry.kind] ** 2 for entry in law.parsed_form.entries])


def _offered(law: Law, reference: Reference, most: float) -> tuple[Runs, FloatArray]:
    """Candidates, `MOST_CANDIDATES` at most, and their models."""
    if reference.of_shapes:
        z = ordinary(default_constraints(law))
        z = _spread(law, z, most)
        return grid(law, z, most, max(4, MOST_CANDIDATES // max(len(z), 1))), z
    top = 0.5 * np.log(most / 6)
    z = np.linspace(top - np.log(1e4), top, 64)[:, None]
    return grid(law, z, most, MOST_CANDIDATES // 64), z


def _spread(law: Law, z: FloatArray, most: float, count: int = 400) -> FloatArray:
    """Models that a run of `most` FLOPs can train on a token per parameter, spread over size and aspect ratio."""
    where = columns_at(law, z, np.log(most))[1]
    z = z[where[:, 1] >= where[:, 0]]
    if len(z) <= count:
        return z
    cells: dict[tuple[int, int], int] = {}
    size, ratio = z[:, 0] * 2 + z[:, 1], z[:, 0] - z[:, 1]
    steps = np.sqrt(np.ptp(size) * np.ptp(ratio) / count)
    for i in range(len(z)):
        cells.setdefault((int(size[i] // steps), int(ratio[i] // steps)), i)
    return z[sorted(cells.values())]


def _above(reference: Reference) -> float:
    """log N* of the reference over √(C/120), the size that twenty tokens per parameter make best."""
    log_n = columns_at(reference.law, reference.optimum[None], np.log(reference.budget))[1][0, 0]
    return float(log_n - 0.5 * np.log(reference.budget / 120))


def _factor(variance: FloatArray) -> float:
    """How far a 95% interval reaches either way, as a factor; of several quantities the geometric mean's."""
    return float(np.exp(NORMAL * np.exp(0.5 * np.log(np.diag(variance)).mean())))


def _bought(
    law: Law, pool: Runs, candidates: Candidates, model: Model, target: Any, order: Sequence[int]
) -> tuple[Bought, ...]:
    now, spent, found = Learned.nothing(model, candidates, target), 0.0, []
    where = columns_at(law, pool.z, pool.log_flops)[1]
    for run in order:
        now = now.bought(run)
        cost = float(candidates.cost[run])
        spent += cost
        z = pool.z[run]
        shape = None if len(z) == 1 else f"{round(float(np.exp(z[0])))}x{round(float(np.exp(z[1])))}"
        log_n, log_t = where[run]
        found.append(
            Bought(shape, float(np.exp(log_n)), float(np.exp(log_t)), cost, spent, _factor(now.variance))
        )
    return tuple(found)


def _beside(law: Law, model: Model, target: Any, name: str, runs: Runs, annealed: bool) -> dict[str, Any]:
    candidates = as_candidates(law, runs, annealed=annealed)
    now = Learned.nothing(model, candidates, target)
    for run in range(runs.count):
        now = now.bought(run)
    cost = float(candidates.cost.sum())
    return {"name": name, "runs": runs.count, "flops": cost, "interval_factor": _factor(now.variance)}


def _assumptions(after: Fit | None, law: Law, noise: Noise, annealed: bool) -> tuple[str, ...]:
    prior = "the pilot's draws" if after is not None else "wide"
    rows = "its annealed end, a tenth dearer" if annealed else "six checkpoints by a factor of two in tokens"
    return (
        f"linear around law {law.form}, prior {prior}",
        f"misfit of the law {noise.misfit:.1%} of loss over a decade, noise {noise.run:.1%} by run and {noise.row:.1%} "
        "by row, as measured on the Gemstones",
        f"each run gives {rows}",
        "a model's own words: the interval that a fit will have depends on what is measured",
    )
