"""One JSON object a line (JSON lines, NDJSON); a key that an object lacks is null there."""

from __future__ import annotations

from typing import Any

from gemstones.errors import InvalidTable
from gemstones.runs.cells import series_of_cells
from gemstones.runs.formats.content import Content
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened
from gemstones.runs.one_line import one_line


def _open(content: Content) -> Opened:
    import msgspec
    import polars as pl

    decoder = msgspec.json.Decoder(dict[str, Any])
    objects: list[dict[str, Any]] = []
    # Not str.splitlines, which also splits at characters that may stand inside a JSON string.
    for line in content.text.split("\n"):
        if not line.strip():
            continue
        try:
            objects.append(decoder.decode(line))
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise InvalidTable(
                f"is no JSON object: {one_line(error)}", file=content.file, row=len(objects) + 1
            ) from None
    if not objects:
        raise InvalidTable("is empty: one JSON object a line is needed", file=content.file)
    names = dict.fromkeys(name for item in objects for name in item)
    frame = pl.DataFrame(
        {name: series_of_cells(name, [item.get(name) for item in objects]) for name in names}
    )
    return Opened(frame, JSON_LINES.name, content.file)


JSON_LINES = Format(
    name="jsonl",
    files="JSON lines: one object a row",
    command="gemstones data show runs.jsonl",
    source="https://jsonlines.org",
    detect=lambda content: content.suffix in (".jsonl", ".ndjson"),
    open=_open,
)
