"""A sensitivity analysis as text: the same in a terminal and in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gemstones.display import cautions, html_table, interval_text, labelled
from gemstones.laws.envelope import OF_FRONTIER
from gemstones.laws.interval import NO_DRAWS, level_text
from gemstones.units import format_flops

if TYPE_CHECKING:
    from gemstones.analyses.sensitivity.sensitivity import Sensitivity


def sensitivity_heading(found: Sensitivity) -> str:
    """What was tried."""
    return f"Sensitivity of {found.dataset}: {len(found.studies):,} studies from {found.distinct_fits:,} distinct fits"


def sensitivity_html(found: Sensitivity) -> str:
    """The shares of the choices in the variance of log N* at the headline budget, in a notebook."""
    budget = found.headline_budget
    shares = [s for s in found.decompositions if s.quantity == "n_opt" and s.budget == budget]
    return html_table(
        sensitivity_heading(found),
        ("choice", f"share of the variance of log N* at {format_flops(budget)} FLOPs", "interval"),
        [
            (
                share.choice.replace("_", " "),
                f"{share.share:.1%}",
                interval_text(share.interval, "{:.0%}".format),
            )
            for share in shares
        ],
        sensitivity_notes(found),
    )


def sensitivity_notes(found: Sensitivity) -> list[str]:
    """All of it in a sentence, the base study, how intervals were made, and what was refused or assumed."""
    resampled = f"{level_text(found.level)} intervals from {found.bootstrap} resamples by run, the same in every study"
    if found.frontiers_found:
        resampled += f"; those of Approach 1 are {OF_FRONTIER}"
    base = ", ".join(f"{value}" for value in found.base.choices.summary().values() if value is not None)
    return [
        found.sentence,
        resampled if found.bootstrap else NO_DRAWS,
        f"base study: {base}; N counts, and FLOPs are counted, as each study's conventions say",
        *labelled(
            ("caution", cautions(found.flags)),
            ("refused", [f"{one.combinations:,} combinations: {one.reason}" for one in found.refused]),
            ("assumed", found.assumptions),
        ),
    ]
