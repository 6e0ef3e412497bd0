"""What a study asks of its runs: one `Analysis` for each question, which says how to ask, keep, draw and word it.

The questions are listed once, in `gemstones.analyses.QUESTIONS`; each that a study asks is the `ANALYSIS` of the module
`in_study` of its folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, TypeVar

from gemstones.analyses import QUESTIONS
from gemstones.errors import EdgeOfSearch, InvalidRequest, InvalidTable
from gemstones.laws.chosen import AUTO
from gemstones.laws.fit import Fit
from gemstones.laws.parallel import Workers
from gemstones.page.page import Section
from gemstones.runs.losses import with_loss
from gemstones.runs.table import RunTable

Step = Callable[[float], None]
"""Told what share of a step is done."""


@dataclass(frozen=True)
class Settings:
    """What a study was asked for."""

    select: str | None
    budgets: tuple[float, ...]
    """FLOPs, ascending."""
    bootstrap: int
    seed: int
    delta: float
    law: str = AUTO
    """The form that plans first: by default the one that backtests choose."""
    by: str | None = None
    """Column of the recipes that are compared."""


@dataclass(frozen=True, eq=False)
class Selected:
    """One selection: the rows that laws are fitted to, and those that frontiers are read off."""

    fitted: RunTable
    frontier: RunTable

    def on(self, loss: str) -> Selected:
        """The same checkpoints with another of their losses. Raises `InvalidTable` where it is not known of all."""
        for table in (self.fitted, self.frontier):
            if loss in table.columns and not table.knows(loss):
                raise InvalidTable("is not known of every row", file=table.origin, column=loss)
        return Selected(with_loss(self.fitted, loss), with_loss(self.frontier, loss))


@dataclass(frozen=True, eq=False)
class Asked:
    """What every analysis of a study is asked with."""

    runs: RunTable
    """The whole data set."""
    chosen: Sequence[Selected]
    """What is studied of it."""
    laws: Sequence[Fit]
    """Fits to the first selection that plan, the one to be trusted first."""
    settings: Settings
    output: Path
    """Where the study will be: what takes long may keep there what it has."""
    workers: Workers
    share: Step

    @property
    def first(self) -> Selected:
        """The selection that is asked where one is enough."""
        return self.chosen[0]


FoundT = TypeVar("FoundT")


@dataclass(frozen=True, eq=False)
class Answer(Generic[FoundT]):
    """What was found, if anything, and what is to be said of what was not."""

    found: FoundT | None = None
    notes: tuple[str, ...] = ()


def attempt(what: str, make: Callable[[], FoundT | None]) -> Answer[FoundT]:
    """What `make` returns; where the runs do not allow it, a note that says why."""
    try:
        return Answer(make())
    except (InvalidRequest, InvalidTable, EdgeOfSearch) as error:
        return Answer(None, (f"no {what}: {error.said}",))


@dataclass(frozen=True, eq=False)
class Analysis(Generic[FoundT]):
    """A question as a study asks it."""

    key: str
    """In study.json, and of `Analyses`."""
    title: str
    """While it is asked, and after "no" where it has no answer."""
    time: float
    """How long it takes in terms of a fit of `N,T`."""
    ask: Callable[[Asked], Answer[FoundT]]
    summary: Callable[[FoundT], Any]
    """Plain values, for study.json."""
    section: Callable[[FoundT, RunTable], Section | None]
    """Of the page, if it has one."""
    sentences: Callable[[FoundT], Iterable[str]]
    """What it comes to, a line each; the first word says of what."""
    files: Callable[[FoundT, RunTable, Path], list[Path]] = lambda found, runs, folder: []
    """Written into the folder of the study."""
    patterns: tuple[str, ...] = ()
    """What `files` may write, by its place in that folder."""
    applies: Callable[[Asked], bool] = lambda asked: True
    """Whether it is a question to these runs at all."""
    slow: bool = False
    """Left out of a quick study."""
    nothing: Any = None
    """Found where there is nothing: None, or () of what comes in several."""


def asked_of_a_study() -> tuple[Analysis[Any], ...]:
    """The analyses of a study, in the order of its page."""
    modules = (f"gemstones.analyses.{one.folder}.in_study" for one in QUESTIONS if one.in_study)
    return tuple(import_module(module).ANALYSIS for module in modules)


@dataclass(frozen=True, eq=False)
class Analyses(Mapping[str, Any]):
    """What a study found, by the key of each analysis; also as attributes: `analyses.sensitivity`."""

    found: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What was left out, and why."""

    def __getitem__(self, key: str) -> Any:
        for one in asked_of_a_study():
            if one.key == key:
                return self.found.get(key, one.nothing)
        raise KeyError(key)

    def __getattr__(self, key: str) -> Any:
        try:
            return self[key]
        except KeyError:
            raise AttributeError(f"a study has no analysis {key!r}") from None

    def __iter__(self) -> Iterator[str]:
        return (one.key for one in asked_of_a_study())

    def __len__(self) -> int:
        return len(asked_of_a_study())

    def each(self) -> Iterator[tuple[Analysis[Any], Any]]:
        """Every analysis that found something, with what it found."""
        return ((one, self.found[one.key]) for one in asked_of_a_study() if one.key in self.found)

    def summary(self) -> dict[str, Any]:
        """Plain values, null or empty for what these runs do not allow."""
        return {
            one.key: one.summary(self.found[one.key]) if one.key in self.found else one.nothing
            for one in asked_of_a_study()
        }
