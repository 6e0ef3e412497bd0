"""What a study asks of its runs: one `Analysis` for each question, which says how to ask, keep, draw and word it.

The questions are listed once, in `gemstones.analyses.QUESTIONS`; each that a study asks is the `ANALYSIS` of the module
`in_study` of its folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gemstones.analyses import QUESTIONS
from gemstones.errors import EdgeOfSearch, InvalidRequest, InvalidTable
from gemstones.figures.save import save_figure
from gemstones.files import make_folder
from gemstones.laws.chosen import AUTO
from gemstones.laws.fit import Fit
from gemstones.laws.parallel import Workers
from gemstones.page.page import Section
from gemstones.runs.losses import with_loss
from gemstones.runs.table import RunTable

if TYPE_CHECKING:
    import altair as alt

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


def _summary(found: Any) -> Any:
    """Of one result, or of each of several."""
    return [one.summary() for one in found] if isinstance(found, tuple) else found.summary()


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
    section: Callable[[FoundT, RunTable], Section | None] = lambda found, runs: None
    """Of the page, if it has one."""
    sentences: Callable[[FoundT], Iterable[str]] = lambda found: ()
    """What it comes to, a line each; the first word says of what."""
    summary: Callable[[FoundT], Any] = _summary
    """Plain values, for study.json."""
    figure: str = ""
    """The name of its figure in the study's folder `figures`, if it has one."""
    draw: Callable[[FoundT], alt.TopLevelMixin | None] = lambda found: None
    """That figure, or None where there is nothing to draw."""
    files: Callable[[FoundT, RunTable, Path], list[Path]] = lambda found, runs, folder: []
    """Written into the folder of the study beside it."""
    patterns: tuple[str, ...] = ()
    """What `files` may write, by its place in that folder."""
    applies: Callable[[Asked], bool] = lambda asked: True
    """Whether it is a question to these runs at all."""
    slow: bool = False
    """Left out of a quick study."""
    nothing: Any = None
    """Found where there is nothing: None, or () of what comes in several."""

    def write(self, found: FoundT, runs: RunTable, folder: Path) -> list[Path]:
        """Its figure and its files in the folder of the study; raises `MissingExtra` without altair."""
        chart = self.draw(found) if self.figure else None
        drawn = [] if chart is None else save_figure(chart, make_folder(folder / "figures") / self.figure)
        return [*drawn, *self.files(found, runs, folder)]

    @property
    def writes(self) -> tuple[str, ...]:
        """What it may write, by its place in the folder of the study."""
        drawn = (f"figures/{self.figure}.png", f"figures/{self.figure}.svg") if self.figure else ()
        return (*drawn, *self.patterns)


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
