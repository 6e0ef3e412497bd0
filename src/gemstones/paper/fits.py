"""Every fit and frontier that the paper's figures and claims need, each made once, from the raw runs.

They do not depend on each other, so they are made in parallel, the longest first; the same seed gives the same
fits for any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from gemstones.accounting.parameters import ParamsConvention
from gemstones.laws.envelope import Envelope, Method, Resource, envelope
from gemstones.laws.fit import Fit
from gemstones.laws.fitting import fit
from gemstones.laws.parallel import Workers, run_chunks
from gemstones.laws.solver.objective import Objective
from gemstones.report.steps import LAWS, METHODS, RESOURCES, named
from gemstones.runs import RunTable
from gemstones.words import PARAMS_WORDS

DRAWS = 100
"""Resamples by run of every fit and frontier."""
DELTA, EPOCH_DELTA = 1e-4, 1e-3
"""Huber's δ of the paper's laws, and of its ablation, Figures 17 to 19, and Epoch AI's refit."""


PAPER_FORM, PREDICTS = "w,d,N,T", "(w,d,N,T)^p"
"""The paper's Equation 2, and the form that backtests choose on `all`: that of the law `gemstones-refit`."""
TIMES = {**LAWS, PREDICTS: 30.0}
"""How long each law takes to fit, relatively."""


class FitKey(NamedTuple):
    """Which fit: equal to the plain tuple of its four parts."""

    selection: str
    """Of `gemstones`, or of `chinchilla`: no name occurs in both where laws are fitted to it."""
    law: str
    delta: float = DELTA
    params: ParamsConvention = "total"


class EnvelopeKey(NamedTuple):
    """Which frontier."""

    selection: str
    resource: Resource = "flops"
    method: Method = "hull"
    params: ParamsConvention = "total"


CHINCHILLA_SELECTIONS = ("epoch", "hoffmann-reduced")
"""Selections of the data set `chinchilla`; all others are of `gemstones`."""
SHAPED_SELECTIONS = ("all", "le100B", "gt120B", "lr-ablation", "cooldown")
"""Selections with enough shapes for laws of width and depth."""
DELTA_SELECTIONS = ("all", "lr-ablation", "cooldown")
"""Those that the paper fits with δ 1e-3 too (Figures 17 to 19)."""
PARAMS_SELECTIONS = (*SHAPED_SELECTIONS, "width512", "chinchilla-reduced")

FITS: tuple[FitKey, ...] = (
    *(FitKey(selection, "N,T") for selection in (*PARAMS_SELECTIONS, *CHINCHILLA_SELECTIONS)),
    *(FitKey(selection, "N,T", params="no_embedding") for selection in PARAMS_SELECTIONS),
    FitKey("all", "N,T", params="non_embedding"),
    *(FitKey(selection, "N,T", EPOCH_DELTA) for selection in (*DELTA_SELECTIONS, "le100B", "epoch")),
    FitKey("all", "w,d,T"),
    *(FitKey(selection, law) for law in (PAPER_FORM, PREDICTS) for selection in SHAPED_SELECTIONS),
    *(FitKey(selection, "w,d,N,T", EPOCH_DELTA) for selection in DELTA_SELECTIONS),
)
"""What `paper_fits` makes."""
BACKTESTED = (FitKey("all", PAPER_FORM), FitKey("all", PREDICTS))
"""Fits whose errors for a new run are shown: by the page of the forms."""

FRONTIERS = ("le100B-2B", "lr-ablation-2B", "cooldown", "all-2B", "gt120B-2B")
"""Selections whose frontiers the paper reads."""

ENVELOPES: tuple[EnvelopeKey, ...] = (
    *(EnvelopeKey(s, resource, method) for s in FRONTIERS for resource in RESOURCES for method in METHODS),
    *(EnvelopeKey(s, params="non_embedding") for s in FRONTIERS),
)
"""What `paper_envelopes` makes."""

Key = TypeVar("Key", FitKey, EnvelopeKey)
Made = TypeVar("Made")


def power(delta: float) -> str:
    """`1e-4`."""
    return f"{delta:.0e}".replace("e-0", "e-")


def paper_fits(
    runs: Mapping[str, RunTable],
    bootstrap: int = DRAWS,
    seed: int = 0,
    workers: Workers = None,
    progress: Callable[[int], None] | None = None,
    keys: Sequence[FitKey] = FITS,
) -> dict[FitKey, Fit]:
    """The fits of `keys`, with `bootstrap` resamples by run; `progress` is told how many are done.

    `runs` are the whole data sets, `gemstones` and `chinchilla`, by name.
    """

    def make(asked: tuple[FitKey, RunTable]) -> Fit:
        key, table = asked
        made = fit(
            table,
            key.law,
            objective=Objective(delta=key.delta),
            params=key.params,
            bootstrap=bootstrap,
            seed=seed,
            backtests=key in BACKTESTED,
        )
        return _named(made, key)

    def time(asked: tuple[FitKey, RunTable]) -> float:
        key, table = asked
        return TIMES[key.law] * table.rows

    return _each(make, time, _with_tables(keys, runs), workers, progress)


def paper_envelopes(
    runs: Mapping[str, RunTable],
    bootstrap: int = DRAWS,
    seed: int = 0,
    workers: Workers = None,
    progress: Callable[[int], None] | None = None,
    keys: Sequence[EnvelopeKey] = ENVELOPES,
) -> dict[EnvelopeKey, Envelope]:
    """The frontiers of `keys`; as `paper_fits`."""

    def make(asked: tuple[EnvelopeKey, RunTable]) -> Envelope:
        key, table = asked
        return envelope(
            table,
            resource=key.resource,
            method=key.method,
            params=key.params,
            bootstrap=bootstrap,
            seed=seed,
        )

    def time(asked: tuple[EnvelopeKey, RunTable]) -> float:
        return float(asked[1].rows)

    return _each(make, time, _with_tables(keys, runs), workers, progress)


def _with_tables(keys: Sequence[Key], runs: Mapping[str, RunTable]) -> list[tuple[Key, RunTable]]:
    """Every key with its rows: a selection is made once, and a process is sent no more than it needs."""
    tables: dict[str, RunTable] = {}
    for key in keys:
        if key.selection not in tables:
            dataset = "chinchilla" if key.selection in CHINCHILLA_SELECTIONS else "gemstones"
            tables[key.selection] = runs[dataset].select(key.selection)
    return [(key, tables[key.selection]) for key in keys]


def _each(
    make: Callable[[tuple[Key, RunTable]], Made],
    time: Callable[[tuple[Key, RunTable]], float],
    asked: list[tuple[Key, RunTable]],
    workers: Workers,
    progress: Callable[[int], None] | None,
) -> dict[Key, Made]:
    """What is `asked` for, made the longest first, in the order in which it was asked for."""
    order = sorted(asked, key=time, reverse=True)
    made = dict(zip((key for key, _ in order), run_chunks(make, order, workers, progress), strict=True))
    return {key: made[key] for key, _ in asked}


def _named(made: Fit, key: FitKey) -> Fit:
    """The fit, its law called by what it is, with what is unusual about it: `N,T fitted to all, δ 1e-3`."""
    made = named(made)
    name = made.law.name
    if key.delta != DELTA:
        name += f", δ {power(key.delta)}"
    if key.params != "total":
        name += f", N {PARAMS_WORDS[key.params]}"
    return msgspec.structs.replace(made, law=msgspec.structs.replace(made.law, name=name))
