"""The choices that an analyst makes on the way from runs to a prescription, and every combination of them.

Approach 1 has neither a law nor δ: there `law` is `-` and `delta` None. Two choices are conventions: of N, and of
FLOPs, where `6N` is 6·N·T in the study's own convention of N and `given` those that the runs give. Combinations that
agree in everything that enters a fit share it (`DistinctFit`): the convention of FLOPs only changes what a budget buys
a law, and a law without a term in N does not see how N is counted; a frontier over FLOPs does depend on how they are
counted, but not on N. A table with losses on several sets has a choice more: which of them is fitted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, cast, get_args

from gemstones.accounting.flops import FlopsConvention
from gemstones.accounting.parameters import PARAMS_CONVENTIONS, ParamsConvention, params_convention
from gemstones.analyses.analysis import Selected
from gemstones.arguments import check_fields
from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.laws.columns import shape_terms, table_columns
from gemstones.laws.envelope import Method
from gemstones.laws.flops_model import gives_flops
from gemstones.laws.parse_form import law_text, parse_form
from gemstones.laws.separable import collinear_columns
from gemstones.laws.solver.objective import Objective
from gemstones.runs.losses import OWN, loss_named, losses_of
from gemstones.runs.selections import dense_selection, selections_of
from gemstones.runs.table import RunTable

Approach = Literal["hull", "bins", "approach3"]
FlopsChoice = Literal["gemstones", "matmul", "6N", "given"]

NO_LAW = "-"
SELECTIONS = {
    "gemstones": (
        "all", "le100B", "gt120B", "lr-ablation", "cooldown", "width512", "chinchilla-reduced",
    ),
    "chinchilla": ("epoch", "all", "hoffmann-reduced"),
    "pebbles-2": ("all", "cooldown", "fitted"),
}  # fmt: skip
"""Selections of published data that are tried; of any other table all that have rows."""
APPROACHES: tuple[Approach, ...] = ("approach3", "hull", "bins")
LAWS = ("w,d,N,T", "N,T", "w,d,T", "(w,d,N,T)^p", "(N,T)^p")
"""Forms that are tried, with and without an exponent around the sum."""
FLOPS: tuple[FlopsChoice, ...] = ("gemstones", "6N", "matmul")
"""What is tried of every table; of one that gives FLOPs of its own `given` comes first."""
DELTAS = (1e-4, 1e-3)


@dataclass(frozen=True)
class Choices:
    """One combination."""

    selection: str
    approach: Approach
    law: str
    params_convention: ParamsConvention
    flops_convention: FlopsChoice
    delta: float | None
    loss: str = OWN
    """As `gemstones.runs.losses` names it."""

    @property
    def flops(self) -> FlopsConvention | Literal["given"]:
        """The convention of FLOPs by its full name: `6N` is 6·N·T in the convention of N."""
        if self.flops_convention == "6N":
            return cast("FlopsConvention", f"6N_{self.params_convention}")
        return self.flops_convention

    @property
    def terms(self) -> tuple[str, ...]:
        """The law's columns; none in Approach 1."""
        return () if self.law == NO_LAW else parse_form(self.law, self.params_convention).columns

    @property
    def knows_shapes(self) -> bool:
        """Whether a width and a depth are prescribed."""
        return bool(self.terms) and set(self.terms) != {"N", "T"}

    @property
    def fit(self) -> DistinctFit:
        """What has to be fitted for it."""
        if self.approach != "approach3":
            return DistinctFit(self.selection, self.approach, NO_LAW, None, self.flops, None, self.loss)
        convention = self.params_convention if "N" in self.terms else None
        return DistinctFit(self.selection, self.approach, self.law, convention, None, self.delta, self.loss)

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


CHOICES = tuple(field.name for field in fields(Choices))
"""Their names."""
WITHIN = {"law": "approach", "delta": "approach"}
"""Choices that exist only after another one has been made."""


@dataclass(frozen=True)
class DistinctFit:
    """A fit of a law, or a frontier: None is what it does not depend on."""

    selection: str
    approach: Approach
    law: str
    params_convention: ParamsConvention | None
    flops: FlopsConvention | Literal["given"] | None
    delta: float | None
    loss: str = OWN

    @property
    def method(self) -> Method | None:
        """Of a frontier."""
        return None if self.approach == "approach3" else self.approach


@dataclass(frozen=True)
class Levels:
    """What is tried of each choice; the first of each that can be had is the base study's.

    N is counted as each of `params` says, FLOPs as each of `flops`; `deltas` are Huber's, in log loss;
    `losses` are of several sets, by default all that the runs have (`gemstones.runs.losses`).

    >>> few = Levels(laws=("N,T",), params=("total",), flops=("6N",), deltas=(1e-4, 1e-3))
    >>> len(few.combinations(["all"]))
    4
    """

    approaches: tuple[Approach, ...] = APPROACHES
    laws: tuple[str, ...] = LAWS
    params: tuple[ParamsConvention, ...] = PARAMS_CONVENTIONS
    flops: tuple[FlopsChoice, ...] = FLOPS
    deltas: tuple[float, ...] = DELTAS
    losses: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.laws, list | tuple):
            written = tuple(law_text(law) if isinstance(law, list | tuple) else law for law in self.laws)
            object.__setattr__(self, "laws", written)
        check_fields(self)
        for what, values, known in (
            ("approach", self.approaches, APPROACHES),
            ("FLOP convention", self.flops, get_args(FlopsChoice)),
        ):
            for value in values:
                if value not in known:
                    raise InvalidRequest(f"{what} {value!r} is unknown: choose from {', '.join(known)}")
        for convention in self.params:
            params_convention(convention)
        for delta in self.deltas:
            Objective(delta=delta)
        for law in self.laws:
            check_plans(law)
        for field in fields(self):
            if getattr(self, field.name) is None:
                continue
            distinct = tuple(dict.fromkeys(getattr(self, field.name)))
            if not distinct:
                raise InvalidRequest(f"{field.name}: none is left to try")
            object.__setattr__(self, field.name, distinct)

    def of_runs(self, runs: RunTable) -> Levels:
        """These as the columns of `runs` have them: every loss, and the FLOPs that they give before all others, where
        none were chosen. Raises `InvalidRequest` for a loss that they have not."""
        losses = losses_of(runs) if self.losses is None else [loss_named(runs, name) for name in self.losses]
        given = self.flops == FLOPS and gives_flops(runs)
        return replace(self, flops=("given", *FLOPS) if given else self.flops, losses=tuple(losses))

    def combinations(self, selections: Iterable[str]) -> list[Choices]:
        """Every one, the base study's levels first."""
        return [
            Choices(selection, approach, law, params, flops, delta, loss)
            for selection, approach in itertools.product(selections, self.approaches)
            for law, delta in (
                itertools.product(self.laws, self.deltas) if approach == "approach3" else ((NO_LAW, None),)
            )
            for params, flops, loss in itertools.product(self.params, self.flops, self.losses or (OWN,))
        ]


def check_plans(law: str) -> None:
    """Refuse what is no law of shapes and tokens."""
    form = parse_form(law)
    if form.groups:
        raise InvalidRequest(
            f"law {law} differs by {', '.join(form.groups)}, so it is none of all runs: choose some with --where"
        )
    shape_terms(form.columns, "total")


def selected(
    runs: RunTable, selections: Sequence[str] | None = None, where: str | None = None
) -> dict[str, Selected]:
    """The tables of the selections, by default of those that are usual for the data set.

    A table that is a selection already is the only one.
    """
    if runs.selection:
        if selections and tuple(selections) != (runs.selection,):
            raise InvalidRequest(
                f"selections {', '.join(selections)} of a table that is the selection {runs.selection!r} already: "
                "select from the whole data set"
            )
        one = runs.select(None, where)
        return {runs.selection: Selected(one, one)}
    known = selections_of(runs.dataset)
    usual = SELECTIONS.get(runs.dataset)
    if selections:
        names = tuple(dict.fromkeys(selections))
    elif usual:
        names = usual
    else:
        names = tuple(name for name, one in known.items() if one.rows(runs.frame).height)
        names = names or (next(iter(known)),)  # whose error says that there are no rows
    tables = {}
    for name in names:
        fitted = runs.select(name, where)
        dense = dense_selection(runs.dataset, name)
        tables[name] = Selected(fitted, fitted if dense == name else runs.select(dense, where))
    return tables


@dataclass(frozen=True)
class Refused:
    """Combinations that have no answer, and the one reason for it."""

    choices: dict[str, tuple[Any, ...]]
    """The levels that they have; a choice of which they have every level is left out."""
    combinations: int
    reason: str

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "choices": {name: list(levels) for name, levels in self.choices.items()},
            "combinations": self.combinations,
            "reason": self.reason,
        }


def refused(reasons: dict[Choices, str], everything: Sequence[Choices]) -> tuple[Refused, ...]:
    """`reasons` by combination, one entry for each reason."""
    by_reason: dict[str, list[Choices]] = {}
    for choices, reason in reasons.items():
        by_reason.setdefault(reason, []).append(choices)
    every = {name: _levels(everything, name) for name in CHOICES}
    entries = []
    for reason, members in by_reason.items():
        levels = {name: _levels(members, name) for name in CHOICES}
        some = {name: of for name, of in levels.items() if set(of) != set(every[name])}
        # Whatever has a law or a δ is of Approach 3: that need not be said twice.
        told = {name: of for name, of in some.items() if not (name == "approach" and "law" in some)}
        if NO_LAW not in levels["law"] and set(levels["delta"]) == set(every["delta"]) - {None}:
            told.pop("delta", None)
        entries.append(Refused(told, len(members), reason))
    return tuple(entries)


def _levels(choices: Sequence[Choices], name: str) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(getattr(one, name) for one in choices))


def unanswerable(choices: Choices, tables: Selected) -> str | None:
    """Why these runs have no answer to a combination, as far as that shows before anything is fitted."""
    table = tables.fitted if choices.terms else tables.frontier
    shaped = table.knows("width") and table.knows("depth")
    if {"w", "d"} & set(choices.terms) and not shaped:
        return "the width and depth of every run are needed for a law of shapes, and are not known"
    if (reason := _uncountable(choices, table, shaped=shaped)) is not None:
        return reason
    counted = f"params_{choices.params_convention}"
    if not choices.knows_shapes and not table.knows(counted):
        return f"{counted} is not known of every run"
    if not choices.terms:
        return None
    try:
        columns = table_columns(choices.terms, table, choices.params_convention)
    except InvalidTable as error:
        return error.said
    return collinear_columns(choices.terms, table, columns)


def _uncountable(choices: Choices, table: RunTable, *, shaped: bool) -> str | None:
    if choices.flops_convention == "given":
        return None if gives_flops(table) else "the runs give no FLOPs of their own"
    if choices.flops_convention == "6N" or shaped:
        return None
    return "FLOPs other than 6·N·T are counted by width and depth, which are not known of every run"


def base_study(answered: Sequence[Choices], levels: Levels, selections: Iterable[str]) -> Choices:
    """The study that others are held against: of each choice, in their order, the first level that can be had."""
    ranks = _ranks(levels, selections)
    return min(answered, key=lambda choices: [ranks[name](getattr(choices, name)) for name in CHOICES])


def neighbours(
    base: Choices, answered: Sequence[Choices], levels: Levels, selections: Iterable[str]
) -> list[tuple[str, Choices, Choices]]:
    """For every other level of every choice: the choice, the study with it, and what that is held against.

    That is the base study, from which it differs in the one choice. With another approach come its law and δ, the first
    that can be had. Where the base study's other choices are refused with a level, the pair is as near to the base
    study as can be: of all that differ in that choice alone, the one whose other choices come first in their orders.
    """
    ranks = _ranks(levels, selections)

    def rank(choices: Choices, name: str) -> int:
        return ranks[name](getattr(choices, name))

    found = []
    for name in CHOICES:
        free = {name, *(inner for inner, outer in WITHIN.items() if outer == name)}
        fixed = [other for other in CHOICES if other not in free]

        def key(choices: Choices, fixed: list[str] = fixed) -> tuple[Any, ...]:
            return tuple(getattr(choices, other) for other in fixed)

        in_order = sorted(
            answered,
            key=lambda c: [(getattr(c, n) != getattr(base, n), rank(c, n)) for n in CHOICES],
        )
        held = {key(c): c for c in reversed(in_order) if getattr(c, name) == getattr(base, name)}
        for level in sorted({getattr(c, name) for c in answered}, key=ranks[name]):
            pairs = [c for c in in_order if getattr(c, name) == level and key(c) in held]
            if pairs and level != getattr(base, name) and not _absent(name, level):
                nearest = min(pairs, key=lambda c: in_order.index(held[key(c)]))
                found.append((name, nearest, held[key(nearest)]))
    return found


def _absent(name: str, level: Any) -> bool:
    """Whether it is the level of Approach 1, of a choice that only Approach 3 has."""
    return name in WITHIN and level in {NO_LAW, None}


def _ranks(levels: Levels, selections: Iterable[str]) -> dict[str, Callable[[Any], int]]:
    orders: dict[str, Sequence[Any]] = {
        "selection": tuple(selections),
        "approach": levels.approaches,
        "law": (*levels.laws, NO_LAW),
        "params_convention": levels.params,
        "flops_convention": levels.flops,
        "delta": (*levels.deltas, None),
        "loss": levels.losses or (OWN,),
    }
    return {name: order.index for name, order in orders.items()}
