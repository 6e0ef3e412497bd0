"""Questions that people put to runs, one folder each: what is computed, how it is said, drawn and shown.

`QUESTIONS` is the only list of them: the command line, studies and their page walk it. It imports nothing.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Question(NamedTuple):
    """A question, by the command that asks it."""

    command: str
    """Empty where a study alone asks it."""
    about: str
    """In the list of commands."""
    section: str
    """Of that list."""
    folder: str
    """Of this package, with the code."""
    in_study: bool = True
    """Whether a study asks it too: `in_study.ANALYSIS` of its folder."""


DESIGN, FIT, PLAN = "Design and train", "Fit and check", "Plan"

QUESTIONS: Final = (
    Question("isoflop", "The best size of each budget by isoFLOP profiles (Approach 2).", FIT, "isoflop"),
    Question("compare", "Is one recipe better than another at scale, and how surely?", FIT, "compare"),
    Question(
        "downstream",
        "What a model will score on a task: accuracy from loss, or from size and tokens.",
        FIT,
        "downstream",
    ),
    Question(
        "sensitivity", "What the same runs prescribe under every choice of an analyst's.", FIT, "sensitivity"
    ),
    Question("", "What each held-out set prescribes.", "", "sets"),
    Question("backtest", "How well laws predict runs that they were not fitted to.", FIT, "backtest"),
    Question("predict", "What the loss will be, with intervals.", PLAN, "predict", in_study=False),
    Question("overspend", "What each run spent beyond the frontier for its loss.", PLAN, "overspend"),
    Question("overtrain", "What more tokens than optimal cost, and save.", PLAN, "overtrain"),
    Question("throughput", "Fit step times: what a shape takes in device hours.", PLAN, "throughput"),
    Question("next", "Which single run would teach most, and what it costs.", DESIGN, "next_run"),
)
"""In the order of a study's page."""
