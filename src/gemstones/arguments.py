"""Arguments of public functions, held against their annotations: a wrong type is refused in one line.

    gemstones.fit(runs, bootstrap="a")  →  InvalidRequest: bootstrap 'a' must be a whole number

Ranges are for the functions themselves. What fits comes back in plain types (NumPy's numbers as Python's, lists as
tuples, text as a path where one is meant), so that values that hold it compare and serialise.
"""

from __future__ import annotations

import builtins
import dataclasses
import difflib
import functools
import inspect
import math
import numbers
import os
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin

import numpy as np

from gemstones.errors import InvalidRequest, UnknownArgument

P = ParamSpec("P")
R = TypeVar("R")

LONGEST = 60
"""Characters of a value in an error; of a longer one its type is named."""
_REFUSED = object()
_WORDS: dict[Any, tuple[str, str]] = {
    bool: ("True or False", "True or False"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text", "text"),
    Path: ("a path", "paths"),
    np.random.Generator: ("a numpy Generator", "numpy Generators"),
}
_ELSEWHERE = {
    "random_state": "seed",
    "rng": "seed",
    "n_jobs": "workers",
    "num_workers": "workers",
    "n_bootstrap": "bootstrap",
    "n_boot": "bootstrap",
    "n_resamples": "bootstrap",
    "confidence_level": "level",
    "confidence": "level",
    "sample_weight": "weights",
    "cluster": "unit",
    "method": "law",
    "formula": "law",
    "form": "law",
    "model": "law",
    "fit": "law",
    "X": "runs",
    "df": "runs",
    "data": "runs",
    "table": "runs",
    "query": "where",
    "filter": "where",
    "flops": "budget",
    "compute": "budget",
    "budgets": "budget",
    "verbose": "progress",
    "path": "output",
    "output_dir": "output",
}
"""What other libraries call an argument → what it is called here."""


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, refusing arguments that are not what its annotations say with `InvalidRequest`.

    Annotations that are known to type checkers only, and `Any`, are not checked.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature.parameters.values()):
                check_names(function.__name__, kwargs, [*signature.parameters])
            return function(*args, **kwargs)  # what is missing, or given twice, Python says
        hints = _hints(function)
        for name, value in bound.arguments.items():
            kind = signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                bound.arguments[name] = tuple(accepted(name, one, hints.get(name, Any)) for one in value)
            elif kind is not inspect.Parameter.VAR_KEYWORD:
                bound.arguments[name] = accepted(name, value, hints.get(name, Any))
        return function(*bound.args, **bound.kwargs)

    return call


def check_names(function: str, given: Iterable[str], parameters: Sequence[str]) -> None:
    """Refuse a name that is none of the `parameters` with what it is called here, or with all that there are.

    >>> check_names("fit", ["random_state"], ["runs", "law", "seed"])
    Traceback (most recent call last):
    gemstones.errors.UnknownArgument: fit has no argument random_state: it is called seed
    """
    for name in given:
        if name in parameters:
            continue
        here = [_ELSEWHERE.get(name, ""), *difflib.get_close_matches(name, [*parameters], 1)]
        meant = next((one for one in here if one in parameters), None)
        said = f"it has {', '.join(parameters)}" if meant is None else f"it is called {meant}"
        raise UnknownArgument(f"{function} has no argument {name}: {said}")


def check_fields(value: Any) -> None:
    """Hold every field of a frozen dataclass against its annotation: for its `__post_init__`."""
    kind: Any = type(value)
    hints = _hints(kind)
    for field in dataclasses.fields(value):
        given = getattr(value, field.name)
        object.__setattr__(value, field.name, accepted(field.name, given, hints.get(field.name, Any)))


def accepted(name: str, value: Any, hint: Any) -> Any:
    """`value` in plain types, if it is what `hint` says; `InvalidRequest`, which calls it `name`, if not."""
    converted = _converted(value, hint)
    if converted is _REFUSED:
        raise InvalidRequest(f"{name} {shown(value)} must be {_words(hint)}")
    return converted


def _converted(value: Any, hint: Any) -> Any:
    """`value` in plain types, or `_REFUSED`."""
    origin, inner = get_origin(hint), get_args(hint)
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value[()]
    if origin in (Union, types.UnionType):
        found = (_converted(value, one) for one in inner)
        return next((one for one in found if one is not _REFUSED), _REFUSED)
    if origin not in (None, Literal, Callable):
        return _converted_group(value, origin, inner)
    fits = True
    if origin is Literal:  # which texts there are is for the function to say
        fits = isinstance(value, tuple({type(one) for one in inner}))
    elif origin is Callable:
        fits = callable(value)
    elif hint is bool:
        fits = isinstance(value, bool | np.bool_)
    elif hint in (int, float):
        return _converted_number(value, hint)
    elif hint is Path and isinstance(value, str | os.PathLike):
        value = Path(value)
    elif isinstance(hint, type) and hint is not Any:
        fits = isinstance(value, hint)
    return value if fits else _REFUSED


def _converted_number(value: Any, hint: type) -> Any:
    abstract = numbers.Integral if hint is int else numbers.Real
    if isinstance(value, bool | np.bool_) or not isinstance(value, abstract):
        return _REFUSED
    if not isinstance(value, numbers.Integral):
        return float(value)
    whole = int(value)
    # Where a float is meant, an int stays one, unless it is larger than any.
    return math.inf * (1 if whole > 0 else -1) if hint is float and abs(whole) > sys.float_info.max else whole


def _converted_group(value: Any, origin: Any, inner: tuple[Any, ...]) -> Any:
    if not (isinstance(origin, type) and issubclass(origin, Iterable)):
        return value
    if issubclass(origin, np.ndarray):
        return value if isinstance(value, np.ndarray) else _REFUSED
    if issubclass(origin, Mapping):
        return value if isinstance(value, Mapping) else _REFUSED
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return _REFUSED
    items = tuple(_converted(one, inner[0] if inner else Any) for one in value)
    return _REFUSED if any(one is _REFUSED for one in items) else items


def shown(value: Any) -> str:
    """`value` as an error names it: what it is, or where that is long, of which type."""
    try:
        text = repr(value)
    except Exception:  # whatever somebody's __repr__ does
        text = ""
    short = text and len(text) <= LONGEST and text.isprintable() and not text.startswith("<")
    return text if short else f"of type {type(value).__name__}"


def _words(hint: Any, *, several: bool = False) -> str:
    """What is asked for: `a whole number`, or `whole numbers`."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        kinds = [
            one for one in inner if one is not types.NoneType
        ]  # that it may be left out goes without saying
        every = dict.fromkeys(_words(one, several=several) for one in kinds)
        if len(every) > 1:  # a list may be one of NumPy
            every.pop("an array", None)
        words = " or ".join(every)
    elif origin is Literal:
        words = f"one of {', '.join(map(str, inner))}"
    elif origin is not None and issubclass(origin, Mapping):
        words = "a mapping"
    elif origin is Callable:
        words = "a function"
    elif origin is np.ndarray:
        words = "arrays" if several else "an array"
    elif origin is not None:
        words = f"a list of {_words(inner[0], several=True) if inner else 'values'}"
    elif hint in _WORDS:
        words = _WORDS[hint][several]
    else:
        words = f"values of type {hint.__name__}" if several else f"of type {hint.__name__}"
    return words


class _Names(dict[str, Any]):
    """The names that annotations of a module may use; `Any` for those that only type checkers see."""

    def __missing__(self, name: str) -> Any:
        return getattr(builtins, name, Any)


@functools.cache
def _hints(annotated: Callable[..., Any]) -> dict[str, Any]:
    annotations = {name: hint for name, hint in annotated.__annotations__.items() if name != "return"}
    names = _Names(vars(inspect.getmodule(annotated) or builtins))
    return typing.get_type_hints(types.SimpleNamespace(__annotations__=annotations), localns=names)
