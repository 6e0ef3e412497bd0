"""A dictionary of dictd (GCIDE) → JSON lines, a document for every 8 KB or so, cut between entries.

python3 entries.py gcide.dict.dz gcide.jsonl.gz
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path

DOCUMENT_BYTES = 8192


def documents(text: str) -> Iterator[str]:
    """Whole entries, together at least `DOCUMENT_BYTES` long: an entry's first line is not indented."""
    document: list[str] = []
    size = 0
    blank = True
    for line in text.splitlines(keepends=True):
        if size >= DOCUMENT_BYTES and blank and line.strip() and not line[0].isspace():
            yield "".join(document)
            document, size = [], 0
        document.append(line)
        size += len(line)
        blank = not line.strip()
    if document:
        yield "".join(document)


def main(source: str, target: str) -> None:
    """Write `target`, whole or not at all."""
    with gzip.open(source) as file:
        text = file.read().decode("utf-8", "replace")
    with gzip.GzipFile(f"{target}.part", "wb", mtime=0) as out:
        for document in documents(text):
            out.write(json.dumps({"text": document}).encode() + b"\n")
    Path(f"{target}.part").replace(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
