"""What θ holds: the numbers of a form, in order, with their names, bounds and places."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gemstones.laws.listed import as_list, tree_of
from gemstones.laws.solver.problem import EXPONENTS, LOG_OUTER, Kind
from gemstones.laws.terms import Parameter, Structure, structure_of
from gemstones.laws.tree import Column

Levels = tuple[tuple[str, tuple[str, ...]], ...]
"""Columns between whose values constants differ, with these values."""
FREE = (-4.0, 4.0)
"""Default bounds of interactions and of further exponents of a term."""


@dataclass(frozen=True)
class Entry:
    """One number of θ."""

    name: str
    """`A`, or `A[main]` for one value of a group."""
    label: str
    """As flags and tables name it: `exponent of N` in a list of columns, the name in a formula."""
    parameter: Parameter
    level: str | None
    """The value of its group."""

    @property
    def kind(self) -> Kind:
        """What it is to the solver."""
        return self.parameter.kind

    @property
    def key(self) -> str:
        """What θ holds: `a`, or `log A` where it is the logarithm of the constant."""
        return f"log {self.name}" if self.parameter.positive else self.name


@lru_cache(maxsize=512)
def structure_of_text(text: str) -> Structure:
    """The law that a canonical text writes."""
    return structure_of(tree_of(text))


@lru_cache(maxsize=512)
def entries_of(text: str, levels: Levels) -> tuple[Entry, ...]:
    """What θ holds, (m,), for a canonical text; groups whose values are not known yet count as one."""
    known = dict(levels)
    listed = as_list(text) is not None
    entries = []
    for parameter in structure_of_text(text).parameters:
        of_group = known.get(parameter.group, ("",)) if parameter.group else (None,)
        for level in of_group:
            name = parameter.name if level is None else f"{parameter.name}[{level}]"
            label = _list_label(parameter) if listed else name
            entries.append(Entry(name, label, parameter, level))
    return tuple(entries)


def _list_label(parameter: Parameter) -> str:
    """What a constant of a list of columns is called."""
    _, _, column = parameter.name.partition("_")
    match parameter.kind:
        case "exponent":
            return f"exponent of {column}"
        case "coefficient":
            return f"coefficient of {column}"
        case "outer":
            return "outer exponent"
        case _:
            return "irreducible loss"


@lru_cache(maxsize=512)
def places_of(text: str, levels: Levels) -> dict[str, int]:
    """Position in θ of every constant, the first of a group's."""
    first: dict[str, int] = {}
    for i, entry in enumerate(entries_of(text, levels)):
        first.setdefault(entry.parameter.name, i)
    return first


@lru_cache(maxsize=512)
def power_columns(text: str) -> tuple[tuple[str, str | float, str | float], ...] | None:
    """Column, exponent and log coefficient of every term, each a constant's name or a number."""
    structure = structure_of_text(text)
    if any(p.group for p in structure.parameters):
        return None
    found: list[tuple[str, str | float, str | float]] = []
    for term in structure.terms:
        if len(term.columns) != 1 or term.rest:
            return None
        atom = (Column(term.columns[0]),)
        exponent: str | float = -term.offset.get(atom, 0.0)
        coefficient: str | float = term.offset.get((), 0.0)
        if set(term.offset) - {atom, ()}:
            return None
        for name, polynomial in term.linear:
            if polynomial == {atom: -1.0} and exponent == 0.0:
                exponent = name
            elif polynomial == {(): 1.0} and coefficient == 0.0:
                coefficient = name
            else:
                return None
        found.append((term.columns[0], exponent, coefficient))
    columns = [column for column, _, _ in found]
    return tuple(found) if len(set(columns)) == len(columns) else None


def usual_bounds(parameter: Parameter) -> tuple[float, float]:
    """Bounds of a constant as it is kept, where nobody asked for others."""
    if parameter.kind == "exponent":
        return EXPONENTS
    if parameter.kind == "outer":
        return LOG_OUTER
    return FREE if parameter.free else (-np.inf, np.inf)
