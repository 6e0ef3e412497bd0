"""The section of a study's page: what each held-out set prescribes."""

from __future__ import annotations

from gemstones.analyses.sensitivity.sensitivity import Sensitivity
from gemstones.analyses.sets.shown import of_sets, set_sentence
from gemstones.figures.table import Table
from gemstones.numbers import flops_text
from gemstones.page.page import Section
from gemstones.page.rows import typed_frame, with_ends
from gemstones.page.table import TableBlock
from gemstones.words import capital, resampled_words


def sets_section(made: Sensitivity) -> Section:
    """Whether prescriptions move with the set that losses are of (Figure 6's question, of data)."""
    rows = [
        {
            "losses on": one.name,
            **with_ends("params", one.n_opt, one.interval),
            **with_ends("times the first", one.ratio, one.ratio_interval),
        }
        for one in of_sets(made)
    ]
    return Section(
        "sets",
        "Held-out sets",
        (
            f"{capital(set_sentence(made))}.",
            "The same runs and the same law, fitted to their losses on each set "
            f"({resampled_words(made.level, made.bootstrap, 'run')}, the same for all; docs/sensitivity.md).",
        ),
        tables=(
            TableBlock(
                "sets",
                f"Best N for {flops_text(made.headline_budget)} FLOPs by the set that losses are of",
                Table(typed_frame(rows, {"losses on"})),
            ),
        ),
    )
