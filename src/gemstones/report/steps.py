"""The steps of a study: which laws, frontiers and plans are made of a table, and what is left out, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.laws.diagnostics import doubts
from gemstones.laws.envelope import Envelope, Method, Resource, envelope
from gemstones.laws.fit import Fit
from gemstones.laws.fitting import fit
from gemstones.laws.parallel import Workers
from gemstones.laws.solver.objective import Objective
from gemstones.planning.choices import Selected
from gemstones.report.words import RESOURCE_WORDS, listed
from gemstones.runs import RunTable, selections_of
from gemstones.runs.selections import dense_selection

LAWS = {"N,T": 1.0, "w,d,T": 5.0, "w,d,N,T": 15.0}
"""Laws that are fitted, and how long each takes in terms of the first."""
PLANNED = (("w,d,N,T", "w,d,T"), ("N,T",))
"""Laws that plan: one of each of these, the first that was fitted without a flag, else the first."""
RESOURCES: tuple[Resource, ...] = ("flops", "device_hours")
METHODS: tuple[Method, ...] = ("hull", "bins")
STUDIED = {"gemstones": ("all", "le100B")}
"""Selections of a data set that are studied; of any other its default."""

Step = Callable[[float], None]
"""Told what share of a step is done."""


@dataclass(frozen=True)
class Settings:
    """What a study was asked for."""

    select: str | None
    budgets: tuple[float, ...]
    """FLOPs, ascending."""
    bootstrap: int
    seed: int
    delta: float


def selected(runs: RunTable, select: str | None) -> list[Selected]:
    """The selections that are studied; a table that is a selection already is studied as it is."""
    done = runs.selection
    if done and (select is None or done == select or done.startswith(f"{select} where ")):
        return [Selected(runs, runs)]
    known = selections_of(runs.dataset)
    names = (select,) if select is not None else STUDIED.get(runs.dataset, (next(iter(known)),))
    tables = []
    for name in names:
        fitted, dense = runs.select(name), dense_selection(runs.dataset, name)
        tables.append(Selected(fitted, fitted if dense == name else runs.select(dense)))
    return tables


def fit_laws(
    table: RunTable, settings: Settings, workers: Workers, step: Callable[[str], Step]
) -> tuple[list[Fit], list[str]]:
    """A fit of every law that the runs know the columns of and can separate, and notes on the others."""
    fits: list[Fit] = []
    refused: dict[str, list[str]] = {}
    for law in LAWS:
        share = step(law)
        try:
            made = fit(
                table,
                law,
                objective=Objective(delta=settings.delta),
                bootstrap=settings.bootstrap,
                seed=settings.seed,
                workers=workers,
                progress=lambda n, share=share: share(n / settings.bootstrap),  # type: ignore[misc]
            )
        except (InvalidRequest, InvalidTable) as error:
            refused.setdefault(error.said, []).append(law)
        else:
            fits.append(named(made))
        share(1.0)
    notes = [f"{listed(laws)} not fitted to {table.selection}: {reason}" for reason, laws in refused.items()]
    return fits, notes


def named(made: Fit) -> Fit:
    """The fit, its law called by what it is: `w,d,N,T fitted to all`."""
    name = f"{made.law.form} fitted to {made.selection}"
    return msgspec.structs.replace(made, law=msgspec.structs.replace(made.law, name=name))


def frontiers(
    table: RunTable, settings: Settings, workers: Workers, step: Callable[[str], Step]
) -> tuple[list[Envelope], list[str]]:
    """Approach 1 by hull and bins over every resource that is known, and notes on those that are not."""
    envelopes: list[Envelope] = []
    refused: dict[str, list[str]] = {}
    for resource in RESOURCES:
        for method in METHODS:
            share = step(f"{RESOURCE_WORDS[resource]} by {method}")
            try:
                envelopes.append(
                    envelope(
                        table,
                        resource=resource,
                        method=method,
                        bootstrap=settings.bootstrap,
                        seed=settings.seed,
                        workers=workers,
                    )
                )
            except (InvalidRequest, InvalidTable) as error:
                refused.setdefault(error.said, []).append(RESOURCE_WORDS[resource])
            share(1.0)
    notes = [
        f"no frontier of {table.selection} over {listed(dict.fromkeys(resources))}: {reason}"
        for reason, resources in refused.items()
    ]
    return envelopes, notes


def planning_fits(fits: Sequence[Fit]) -> list[Fit]:
    """The fits that plan, the one of width and depth before the one in N and T; some of them may be missing.

    Of several that may take a place the first without flags does, else the first.
    """
    by_form = {made.law.form: made for made in fits}
    planning = [[by_form[form] for form in forms if form in by_form] for forms in PLANNED]
    return [trusted_first(made)[0] for made in planning if made]


def trusted_first(fits: Sequence[Fit]) -> list[Fit]:
    """Fits without flags before those with: whoever reads the first plan only reads the safer one."""
    return sorted(fits, key=lambda made: bool(doubts(made.flags)))
