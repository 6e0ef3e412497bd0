"""Feasible shapes: the paper's counts, and an enumeration one shape at a time."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemstones.accounting.parameters import params
from gemstones.design.feasible import Constraints, feasible_shapes
from gemstones.errors import InvalidRequest, InvalidShape
from gemstones.shape import Shape


@pytest.mark.parametrize(
    ("size", "count"), [(50e6, 5), (100e6, 13), (500e6, 28), (1e9, 62), (2e9, 74)], ids=str
)
def test_counts_of_the_paper(size: float, count: int) -> None:
    assert len(feasible_shapes(size)) == count


def enumerated(size: float, tolerance: float, constraints: Constraints) -> list[Shape]:
    found = []
    for width in range(constraints.width_min, constraints.width_max + 1):
        for depth in range(constraints.depth_min, constraints.depth_max + 1):
            try:
                shape = dataclasses.replace(constraints.template, width=width, depth=depth)
            except InvalidShape:
                continue
            odd = shape.query_heads % 2 == 1
            if (odd and constraints.even_heads) or width % constraints.width_multiple:
                continue
            if abs(params(shape) - size) <= tolerance * size:
                found.append(shape)
    return found


@settings(deadline=None)  # the enumeration is slow on purpose
@given(
    size=st.floats(2e5, 3e6),
    tolerance=st.floats(0, 0.99),
    widths=st.tuples(st.integers(1, 96), st.integers(192, 300)),
    depths=st.tuples(st.integers(1, 4), st.integers(4, 9)),
    even_heads=st.booleans(),
    ratio=st.integers(1, 3),
    multiple=st.sampled_from([1, 24, 32]),
)
def test_every_shape_within_the_constraints(
    size: float,
    tolerance: float,
    widths: tuple[int, int],
    depths: tuple[int, int],
    even_heads: bool,
    ratio: int,
    multiple: int,
) -> None:
    template = Shape(96, 1, head_size=16, queries_per_kv=ratio, mlp_expansion=3, vocabulary=1000, context=64)
    constraints = Constraints(*widths, *depths, even_heads, multiple, template)
    assert feasible_shapes(size, tolerance, constraints) == enumerated(size, tolerance, constraints)


def test_the_exact_size_is_within_no_tolerance() -> None:
    assert feasible_shapes(543_482_880, 0) == [Shape(1024, 28)]
    assert feasible_shapes(543_482_881, 0) == []


def test_the_width_of_three_heads_is_there_when_odd_is_allowed() -> None:
    assert Shape(384, 13) not in feasible_shapes(66_758_784)
    odd_too = feasible_shapes(66_758_784, constraints=Constraints(even_heads=False))
    assert Shape(384, 13) in odd_too
    # 384 is an exception of the released models, not a rule: 640 and its like stay out.
    assert {shape.query_heads for shape in odd_too if shape.query_heads % 2} == {3}


def test_widths_are_multiples_of_two_heads() -> None:
    assert Constraints(width_max=1024).widths() == [256, 512, 768, 1024]
    assert Constraints(width_min=257, width_max=1023).widths() == [512, 768]
    assert Constraints(width_max=1024, even_heads=False).widths() == [256, 384, 512, 768, 1024]
    assert Constraints(width_max=2048, width_multiple=192).widths() == [768, 1536]
    triple = Constraints(width_max=1600, template=Shape(384, 1, queries_per_kv=3))
    assert triple.widths() == [768, 1536]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"width_min": 512, "width_max": 256},
            "width range 512 to 256 is empty: the minimum must be 1 to the maximum",
        ),
        ({"width_multiple": 0}, "width multiple 0 must be at least 1"),
        ({"depth_min": 0}, "depth range 0 to 255 is empty: the minimum must be 1 to the maximum"),
    ],
)
def test_an_empty_range(fields: dict[str, int], message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Constraints(**fields)  # type: ignore[arg-type]
    assert str(caught.value) == message
    assert caught.value.exit_status == 2


def test_no_width_at_all() -> None:
    with pytest.raises(InvalidRequest) as caught:
        feasible_shapes(1e9, constraints=Constraints(width_min=300, width_max=500))
    message = str(caught.value)
    assert message.startswith("no width from 300 to 500 ")
    assert message.endswith(" heads of size 128 at 2 queries per kv head: widen the range")
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("tolerance", [-0.01, 1, 5, float("nan")])
def test_a_tolerance_is_a_fraction(tolerance: float) -> None:
    with pytest.raises(InvalidRequest) as caught:
        feasible_shapes(1e9, tolerance)
    assert str(caught.value) == (
        f"tolerance {tolerance} must be a fraction from 0 to below 1, like 0.05 for ±5%"
    )
