"""The section of a study's page: how far the answer depends on choices."""

from __future__ import annotations

from typing import Any

from gemstones.analyses.sensitivity.figures import shares_figure, studies_figure
from gemstones.analyses.sensitivity.sensitivity import CHOICE_WORDS, Sensitivity
from gemstones.analyses.sensitivity.tables import CHOICE_TITLES, QUANTITY_WORDS, level_rows, studies_frame
from gemstones.display import interval_text
from gemstones.figures.table import Table
from gemstones.numbers import counted, flops_text
from gemstones.page.page import Figure, Section
from gemstones.page.rows import typed_frame, with_ends
from gemstones.page.table import TableBlock
from gemstones.words import capital

STUDY_COLUMNS = {"params_total", "base", "flags"}
"""Of the table of studies, for the download only; so is the loss, where there is one."""


def sensitivity_section(made: Sensitivity) -> Section:
    """How far the answer depends on choices that are seldom reported."""
    last = flops_text(made.headline_budget)
    fits = (
        f"{counted(made.combinations, 'combination')} of choices, of which {_answered(made):,} have an optimum for "
        f"{last} FLOPs, from "
        f"{counted(made.distinct_fits, 'distinct fit')} ({counted(made.laws_fitted, 'law')}, "
        f"{counted(made.frontiers_found, 'frontier')}): ways to count FLOPs share the fits of Approach 3. Intervals "
        f"are from {counted(made.bootstrap, 'resample')} by run of each."
    )
    figures = [
        Figure(
            "studies",
            f"Parameters that every analysis prescribes for {last} FLOPs, in order",
            "One dot per analysis of the same runs, with its interval; below, the choices that it made.",
            studies_figure(made),
            analyses_spread(made),
            "studies",
        )
    ]
    if made.decompositions:
        figures.append(
            Figure(
                "shares",
                "Shares of the variance of prescriptions, by choice",
                "Which choice moves the answer: Shapley shares of the variance of log prescriptions over all analyses "
                "(docs/sensitivity.md).",
                shares_figure(made),
                largest_share(made),
                "shares",
            )
        )
    return Section(
        "sensitivity",
        "Sensitivity",
        (made.sentence, fits),
        figures=tuple(figures),
        tables=(
            TableBlock("choices", f"What each choice does to N*, for {last} FLOPs", _levels(made)),
            TableBlock("shares", f"Shares of the variance, for {last} FLOPs", _shares(made)),
            TableBlock(
                "studies",
                "Every analysis",
                Table(studies_frame(made), frozenset(STUDY_COLUMNS | ({"loss"} - {*made.choices}))),
                first=("law", "params", "tokens"),
            ),
        ),
        notes=tuple(
            f"{counted(one.combinations, 'combination')} refused: {one.reason}" for one in made.refused
        ),
    )


def _answered(made: Sensitivity) -> int:
    """Studies with a prescription for the headline budget, as figure and sentence count them."""
    at = [s for s in made.spread if (s.quantity, s.budget) == ("n_opt", made.headline_budget)]
    return at[0].studies if at else 0


def _levels(made: Sensitivity) -> Table:
    rows = [
        {
            "choice": row.choice,
            "level": row.level + (" (base study)" if row.base else ""),
            "studies": row.studies,
            "least N": row.least,
            "median N": row.median,
            "most N": row.most,
            **with_ends("times the base", row.shift, row.interval),
            "compared with": row.against,
        }
        for row in level_rows(made)
    ]
    notes = (
        "least, median and most are over all analyses with the choice; times the base is of the one that differs from "
        "the base study in this choice alone, or in what is named beside it",
    )
    return Table(typed_frame(rows, {"choice", "level", "compared with"}, {"studies"}), notes=notes)


def _shares(made: Sensitivity) -> Table:
    by_choice: dict[str, dict[str, Any]] = {}
    for share in made.decompositions:
        if share.budget == made.headline_budget:
            name = f"{share.quantity[0].upper() if share.quantity[0] in 'nt' else share.quantity[0]}*, %"
            ends = share.interval and (100 * share.interval[0], 100 * share.interval[1])
            row = by_choice.setdefault(share.choice, {"choice": CHOICE_TITLES[share.choice]})
            row |= with_ends(name, 100 * share.share, ends)
    notes = (
        "percent of the variance of the logarithm of what all analyses prescribe; each column adds up to 100",
    )
    return Table(typed_frame([*by_choice.values()], {"choice"}), notes=notes if by_choice else ())


def analyses_spread(made: Sensitivity) -> str:
    """Over which range the analyses prescribe: the first clause of the sentence of all."""
    return made.sentence.partition(" (")[0].partition(";")[0]


def largest_share(made: Sensitivity) -> str:
    """Which choice moves N* most."""
    shares = [
        s for s in made.decompositions if s.budget == made.headline_budget and s.quantity.startswith("n")
    ]
    if not shares:
        shares = [s for s in made.decompositions if s.budget == made.headline_budget] or [
            *made.decompositions
        ]
    most = max(shares, key=lambda share: share.share)
    ends = "" if most.interval is None else f" {interval_text(most.interval, '{:.0%}'.format)}"
    what = capital(CHOICE_WORDS.get(most.choice, "how choices work together"))
    return (
        f"{what} moves {QUANTITY_WORDS[most.quantity].split()[-1]} most: {most.share:.0%}{ends} of its variance for "
        f"{flops_text(most.budget)} FLOPs"
    )
