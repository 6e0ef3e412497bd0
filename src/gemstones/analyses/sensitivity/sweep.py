"""All studies of a sensitivity analysis: what has to be fitted for them, once each, and what each then prescribes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, cast

import msgspec

from gemstones.accounting.flops import FlopsConvention
from gemstones.analyses.analysis import Selected
from gemstones.analyses.sensitivity.choices import Choices, DistinctFit, Levels, selected, unanswerable
from gemstones.analyses.sensitivity.frontier_lines import FrontierLines, frontier_lines
from gemstones.analyses.sensitivity.kept import folder_of_fits, kept
from gemstones.analyses.sensitivity.prescribe import Prescribed, prescribe_law, prescribe_lines
from gemstones.display import cautions, few_lines, labelled
from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.laws.diagnostics import doubts
from gemstones.laws.fit import Fit
from gemstones.laws.fitting import fit
from gemstones.laws.law import Law, Models
from gemstones.laws.parallel import Workers, run_chunks
from gemstones.laws.solver.objective import Objective
from gemstones.laws.solver.resample import check_resampling
from gemstones.planning.cost import Flops
from gemstones.runs.recount import recounted
from gemstones.runs.table import RunTable

RESAMPLE_STARTS = 0
"""Starts of its own of every resample: it begins from the minima of the fit to all runs and from the other resamples',
which takes a quarter of the time; docs/sensitivity.md says how far intervals then move."""


@dataclass(frozen=True, eq=False, repr=False)
class Studied:
    """One study: its choices, and what it prescribes."""

    choices: Choices
    prescribed: Prescribed
    flags: tuple[str, ...]
    """What its fit or frontier says against itself, and what its prescriptions do."""
    assumptions: tuple[str, ...]

    def __repr__(self) -> str:
        choices = ", ".join(f"{value}" for value in self.choices.summary().values() if value is not None)
        return few_lines(f"Studied {choices}: {self.prescribed}", labelled(("caution", cautions(self.flags))))


@dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """Every combination of choices on a table of runs, sorted by what has to be fitted for it."""

    runs: RunTable
    levels: Levels
    tables: Mapping[str, Selected]
    """By selection."""
    combinations: tuple[Choices, ...]
    """Every one, answerable or not."""
    fits: Mapping[DistinctFit, tuple[Choices, ...]]
    """The studies that each fit answers, the fits that take longest first."""
    reasons: Mapping[Choices, str]
    """Why the others have no answer."""

    def __repr__(self) -> str:
        return few_lines(
            f"Sweep {self.runs.dataset}: {len(self.combinations):,} combinations, {len(self.reasons):,} of them "
            f"refused, {len(self.fits):,} distinct fits; selections {', '.join(self.tables)}"
        )

    @classmethod
    def of(
        cls,
        runs: RunTable,
        levels: Levels | None = None,
        *,
        selections: Sequence[str] | None = None,
        where: str | None = None,
    ) -> Sweep:
        """The sweep over `levels` and `selections`, by default the usual ones of the data set.

        Raises `InvalidRequest` for an unknown selection, and where no combination can be answered.
        """
        tables = selected(runs, selections, where)
        levels = (levels or Levels()).of_runs(next(iter(tables.values())).fitted)
        views = {(name, loss): _on(tables[name], loss) for name in tables for loss in levels.losses or ()}
        combinations = levels.combinations(tables)
        fits: dict[DistinctFit, list[Choices]] = {}
        reasons: dict[Choices, str] = {}
        for choices in combinations:
            view = views[choices.selection, choices.loss]
            reason = view if isinstance(view, str) else unanswerable(choices, view)
            if reason is None:
                fits.setdefault(choices.fit, []).append(choices)
            else:
                reasons[choices] = reason
        if not fits:
            raise _nothing(runs, reasons)

        def time(one: DistinctFit) -> tuple[int, int]:
            return (one.law.count(","), tables[one.selection].fitted.rows)

        ordered = sorted(fits, key=time, reverse=True)
        return cls(
            runs,
            levels,
            MappingProxyType(tables),
            tuple(combinations),
            MappingProxyType({one: tuple(fits[one]) for one in ordered}),
            MappingProxyType(reasons),
        )

    def answers(
        self,
        budgets: Sequence[float],
        *,
        bootstrap: int,
        seed: int,
        workers: Workers,
        output: Path | None,
        progress: Callable[[int], None] | None,
    ) -> tuple[list[Studied], dict[Choices, str]]:
        """Every study, in the order of the combinations, and why those that are missing are.

        The same for any number of `workers`. With `output`, every fit is kept in its folder `fits` as soon as it is
        done, and is taken from there the next time.
        """
        check_resampling(bootstrap, "run", seed)
        folder = None if output is None else folder_of_fits(output)
        todo = [
            _Work(one, choices, _rows(one, self.tables[one.selection].on(one.loss)))
            for one, choices in self.fits.items()
        ]

        def work(one: _Work) -> list[Studied] | str:
            try:
                return _answer(one, budgets, bootstrap, seed, folder)
            except (InvalidRequest, InvalidTable) as error:
                return error.said

        reasons = dict(self.reasons)
        studies: dict[Choices, Studied] = {}
        for one, found in zip(todo, run_chunks(work, todo, workers, progress), strict=True):
            if isinstance(found, str):
                reasons |= dict.fromkeys(one.choices, found)
            else:
                studies |= {study.choices: study for study in found}
        if not studies:
            raise _nothing(self.runs, reasons)
        return [studies[choices] for choices in self.combinations if choices in studies], reasons


def _on(tables: Selected, loss: str) -> Selected | str:
    """One selection with one of its losses, or why it has it not."""
    try:
        return tables.on(loss)
    except (InvalidRequest, InvalidTable) as error:
        return error.said


def _nothing(runs: RunTable, reasons: Mapping[Choices, str]) -> InvalidRequest:
    every = "; ".join(dict.fromkeys(reasons.values()))
    return InvalidRequest(f"no combination of choices has an answer for {runs.origin}: {every}")


@dataclass(frozen=True, eq=False)
class _Work:
    """One fit, the studies that it answers, and the rows that it is made from: all that a process needs."""

    fit: DistinctFit
    choices: tuple[Choices, ...]
    table: RunTable


def _rows(one: DistinctFit, tables: Selected) -> RunTable:
    if one.flops is None:
        return tables.fitted
    if one.flops == "given":
        return tables.frontier
    return recounted(tables.frontier, one.flops)


def _answer(
    one: _Work, budgets: Sequence[float], bootstrap: int, seed: int, folder: Path | None
) -> list[Studied]:
    if one.fit.method is not None:
        lines = _lines(one, bootstrap, seed, folder)
        return [
            Studied(choices, made, (*lines.flags, *made.flags), lines.assumptions)
            for choices in one.choices
            for made in [prescribe_lines(lines, choices.params_convention, budgets)]
        ]
    law = _law(one, bootstrap, seed, folder)
    conventions = [(choices.params_convention, _counting(law.law, choices.flops)) for choices in one.choices]
    return [
        Studied(
            choices,
            made,
            (*doubts(law.flags), *made.flags),
            law.plan_assumptions if made.discrete else law.assumptions,  # a closed form counts no shape
        )
        for choices, made in zip(one.choices, prescribe_law(law, conventions, budgets), strict=True)
    ]


def _counting(law: Law, flops: FlopsConvention | Literal["given"]) -> Flops:
    """What FLOPs are for a study: those that the runs give as the law learned them."""
    if flops != "given":
        return flops
    if law.flops is not None:
        return law.flops
    # They are 6·N in the law's own convention, which is nothing to be learned.
    return cast("FlopsConvention", f"6N_{law.params_convention}")


def _law(one: _Work, bootstrap: int, seed: int, folder: Path | None) -> Fit:
    what, delta = one.fit, one.fit.delta
    assert delta is not None  # every law has one
    convention = what.params_convention or "total"

    def make() -> Fit:
        return fit(
            one.table,
            what.law,
            objective=Objective(delta=delta),
            params=convention,
            bootstrap=bootstrap,
            seed=seed,
            resample_starts=RESAMPLE_STARTS,
            workers=1,  # many fits are at work at once
            backtests=False,  # no losses are asked for
        )

    key = _key(one, bootstrap, seed) | {"law": what.law, "params": convention, "delta": delta}
    key["resample_starts"] = RESAMPLE_STARTS
    return kept(folder, key, make, Fit.from_json)


def _lines(one: _Work, bootstrap: int, seed: int, folder: Path | None) -> FrontierLines:
    method = one.fit.method
    assert method is not None

    def make() -> FrontierLines:
        return frontier_lines(one.table, method, bootstrap, seed)

    return kept(
        folder,
        _key(one, bootstrap, seed) | {"method": method, "flops": one.fit.flops},
        make,
        FrontierLines.from_json,
    )


def _key(one: _Work, bootstrap: int, seed: int) -> dict[str, str | int | float | None]:
    """All that any fit to these rows depends on; the assumptions are part of what is kept with it."""
    said = [msgspec.structs.asdict(Models.of(one.table.architecture.like())), one.table.assumptions]
    return {
        "dataset": one.table.dataset,
        "selection": one.table.selection,
        "bootstrap": bootstrap,
        "seed": seed,
        "fingerprint": one.table.fingerprint,
        "models": msgspec.json.encode(said).decode(),
    }
