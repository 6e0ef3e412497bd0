"""Where the panels of a chart are, for a page that sets them under each other on a phone (`narrow.js`).

Of what Vega drew, before its classes go: panels, legends and headings say where they stand and what room their words
take; a panel that shares the vertical axis of the first of its row gets a reference to it, which only a phone shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from xml.etree import ElementTree as ET

PANEL, LEGEND, HEADING = "data-panel", "data-legend", "data-heading"
"""Attributes: x, y, width, height, and what stands left, above, right of and below them."""
ENTRY, X_LABELS, BORROWED = "data-entry", "data-x", "data-borrowed"
"""Attributes: the width of an entry of a legend in a row; labels of a horizontal axis; what only a phone shows."""
BESIDE, ROWS, SAID = "data-beside", "data-rows", "data-said"
"""Attributes: a title that stands level beside its axis, and what room is left of the panel without it; labels of rows
that have room above their marks; what is said of marks beside them."""
ROOMY = 30.0
"""Units between rows that hold a label above a mark."""
WORDY = 100.0
"""Units of labels that a phone has no room for, beside a panel, about."""
CHARACTER = 0.56
"""Width of a character, about, over the size of its type."""
SQUEEZED = 0.7
"""Share of its width that a panel of two has left on a phone, about."""
_SVG = "{http://www.w3.org/2000/svg}"
_PLACE = re.compile(r"translate\((-?[\d.e-]+),\s*(-?[\d.e-]+)\)")
_SCOPE = re.compile(r"role-scope (?:concat_\d+_)+group|role-frame root")
_FRAME = re.compile(r"M[\d.]+,[\d.]+h([\d.]+)v([\d.]+)")

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass
class _Panel:
    group: ET.Element
    x: float
    y: float
    width: float
    height: float
    words: Box
    axes: list[ET.Element]
    """Vertical ones with words."""


def mark_panels(root: ET.Element, name: str) -> None:
    """Say in `root` where panels, legends and headings are; references to an axis have `name`, that of the figure."""
    panels = [*_walk(root, 0.0, 0.0)]
    panels.sort(key=lambda panel: panel.y)
    for at, (_, row) in enumerate(groupby(panels, key=lambda panel: (panel.y, panel.height))):
        _share(sorted(row, key=lambda panel: panel.x), f"y{at}", name)
    for panel in panels:
        left, top, right, bottom = panel.words
        around = (
            max(0.0, -left),
            max(0.0, -top),
            max(0.0, right - panel.width),
            max(0.0, bottom - panel.height),
        )
        panel.group.set(PANEL, _numbers(panel.x, panel.y, panel.width, panel.height, *around))


def _walk(element: ET.Element, x: float, y: float) -> Iterator[_Panel]:
    for child in element:
        kind = child.get("class", "")
        dx, dy = _place(child)
        inner = child.find(f"{_SVG}g")
        if kind.endswith("role-legend") and inner is not None:
            box, (ix, iy) = _box([inner]), _place(inner)
            box = tuple(end - start for end, start in zip(box, (ix, iy, ix, iy), strict=True))  # type: ignore[assignment]
            inner.set(
                LEGEND,
                _numbers(x + ix, y + iy, max(0.0, box[2]), max(0.0, box[3]), max(0.0, -box[0]), 0, 0, 0),
            )
            _mark_entries(inner)
        elif "role-title" in kind and inner is not None:
            box, (ix, iy) = _box([inner]), _place(inner)
            size = (box[2] - box[0], box[3] - box[1])
            inner.set(HEADING, _numbers(x + ix, y + box[1], *size, ix - box[0], iy - box[1], 0, 0))
        elif _SCOPE.search(kind) and inner is not None and _axes(inner):
            panel = _panel(inner, x, y)
            if panel is not None:
                yield panel
            for legend in inner.iter(f"{_SVG}g"):
                if legend.get("class", "").endswith("role-legend"):
                    yield from _walk([legend], 0.0, 0.0)  # type: ignore[arg-type]
        else:
            yield from _walk(child, x + dx, y + dy)


def _mark_entries(legend: ET.Element) -> None:
    """Of a legend in a row."""
    groups = [g for g in legend.iter(f"{_SVG}g") if g.get("class", "").endswith("role-scope")]
    entries = [entry for group in groups for entry in group]
    if len({_place(entry)[0] for entry in entries}) > 1:
        for entry in entries:
            entry.set(ENTRY, _numbers(_box([entry])[2] - _place(entry)[0]))


def _panel(group: ET.Element, x: float, y: float) -> _Panel | None:
    frame = _FRAME.match(next((p.get("d", "") for p in group if p.get("class") == "background"), ""))
    if frame is None:
        return None
    dx, dy = _place(group)
    axes = _axes(group)
    titles = [g for g in group.iter(f"{_SVG}g") if "role-title" in g.get("class", "")]
    for axis in axes:
        for labels in axis.iter(f"{_SVG}g"):
            texts = labels.findall(f"{_SVG}text")
            if (
                "role-axis-label" in labels.get("class", "")
                and texts
                and texts[0].get("text-anchor") != "end"
            ):
                labels.set(X_LABELS, "")
    upright = [
        axis
        for axis in axes
        if any(
            t.get("text-anchor") == "end" or "rotate" in t.get("transform", "")
            for t in axis.iter(f"{_SVG}text")
        )
    ]
    width, height = float(frame[1]), float(frame[2])
    _mark_beside(group, axes)
    left, top, right, bottom = _box(axes)
    of_title = _box(titles)
    right = max(right, width + max(_overhangs(group, width), default=0.0))
    words = (left, min(top, of_title[1]), right, bottom)
    return _Panel(group, x + dx, y + dy, width, height, words, upright)


def _mark_beside(group: ET.Element, axes: Iterable[ET.Element]) -> None:
    """What may stand above instead of beside: level titles of vertical axes, long labels of rows far apart."""
    for axis in axes:
        parts = [
            g for g in axis.iter(f"{_SVG}g") if g.get("class", "").endswith(("-axis-label", "-axis-title"))
        ]
        ends = [
            g
            for g in parts
            if (text := g.find(f"{_SVG}text")) is not None and text.get("text-anchor") == "end"
        ]
        for part in ends:
            if "role-axis-title" in part.get("class", ""):
                part.set(
                    BESIDE, _numbers(max(0.0, -_box([other for other in parts if other is not part])[0]))
                )
                continue
            at = sorted(_place(text)[1] for text in part)
            if _box([part])[0] < -WORDY and min((b - a for a, b in pairwise(at)), default=ROOMY) >= ROOMY:
                part.set(ROWS, "")
                for marks in group.iter(f"{_SVG}g"):
                    if "mark-text role-mark" in marks.get("class", ""):
                        marks.set(SAID, "")


def _overhangs(group: ET.Element, width: float) -> Iterator[float]:
    """How far words that begin at a mark reach beyond the frame, where that is squeezed."""
    for marks in group.iter(f"{_SVG}g"):
        if "mark-text role-mark" in marks.get("class", ""):
            for text in marks.iterfind(f"{_SVG}text"):
                if text.get("text-anchor", "start") == "start":
                    start, _, end, _ = next(_texts(text, 0.0, 0.0))
                    yield end - start - SQUEEZED * (width - start)


def _axes(group: ET.Element) -> list[ET.Element]:
    items = group.find(f"{_SVG}g")
    return [g for g in items or () if g.get("class", "").endswith("role-axis")]


def _share(row: list[_Panel], key: str, name: str) -> None:
    """Panels of a row without the words of the first one's vertical axis get them, for a page that shows these."""
    first = row[0]
    for panel in row[1:]:
        borrowed = None
        if first.axes and not panel.axes:
            borrowed, panel.words = first.axes[0], _left_of(first, panel)
        elif first.axes and (title := _title(first.axes)) is not None and _title(panel.axes) is None:
            borrowed, panel.words = title, _left_of(first, panel)
        items = panel.group.find(f"{_SVG}g")
        if borrowed is not None and items is not None:
            borrowed.set("id", key)
            items.append(
                ET.Element(f"{_SVG}use", {"href": f"#{name}-{key}", "display": "none", BORROWED: ""})
            )


def _left_of(first: _Panel, panel: _Panel) -> Box:
    return (min(first.words[0], panel.words[0]), *panel.words[1:])


def _title(axes: Iterable[ET.Element]) -> ET.Element | None:
    for axis in axes:
        for group in axis.iter(f"{_SVG}g"):
            if "role-axis-title" in group.get("class", ""):
                return group
    return None


def _box(elements: Iterable[ET.Element]) -> Box:
    """About where the words of `elements` are, in the coordinates in which these stand."""
    boxes = [box for element in elements for box in _texts(element, 0.0, 0.0)]
    if not boxes:
        return (0.0, 0.0, 0.0, 0.0)
    left, top, right, bottom = zip(*boxes, strict=True)
    return (min(left), min(top), max(right), max(bottom))


def _texts(element: ET.Element, x: float, y: float) -> Iterator[Box]:
    dx, dy = _place(element)
    x, y = x + dx, y + dy
    if element.tag == f"{_SVG}text":
        size = float(element.get("font-size", "12px").removesuffix("px"))
        lines = [("".join(part.itertext())).strip() for part in ([*element] or [element])]
        width = CHARACTER * size * max(map(len, lines))
        before = {"end": width, "middle": width / 2}.get(element.get("text-anchor", ""), 0.0)
        if "rotate(-90" in element.get("transform", ""):
            yield (x - size, y + before - width, x + 0.3 * size, y + before)
        else:
            yield (x - before, y - size, x - before + width, y + 0.3 * size + 1.2 * size * (len(lines) - 1))
        return
    for child in element:
        yield from _texts(child, x, y)


def _place(element: ET.Element) -> tuple[float, float]:
    found = _PLACE.match(element.get("transform", ""))
    return (0.0, 0.0) if found is None else (float(found[1]), float(found[2]))


def _numbers(*values: float) -> str:
    return " ".join(f"{value:.0f}" for value in values)
