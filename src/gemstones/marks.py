"""Marks by which a result that we wrote is known again, in what its format keeps of such things.

A file that is in the way of a result is replaced if it has the mark, and is somebody else's if it has not.
"""

from __future__ import annotations

import json
import zlib

WRITTEN_BY = {"written_by": "gemstones"}
"""Metadata of Parquet files."""
DESIGNED = "made by `gemstones design --for`"
"""In the first comment of suite files."""
_COMMENT = b"<!-- written by gemstones -->\n"
_HTML = b'<meta name="generator" content="gemstones '
_PDF_COMMENT = b"%written by gemstones\n"
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_TEXT = b"Software\0gemstones"
_JSON = (
    {"settings", "conventions", "provenance"},  # study.json
    {"sentence", "headline_budget", "decomposition"},  # sensitivity.json
    {"resampling", "comparison", "rows"},  # backtest.json
    {"analysis", "flags", "assumptions"},  # isoflop.json, compare.json, predict.json, design.json
)
"""Keys of ours."""


def marked(suffix: str, content: bytes) -> bytes:
    """`content` of a file with `suffix`, with the mark; as it is where the format keeps none.

    >>> marked(".md", b"| a |\\n")
    b'| a |\\n\\n<!-- written by gemstones -->\\n'
    """
    if is_marked(suffix, content):
        return content
    match suffix:
        case ".md":
            return content + b"\n" + _COMMENT
        case ".svg":
            return content.rstrip(b"\n") + b"\n" + _COMMENT
        case ".pdf":
            return content.rstrip(b"\n") + b"\n" + _PDF_COMMENT
        case ".png" if content.startswith(_PNG_START):
            header = 8 + 12 + int.from_bytes(content[8:12], "big")  # signature, and the first chunk
            data = b"tEXt" + _PNG_TEXT
            chunk = len(_PNG_TEXT).to_bytes(4, "big") + data + zlib.crc32(data).to_bytes(4, "big")
            return content[:header] + chunk + content[header:]
    return content


def is_marked(suffix: str, content: bytes) -> bool:
    """Whether a file with `suffix` is one that we wrote."""
    match suffix:
        case ".md" | ".svg":
            return content.endswith(_COMMENT)
        case ".html" | ".toml":
            return (_HTML if suffix == ".html" else DESIGNED.encode()) in content[:4096]
        case ".pdf":
            return content.endswith(_PDF_COMMENT)
        case ".png":
            return content.startswith(_PNG_START) and _PNG_TEXT in content[:200]
        case ".parquet":
            words = [word.encode() for pair in WRITTEN_BY.items() for word in pair]
            return content.endswith(b"PAR1") and all(word in _footer(content) for word in words)
    return suffix == ".json" and any(keys <= _keys(content) for keys in _JSON)


def _keys(content: bytes) -> set[str]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return set()
    return {*value} if isinstance(value, dict) else set()


def _footer(parquet: bytes) -> bytes:
    size = int.from_bytes(parquet[-8:-4], "little")
    return parquet[-8 - size : -8]
