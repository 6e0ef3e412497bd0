"""What is painted without sheets looks the same: only what cannot be told from its picture is said otherwise."""

from __future__ import annotations

import pytest

from gemstones.figures.plain_svg import plain

FRAME = '<svg><defs><clipPath id="clip1"><rect x="0" y="0" width="100" height="50"/></clipPath></defs><g fill="none">'


def line(drawn: str, paint: str = 'stroke="#111" stroke-width="2" opacity="0.5"') -> str:
    """A line as Vega writes it, clipped to a frame of 100 × 50."""
    return (
        f'{FRAME}<g class="mark-line role-mark a" clip-path="url(#clip1)" role="x"><path d="{drawn}" {paint}/></g>'
        "</g></svg>"
    )


@pytest.mark.parametrize(
    ("drawn", "clipped"),
    [
        ("M0,10L100,40", False),
        ("M0,10C20,20,30,30,100,49", False),
        ("M0,10L101,40", True),
        ("M-1e-1,10L100,40", True),
        ("M0,0.5L100,40", True),  # half of its stroke stands above the frame
        ("M0,10L100,49.5", True),
        ("M0,10l200,40", True),  # relative: not read
    ],
)
def test_only_what_lies_within_its_frame_is_not_clipped(drawn: str, clipped: bool) -> None:
    assert ("clip-path=" in plain(line(drawn))) == clipped


@pytest.mark.parametrize(
    ("paint", "said"),
    [
        ('stroke="#111" opacity="0.5"', 'stroke="#111" stroke-opacity="0.5"'),
        ('fill="none" stroke="#111" opacity="0.5"', 'fill="none" stroke="#111" stroke-opacity="0.5"'),
        ('fill="#111" opacity="0.5"', 'fill="#111" fill-opacity="0.5"'),
        # Where both are painted, the one shows through the other.
        ('fill="#111" stroke="#111" opacity="0.5"', 'fill="#111" stroke="#111" opacity="0.5"'),
        (
            'stroke="#111" stroke-opacity="0.5" opacity="0.5"',
            'stroke="#111" stroke-opacity="0.5" opacity="0.5"',
        ),
    ],
)
def test_opacity_is_that_of_the_one_thing_that_is_painted(paint: str, said: str) -> None:
    assert said in plain(line("M0,10L100,40", paint))


def test_what_a_group_paints_is_left_as_it_is() -> None:
    given = line("M0,10L100,40").replace('<g fill="none">', '<g fill="red">')
    assert ' opacity="0.5"' in plain(given)
