"""Forms as they are written: a list of columns, a formula, the name of one; constants fixed or bounded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import msgspec
import numpy as np

from gemstones.accounting.parameters import ParamsConvention
from gemstones.errors import InvalidRequest
from gemstones.laws.form import Form
from gemstones.laws.formula import parse_formula
from gemstones.laws.listed import canonical, tree_of
from gemstones.laws.literature import NAMED
from gemstones.laws.tree import Constant, Expression, Number, constants, rebuilt, written
from gemstones.units import format_number, read_number


def law_text(law: str | Sequence[str]) -> str:
    """A law as it is written: `N,T` for that, and for the list of its terms."""
    return law if isinstance(law, str) else ",".join(map(str, law))


def parse_form(
    text: str,
    convention: ParamsConvention = "total",
    *,
    fix: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> Form:
    """A form from a list of columns or a formula; `InvalidRequest` where it cannot be read.

    A name of `gemstones.laws.literature.NAMED` is the form of that name. `fix` gives constants a value, `bounds` a
    range. The constants of a list of columns are E, p, and for each column the exponent `a_N` and coefficient `A_N`.

    >>> parse_form("width,depth,N,T").text, parse_form("( N, T )**p").text
    ('w,d,N,T', '(N,T)^p')
    >>> parse_form("E + A/N^a + B/tokens^a", fix={"E": 1.69}).text
    '1.69 + A/N^a + B/T^a'
    """
    named = NAMED.get(text.strip())
    if named is None:
        _check_name(text.strip())
    form = Form(canonical(text if named is None else named.text, convention))
    _ = form.structure
    if named is not None:
        form = msgspec.structs.replace(form, bounds=_bounds(form, named.bounds))
    return with_constants(form, fix, bounds)


def _check_name(text: str) -> None:
    """Refuse what is nearly the name of a form, or can only be meant as one."""
    near = get_close_matches(text, NAMED, 1, 0.8)
    if near or re.fullmatch(r"[A-Za-z]\w+(-\w+)+", text):
        meant = f"did you mean {near[0]}" if near else f"choose from {', '.join(NAMED)}"
        raise InvalidRequest(f"law {text!r} is no form by name: {meant}, or write columns or a formula")


def with_constants(
    form: Form,
    fix: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> Form:
    """A form with constants given a value, or a range."""
    for name in {*(fix or {})} & {*(bounds or {})}:
        raise InvalidRequest(f"{name} is fixed and bounded: do one of the two")
    if fix:
        kept = tuple(bound for bound in form.bounds if bound[0] not in fix)
        form = msgspec.structs.replace(_fixed(form, fix), bounds=kept)
        _ = form.structure
    if bounds:
        others = {name: (low, high) for name, low, high in form.bounds}
        form = msgspec.structs.replace(form, bounds=_bounds(form, {**others, **bounds}))
    return form


def parse_fixed(text: str) -> tuple[str, float]:
    """Name and value of `E=1.69`.

    >>> parse_fixed("E=1.69"), parse_fixed("a = -0.3")
    (('E', 1.69), ('a', -0.3))
    """
    name, sign, value = text.partition("=")
    if not (sign and name.strip()) or (number := _number(value)) is None:
        raise InvalidRequest(
            f"fix {text!r} is not a constant with a value: write it like E=1.69, with a decimal point"
        )
    return name.strip(), number


def parse_bound(text: str) -> tuple[str, tuple[float, float]]:
    """Name and range of `a=0.1..0.6`; an end that is left out is infinite, for positive constants zero.

    >>> parse_bound("a=0.1..0.6"), parse_bound("a=..0.6")
    (('a', (0.1, 0.6)), ('a', (-inf, 0.6)))
    """
    name, sign, ends = text.partition("=")
    low, dots, high = ends.partition("..")
    least = _number(low) if low.strip() else -np.inf
    greatest = _number(high) if high.strip() else np.inf
    if not (sign and dots and name.strip()) or least is None or greatest is None or not (low + high).strip():
        raise InvalidRequest(
            f"bound {text!r} is not a constant with a range: write it like a=0.1..0.6, with decimal points"
        )
    return name.strip(), (least, greatest)


def _number(text: str) -> float | None:
    """A finite number, written as quantities are, or None for what is none."""
    value = read_number(text)
    return value if value is not None and np.isfinite(value) else None


def _fixed(form: Form, values: Mapping[str, float]) -> Form:
    tree = tree_of(form.text)
    names = {c.name for c in constants(tree)}
    for name, value in values.items():
        if name not in names:
            raise InvalidRequest(
                f"fix {name}={format_number(value)}: law {form.text} has no {name}: it has {', '.join(sorted(names))}"
            )
        positive = next(p for p in form.structure.parameters if p.name == name).positive
        if not np.isfinite(value) or (positive and value <= 0):
            raise InvalidRequest(
                f"fix {name}={format_number(value)}: {name} must be {'positive' if positive else 'finite'}"
            )

    def change(part: Expression) -> Expression:
        if isinstance(part, Constant) and part.name in values:
            value = values[part.name]
            return Number(value) if value >= 0 else rebuilt(parse_formula(f"-{-value!r}"), lambda p: p)
        return part

    return Form(written(rebuilt(tree, change)))


def _bounds(form: Form, bounds: Mapping[str, tuple[float, float]]) -> tuple[tuple[str, float, float], ...]:
    parameters = {p.name: p for p in form.structure.parameters}
    for name, ends in bounds.items():
        if not (
            isinstance(ends, tuple | list)
            and len(ends) == 2
            and all(isinstance(x, int | float) for x in ends)
        ):
            raise InvalidRequest(
                f"bound of {name}, {ends!r}, must be a least and a greatest value, like (0.1, 0.6)"
            )
        low, high = ends
        given = f"bound {name}={format_number(low)}..{format_number(high)}"
        if name not in parameters:
            raise InvalidRequest(f"{given}: law {form.text} has no {name}: it has {', '.join(parameters)}")
        if not low < high:
            raise InvalidRequest(
                f"{given}: the least value must be below the greatest; for one value use fix {name}="
            )
        if parameters[name].positive and (-np.inf < low < 0 or high <= 0):
            raise InvalidRequest(f"{given}: {name} is positive, so its least value is at least 0")
    bounds = {
        n: (max(low, 0.0) if parameters[n].positive else low, high) for n, (low, high) in bounds.items()
    }
    return tuple(sorted((name, float(low), float(high)) for name, (low, high) in bounds.items()))
