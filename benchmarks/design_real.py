"""Subsets of the runs of real suites at a fifth of their cost, designed, by convention and at random.

design.py runs it. Suites are the Gemstones (constant rate, every 2B tokens) and Pebbles (`pebbles-2`, cooldowns).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from gemstones.analyses.compare.optima import optima
from gemstones.analyses.next_run.beliefs import Beliefs
from gemstones.analyses.next_run.candidates import CHECKPOINTS, Runs, points_of
from gemstones.analyses.next_run.experiment import Candidates, Learned, Noise, Target
from gemstones.analyses.next_run.search import after, score, worth
from gemstones.analyses.next_run.wanted import Reference
from gemstones.errors import GemstonesError
from gemstones.laws.fitting import fit
from gemstones.laws.law import Law
from gemstones.laws.published import LAWS, refit
from gemstones.planning.defaults import default_constraints
from gemstones.runs import load
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray, IntArray

BUDGET = 1e22
NT = LAWS["chinchilla-epoch"]
SHAPED = refit("gemstones-refit-plain").law
NOISE = Noise()
CLIPPED = np.log(10.0)
"""Errors of log N* beyond a factor of ten, and fits without an optimum, count as one of ten."""
RANDOM = 100
STARTS = 6
"""Of fits to subsets."""
SHARE = 0.2
WANTED = {
    "rest": "designed for the losses of all runs",
    "loss": "designed for the loss",
    "n_opt": "designed for N*",
}

Job = tuple[str, Callable[[], dict[str, Any]]]


@dataclass(frozen=True, eq=False)
class Suite:
    """Runs that were trained, and a law and a noise with which to choose among them as if they were not."""

    name: str
    table: RunTable
    form: str
    budget: float
    reference: Law
    noise: Noise
    horizons: tuple[float, ...]
    """Tokens that a run may be cut at; none for those of its own rows."""
    checkpoints: int
    """Rows of a candidate; fewer where a run's first row is later."""

    def jobs(self) -> Iterator[Job]:  # noqa: PLR0915 (one experiment)
        """By key."""
        frame = self.table.frame
        shapes = frame.select("run", "width", "depth", "params_total", "flops_per_token").unique(
            "run", maintain_order=True
        )
        names = shapes["run"].to_list()
        counted = shapes["params_total"].to_numpy().astype(float)
        per = shapes["flops_per_token"].to_numpy().astype(float)
        own = {name: np.unique(group["tokens"].to_numpy()) for (name,), group in frame.group_by("run")}
        first = np.array([own[name][0] for name in names])
        ends = np.array([own[name][-1] for name in names])
        full = fit(self.table, self.form, starts=STARTS).law
        whole = float(optima(full, full.theta[None], [self.budget])[0].log_params[0])
        spend = SHARE * float((per * ends).sum())

        def offered(i: int) -> list[float]:
            """Horizons of a run."""
            if not self.horizons:
                return [float(x) for x in own[names[i]]]
            return [min(t, float(ends[i])) for t in self.horizons if t <= 1.01 * ends[i]]

        def tried(chosen: dict[str, float]) -> dict[str, Any]:
            limit = frame["run"].replace_strict(chosen, default=0.0, return_dtype=pl.Float64)
            inside = (frame["tokens"] <= limit * 1.001).to_numpy()
            cost = sum(per[names.index(run)] * tokens for run, tokens in chosen.items())
            try:
                law = fit(
                    replace(self.table, frame=frame.filter(pl.Series(inside))), self.form, starts=STARTS
                ).law
                out = frame.filter(pl.Series(~inside))
                logs = [np.log(out[name].to_numpy().astype(float)) for name in law.columns]
                off = law.log_loss(logs) - np.log(out["loss"].to_numpy())
                n_opt = float(optima(law, law.theta[None], [self.budget])[0].log_params[0]) - whole
                n_opt = float(np.clip(n_opt, -CLIPPED, CLIPPED)) if np.isfinite(n_opt) else CLIPPED
                error = float(np.sqrt(np.mean(off**2)))
            except GemstonesError:
                error, n_opt = np.nan, CLIPPED
            return {"runs": len(chosen), "share": cost / spend * SHARE, "held_out": error, "n_opt": n_opt}

        def designed(want: str, noise: Noise) -> dict[str, float]:
            pairs = [(i, t) for i in range(len(names)) for t in offered(i)]
            index = np.array([i for i, _ in pairs])
            tokens = np.array([t for _, t in pairs])
            # Rows as the table has them: none before a run's first, evenly spaced in the logarithm.
            share = (first[index] / tokens)[:, None] ** np.linspace(1, 0, self.checkpoints)
            width, depth = (
                shapes[x].to_numpy().astype(float)[np.repeat(index, self.checkpoints)]
                for x in ("width", "depth")
            )
            rows = Runs(width, depth, (tokens[:, None] * share).ravel(), default_constraints(full).template)
            cost = per[index] * tokens
            reference = Reference.of(self.reference, self.budget)
            candidates = Candidates(points_of(self.reference, rows), self.checkpoints, cost)
            beliefs = Beliefs.of(self.reference, noise=noise)
            target = reference.target("loss" if want == "rest" else want)
            if want == "rest":  # the losses at the ends of all runs
                width, depth = (shapes[x].to_numpy().astype(float) for x in ("width", "depth"))
                target = Target(
                    points_of(self.reference, replace(rows, width=width, depth=depth, tokens=ends)),
                    np.eye(len(names)),
                )
            start = beliefs.start(reference, "loss", candidates, target)
            chosen = distinct(start, cost, index)
            return {names[index[i]]: float(tokens[i]) for i in chosen}

        def distinct(start: Learned, cost: FloatArray, index: IntArray) -> list[int]:
            """Greedy, then exchanges, with one horizon of a shape at most."""
            chosen: list[int] = []
            best = np.inf
            for _ in range(6):
                for place in range(len(chosen) + len(names)):
                    kept = [one for k, one in enumerate(chosen) if k != place]
                    now = after(start, kept)
                    allowed = (cost <= spend - cost[kept].sum()) & ~np.isin(index, index[kept])
                    if not allowed.any():
                        continue
                    gain = np.where(allowed, worth(now), -np.inf)
                    pick = (
                        int((gain / np.maximum(cost, spend / 40)).argmax())
                        if place >= len(chosen)
                        else int(gain.argmax())
                    )
                    new = score(now.variance) - float(gain[pick])
                    if new < best - 1e-6:
                        chosen, best = [*kept, pick], new
            return chosen

        def cut(tokens: Callable[[float], FloatArray]) -> dict[str, float]:
            """The most that the spend allows: each run at its horizon nearest to `tokens(x)`, x as large as can be."""
            for x in np.geomspace(1, 1e-5, 800):
                wanted = tokens(x)
                at = np.array(
                    [min(offered(i), key=lambda t: abs(np.log(t / wanted[i]))) for i in range(len(names))]
                )
                if self.horizons:
                    at = np.clip(wanted, first, ends)
                if (per * at).sum() <= spend:
                    return dict(zip(names, at.tolist(), strict=True))
            # The first rows of all cost more than the spend: as many of the smaller as it pays for.
            order = np.argsort(counted)
            kept = order[np.cumsum((per * first)[order]) <= spend]
            return {names[i]: float(first[i]) for i in kept}

        def random(number: int) -> dict[str, float]:
            rng = np.random.default_rng(number)
            chosen: dict[str, float] = {}
            left = spend
            for i in rng.permutation(len(names)):
                allowed = [t for t in offered(i) if per[i] * t <= left]
                if allowed:
                    chosen[names[i]] = float(rng.choice(allowed))
                    left -= per[i] * chosen[names[i]]
            return chosen

        fixed = {
            "equal tokens": lambda: cut(lambda x: np.full(len(names), x * ends.max())),
            "fixed tokens per parameter": lambda: cut(lambda x: x * (ends / counted).max() * counted),
        }
        key = f"{self.name}/{self.form}"
        for name, build in fixed.items():
            yield f"{key}/{name}", lambda name=name, build=build: {"design": name, **tried(build())}
        # What is assumed of misfit and noise is not known before runs are: designs under several of them.
        for want, called in WANTED.items():
            for misfit in (0.5, 1.0, 2.0):
                for length in (0.5, 0.7, 1.0, 1.5):
                    noise = replace(
                        self.noise, misfit=misfit * self.noise.misfit, length=length * Noise().length
                    )
                    yield (
                        f"{key}/{called}/{misfit}/{length}",
                        lambda want=want, called=called, noise=noise: {
                            "design": called, **tried(designed(want, noise))},
                    )  # fmt: skip
        for number in range(RANDOM):
            yield (
                f"{key}/random/{number}",
                lambda number=number: {"design": "random", **tried(random(number))},
            )


def suites() -> list[Suite]:
    """The Gemstones by a law that does not see shapes, to which they are noise by run and misfit, and by one that does;
    Pebbles' cooldowns around the law of the first Pebbles, trained before."""
    stones = load("gemstones").select("all")
    horizons = (1e10, 2e10, 5e10, 1e11, 2e11, 3.5e11)
    before = fit(load("pebbles").select(), "N,T").law
    coarse = Noise(misfit=0.008, run=0.016)
    return [
        Suite("gemstones", stones, "N,T", BUDGET, NT, coarse, horizons, CHECKPOINTS),
        Suite("gemstones", stones, "w,d,N,T", BUDGET, SHAPED, NOISE, horizons, CHECKPOINTS),
        Suite("pebbles-2", load("pebbles-2").select("fitted"), "N,T", 1e14, before, coarse, (), 3),
    ]
