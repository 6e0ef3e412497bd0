"""Recipes compared as a study asks for it: those of a column, or families that are known to differ by recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from gemstones.analyses.analysis import Analysis, Answer, Asked, attempt
from gemstones.analyses.compare.by import compare_by
from gemstones.analyses.compare.compare import compare
from gemstones.analyses.compare.figure import compare_figure
from gemstones.analyses.compare.result import Comparison
from gemstones.analyses.compare.section import compare_section
from gemstones.analyses.compare.shown import about, sentence
from gemstones.laws.columns import group_values
from gemstones.runs import DATASETS
from gemstones.runs.selections import rivals_of

if TYPE_CHECKING:
    import altair as alt

RECIPE = "recipe"
"""Column by which recipes are compared where none is named."""
MOST_RECIPES = 12

Comparisons = tuple[Comparison, ...]


def _applies(asked: Asked) -> bool:
    return asked.settings.by is not None or _comparer(asked) is not None


def _ask(asked: Asked) -> Answer[Comparisons]:
    answer = attempt(ANALYSIS.title, _comparer(asked) or (lambda: _not_recipes(asked)))
    return Answer(answer.found or None, answer.notes)


def _not_recipes(asked: Asked) -> None:
    """Why the column that was named has no recipes, if it cannot have any: raises `InvalidTable`."""
    group_values(str(asked.settings.by), asked.runs)


def _comparer(asked: Asked) -> Callable[[], Comparisons] | None:
    """What compares the recipes of these runs; None where there are none to compare."""
    runs, by = asked.runs, asked.settings.by
    how: dict[str, Any] = {
        "budgets": asked.settings.budgets,
        "delta": asked.settings.delta,
        "seed": asked.settings.seed,
        "workers": asked.workers,
    }
    pairs = rivals_of(runs) if by is None and not runs.selection else ()
    column = RECIPE if by is None else by
    several = runs.knows(column) and 1 < runs.frame[column].n_unique() <= MOST_RECIPES
    if several and not (pairs and runs.dataset in DATASETS):
        return lambda: compare_by(runs, column, **how)
    if not pairs:
        return None
    return lambda: tuple(
        compare(
            runs.select(own.name),
            runs.select(other.name),
            names=(own.recipe or own.name, other.recipe or other.name),
            **how,
        )
        for own, other in pairs
    )


def _draw(made: Comparisons) -> alt.TopLevelMixin | None:
    return compare_figure(made) if any(at.interval is not None for one in made for at in one.at) else None


def _sentences(made: Comparisons) -> Iterator[str]:
    for one in made:
        yield f"{about(one)}: {one.reason or sentence(one.at[-1], one.level)}"


ANALYSIS = Analysis(
    key="comparisons",
    title="comparison of recipes",
    time=20.0,
    ask=_ask,
    section=lambda made, runs: compare_section(made),
    sentences=_sentences,
    figure="compare",
    draw=_draw,
    applies=_applies,
    slow=True,
    nothing=(),
)
