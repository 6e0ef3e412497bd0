"""One line of JSON that carries its own checksum, as its last field: `{"event":"step",…,"crc32":1234567890}`.

The checksum is the CRC-32 of the line as it is without that field, so that any reader of JSON can read the line, and
a digit that a disk or a hand has changed is seen.
"""

from __future__ import annotations

import re
import zlib

_SUFFIX = re.compile(rb',"crc32":(0|[1-9][0-9]{0,9})\}$')


def with_checksum(line: bytes) -> bytes:
    """`line`, a JSON object of at least one field without a line end, with its checksum.

    >>> with_checksum(b'{"step":1}')
    b'{"step":1,"crc32":286895505}'
    """
    return b'%s,"crc32":%d}' % (line[:-1], zlib.crc32(line))


def without_checksum(line: bytes) -> tuple[bytes, bool | None]:
    """The line as it was before `with_checksum`, and whether its checksum is right; None where it has none.

    >>> without_checksum(b'{"step":1,"crc32":286895505}')
    (b'{"step":1}', True)
    >>> without_checksum(b'{"step":2,"crc32":286895505}')
    (b'{"step":2}', False)
    >>> without_checksum(b'{"step":1}')
    (b'{"step":1}', None)
    """
    found = _SUFFIX.search(line)
    if found is None:
        return line, None
    content = line[: found.start()] + b"}"
    return content, zlib.crc32(content) == int(found[1])
