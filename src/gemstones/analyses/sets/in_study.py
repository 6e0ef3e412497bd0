"""Held-out sets as a study compares them: one law, fitted to the losses on each, and what it prescribes.

A sensitivity analysis with one choice; that of all choices tries the table's own loss alone, for its time.
"""

from __future__ import annotations

from typing import Any

from gemstones.analyses.analysis import Analysis, Answer, Asked, attempt
from gemstones.analyses.sensitivity.choices import Levels
from gemstones.analyses.sensitivity.sensitivity import Sensitivity, sensitivity
from gemstones.analyses.sensitivity.sweep import Sweep
from gemstones.analyses.sets.section import sets_section
from gemstones.analyses.sets.shown import of_sets, set_sentence
from gemstones.runs.losses import losses_of

DRAWS = 100
"""Resamples by run of every fit, at most."""
USUAL = "N,T"
"""The law where none of the runs' fits plans."""


def _ask(asked: Asked) -> Answer[Sensitivity]:
    return attempt(ANALYSIS.title, lambda: _swept(asked))


def _swept(asked: Asked) -> Sensitivity:
    """Under the law that plans first, N and FLOPs each in one convention."""
    settings, table = asked.settings, asked.first.fitted
    shaped = table.knows("width") and table.knows("depth")
    levels = Levels(
        approaches=("approach3",),
        laws=(asked.laws[0].law.form if asked.laws else USUAL,),
        params=("total",),
        flops=("gemstones" if shaped else "6N",),
        deltas=(settings.delta,),
        losses=losses_of(table),
    )
    selections = None if asked.runs.selection else (table.selection,)
    sweep = Sweep.of(asked.runs, levels, selections=selections)
    return sensitivity(
        sweep,
        settings.budgets,
        bootstrap=min(settings.bootstrap, DRAWS),
        seed=settings.seed,
        workers=asked.workers,
        progress=lambda done: asked.share(done / len(sweep.fits)),
    )


def _summary(made: Sensitivity) -> dict[str, Any]:
    return {
        "law": made.base.choices.law,
        "budget": made.headline_budget,
        "sets": [
            {
                "set": one.name,
                "n_opt": one.n_opt,
                "n_opt_interval": one.interval,
                "ratio": one.ratio,
                "ratio_interval": one.ratio_interval,
            }
            for one in of_sets(made)
        ],
    }


ANALYSIS = Analysis(
    key="sets",
    title="comparison of held-out sets",
    time=10.0,
    ask=_ask,
    section=lambda made, runs: sets_section(made),
    sentences=lambda made: (f"held-out sets: {set_sentence(made)}",),
    summary=_summary,
    applies=lambda asked: len(losses_of(asked.first.fitted)) > 1,
    slow=True,
)
