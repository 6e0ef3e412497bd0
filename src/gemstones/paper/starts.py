"""Figure 20 of the paper: the exponent that a fit prescribes, against how many starting points it was given.

Published fits minimise from a grid of starts with scipy's L-BFGS-B and numerical gradients, and keep the best.
Here both that and this project's polish start from the same points of the standard grid, in one random order;
the best of the first n gives the exponent. What another draw of n starts would have given follows exactly from
where the starts of a case ended: the best of n draws with replacement is of rank k or better with probability
1 − (1 − k/m)^n.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gemstones.errors import InvalidRequest
from gemstones.figures import style
from gemstones.laws.columns import table_columns
from gemstones.laws.parallel import Workers, run_chunks
from gemstones.laws.solver.compiling import compiled
from gemstones.laws.solver.objective import Objective, huber
from gemstones.laws.solver.polish import polish
from gemstones.laws.solver.problem import Problem
from gemstones.paper.figure import PaperFigure
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray
from gemstones.units import Interval

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

DELTAS = (1e-3, 1e-4, 1e-5)
SELECTIONS = {"le100B": "Runs to 100B tokens (le100B)", "all": "Runs to 350B tokens (all)"}
STARTS = 200
TERMS = ("N", "T")
GRID = (
    *[(0.0, 0.5, 1.0, 1.5, 2.0)] * 2,
    *[(0.0, 5.0, 10.0, 15.0, 20.0, 25.0)] * 2,
    (-1.0, -0.5, 0.0, 0.5, 1.0),
)
"""Exponents, log coefficients and E of the 4,500 starts of Besiroglu et al. 2024, after Hoffmann et al. 2022 §D.3;
the published fits of the Gemstones use the same."""
STEP = 1e-8
"""Of the forward differences: L-BFGS-B's default `eps`, absolute."""
SOLVERS = {"lbfgs": "L-BFGS-B, numerical gradients", "gemstones": "This project's solver"}
BEST_KNOWN = 1e-6
"""Relative excess over the least objective within which a start has reached it."""
COVERED = 0.9
"""Of the draws of n starts, within the band."""
COLORS = {"lbfgs": style.GREY, "gemstones": style.BLUE}
HEIGHT = 165
"""Of a panel, in CSS pixels."""
_INDEPENDENT: Any = dict.fromkeys(("color", "shape"), "independent")


@dataclass(frozen=True, eq=False)
class _Case:
    """One selection and δ."""

    selection: str
    delta: float
    problem: Problem
    starts: FloatArray
    """(starts, 5), not centred."""


@dataclass(frozen=True, eq=False)
class Ends:
    """Where the starts of one case ended, by one solver."""

    theta: FloatArray
    """(starts, 5), not centred."""
    value: FloatArray
    """(starts,): the objective; infinite where the solver says that it failed."""


def standard_starts(count: int = STARTS, seed: int = 0) -> FloatArray:
    """The first `count` points of the grid, (count, 5), in a random order that depends on `seed` alone."""
    points = np.array(list(itertools.product(*GRID)))
    if not 1 <= count <= len(points):
        raise InvalidRequest(f"starts {count} must be 1 to {len(points):,}, the size of the grid")
    return points[np.random.default_rng(seed).permutation(len(points))[:count]]


def exponents_by_starts(
    runs: RunTable,
    selections: Iterable[str] = SELECTIONS,
    deltas: Sequence[float] = DELTAS,
    starts: int = STARTS,
    seed: int = 0,
    workers: Workers = None,
    progress: Callable[[int], None] | None = None,
) -> pl.DataFrame:
    """The exponent a of T* ∝ C^a from the law `N,T`, by selection, δ, solver and number of starts.

    One row for each of about 30 numbers of starts up to `starts`: `exponent` and `objective` of the best of the
    first n; `low` and `high`, between which the exponent lies in 90% of draws of n of these starts; `excess`, the
    objective over the least that any start of the case reached, minus 1; `at_best`, the share of all
    starts of the case that ended within 1e-6 of it. An exponent is null while the best start ended where
    the law does not prescribe: α + β not positive.
    """
    import polars as pl

    points = standard_starts(starts, seed)
    cases = [
        _Case(selection, Objective(delta=delta).huber_delta, problem, points)
        for selection in selections
        for problem in [_problem(runs.select(selection))]
        for delta in deltas
    ]
    ends = run_chunks(_ends, cases, workers, progress)
    return pl.DataFrame(
        [row for case, by_solver in zip(cases, ends, strict=True) for row in _rows(case, by_solver)]
    )


def _problem(table: RunTable) -> Problem:
    return Problem.simple(table_columns(TERMS, table, "total"), table.numbers("loss"))


def _ends(case: _Case) -> dict[str, Ends]:
    system = compiled(case.problem)
    polished = polish(system, system.centred(case.starts), case.delta)
    return {
        "lbfgs": lbfgs(case.problem, case.starts, case.delta),
        "gemstones": Ends(system.physical(polished.theta), polished.value),
    }


def lbfgs(problem: Problem, starts: FloatArray, delta: float) -> Ends:
    """As the published code minimises: L-BFGS-B with scipy's own limits (15,000 iterations and evaluations).

    In the coordinates of the law, not centred ones. The gradient is scipy's forward difference, but its six
    evaluations are one array; a start counts if scipy calls it a success.
    """
    from scipy.optimize import minimize

    logs = np.stack([-term.z[0] for term in problem.terms])  # of a sum of powers: −log x at the exponent
    k, m = len(problem.terms), starts.shape[1]
    offsets = np.vstack([np.zeros(m), np.eye(m) * STEP])

    def value_and_gradient(theta: FloatArray) -> tuple[float, FloatArray]:
        around = theta + offsets
        parts = around[:, k : 2 * k, None] - around[:, :k, None] * logs
        constant = around[:, 2 * k, None]
        largest = np.maximum(parts.max(1), constant)
        total = np.exp(parts - largest[:, None]).sum(1) + np.exp(constant - largest)
        predicted = largest + np.log(total)
        values = huber(problem.log_loss - predicted, delta).sum(1)
        steps = around[1:].diagonal() - theta  # as they are in floating point
        return float(values[0]), (values[1:] - values[0]) / steps

    found = [minimize(value_and_gradient, start, jac=True, method="L-BFGS-B") for start in starts]
    values = [float(one.fun) if one.success else np.inf for one in found]
    return Ends(np.array([one.x for one in found]), np.array(values))


def _rows(case: _Case, by_solver: dict[str, Ends]) -> list[dict[str, Any]]:
    least = min(ends.value.min() for ends in by_solver.values())
    rows = []
    for solver, ends in by_solver.items():
        exponents = token_exponents(ends.theta)
        for n in _counts(len(case.starts)):
            best = int(ends.value[:n].argmin())
            low, high = spread_of_best(ends.value, exponents, n)
            rows.append(
                {
                    "selection": case.selection,
                    "delta": case.delta,
                    "solver": solver,
                    "starts": n,
                    "exponent": _or_none(exponents[best]),
                    "low": _or_none(low),
                    "high": _or_none(high),
                    "objective": float(ends.value[best]),
                    "excess": float(ends.value[best] / least - 1),
                    "at_best": float((ends.value <= least * (1 + BEST_KNOWN)).mean()),
                }
            )
    return rows


def token_exponents(theta: FloatArray) -> FloatArray:
    """a = α / (α + β) of T* ∝ C^a (Hoffmann et al. 2022, Equation 4) for θ (…, 5); NaN where α + β ≤ 0."""
    alpha, beta = theta[..., 0], theta[..., 1]
    total = alpha + beta
    return np.asarray(np.where(total > 0, alpha / np.where(total > 0, total, 1.0), np.nan))


def spread_of_best(
    values: FloatArray, exponents: FloatArray, count: int, covered: float = COVERED
) -> Interval:
    """The central range of the exponent of the best of `count` starts, drawn with replacement; exact."""
    order = np.argsort(values, kind="stable")
    worse = 1 - np.arange(len(values) + 1) / len(values)
    chance = -np.diff(worse**count)  # that the best drawn is of this rank
    by_exponent = np.argsort(exponents[order], kind="stable")
    below = np.cumsum(chance[by_exponent])
    ends = np.searchsorted(below, [(1 - covered) / 2, (1 + covered) / 2])
    low, high = exponents[order][by_exponent][np.minimum(ends, len(values) - 1)]
    return float(low), float(high)


def _counts(most: int) -> list[int]:
    """Numbers of starts, about equally spaced on a logarithmic axis."""
    return sorted({round(n) for n in np.geomspace(1, most, 40)})


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def starts_figure(frame: pl.DataFrame) -> PaperFigure:
    """Figure 20 from the exponents of every selection and δ (`exponents_by_starts`)."""
    style.need_altair()
    import altair as alt

    starts = frame["starts"].to_list()[-1]
    rows = [row | {"solver_text": SOLVERS[row["solver"]]} for row in frame.to_dicts()]
    panels = [
        [_panel(delta, selection, starts, first=delta == DELTAS[0]) for selection in SELECTIONS]
        for delta in DELTAS
    ]
    grid = alt.vconcat(*[alt.hconcat(*row).resolve_scale(**_INDEPENDENT) for row in panels], spacing=14)
    title = alt.TitleParams(
        "The exponent that a fit prescribes, by the number of its starting points",
        subtitle=[
            f"a of prescribed tokens T* ~ C^a, from N,T fits; lines: the best of the first n of {starts} random points "
            "of the standard grid of 4,500 starts",
            f"Bands: where a lies in {COVERED:.0%} of draws of n of these starts, with replacement; not an interval "
            "by run",
        ],
        offset=14,
    )
    themed = style.themed(grid.resolve_scale(**_INDEPENDENT).properties(title=title), {"starts": rows})
    return PaperFigure(20, themed, frame, _caption(frame))


def _caption(frame: pl.DataFrame) -> str:
    import polars as pl

    most = max(frame["starts"].to_list())
    last = frame.filter(pl.col("starts") == most)
    theirs, ours = (last.filter(pl.col("solver") == solver) for solver in SOLVERS)
    excess, at_best = theirs["excess"].to_list(), ours["at_best"].to_list()
    behind = sum(value > BEST_KNOWN for value in excess)
    return (
        f"Exponent of the prescribed tokens (N in total parameters) against the number of starts, up to {most}, for "
        "three δ of the Huber objective; runs to 100B tokens on the left, to 350B on the right. Grey, scipy's "
        "L-BFGS-B with forward differences and scipy's own limits (15,000 iterations), as in the published code: in "
        f"{behind} of {len(excess)} cases its best of {most} starts is not at the best known objective but "
        f"up to {max(excess):.1%} above it, and its lines depend on rounding, so on the machine. Blue, "
        f"this project's solver from the same starts, of which {min(at_best):.0%} to "
        f"{max(at_best):.0%} reach the best known objective."
    )


def _panel(delta: float, selection: str, starts: int, *, first: bool) -> alt.LayerChart:
    """Both solvers at one δ, on one selection; the `first` of a column names it, and the last has the axis' title."""
    import altair as alt

    names = list(SOLVERS.values())
    palette = alt.Scale(domain=names, range=[COLORS[solver] for solver in SOLVERS])
    last = delta == DELTAS[-1]
    key = (
        alt.Legend(title="Minimised by", symbolType="stroke", symbolSize=260)
        if first and selection == list(SELECTIONS)[-1]
        else None
    )
    x = style.log_x("starts", f"Starting points (up to {starts})" if last else None, (1, starts), "plain")
    scale, axis = alt.Scale(domain=[0, 1]), alt.Axis(values=[i / 5 for i in range(6)], minExtent=42)

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", title="Exponent of tokens, a", scale=scale, axis=axis)

    base = (
        alt.Chart(alt.NamedData(name="starts"))
        .transform_filter(f"datum.delta == {delta!r} && datum.selection == '{selection}'")
        .encode(x)
    )
    band = base.mark_area(opacity=0.2, interpolate="step-after").encode(
        y("low").stack(None), alt.Y2("high"), color=alt.Color("solver_text:N", scale=palette, legend=None)
    )
    line = base.mark_line(strokeWidth=style.LINE_WIDTH, interpolate="step-after").encode(
        y("exponent"),
        color=alt.Color("solver_text:N", scale=palette, legend=key),
        tooltip=style.tooltips(
            "solver_text:N", "delta:Q", "starts:Q", "exponent:Q", "low:Q", "high:Q", "excess:Q"
        ),
    )
    heading = f"δ {style.label(delta, 'power')}"
    if first:
        heading = f"{SELECTIONS[selection]}, {heading}"
    title = alt.TitleParams(heading, fontSize=13, frame="group")
    return alt.LayerChart(
        layer=[band, line],
        resolve={"scale": _INDEPENDENT},
        width=style.PANEL_WIDTH,
        height=HEIGHT,
        title=title,
    )
