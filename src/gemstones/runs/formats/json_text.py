"""JSON text → values: strict JSON, and the NaN and Infinity that Python's own encoder writes."""

from __future__ import annotations

import json
from typing import Any

from gemstones.errors import InvalidTable
from gemstones.runs.one_line import one_line


def parse_json(text: str, file: str, row: int | None = None, line: str = "JSON") -> Any:
    """The value of `text`; `line` says in errors what it should have been. Raises `InvalidTable`."""
    import msgspec

    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        if not isinstance(error, RecursionError):
            try:
                value = json.loads(text)
                text.encode()
                return _checked(value)
            except (ValueError, RecursionError):
                pass
        raise InvalidTable(f"is no {line}: {one_line(error)}", file=file, row=row) from None


def _checked(value: Any) -> Any:
    """`value`, refused where a text in it could not be written again: half of a surrogate pair."""
    json.dumps(value, ensure_ascii=False).encode()
    return value
