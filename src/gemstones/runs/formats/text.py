"""Bytes → text: UTF-8, or UTF-16 and UTF-32 where a byte-order mark or their zeros tell them."""

from __future__ import annotations

import codecs

from gemstones.errors import InvalidTable

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Longest first: the mark of UTF-32 (little endian) begins with that of UTF-16."""
_LOOKED_AT = 4096
"""Bytes in which an encoding without a mark is looked for."""


def decoded(data: bytes, file: str) -> str:
    """`data` as text, a byte-order mark taken off. Raises `InvalidTable`, with the remedy."""
    encoding = _encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8-sig":
            raise InvalidTable(f"is no whole {encoding.upper()} text: save it as UTF-8", file=file) from None
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidTable(
            f"is not UTF-8 text: line {line}, byte {error.start} is 0x{data[error.start]:02x}; save it as UTF-8, "
            "or convert it: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW",
            file=file,
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InvalidTable(
            f"holds NUL characters from line {line} on, as files do that were not written whole: remove them "
            "(tr -d '\\000' < OLD > NEW), or copy the file again",
            file=file,
        )
    return text


def _encoding(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    head = data[:_LOOKED_AT]
    if len(data) % 4 == 0 and len(head) >= 4:
        zeros = [head[place::4].count(0) * 4 / len(head) for place in range(4)]
        if min(zeros[1:]) > 0.9 and zeros[0] < 0.1:
            return "utf-32-le"
        if min(zeros[:3]) > 0.9 and zeros[3] < 0.1:
            return "utf-32-be"
    if len(data) % 2 == 0 and len(head) >= 2:
        zeros = [head[place::2].count(0) * 2 / len(head) for place in range(2)]
        if zeros[1] > 0.7 and zeros[0] < 0.1:
            return "utf-16-le"
        if zeros[0] > 0.7 and zeros[1] < 0.1:
            return "utf-16-be"
    return "utf-8-sig"
