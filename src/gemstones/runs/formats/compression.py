"""gzip and Zstandard, told by their first bytes and undone within a bound.

Sources: RFC 1952 (gzip), RFC 8878 (Zstandard). Runs are numbers, which shrink by some tens of times at most; what
grows a hundredfold and is large is a mistake or an attack, and is refused before it fills the memory.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from typing import Any

from gemstones.errors import InvalidTable
from gemstones.runs.one_line import one_line

GZIP, ZSTANDARD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
GROWTH = 100
SMALL = 256 << 20
"""Bytes that any content may grow to; above, `GROWTH` times its size."""
STEP = 1 << 20


def decompressed(data: bytes, file: str) -> bytes:
    """`data` itself, or what it holds. Raises `InvalidTable` for damaged or overgrown content."""
    errors: tuple[type[Exception], ...] = (OSError, EOFError, zlib.error)
    if data.startswith(GZIP):
        kind, opened = "gzip", gzip.GzipFile(fileobj=io.BytesIO(data))
    elif data.startswith(ZSTANDARD):
        zstd = zstandard()
        kind, opened, errors = "Zstandard", zstd.ZstdFile(io.BytesIO(data)), (zstd.ZstdError, EOFError)
    else:
        return data
    bound, size, pieces = max(SMALL, GROWTH * len(data)), 0, []
    try:
        while piece := opened.read(STEP):
            size += len(piece)
            if size > bound:
                raise InvalidTable(
                    f"grows to more than {bound >> 20} MiB when it is decompressed, from {len(data):,} bytes: "
                    "decompress it first if that is meant",
                    file=file,
                )
            pieces.append(piece)
    except errors as error:
        raise InvalidTable(f"is no whole {kind} file: {one_line(error)}: copy it again", file=file) from None
    whole = b"".join(pieces)
    if whole.startswith((GZIP, ZSTANDARD)):
        raise InvalidTable("is compressed more than once: decompress it once before", file=file)
    return whole


def zstandard() -> Any:
    """Python's module of Zstandard, or its backport."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
