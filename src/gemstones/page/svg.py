"""A chart as SVG to be part of a page: small, in the page's colours and font, with one description.

Vega describes every mark for screen readers and writes coordinates to fifteen digits. Here the figure has
one label, curves of runs are named by a tooltip, coordinates have two decimals (of long curves one), what is the same
in all marks of a group is said once, marks that are alike are drawn from one definition, and clips that are alike are
one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from gemstones.figures.save import render
from gemstones.page.colours import hexadecimal, variable
from gemstones.page.panels import mark_panels

if TYPE_CHECKING:
    import altair as alt

SHOWN = 0.92
"""Of a figure's size: its type is of 12 to 14 units, so of 11 to 13 pixels in a page of any width."""
ABOVE = 6.0
"""Units that are left free above a figure whose title is gone."""
CURVE = 400
"""Characters of a path, from which it is one of many points."""
_SVG = "{http://www.w3.org/2000/svg}"
_DROPPED = {"class", "role", "pointer-events", "font-family", "version", "stroke-miterlimit"}
_DEFAULTS = {("transform", "translate(0,0)"), ("opacity", "1"), ("x", "0"), ("y", "0")}
_PAINTED = ("fill", "stroke", "stop-color")
_PATHS = {"d", "transform", "x", "y", "x1", "x2", "y1", "y2", "width", "height", "offset", "dx", "dy"}
_HOISTED = ("fill", "stroke", "stroke-width", "opacity", "stroke-dasharray", "font-size", "text-anchor")
_NUMBER = re.compile(r"-?\d*\.\d+(?:e-?\d+)?")
_RUN = re.compile(r"(?:^|; )run: (.*?); (?:loss|held_out): ", re.DOTALL)
_TICK = re.compile(r"M[\d.]+,[\d.]+h1v[\d.]+h-1Z")
"""A tick of a strip plot: one unit wide."""
_TRANSLATED = re.compile(r"translate\((-?[\d.]+),(-?[\d.]+)\)")


@dataclass(frozen=True)
class Drawing:
    """A chart as part of a page: `<svg>`, the colours (`#rrggbb`) that it refers to, and the words that stood below its
    title, which the page has in its text.
    """

    svg: str
    colours: frozenset[str]
    words: str = ""


def chart_svg(chart: alt.TopLevelMixin, name: str, label: str) -> Drawing:
    """The chart as `<svg>` whose identifiers begin with `name`, without its title: the page's finding takes its place.

    Colours are variables of the page: those of `colours.THEME`, and `--c-rrggbb`. Raises `MissingExtra` without
    altair and vl-convert.
    """
    return compact(render(chart, ("svg",))["svg"].decode(), name, label)


def compact(svg: str, name: str, label: str) -> Drawing:
    """As `chart_svg`, for what Vega drew."""
    root = ET.fromstring(svg)  # our own output, not a stranger's
    colours: set[str] = set()
    words = _untitled(root)
    mark_panels(root, name)
    for element in root.iter():
        _clean(element, name, colours)
    for rect in [e for e in root if e.tag == "rect"]:
        root.remove(rect)  # the background: the page has its own
    _prune(root)
    _flatten(root)
    for group in root.iter("g"):
        _join_ticks(group)
        _hoist(group)
    _share_clips(root)
    _define_marks(root, name)
    root.set("role", "img")
    width, height = (round(SHOWN * float(root.get(side, "0"))) for side in ("width", "height"))
    root.set("width", str(width))
    root.set("height", str(height))
    root.set("aria-labelledby", f"{name}-label")
    titled = ET.Element("title", {"id": f"{name}-label"})
    titled.text = label
    root.insert(0, titled)
    return Drawing(ET.tostring(root, encoding="unicode"), frozenset(colours), words)


def _join_ticks(group: ET.Element) -> None:
    """Ticks of one colour as one path; they do not overlap, so their order does not matter."""
    ticks = [e for e in group if e.tag == "path" and not len(e) and _TICK.fullmatch(e.get("d", ""))]
    alike: dict[tuple[tuple[str, str], ...], ET.Element] = {}
    for tick in ticks:
        key = tuple(sorted((k, v) for k, v in tick.attrib.items() if k != "d"))
        if (first := alike.setdefault(key, tick)) is not tick:
            first.set("d", first.get("d", "") + tick.get("d", ""))
            group.remove(tick)


def _share_clips(root: ET.Element) -> None:
    """Clips that are alike as one: Vega defines one for every mark that is clipped."""
    known: dict[bytes, str] = {}
    same: dict[str, str] = {}
    for parent in [*root.iter()]:
        for clip in parent.findall("clipPath"):
            first = known.setdefault(b"".join(ET.tostring(child) for child in clip), clip.get("id", ""))
            if first != clip.get("id", ""):
                same[f"url(#{clip.get('id')})"] = f"url(#{first})"
                parent.remove(clip)
    for element in root.iter():
        if (clip_path := element.get("clip-path")) in same:
            element.set("clip-path", same[clip_path])


def _untitled(root: ET.Element) -> str:
    """Take the title of the whole figure away, and the room that it had; returns its subtitle."""
    frame = root.find(f"{_SVG}g/{_SVG}g/{_SVG}g/{_SVG}g")
    title = None if frame is None else next((e for e in frame if "role-title" in e.get("class", "")), None)
    if frame is None or title is None:
        return ""
    frame.remove(title)
    said = ""
    for text in [*title.iter(f"{_SVG}text")][1:]:
        for part in [*text] or [text]:
            line = "".join(part.itertext()).strip()
            # Lines that were broken between clauses end so; others begin a sentence of their own.
            said += f"{'' if not said else ' ' if said[-1] in ';,' or line[:1].islower() else '; '}{line}"
    x, y, width, height = (float(part) for part in root.get("viewBox", "0 0 0 0").split())
    cut = max(min(_tops(root, 0.0), default=y) - ABOVE - y, 0.0)
    root.set("viewBox", f"{x:g} {y + cut:g} {width:g} {height - cut:g}")
    root.set("height", f"{height - cut:g}")
    return said


def _tops(element: ET.Element, offset: float) -> Iterator[float]:
    """Where what is drawn begins, from the top: texts and panels."""
    place = _TRANSLATED.search(element.get("transform", ""))
    offset += float(place[2]) if place is not None else 0.0
    if element.tag == f"{_SVG}text":
        yield offset - float(element.get("font-size", "12px").removesuffix("px"))
    elif element.tag == f"{_SVG}path" and element.get("stroke") and element.get("class") == "background":
        yield offset
    for child in element:
        yield from _tops(child, offset)


def _clean(element: ET.Element, name: str, colours: set[str]) -> None:
    """Drop what a page does not need, shorten numbers, and refer to the page's colours."""
    element.tag = element.tag.rpartition("}")[2]
    described = element.get("aria-label", "")
    if element.get("aria-roledescription") == "line mark" and (match := _RUN.search(described)):
        title = ET.SubElement(element, "title")
        title.text = match[1]
    for key, value in list(element.attrib.items()):
        # Of a line of text x and y are where that begins.
        usual = (key, value) in _DEFAULTS and element.tag != "tspan"
        if key in _DROPPED or key.startswith("aria-") or usual:
            del element.attrib[key]
        elif key in _PATHS:
            decimals = 1 if key == "d" and len(value) > CURVE else 2
            element.set(key, _NUMBER.sub(partial(_rounded, decimals=decimals), value))
        elif key == "id":
            element.set(key, f"{name}-{value}")
        elif "url(#" in value:
            element.set(key, value.replace("url(#", f"url(#{name}-"))
        elif key in _PAINTED and (used := variable(value)) is not None:
            element.set(key, f"var(--{used})")
            if used.startswith("c-"):
                colours.add(hexadecimal(value) or "")


def _rounded(number: re.Match[str], decimals: int) -> str:
    return f"{float(number[0]):.{decimals}f}".rstrip("0").rstrip(".").replace("-0.", "-.") or "0"


def _prune(parent: ET.Element) -> None:
    """Remove what draws nothing, from the leaves up."""
    for child in list(parent):
        _prune(child)
        invisible = child.tag == "path" and (
            not child.get("d")
            or child.get("display") == "none"
            or not (child.get("fill") or child.get("stroke"))
        )
        if invisible or (child.tag == "g" and not len(child)):
            parent.remove(child)


def _flatten(parent: ET.Element) -> None:
    """Put the children of groups that say nothing in their place."""
    for child in list(parent):
        _flatten(child)
        if child.tag == "g" and not child.attrib:
            at = list(parent).index(child)
            parent.remove(child)
            for offset, grandchild in enumerate(list(child)):
                parent.insert(at + offset, grandchild)


def _hoist(group: ET.Element) -> None:
    """Say once what all children say, where their meaning as a group is the same."""
    children = [child for child in group if child.tag != "title"]
    if len(children) < 3:
        return
    for key in _HOISTED:
        values = {child.get(key) for child in children}
        # Opacity of a group is not that of its members, where these overlap.
        if len(values) == 1 and None not in values and key != "opacity" and key not in group.attrib:
            group.set(key, str(values.pop()))
            for child in children:
                del child.attrib[key]


def _define_marks(root: ET.Element, name: str) -> None:
    """Draw marks that differ in their place only from one definition."""
    counts = Counter(
        _mark(path) for path in root.iter("path") if _TRANSLATED.fullmatch(path.get("transform", ""))
    )
    shared = {mark: f"{name}-mark{i}" for i, (mark, count) in enumerate(counts.items(), 1) if count > 3}
    if not shared:
        return
    defined = root.find("defs")
    if defined is None:
        defined = ET.Element("defs")
        root.insert(0, defined)
    for mark, reference in shared.items():
        defined.append(ET.Element("path", {"id": reference, **dict(mark)}))
    for path in list(root.iter("path")):
        place, own = _TRANSLATED.fullmatch(path.get("transform", "")), shared.get(_mark(path))
        if place is not None and own is not None:
            path.tag = "use"
            path.attrib.clear()
            path.attrib.update({"href": f"#{own}", "x": place[1], "y": place[2]})


def _mark(path: ET.Element) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in path.attrib.items() if key != "transform")
