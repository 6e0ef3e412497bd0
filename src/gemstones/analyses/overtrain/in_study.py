"""Overtraining as a study asks for it: at every budget, under the first law that has an answer."""

from __future__ import annotations

from collections.abc import Iterator

from gemstones.analyses.analysis import Analysis, Answer, Asked, attempt
from gemstones.analyses.overtrain.figure import overtrain_figure
from gemstones.analyses.overtrain.overtrain import Overtraining, overtrain
from gemstones.analyses.overtrain.section import MOST_BUDGETS, overtraining_section
from gemstones.numbers import flops_text


def _ask(asked: Asked) -> Answer[tuple[Overtraining, ...]]:
    notes: list[str] = []
    for law in asked.laws:
        answers = [
            attempt(
                f"overtraining for {flops_text(budget)} FLOPs",
                lambda budget=budget, law=law: overtrain(budget, law, name=law.law.name),  # type: ignore[misc]
            )
            for budget in asked.settings.budgets
        ]
        notes += [note for one in answers for note in one.notes]
        if found := tuple(one.found for one in answers if one.found is not None):
            return Answer(found, tuple(notes))
    return Answer(None, tuple(notes))


def _sentences(made: tuple[Overtraining, ...]) -> Iterator[str]:
    yield from (f"overtraining: {one.sentence}" for one in made[:1] if one.sentence is not None)


ANALYSIS = Analysis(
    key="overtraining",
    title="overtraining",
    time=0.5,
    ask=_ask,
    section=lambda made, runs: overtraining_section(made),
    sentences=_sentences,
    figure="overtraining",
    draw=lambda made: overtrain_figure(made[:MOST_BUDGETS]),
    nothing=(),
)
