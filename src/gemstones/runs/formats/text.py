"""Bytes → text."""

from __future__ import annotations

from gemstones.errors import InvalidTable


def decoded(data: bytes, file: str) -> str:
    """`data` as UTF-8, a byte-order mark taken off."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidTable(f"is not UTF-8 text: line {line}, byte {error.start}", file=file) from None
