"""Subsets of the Gemstones at a fifth of their cost, designed, by convention and at random; design.py runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from gemstones.analyses.compare.optima import optima
from gemstones.analyses.next_run.beliefs import Beliefs
from gemstones.analyses.next_run.candidates import (
    CHECKPOINTS,
    Runs,
    points_of,
)
from gemstones.analyses.next_run.experiment import Candidates, Learned, Noise, Target
from gemstones.analyses.next_run.search import after, score, worth
from gemstones.analyses.next_run.wanted import Reference
from gemstones.errors import GemstonesError
from gemstones.laws.fitting import fit
from gemstones.laws.law import Law
from gemstones.laws.published import LAWS, refit
from gemstones.planning.defaults import default_constraints
from gemstones.runs import load
from gemstones.shape import FloatArray, IntArray

BUDGET = 1e22
NT = LAWS["chinchilla-epoch"]
SHAPED = refit("gemstones-refit-plain").law
NOISE = Noise()
CLIPPED = np.log(10.0)
"""Errors of log N* beyond a factor of ten, and fits without an optimum, count as one of ten."""
RANDOM = 100
STARTS = 6
"""Of fits to subsets of the Gemstones."""
SHARE = 0.2
HORIZONS = (1e10, 2e10, 5e10, 1e11, 2e11, 3.5e11)


def gemstones(  # noqa: PLR0915 (one experiment)
    form: str, reference_law: Law, noise: Noise, count: int
) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Subsets of the published runs at a fifth of their cost: designed, by convention and at random."""
    table = load("gemstones").select("all")
    frame = table.frame
    shapes = frame.select("run", "width", "depth", "params_total", "flops_per_token").unique(
        "run", maintain_order=True
    )
    names = shapes["run"].to_list()
    counted = shapes["params_total"].to_numpy().astype(float)
    per = shapes["flops_per_token"].to_numpy().astype(float)
    most = frame.group_by("run", maintain_order=True).agg(pl.col("tokens").max())
    ends = dict(zip(most["run"], most["tokens"], strict=True))
    full = fit(table, form, starts=STARTS).law
    whole = float(optima(full, full.theta[None], [BUDGET])[0].log_params[0])
    spend = SHARE * float(sum(per[i] * ends[name] for i, name in enumerate(names)))

    def tried(chosen: dict[str, float]) -> dict[str, Any]:
        limit = frame["run"].replace_strict(chosen, default=0.0, return_dtype=pl.Float64)
        inside = (frame["tokens"] <= limit * 1.001).to_numpy()
        cost = sum(per[names.index(run)] * tokens for run, tokens in chosen.items())
        try:
            law = fit(replace(table, frame=frame.filter(pl.Series(inside))), form, starts=STARTS).law
            out = frame.filter(pl.Series(~inside))
            logs = [np.log(out[name].to_numpy().astype(float)) for name in law.columns]
            off = law.log_loss(logs) - np.log(out["loss"].to_numpy())
            n_opt = float(optima(law, law.theta[None], [BUDGET])[0].log_params[0]) - whole
            n_opt = float(np.clip(n_opt, -CLIPPED, CLIPPED)) if np.isfinite(n_opt) else CLIPPED
            error = float(np.sqrt(np.mean(off**2)))
        except GemstonesError:
            error, n_opt = np.nan, CLIPPED
        return {"runs": len(chosen), "share": cost / spend * SHARE, "held_out": error, "n_opt": n_opt}

    def designed(want: str) -> dict[str, float]:
        pairs = [(i, t) for i, name in enumerate(names) for t in HORIZONS if t <= 1.01 * ends[name]]
        index = np.array([i for i, _ in pairs])
        tokens = np.array([min(t, ends[names[i]]) for i, t in pairs])
        # Rows as the table has them: none before 10B tokens, six evenly spaced in the logarithm.
        share = (HORIZONS[0] / tokens)[:, None] ** np.linspace(1, 0, CHECKPOINTS)
        width, depth = (
            shapes[x].to_numpy().astype(float)[np.repeat(index, CHECKPOINTS)] for x in ("width", "depth")
        )
        rows = Runs(width, depth, (tokens[:, None] * share).ravel(), default_constraints(full).template)
        cost = per[index] * tokens
        reference = Reference.of(reference_law, BUDGET)
        offered = Candidates(points_of(reference_law, rows), CHECKPOINTS, cost)
        beliefs = Beliefs.of(reference_law, noise=noise)
        target = reference.target("loss" if want == "rest" else want)
        if want == "rest":  # the losses at the ends of all runs
            last = np.array([ends[name] for name in names])
            width, depth = (shapes[x].to_numpy().astype(float) for x in ("width", "depth"))
            target = Target(
                points_of(reference_law, replace(rows, width=width, depth=depth, tokens=last)),
                np.eye(len(names)),
            )
        start = beliefs.start(reference, "loss", offered, target)
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

    def equal() -> dict[str, float]:
        tokens = max(t for t in np.geomspace(1e10, 3.5e11, 400) if per.sum() * t <= spend)
        return dict.fromkeys(names, float(tokens))

    def random(number: int) -> dict[str, float]:
        rng = np.random.default_rng(number)
        chosen: dict[str, float] = {}
        left = spend
        for i in rng.permutation(len(names)):
            allowed = [t for t in HORIZONS if t <= 1.01 * ends[names[i]] and per[i] * t <= left]
            if allowed:
                chosen[names[i]] = float(rng.choice(allowed))
                left -= per[i] * chosen[names[i]]
        return chosen

    def ratio() -> dict[str, float]:
        each = max(
            x for x in np.geomspace(2, 400, 600) if (per * np.clip(x * counted, 1e10, 3.5e11)).sum() <= spend
        )
        return {name: float(np.clip(each * counted[i], 1e10, 3.5e11)) for i, name in enumerate(names)}

    fixed = {"designed for the losses of all runs": lambda: designed("rest"),
        "designed for the loss": lambda: designed("loss"), "designed for N*": lambda: designed("n_opt"),
             "equal tokens": equal, "fixed tokens per parameter": ratio}  # fmt: skip
    for name, build in fixed.items():
        yield f"gemstones/{form}/{name}", lambda name=name, build=build: {"design": name, **tried(build())}
    for number in range(count):
        yield (
            f"gemstones/{form}/random/{number}",
            lambda number=number: {"design": "random", **tried(random(number))},
        )


def real_runs() -> list[Iterator[tuple[str, Callable[[], dict[str, Any]]]]]:
    """By a law that does not see shapes, to which they are noise by run and misfit, and by one that does."""
    return [
        gemstones("N,T", NT, Noise(misfit=0.008, run=0.016), RANDOM),
        gemstones("w,d,N,T", SHAPED, NOISE, RANDOM),
    ]
