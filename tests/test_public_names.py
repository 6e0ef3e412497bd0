"""What is public: listed once, annotated in full, and documented with units, errors and an example."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gemstones as gs

UNITS = re.compile(
    r"\b(FLOPs?|tokens?|parameters|nats|loss(es)?|hours|seconds|bytes|fraction|probability|share|factor|exit_status)\b"
)
"""Some word for what its numbers are in."""


def functions() -> Iterator[tuple[str, Any]]:
    for name in gs.__all__:
        if isinstance(offered := getattr(gs, name), types.FunctionType):
            yield name, offered


def classes() -> Iterator[tuple[str, type]]:
    for name in gs.__all__:
        if isinstance(offered := getattr(gs, name), type):
            yield name, offered


def methods(owner: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties, those of a mixin of ours too."""
    ours = [base for base in owner.__mro__ if base.__module__.startswith("gemstones.")]
    for name, value in {k: v for base in reversed(ours) for k, v in vars(base).items()}.items():
        function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if not name.startswith("_") and isinstance(function, types.FunctionType):
            yield name, function


def unannotated(function: Any) -> list[str]:
    """Parameters without a type, or of a type that says nothing; and `return`."""
    signature = inspect.signature(function)
    parameters = [p for name, p in signature.parameters.items() if name not in ("self", "cls")]
    empty = [p.name for p in parameters if p.annotation is inspect.Parameter.empty]
    loose = [p.name for p in parameters if p.annotation == "Any" and p.kind is inspect.Parameter.VAR_KEYWORD]
    return empty + loose + (["return"] if signature.return_annotation is inspect.Signature.empty else [])


def documented(of: Any) -> list[str]:
    """What the docstring lacks."""
    said = of.__doc__ or ""
    lacks = [] if ">>> " in said else ["an example"]
    return lacks + ([] if UNITS.search(said) else ["units"])


def test_names_are_listed_once() -> None:
    source = Path(str(gs.__file__)).read_text("utf-8")
    stub = Path(str(gs.__file__)).with_suffix(".pyi").read_text("utf-8")
    listed = re.findall(r" as (\w+)$", stub, re.MULTILINE)
    assert sorted(listed) == sorted({*gs.__all__, "__version__"}) and len(listed) == stub.count("\nfrom ")
    assert dir(gs) == list(gs.__all__) == sorted(gs.__all__)
    for name in gs.__all__:
        assert callable(getattr(gs, name)), name
        assert not re.search(rf"\b{name}\b", source.rpartition('"""')[2]), f"{name} is listed twice"
        assert not (Path(str(gs.__file__)).parent / name).exists(), f"{name} is a package"
    with pytest.raises(AttributeError, match="no attribute 'chinchilla'"):
        gs.chinchilla  # type: ignore[attr-defined]  # noqa: B018


def test_no_name_is_shadowed_by_a_module() -> None:
    import gemstones.analyses.compare.compare
    import gemstones.laws.fit
    import gemstones.planning.plan  # noqa: F401

    assert isinstance(gs.plan, types.FunctionType) and isinstance(gs.fit, types.FunctionType)
    assert isinstance(gs.compare, types.FunctionType)


@pytest.mark.parametrize("name", [name for name, _ in functions()])
def test_functions_are_annotated_and_documented(name: str) -> None:
    function = getattr(gs, name)
    assert unannotated(function) == []
    lacks, parameters = documented(function), inspect.signature(function).parameters
    lacks += [one for one in parameters if f"`{one}`" not in function.__doc__]
    if parameters and not re.search(r"[Rr]aises", function.__doc__):
        lacks.append("errors")
    assert lacks == []


@pytest.mark.parametrize("name", [name for name, _ in classes()])
def test_classes_are_annotated_and_documented(name: str) -> None:
    owner = getattr(gs, name)
    assert documented(owner) == []
    for method, function in methods(owner):
        assert unannotated(function) == [], method
        assert function.__doc__, method
