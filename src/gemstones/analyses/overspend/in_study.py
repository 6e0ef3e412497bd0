"""Overspend as a study asks for it: in every resource, where all runs can be compared."""

from __future__ import annotations

import numpy as np

from gemstones.analyses.analysis import Analysis, Answer, Asked, attempt
from gemstones.analyses.overspend.figure import overspend_figure
from gemstones.analyses.overspend.overspend import Overspend, overspend
from gemstones.analyses.overspend.section import overspend_section
from gemstones.runs.table import RunTable
from gemstones.words import RESOURCE_WORDS


def _ask(asked: Asked) -> Answer[tuple[Overspend, ...]]:
    table = asked.first.frontier
    tokens = common_tokens(table)
    answers = [
        attempt(f"overspend in {words}", lambda resource=resource: overspend(table, tokens, resource))  # type: ignore[misc]
        for resource, words in RESOURCE_WORDS.items()
    ]
    found = tuple(one.found for one in answers if one.found is not None)
    return Answer(found or None, tuple(note for one in answers for note in one.notes))


def common_tokens(table: RunTable) -> float:
    """The most tokens that every run of `table` has a checkpoint at or beyond: where all can be compared."""
    last = np.zeros(table.runs)
    np.maximum.at(last, table.run_codes, table.numbers("tokens"))
    return float(last.min())


ANALYSIS = Analysis(
    key="overspend",
    title="overspend",
    time=0.5,
    ask=_ask,
    section=lambda made, runs: overspend_section(made),
    figure="overspend",
    draw=overspend_figure,
    nothing=(),
)
