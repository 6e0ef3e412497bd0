"""The choice of shapes of one size: standard, wide, deep, and evenly spread in log aspect ratio."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gemstones.accounting.parameters import params
from gemstones.design.choose import choose_shapes
from gemstones.design.feasible import Constraints, feasible_shapes
from gemstones.errors import InvalidRequest
from gemstones.shape import Shape

SMALL = Constraints(
    depth_min=1, template=Shape(64, 1, head_size=16, vocabulary=2048, context=256), width_max=1024
)


@pytest.mark.parametrize(
    ("size", "chosen"),
    [
        (5e7, ["256x27", "256x25", "256x23"]),  # none is near 128: the geometric middle instead
        (1e8, ["256x80", "512x12", "768x3"]),
        (1e9, ["512x253", "1792x16", "4352x2"]),
        (2e9, ["768x228", "2560x18", "6656x2"]),  # ratio 142; 128 exactly is not feasible
    ],
)
def test_choices_within_the_papers_constraints(size: float, chosen: list[str]) -> None:
    assert [str(shape) for shape in choose_shapes(size)] == chosen


def test_the_papers_range_of_shapes_gives_the_papers_kind_of_suite() -> None:
    ranges = Constraints(width_max=3072, depth_min=3, depth_max=80)
    chosen = [str(shape) for shape in choose_shapes(2e9, constraints=ranges)]
    assert chosen == ["1280x80", "2560x18", "3072x12"]  # the paper: 1536x50, 2048x27, 3072x12


@given(
    size=st.floats(1.5e5, 3e6),
    tolerance=st.floats(0.02, 0.6),
    per_size=st.integers(1, 9),
)
def test_within_tolerance_distinct_and_spread(size: float, tolerance: float, per_size: int) -> None:
    feasible = feasible_shapes(size, tolerance, SMALL)
    assume(len(feasible) >= per_size)
    chosen = choose_shapes(size, tolerance, per_size, SMALL)
    assert len(set(chosen)) == len(chosen) == per_size
    assert all(abs(params(shape) - size) <= tolerance * size for shape in chosen)
    ratios = [shape.aspect_ratio for shape in chosen]
    every_ratio = sorted(shape.aspect_ratio for shape in feasible)
    assert ratios == sorted(ratios)
    if per_size > 1:
        assert (ratios[0], ratios[-1]) == (every_ratio[0], every_ratio[-1])
    if per_size == 3 and every_ratio[0] < 16 < every_ratio[-1]:
        rest = sorted(feasible, key=lambda shape: shape.aspect_ratio)[1:-1]
        nearest = min(abs(math.log(shape.aspect_ratio / 16)) for shape in rest)
        assert abs(math.log(ratios[1] / 16)) == pytest.approx(nearest)


@given(size=st.floats(1.5e5, 3e6), per_size=st.integers(4, 9))
def test_more_shapes_fill_the_widest_gap(size: float, per_size: int) -> None:
    feasible = feasible_shapes(size, 0.3, SMALL)
    assume(len(feasible) >= per_size)
    fewer, more = (set(choose_shapes(size, 0.3, n, SMALL)) for n in (per_size - 1, per_size))
    assert fewer < more
    (new,) = more - fewer

    def gap(shape: Shape) -> float:
        return min(abs(math.log(shape.aspect_ratio / other.aspect_ratio)) for other in fewer)

    assert gap(new) == pytest.approx(max(gap(shape) for shape in feasible if shape not in fewer))


def test_equal_aspect_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = Shape(256, 4), Shape(512, 8)
    for feasible in ([small, large], [large, small]):
        monkeypatch.setattr("gemstones.design.choose.feasible_shapes", lambda *_, found=feasible: found)
        assert set(choose_shapes(params(small), per_size=2)) == {small, large}
        # The one nearest to the size is preferred.
        assert choose_shapes(params(small), per_size=1) == (small,)
        assert choose_shapes(params(large), per_size=1) == (large,)


def test_too_few_are_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        choose_shapes(5e7, per_size=6)
    assert str(caught.value) == (
        "50M has 5 feasible shapes within ±5.0%, 6 asked for: widen the tolerance or the ranges, or ask for fewer"
    )
    with pytest.raises(InvalidRequest, match=r"^shapes per size 0 must be at least 1$"):
        choose_shapes(5e7, per_size=0)
