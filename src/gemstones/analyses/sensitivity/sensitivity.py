"""Sensitivity: what the same runs prescribe under every combination of an analyst's choices (paper §4.2, Figure 6).

Every combination is a study of its own. Resamples by run have one seed, so those of two studies of the same runs are
the same runs, and draw b of one is the counterpart of draw b of the other. See docs/sensitivity.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gemstones.analyses.sensitivity.choices import (
    CHOICES,
    NO_LAW,
    WITHIN,
    Refused,
    base_study,
    neighbours,
    refused,
)
from gemstones.analyses.sensitivity.decomposition import INTERACTIONS, shares, spread_of_sampling
from gemstones.analyses.sensitivity.findings import Share, Shift, Spread, Without
from gemstones.analyses.sensitivity.prescribe import QUANTITIES, Quantity, ends
from gemstones.analyses.sensitivity.shown import sensitivity_heading, sensitivity_html, sensitivity_notes
from gemstones.analyses.sensitivity.sweep import Studied, Sweep
from gemstones.bounds import FLOPS
from gemstones.display import few_lines, with_interval
from gemstones.laws.diagnostics import few_draws_flags
from gemstones.laws.interval import DEFAULT_LEVEL
from gemstones.laws.parallel import Workers
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray
from gemstones.units import Interval, format_flops, format_quantity

CHOICE_WORDS = {
    "selection": "which runs and checkpoints are kept",
    "approach": "the approach",
    "law": "the form of the law",
    "params_convention": "what counts as a parameter",
    "flops_convention": "what counts as a FLOP",
    "delta": "the δ of the Huber loss",
    "loss": "the set that losses are of",
}
"""A choice as a sentence calls it."""
NOTED = 0.1
"""A share of variance that depends on one level by more than this is said to."""


FARTHEST = 10.0
"""Times the fitted FLOPs that the headline budget may be."""


@dataclass(frozen=True, eq=False, repr=False)
class Sensitivity:
    """Every analysis of the same runs, and how far what they prescribe (parameters, tokens, losses) is apart.

    >>> from gemstones.analyses.sensitivity.ask import sensitivity
    >>> made = sensitivity("pebbles")  # doctest: +SKIP
    >>> made.sentence, made.decomposition  # doctest: +SKIP
    """

    dataset: str
    budgets: tuple[float, ...]
    studies: tuple[Studied, ...]
    base: Studied
    neighbours: tuple[tuple[str, Studied, Studied], ...]
    """A choice, a study with another level of it than the base study's, and the study that it is held against."""
    refused: tuple[Refused, ...]
    combinations: int
    """That were asked for; some may have been refused."""
    laws_fitted: int
    frontiers_found: int
    fitted_flops: Interval | None
    """What the rows of the base study span, by the table's own count of FLOPs."""
    bootstrap: int
    seed: int
    level: float = DEFAULT_LEVEL

    @property
    def distinct_fits(self) -> int:
        """Fits of laws and frontiers that the studies share."""
        return self.laws_fitted + self.frontiers_found

    @property
    def choices(self) -> tuple[str, ...]:
        """Names of the choices; the loss is one where there are several."""
        losses = {study.choices.loss for study in self.studies}
        return tuple(name for name in CHOICES if name != "loss" or len(losses) > 1)

    @cached_property
    def shifts(self) -> tuple[Shift, ...]:
        """Of every level of every choice but the base study's."""
        return tuple(self._shift(*neighbour) for neighbour in self.neighbours)

    @cached_property
    def spread(self) -> tuple[Spread, ...]:
        """By quantity and budget; none of what no study prescribes."""
        return tuple(
            spread
            for quantity in QUANTITIES
            for budget in range(len(self.budgets))
            if (spread := self._spread(quantity, budget)) is not None
        )

    @cached_property
    def decompositions(self) -> tuple[Share, ...]:
        """By quantity, budget and choice; none of a quantity and budget in which the studies do not differ."""
        levels = {name: [getattr(study.choices, name) for study in self.studies] for name in self.choices}
        found: list[Share] = []
        for quantity in QUANTITIES:
            for position, budget in enumerate(self.budgets):
                of_choices = shares(self._logs(quantity, position), levels, WITHIN)
                for choice, values in of_choices.items():
                    if np.isfinite(values[0]):
                        made = ends(values[1:], float(values[0]), discrete=False, level=self.level)
                        found.append(Share(quantity, budget, choice, float(values[0]), made))
        return tuple(found)

    @property
    def headline(self) -> int:
        """Position of the budget that sentences and pictures are about; see `headline_position`."""
        return headline_position(self.budgets, self.fitted_flops)

    @property
    def headline_budget(self) -> float:
        """In FLOPs."""
        return self.budgets[self.headline]

    @property
    def decomposition(self) -> dict[str, float]:
        """Share of the variance of log N* at the headline budget, by choice, and of interactions; they sum to 1."""
        return {
            share.choice: share.share
            for share in self.decompositions
            if share.quantity == "n_opt" and share.budget == self.headline_budget
        }

    @cached_property
    def without(self) -> tuple[Without, ...]:
        """What the decomposition owes to single levels, of every choice that has two more."""
        logs = self._logs("n_opt", self.headline)[:, :1]
        found = []
        for choice in self.choices:
            of_studies = [getattr(study.choices, choice) for study in self.studies]
            real = [level for level in dict.fromkeys(of_studies) if level not in {NO_LAW, None}]
            for level in real if len(real) > 2 else ():
                left = [i for i, own in enumerate(of_studies) if own != level]
                levels = {
                    name: [getattr(self.studies[i].choices, name) for i in left] for name in self.choices
                }
                of_choices = {name: float(of[0]) for name, of in shares(logs[left], levels, WITHIN).items()}
                if np.isfinite([*of_choices.values()]).all():
                    found.append(Without(choice, level, int(np.isfinite(logs[left]).sum()), of_choices))
        return tuple(found)

    @property
    def flags(self) -> tuple[str, ...]:
        """What is to be said of all its intervals; what is to be said of a study is with that study."""
        return tuple(few_draws_flags(self.bootstrap))

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the studies assume about the runs, each thing once."""
        return tuple(dict.fromkeys(said for study in self.studies for said in study.assumptions))

    @property
    def sentence(self) -> str:
        """All of it in one, about N* at the headline budget."""
        budget = self.headline_budget
        spread = next((s for s in self.spread if s.quantity == "n_opt" and s.budget == budget), None)
        if spread is None:
            return f"No study of {self.dataset} has a prescription for {format_flops(budget)} FLOPs."
        said = (
            f"Prescriptions for {format_flops(budget)} FLOPs run from {format_quantity(spread.least)} to "
            f"{format_quantity(spread.most)} parameters over {_of(spread.studies, len(self.studies))} of "
            f"{self.dataset}, N as each counts it"
        )
        if spread.studies >= 20:
            said += f" (eight in ten from {format_quantity(spread.low)} to {format_quantity(spread.high)})"
        by_share = sorted(((v, k) for k, v in self.decomposition.items() if k != INTERACTIONS), reverse=True)
        if by_share and by_share[0][0] > 0:
            (most, first), *others = [(v, k) for v, k in by_share if v >= 0.01]
            said += f"; {CHOICE_WORDS[first]} moves them most ({most:.0%} of the variance"
            least = min(
                (one for one in self.without if one.choice == first),
                key=lambda one: one.decomposition[first],
                default=None,
            )
            if least is not None and least.decomposition[first] < most - NOTED:
                said += f", {least.decomposition[first]:.0%} without {least.level}"
            said += ")"
            if others:
                said += f", then {CHOICE_WORDS[others[0][1]]} ({others[0][0]:.0%})"
        on = [shift for shift in self.shifts if shift.choice == "loss"]
        if moves := [text for shift in on if (text := _shift_text(shift, self.headline))]:
            said += f"; fitted to the losses on {', to those on '.join(moves)} the base study's"
        if spread.sampling_factor is not None:
            said += (
                f"; the ends of a single study's interval, from resampling its runs, are a factor of "
                f"{spread.sampling_factor:.2g} apart"
            )
        return said + "."

    def __repr__(self) -> str:
        return few_lines(sensitivity_heading(self), sensitivity_notes(self))

    def _repr_html_(self) -> str:
        return sensitivity_html(self)

    def summary(self) -> dict[str, Any]:
        """Plain values: what `gemstones sensitivity --json` prints."""
        return {
            "dataset": self.dataset,
            "budgets": list(self.budgets),
            "sentence": self.sentence,
            "headline_budget": self.headline_budget,
            "base": self.base.choices.summary(),
            "decomposition": self.decomposition,
            "without": [one.summary() for one in self.without],
            "spread": [spread.summary() for spread in self.spread],
            "shifts": [shift.summary() for shift in self.shifts],
            "decompositions": [share.summary() for share in self.decompositions],
            "combinations": len(self.studies),
            "combinations_asked": self.combinations,
            "distinct_fits": self.distinct_fits,
            "laws_fitted": self.laws_fitted,
            "frontiers_found": self.frontiers_found,
            "resampling": {"unit": "run", "draws": self.bootstrap, "seed": self.seed}
            if self.bootstrap
            else None,
            "level": self.level if self.bootstrap else None,
            "refused": [one.summary() for one in self.refused],
            "flags": list(self.flags),
            "assumptions": list(self.assumptions),
            "studies": [self._study(study) for study in self.studies],
        }

    def intervals(self, study: Studied, quantity: Quantity) -> list[Interval | None]:
        """Of one study, by budget."""
        return [study.prescribed.interval(quantity, b, self.level) for b in range(len(self.budgets))]

    def _study(self, study: Studied) -> dict[str, Any]:
        made = study.prescribed
        return {
            "choices": study.choices.summary(),
            **{quantity: plain(made.of(quantity)[0]) for quantity in QUANTITIES},
            "params_total": plain(made.params_total[0]),
            "interval": {quantity: self.intervals(study, quantity) for quantity in QUANTITIES},
            "flags": list(study.flags),
        }

    def _shift(self, choice: str, study: Studied, against: Studied) -> Shift:
        base, other = against.prescribed, study.prescribed
        discrete, paired = base.discrete or other.discrete, base.draws == other.draws
        ratio: dict[Quantity, tuple[float | None, ...]] = {}
        interval: dict[Quantity, tuple[Interval | None, ...]] = {}
        for quantity in QUANTITIES:
            over = other.of(quantity)[: None if paired else 1] / base.of(quantity)[: None if paired else 1]
            ratio[quantity] = tuple(plain(over[0]))
            interval[quantity] = tuple(
                ends(of[1:], float(of[0]), discrete=discrete, level=self.level) for of in over.T
            )
        return Shift(choice, getattr(study.choices, choice), study.choices, against.choices, ratio, interval)

    def _spread(self, quantity: Quantity, budget: int) -> Spread | None:
        logs = self._logs(quantity, budget)
        estimates = np.array([study.prescribed.of(quantity)[0, budget] for study in self.studies])
        estimates = estimates[np.isfinite(estimates)]
        if not estimates.size:
            return None
        between, within = spread_of_sampling(logs)
        intervals = [study.prescribed.interval(quantity, budget, self.level) for study in self.studies]
        widths = [made[1] / made[0] for made in intervals if made is not None]
        least, low, median, high, most = np.quantile(estimates, [0, 0.1, 0.5, 0.9, 1]).tolist()
        return Spread(
            quantity,
            self.budgets[budget],
            len(estimates),
            least,
            low,
            median,
            high,
            most,
            float(np.median(widths)) if widths else None,
            within / between if between > 0 and np.isfinite(within) else None,
        )

    def _logs(self, quantity: Quantity, budget: int) -> FloatArray:
        """Log prescriptions of all studies, (studies, 1 + draws); NaN in all columns where there is no estimate.

        A study without draws stays as it is in all.
        """
        draws = max(study.prescribed.draws for study in self.studies)
        logs = np.empty((len(self.studies), 1 + draws))
        for row, study in zip(logs, self.studies, strict=True):
            values = study.prescribed.of(quantity)[:, budget]
            with np.errstate(divide="ignore"):
                row[:] = np.log(values if len(values) == 1 + draws else values[0])
        return np.where(np.isfinite(logs) & np.isfinite(logs[:, :1]), logs, np.nan)


def sensitivity(
    sweep: Sweep,
    budgets: Sequence[float],
    *,
    bootstrap: int = 100,
    seed: int = 0,
    workers: Workers = None,
    output: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Sensitivity:
    """What every study of `sweep` prescribes for `budgets` (FLOPs), with `bootstrap` resamples by run each.

    The same for any number of `workers` (processes). With `output`, every fit is kept in its folder `fits`, so that an
    analysis that was interrupted goes on where it was. `progress` is told how many of `sweep.fits` are done.

    >>> from gemstones.analyses.sensitivity.choices import Levels
    >>> from gemstones.runs import load
    >>> few = Levels(laws=("N,T",), params=("total",), flops=("6N",), deltas=(1e-4, 1e-3))
    >>> made = sensitivity(Sweep.of(load("pebbles"), few, selections=["all"]), [1e14], bootstrap=0)
    >>> made.decomposition["approach"]
    1.0
    """
    wanted = tuple(sorted(set(FLOPS.each(budgets))))
    studies, reasons = sweep.answers(
        wanted, bootstrap=bootstrap, seed=seed, workers=workers, output=output, progress=progress
    )
    by_choices = {study.choices: study for study in studies}
    fitted_flops = _span(next(iter(sweep.tables.values())).fitted)
    headline = headline_position(wanted, fitted_flops)
    # A study without a prescription there would leave nothing to hold the others against.
    able = [c for c, study in by_choices.items() if np.isfinite(study.prescribed.n_opt[0][headline])]
    base = base_study(able or [*by_choices], sweep.levels, sweep.tables)
    fits = dict.fromkeys(choices.fit for choices in by_choices)
    return Sensitivity(
        dataset=sweep.runs.dataset,
        budgets=wanted,
        studies=tuple(studies),
        base=by_choices[base],
        neighbours=tuple(
            (choice, by_choices[other], by_choices[against])
            for choice, other, against in neighbours(base, [*by_choices], sweep.levels, sweep.tables)
        ),
        refused=refused(reasons, sweep.combinations),
        combinations=len(sweep.combinations),
        laws_fitted=sum(one.method is None for one in fits),
        frontiers_found=sum(one.method is not None for one in fits),
        fitted_flops=fitted_flops,
        bootstrap=bootstrap,
        seed=seed,
    )


def headline_position(budgets: Sequence[float], fitted_flops: Interval | None) -> int:
    """The largest of ascending `budgets` up to ten times the fitted FLOPs, else the smallest; the last where unknown.

    Far beyond the runs many studies end on the edge of the search and have no prescription.

    >>> headline_position((1e20, 1e22, 1e24), (3.4e18, 4.5e21))
    1
    """
    if fitted_flops is None:
        return len(budgets) - 1
    return max(sum(budget <= FARTHEST * fitted_flops[1] for budget in budgets) - 1, 0)


def _span(table: RunTable) -> Interval | None:
    known = table.frame["flops"].drop_nulls().to_list()
    return (min(known), max(known)) if known else None


def plain(values: FloatArray) -> list[float | None]:
    """Numbers, None for what is not finite."""
    return [float(value) if np.isfinite(value) else None for value in values]


def _shift_text(shift: Shift, budget: int) -> str | None:
    """N* on another loss, over that on the base study's; None where one of them has none."""
    ratio, interval = shift.ratio["n_opt"][budget], shift.interval["n_opt"][budget]
    if ratio is None:
        return None
    return f"{str(shift.level).removeprefix('loss_')} N* is {with_interval(ratio, interval, '{:.3g}'.format)} times"


def _of(some: int, every: int) -> str:
    studies = "study" if every == 1 else "studies"
    return f"{every:,} {studies}" if some == every else f"{some:,} of {every:,} {studies}"
