"""What is believed before a run is bought: a law with its prior, the noise, and the runs that exist."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gemstones.analyses.compare.regression import MISFITS, scales_of
from gemstones.analyses.next_run.existing import Existing, estimated_noise, existing, information
from gemstones.analyses.next_run.experiment import (
    DECADE,
    Candidates,
    Learned,
    Model,
    Noise,
    Points,
    Target,
    derivatives,
)
from gemstones.analyses.next_run.wanted import Reference, Want
from gemstones.errors import InvalidRequest
from gemstones.laws.columns import columns_used
from gemstones.laws.fit import Fit
from gemstones.laws.law import Law
from gemstones.laws.published import FrontierLaw
from gemstones.numbers import counted
from gemstones.planning.sight import sight
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray

WIDE = {"exponent": 0.15, "coefficient": 1.0, "constant": 0.15, "outer": 0.5, "inner": 0.5}
"""Prior standard deviations where there is no pilot: of exponents, of logs of coefficients and E, of log p."""
OTHER_KINDS = 0.15
PAIRED_MISFIT = MISFITS[-2]
"""Of the difference of two recipes: what the law misses of both alike cancels (`gemstones.analyses.compare`)."""


@dataclass(frozen=True, eq=False)
class Beliefs:
    """Everything that a design or a value of a run rests on."""

    law: Law
    draws: FloatArray | None
    """(draws, m) of a pilot's fit: its spread is the prior of the constants. None for a wide one."""
    noise: Noise
    fitted: Existing | None
    """The pilot's runs: what they say of the constants is in its draws, so that they tell of the misfit alone."""
    others: Existing | None
    """Further runs that exist, which tell of everything."""
    around: str
    """The law and the prior of its constants, in words."""
    whence: str
    """Where the noise is from, in words."""
    flags: tuple[str, ...]
    """Of the pilot's fit."""

    @classmethod
    def of(
        cls,
        law: Fit | Law | FrontierLaw,
        *,
        pilot: Fit | None = None,
        pilot_runs: RunTable | None = None,
        have: RunTable | None = None,
        noise: Noise | None = None,
        name: str = "",
    ) -> Beliefs:
        """Around `law` with a wide prior, or with the draws of a `pilot`'s fit, whose own runs tell of its misfit.

        `have` are runs that exist: those that are not the pilot's tell of everything. `noise` is estimated from the
        pilot's runs where it is not given.
        """
        given = pilot if pilot is not None else law
        if isinstance(given, FrontierLaw):
            raise InvalidRequest(
                f"law {given.name} predicts no loss, so no run can teach it: name another --law, like gemstones-refit"
            )
        bare = given.law if isinstance(given, Fit) else given
        sight(bare)  # refuses what prescribes nothing
        draws = None
        if pilot is not None:
            if not pilot.has_intervals:
                raise InvalidRequest(
                    f"the pilot's fit has {len(pilot.drawn)} resamples, too few to be a prior: fit it with "
                    "--bootstrap 200"
                )
            draws = pilot.theta_draws
        if pilot is not None and pilot_runs is None and have is not None and _is_of(pilot, have):
            pilot_runs, have = have, None
        fitted = None if pilot_runs is None else existing(bare, pilot_runs)
        others = None if have is None else existing(bare, have)
        if fitted is not None and others is not None:
            others = others.without(fitted)
        measured = None if fitted is None or noise is not None else estimated_noise(bare, fitted)
        prior = "wide" if pilot is None else f"{len(pilot.drawn)} draws of the pilot's fit to {pilot.dataset}"
        used = noise or measured or Noise()
        whence = "as given" if noise else "as measured on the Gemstones"
        if measured is not None and fitted is not None:
            whence = f"by likelihood from the pilot's {fitted.count} runs"
        called = name if name and pilot is None else bare.name or "fit"
        around = f"linear around law {called} ({bare.form}); prior of its constants: {prior}"
        flags = () if pilot is None else pilot.flags
        return cls(bare, draws, used, fitted, others, around, whence, flags)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What all of this is, in words."""
        noise = self.noise
        said = (
            self.around,
            f"misfit of the law {noise.misfit:.2%} of loss over {_decades(noise.length)}, noise {noise.run:.2%} by run "
            f"and {noise.row:.2%} by row, {self.whence}",
        )
        if exist := sum(one.count for one in (self.fitted, self.others) if one is not None):
            s = "s" * (exist == 1)
            return (*said, f"{counted(exist, 'run')} exist{s} and cost{s} nothing")
        return said

    def of_want(self, want: Want) -> Beliefs:
        """For one want: of a difference of recipes the noise is of pairs, and no run that exists tells of it."""
        if want != "compare":
            return self
        noise = replace(self.noise, misfit=min(self.noise.misfit, PAIRED_MISFIT)).times(np.sqrt(2.0))
        law, _, _ = self.around.partition("; ")
        around = f"{law}; its constants differ between recipes so that each moves losses by about 1%"
        whence = f"{self.whence}, of the difference of a pair of runs"
        return replace(self, noise=noise, fitted=None, others=None, around=around, whence=whence)

    def averaged(self, seeds: int) -> Beliefs:
        """Where each loss is the mean of so many seeds."""
        return replace(self, noise=self.noise.times(1 / np.sqrt(seeds)))

    def start(self, reference: Reference, want: Want, candidates: Candidates, target: Target) -> Learned:
        """What is left to learn before any candidate is bought, the runs that exist told."""
        told = [one for one in (self.fitted, self.others) if one is not None]
        points = Points.joined([candidates.points, target.points, *(one.points for one in told)])
        if want == "compare":
            # Constants of two recipes differ as `gemstones compare` expects: each by 1% of loss.
            kinds = [entry.kind for entry in self.law.parsed_form.entries]
            scales = scales_of(derivatives(self.law, points.columns), kinds)
            model = Model.wide(self.law, scales, self.noise, points)
        elif self.draws is not None:
            model = Model.of_draws(self.law, self.draws, self.noise, points)
        else:
            kinds = [entry.kind for entry in self.law.parsed_form.entries]
            model = Model.wide(
                self.law, np.array([WIDE.get(kind, OTHER_KINDS) for kind in kinds]), self.noise, points
            )
        now = Learned.nothing(model, candidates, target)
        for one in told:
            for rows in information(model, one, misfit_alone=one is self.fitted):
                now = now.told(rows)
        return now


def _is_of(fit: Fit, table: RunTable) -> bool:
    """Whether `table` has the very rows that were fitted."""
    law = fit.law
    used = columns_used(law.symbols, table, law.params_convention)
    return table.fingerprint_with(used) == fit.fingerprint


def _decades(length: float) -> str:
    decades = f"{length / DECADE:.2g}"
    return "1 decade" if decades == "1" else f"{decades} decades"
