"""Colours of figures in a page: what stands for ink, grid and paper follows the theme, the rest is lightened for dark.

Lightening is done in OKLab (Ottosson 2020), whose lightness is perceived lightness: hue and order of a scale stay.
"""

from __future__ import annotations

import math
import re

from gemstones.figures import style

DARKEST = 0.58
"""Least lightness of a colour on a dark page; the lightness of all is compressed into [DARKEST, 1]."""
THEME = {
    style.INK.lower(): "ink",
    style.BLACK.lower(): "ink",
    style.SOFT_INK.lower(): "soft",
    style.GREY.lower(): "soft",
    "#888888": "soft",
    style.GRID.lower(): "grid",
    "#bbbbbb": "rule",
    "#dddddd": "rule",
    "#ffffff": "paper",
    "#f1eedf": "fitted",
    "#000000": "ink",
}
"""Colours of the style → variables of the page's theme."""
_NAMED = {"white": "#ffffff", "black": "#000000"}
_RGB = re.compile(r"rgb\((\d+), ?(\d+), ?(\d+)\)")


def hexadecimal(colour: str) -> str | None:
    """A colour as `#rrggbb`; None for what is no colour (`none`, `url(#…)`)."""
    colour = _NAMED.get(colour, colour).strip().lower()
    if match := _RGB.fullmatch(colour):
        return "#" + "".join(f"{int(part):02x}" for part in match.groups())
    if re.fullmatch(r"#[0-9a-f]{3}", colour):
        return "#" + "".join(2 * digit for digit in colour[1:])
    return colour if re.fullmatch(r"#[0-9a-f]{6}", colour) else None


def variable(colour: str) -> str | None:
    """The CSS variable that stands for a colour (`ink`, `c-0077bb`); None for what is no colour."""
    code = hexadecimal(colour)
    if code is None:
        return None
    return THEME.get(code, f"c-{code[1:]}")


def on_dark(code: str) -> str:
    """`#rrggbb` for a dark page.

    >>> on_dark("#440154"), on_dark("#aadc32")
    ('#c181d5', '#c9fd5c')
    """
    lightness, a, b = _oklab(code)
    return _srgb(DARKEST + (1 - DARKEST) * lightness, a, b)


def _oklab(code: str) -> tuple[float, float, float]:
    r, g, b = (_linear(int(code[i : i + 2], 16) / 255) for i in (1, 3, 5))
    long = math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
    medium = math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    short = math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _srgb(lightness: float, a: float, b: float) -> str:
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    return "#" + "".join(f"{round(255 * _gamma(x)):02x}" for x in linear)


def _linear(x: float) -> float:
    return x / 12.92 if x <= 0.04045 else float(((x + 0.055) / 1.055) ** 2.4)


def _gamma(x: float) -> float:
    x = min(max(x, 0.0), 1.0)
    return 12.92 * x if x <= 0.0031308 else float(1.055 * x ** (1 / 2.4) - 0.055)
