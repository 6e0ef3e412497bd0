"""What each held-out set prescribes, as values and in words."""

from __future__ import annotations

from dataclasses import dataclass

from gemstones.analyses.sensitivity.sensitivity import Sensitivity, plain
from gemstones.analyses.sensitivity.tables import level_words
from gemstones.display import with_interval
from gemstones.numbers import flops_text, number_text
from gemstones.runs.losses import OWN
from gemstones.units import Interval
from gemstones.words import PARAMS_WORDS, listed


@dataclass(frozen=True)
class OfSet:
    """What is prescribed at the headline budget by the losses on one set."""

    name: str
    n_opt: float | None
    """Parameters, in the convention of the analysis; None where the budget has no optimum within the search."""
    interval: Interval | None
    ratio: float | None
    """Of N* to that of the first set; None of the first itself."""
    ratio_interval: Interval | None
    """Of paired resamples."""


def of_sets(made: Sensitivity) -> list[OfSet]:
    """The sets in the order of the table, the first the base of the ratios."""
    at = made.headline
    shifts = {shift.level: shift for shift in made.shifts if shift.choice == "loss"}
    found = []
    for study in made.studies:
        shift = shifts.get(study.choices.loss)
        found.append(
            OfSet(
                level_words("loss", study.choices.loss),
                plain(study.prescribed.n_opt[0])[at],
                made.intervals(study, "n_opt")[at],
                None if shift is None else shift.ratio["n_opt"][at],
                None if shift is None else shift.interval["n_opt"][at],
            )
        )
    return found


def set_sentence(made: Sensitivity) -> str:
    """How far the best N moves with the set, and whether that is told from not at all."""
    first, *others = of_sets(made)
    said = []
    for one in others:
        if one.ratio is None:
            said.append(f"{one.name} has no optimum within the search")
            continue
        ends = one.ratio_interval
        told = "" if ends is None or not ends[0] <= 1 <= ends[1] else " (not told from 1)"
        said.append(f"{with_interval(one.ratio, ends, number_text)} times on {one.name}{told}")
    base, law = made.base.choices, made.base.choices.law
    by = "the table's own losses" if base.loss == OWN else f"losses on {first.name}"
    best = f"the best N ({PARAMS_WORDS[base.params_convention]}) for {flops_text(made.headline_budget)} FLOPs"
    return f"by {law}, {best} is, over that by {by}, {listed(said)}"
