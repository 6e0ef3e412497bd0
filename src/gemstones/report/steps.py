"""The steps of a study: which laws, frontiers and plans are made of a table, and what is left out, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from gemstones.analyses.analysis import Selected, Settings, Step
from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.laws.chosen import AUTO
from gemstones.laws.diagnostics import doubts
from gemstones.laws.envelope import Envelope, Method, Resource, envelope
from gemstones.laws.fit import Fit
from gemstones.laws.fitting import fit
from gemstones.laws.parallel import Workers
from gemstones.laws.solver.objective import Objective
from gemstones.runs import RunTable, selections_of
from gemstones.runs.selections import dense_selection
from gemstones.words import RESOURCE_WORDS, listed

LAWS = {"N,T": 1.0, "w,d,T": 5.0, "w,d,N,T": 15.0}
"""Laws that are fitted, and how long each takes in terms of the first."""
TIMES = {**LAWS, AUTO: 60.0}
PLANNED = (("w,d,N,T", "w,d,T"), ("N,T",))
"""Laws that plan after the one that was asked for: one of each of these, the first that was fitted without a flag, else
the first."""
RESOURCES: tuple[Resource, ...] = ("flops", "device_hours")
METHODS: tuple[Method, ...] = ("hull", "bins")
STUDIED = {"gemstones": ("all", "le100B")}
"""Selections of a data set that are studied; of any other its default."""


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
    """A fit of every law that the runs know the columns of and can separate, and of the form that is asked for; notes
    on the others."""
    fits: dict[str, Fit] = {}
    refused: dict[str, list[str]] = {}
    for law in dict.fromkeys((settings.law, *LAWS)):
        share = step(law)
        try:
            if law not in fits:
                made = fit(
                    table,
                    law,
                    objective=Objective(delta=settings.delta),
                    bootstrap=settings.bootstrap,
                    seed=settings.seed,
                    workers=workers,
                    progress=lambda n, share=share: share(n / settings.bootstrap),  # type: ignore[misc]
                )
                fits[made.law.form] = named(made)
        except (InvalidRequest, InvalidTable) as error:
            refused.setdefault(error.said, []).append(law)
        share(1.0)
    notes = [f"{listed(laws)} not fitted to {table.selection}: {reason}" for reason, laws in refused.items()]
    usual = [fits.pop(law) for law in LAWS if law in fits]
    return [*usual, *fits.values()], notes


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
    """The fits that plan: the form that was asked for or chosen, then the one of width and depth before the one in N
    and T; some of them may be missing.

    Of several that may take a place the first without flags does, else the first.
    """
    first = [made for made in fits if _leads(made)]
    by_form = {made.law.form: made for made in fits}
    places = [forms for forms in PLANNED if not any(made.law.form in forms for made in first)]
    planning = [[by_form[form] for form in forms if form in by_form] for forms in places]
    return [*first, *(trusted_first(made)[0] for made in planning if made)]


def _leads(made: Fit) -> bool:
    return made.chosen is not None or made.law.form not in LAWS


def trusted_first(fits: Sequence[Fit]) -> list[Fit]:
    """Fits without flags before those with: whoever reads the first plan only reads the safer one. Before all the form
    that was asked for or chosen."""
    return sorted(fits, key=lambda made: (not _leads(made), bool(doubts(made.flags))))
