"""A drawing said in what is quick to paint: the same picture, for what makes pixels of it.

Opacity of a whole element, and clipping, each have the painter lay another sheet over the whole picture: with a hundred
lines that is most of its time. An element that is only stroked or only filled looks the same with the opacity of its
stroke or its fill; lines and areas that end within their frame look the same without being clipped.
"""

from __future__ import annotations

import re

_OPACITY = re.compile(r'<path\b[^>]*? opacity="[^"]*"[^>]*>')
_GIVEN = re.compile(r'<(?:g|svg)\b[^>]*? (?:fill|stroke)="([^"]*)"')
_CLIPPED = re.compile(
    r'<g class="mark-(?:line|area) [^>]*?( clip-path="url\(#(clip\d+)\)")[^>]*>((?:<path [^>]*?(?:/>|></path>))*)</g>'
)
_FRAME = re.compile(r'<clipPath id="(clip\d+)"><rect x="0" y="0" width="([\d.]+)" height="([\d.]+)"')
_POINTS = re.compile(r"(-?[\d.]+(?:e-?\d+)?),(-?[\d.]+(?:e-?\d+)?)")
_ABSOLUTE = re.compile(r"[MLCZ\d.,eE\s-]*")
_WIDTH = re.compile(r'stroke-width="([\d.]+)"')


def plain(svg: str) -> str:
    """`svg`, as Vega draws it, without sheets that are not needed."""
    frames = {name: (float(width), float(height)) for name, width, height in _FRAME.findall(svg)}

    def unclipped(found: re.Match[str]) -> str:
        frame = frames.get(found[2])
        if frame is None or not _within(found[3], frame):
            return found[0]
        return found[0].replace(found[1], "", 1)

    svg = _CLIPPED.sub(unclipped, svg)
    # What has neither fill nor stroke of its own has none, as long as no group gives it one.
    if set(_GIVEN.findall(svg)) <= {"none"}:
        svg = _OPACITY.sub(lambda found: _of_paint(found[0]), svg)
    return svg


def _of_paint(path: str) -> str:
    """The opacity of the one thing that is painted."""
    if "-opacity=" in path:
        return path
    filled, stroked = (
        f' {paint}="' in path and f' {paint}="none"' not in path for paint in ("fill", "stroke")
    )
    if filled == stroked:
        return path
    return path.replace(' opacity="', ' fill-opacity="' if filled else ' stroke-opacity="', 1)


def _within(paths: str, frame: tuple[float, float]) -> bool:
    """Whether lines and areas, and above and below them half their stroke, lie within their frame."""
    for path in re.findall("<path [^>]*>", paths):
        drawn = re.search(' d="([^"]*)"', path)
        if drawn is None or " transform=" in path or not _ABSOLUTE.fullmatch(drawn[1]):
            return False
        width = _WIDTH.search(path)
        half = float(width[1]) / 2 if width else 0.0
        for x, y in _POINTS.findall(drawn[1]):
            if not (0 <= float(x) <= frame[0] and half <= float(y) <= frame[1] - half):
                return False
    return True
