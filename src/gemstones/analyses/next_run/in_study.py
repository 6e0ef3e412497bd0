"""The run that would teach most, as a study asks for it: of the best N at its largest budget."""

from __future__ import annotations

from collections.abc import Iterator

from gemstones.analyses.analysis import Analysis, Answer, Asked, attempt
from gemstones.analyses.next_run.next_runs import NextRuns, valued
from gemstones.analyses.next_run.section import next_run_section
from gemstones.analyses.next_run.shown import next_heading


def _ask(asked: Asked) -> Answer[NextRuns]:
    """Under the first law with draws that plans; nothing where no law has them."""
    table = asked.first.fitted
    usable = [law for law in asked.laws if law.has_intervals and law.selection == table.selection]
    if not usable:
        return Answer()
    return attempt(ANALYSIS.title, lambda: valued(usable[0], table, asked.settings.budgets[-1]))


def _sentences(made: NextRuns) -> Iterator[str]:
    yield f"next run: {next_heading(made)}"


ANALYSIS = Analysis(
    key="next_run",
    title="value of a further run",
    time=0.5,
    ask=_ask,
    section=lambda made, runs: next_run_section(made),
    sentences=_sentences,
)
