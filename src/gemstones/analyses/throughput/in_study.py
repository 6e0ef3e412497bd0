"""Step times as a study fits them, for the explorer of its page."""

from __future__ import annotations

from gemstones.analyses.analysis import Analysis, Answer, Asked, attempt
from gemstones.timing.fit_step_time import fit_step_time
from gemstones.timing.step_time import StepTime


def _ask(asked: Asked) -> Answer[StepTime]:
    return attempt(
        ANALYSIS.title, lambda: fit_step_time(asked.first.frontier, bootstrap=asked.settings.bootstrap)
    )


ANALYSIS = Analysis(
    key="step_time",
    title="throughput model",
    time=0.5,
    ask=_ask,
)
