"""Everything that the paper's figures and claims are made of, refitted and recomputed from the raw published runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from gemstones.accounting.parameters import ParamsConvention
from gemstones.analyses.overspend.overspend import Overspend, OverspendMethod, overspend
from gemstones.analyses.overtrain.overtrain import Overtraining, overtrain
from gemstones.analyses.sensitivity.sensitivity import Sensitivity
from gemstones.laws.envelope import Envelope, Method, Resource
from gemstones.laws.fit import Fit
from gemstones.laws.fitting import fit
from gemstones.laws.parallel import Workers, run_beside
from gemstones.laws.solver.objective import Objective
from gemstones.paper.fits import (
    EPOCH_DELTA,
    FITS,
    PAPER_FORM,
    PREDICTS,
    EnvelopeKey,
    FitKey,
    paper_envelopes,
    paper_fits,
)
from gemstones.paper.forms import Forms, prescribed_by_form
from gemstones.paper.price_claims import TOKENS
from gemstones.paper.rainbow import rainbow_sensitivities
from gemstones.paper.starts import DELTAS, SELECTIONS, exponents_by_starts
from gemstones.paper.upstream import Upstream, upstream
from gemstones.report.steps import RESOURCES
from gemstones.runs import RunTable, load
from gemstones.runs.industry import IndustryModel, load_industry

if TYPE_CHECKING:
    import polars as pl

OVERTRAINED = (1e20, 1e21, 1e22, 1e23)
"""Budgets of Figure 8, in FLOPs."""
EPOCH_DRAWS = 1000
"""Resamples by row of Epoch AI's refit, whose standard errors are compared."""
METHODS: tuple[OverspendMethod, ...] = ("interpolate", "nearest")

Part = Callable[[str, int], Callable[[int], None]]
"""Begins a part of the work by its name and number of steps; what it gives is told how many are done."""


@dataclass(frozen=True, eq=False)
class Analyses:
    """Everything that figures and claims are made of."""

    gemstones: RunTable
    chinchilla: RunTable
    industry: tuple[IndustryModel, ...]
    fits: Mapping[FitKey, Fit]
    epoch_by_row: Fit
    envelopes: Mapping[EnvelopeKey, Envelope]
    rainbow: tuple[Sensitivity, ...]
    overspends: Mapping[tuple[Resource, OverspendMethod], Overspend]
    overtrained: tuple[Overtraining, ...]
    """By the paper's form."""
    overtrained_predicts: tuple[Overtraining, ...]
    """By the form that predicts, for the same budgets."""
    forms: Forms
    starts: pl.DataFrame
    """Of Figure 20 (`starts.exponents_by_starts`)."""
    upstream: Upstream
    """What the published repository shows since."""

    def fit(self, selection: str, law: str, delta: float, params: ParamsConvention) -> Fit:
        """The fit that claims ask for."""
        return self.fits[FitKey(selection, law, delta, params)]

    def frontier(self, selection: str, resource: Resource, method: Method) -> Envelope:
        """The frontier that claims ask for."""
        return self.envelopes[EnvelopeKey(selection, resource, method)]


def analyse(*, bootstrap: int, seed: int, workers: Workers, part: Part) -> Analyses:
    """Refit and recompute everything; `bootstrap` resamples by run give the intervals."""
    import polars as pl

    runs = {name: load(name) for name in ("gemstones", "chinchilla")}
    gemstones, chinchilla = runs["gemstones"], runs["chinchilla"]
    fits = paper_fits(runs, bootstrap, seed, workers, part("fits", len(FITS)))

    def from_fits() -> tuple[tuple[Overtraining, ...], tuple[Overtraining, ...], Forms]:
        of_paper, predicts = (
            tuple(overtrain(budget, fits[FitKey("all", law)]) for budget in OVERTRAINED)
            for law in (PAPER_FORM, PREDICTS)
        )
        return of_paper, predicts, prescribed_by_form(fits)

    drawn = {"bootstrap": bootstrap, "seed": seed}
    epoch, at_epoch = chinchilla.select("epoch"), Objective(delta=EPOCH_DELTA)
    # Beside each other, each in one process; the longest first.
    others: list[Callable[[], Any]] = [
        partial(upstream, load("gemstones-benchmarks").select(), **drawn),
        partial(rainbow_sensitivities, gemstones, chinchilla, **drawn),
        *(partial(exponents_by_starts, gemstones, [s], [delta]) for s in SELECTIONS for delta in DELTAS),
        partial(paper_envelopes, runs, bootstrap, seed),
        partial(fit, epoch, "N,T", objective=at_epoch, bootstrap=EPOCH_DRAWS, unit="row", seed=seed),
    ]
    (since, rainbow, *exponents, envelopes, of_epoch), (overtrained, predicts, forms) = run_beside(
        lambda make: make(), others, from_fits, workers, part("other analyses", len(others))
    )
    every = gemstones.select("all-2B")
    return Analyses(
        gemstones,
        chinchilla,
        load_industry(),
        fits,
        of_epoch,
        envelopes,
        rainbow,
        {(r, m): overspend(every, TOKENS, r, m) for r in RESOURCES for m in METHODS},
        overtrained,
        predicts,
        forms,
        pl.concat(exponents),
        since,
    )
