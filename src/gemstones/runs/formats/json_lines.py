"""One JSON object a line (JSON lines, NDJSON); a key that an object lacks is null there.

Source: https://jsonlines.org
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gemstones.errors import InvalidTable
from gemstones.runs.formats.content import Content
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.json_text import parse_json
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.records import frame_of_records


def objects_of(content: Content) -> Iterator[dict[str, Any]]:
    """The objects of the lines that are not empty. Raises `InvalidTable`, with the row."""
    row = 0
    # Not str.splitlines, which also splits at characters that may stand inside a JSON string.
    for line in content.text.split("\n"):
        if not line.strip():
            continue
        row += 1
        value = parse_json(line, content.file, row, "JSON object")
        if not isinstance(value, dict):
            raise InvalidTable(
                f"is no JSON object: Expected `object`, got a {type(value).__name__}",
                file=content.file,
                row=row,
            )
        yield value


def _open(content: Content) -> Opened:
    frame = frame_of_records(objects_of(content), content.file)
    if not frame.height:
        raise InvalidTable("is empty: one JSON object a line is needed", file=content.file)
    return Opened(frame, JSON_LINES.name, content.file)


def _detect(content: Content) -> bool:
    """Whether there is an object a line; a single one is told from a JSON file by the suffix."""
    if not content.is_text or content.text.lstrip()[:1] == "[":
        return False
    if content.suffix in (".jsonl", ".ndjson"):
        return True
    second = content.text.lstrip().partition("\n")[2].lstrip()
    return bool(content.first_object) and second.startswith("{")


JSON_LINES = Format(
    name="jsonl",
    files="JSON lines: one object a row",
    command="gemstones data show runs.jsonl",
    source="https://jsonlines.org",
    detect=_detect,
    open=_open,
)
