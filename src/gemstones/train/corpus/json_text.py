"""JSON → texts: lines of objects, told by content, and whole files of one array or object.

Dolma, C4 and others publish JSON lines in files called `.json.gz`: what a file is called does not decide.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from gemstones.runs.one_line import one_line
from gemstones.train.corpus.errors import InvalidCorpus

if TYPE_CHECKING:
    from gemstones.train.corpus.documents import Reading

BadLines = Literal["skip", "refuse"]
"""What becomes of a line that is no JSON object in UTF-8 with text in the field."""
BOM = b"\xef\xbb\xbf"
MOST_LOOKED_AT = 20
"""Lines by which JSON lines are recognised."""
SKIP = "or leave such lines out with --bad-lines skip"
DECODER = msgspec.json.Decoder(dict[str, Any])
MISSING = object()


def lines_of_json(head: bytes, field: str, *, cut: bool, named: bool) -> bool:
    """Whether a file that begins with `head`, `cut` where there is more of it, has an object a line.

    It has if its first line is an object with the field, or its first two are objects. In a file that is `named` JSON
    the first may be damaged, where two of the next are objects that are not indented.
    """
    content = head.removeprefix(BOM).lstrip()
    if not content.startswith(b"{") and not named:
        return False
    lines = content.split(b"\n", MOST_LOOKED_AT)
    if cut and len(lines) <= MOST_LOOKED_AT:
        lines.pop()  # not all of it
        if not lines:  # of a long object, the field may be in sight
            return content.startswith(b"{") and json.dumps(field.rsplit(".", 1)[-1]).encode() in content
    lines = [line for line in lines[:MOST_LOOKED_AT] if line.strip()]
    objects = [_object(line) for line in lines]
    if not lines:
        return False
    if objects[0] is not None:
        return text_in(objects[0], field) is not MISSING or (len(objects) > 1 and objects[1] is not None)
    whole = [found is not None and line[:1] == b"{" for line, found in zip(lines, objects, strict=True)]
    return named and sum(whole) > 1


def json_lines(lines: Iterable[bytes], path: Path, reading: Reading) -> Iterator[str]:
    """The text of each line. Raises `InvalidCorpus`, with file and line, for one that is bad, unless it is skipped."""
    first_problem: InvalidCorpus | None = None
    good = 0
    for number, line in enumerate(lines, start=1):
        reading.read_bytes += len(line)
        content = line.removeprefix(BOM) if number == 1 else line
        if not content.strip():
            continue
        try:
            text = _text_of(content, reading.field, path, number)
        except InvalidCorpus as problem:
            if reading.bad_lines == "refuse":
                raise
            first_problem = first_problem or problem
            reading.skipped_lines += 1
            reading.skipped_bytes += len(line)
            continue
        good += 1
        yield text
    if first_problem is not None and not good:  # a wrong --field, not a damaged line
        raise first_problem


def json_whole(text: str, path: Path, field: str) -> list[str] | None:
    """The texts of a file that is one array of objects, or one object; None where it has no such field."""
    try:
        content = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    rows = content if isinstance(content, list) else [content]
    found = [text_in(row, field) if isinstance(row, dict) else MISSING for row in rows]
    if all(value is MISSING for value in found):
        if isinstance(content, list) and len(rows) > 1 and all(isinstance(row, dict) for row in rows):
            raise InvalidCorpus(_no_field(field, rows[0]), file=path)
        return None
    texts = []
    for i, value in enumerate(found):
        if value is MISSING or not isinstance(value, str | None):
            what = "is not there" if value is MISSING else f"is {one_line(repr(value), 40)}, not text"
            raise InvalidCorpus(
                f"field {field!r} of object {i + 1} {what}: name another with --field", file=path
            )
        texts.append(value or "")
    return texts


def text_in(row: Mapping[str, Any], field: str) -> object:
    """The value of `field`, `MISSING` if there is none; `a.b` is the field b of the object a.

    >>> text_in({"meta": {"text": "x"}}, "meta.text"), text_in({"a.b": "y"}, "a.b")
    ('x', 'y')
    """
    if field in row:
        return row[field]
    value: object = row
    for name in field.split("."):
        if not isinstance(value, dict) or name not in value:
            return MISSING
        value = value[name]
    return value


def _text_of(content: bytes, field: str, path: Path, number: int) -> str:
    try:
        row = DECODER.decode(content)
    except UnicodeDecodeError:
        raise InvalidCorpus(f"is not UTF-8: mend it, {SKIP}", file=path, line=number) from None
    except (msgspec.DecodeError, RecursionError) as error:
        why = one_line(error)
        if "surrogate" in why or _has_lone_surrogate(content):
            raise InvalidCorpus(
                f"has a lone surrogate, which no text can hold: mend it, {SKIP}", file=path, line=number
            ) from None
        raise InvalidCorpus(f"is not a JSON object: {why}: mend it, {SKIP}", file=path, line=number) from None
    text = text_in(row, field)
    if text is MISSING:
        raise InvalidCorpus(_no_field(field, row), file=path, line=number)
    if not isinstance(text, str | None):
        raise InvalidCorpus(
            f"field {field!r} is {one_line(repr(text), 40)}, not text: name another with --field",
            file=path,
            line=number,
        )
    return text or ""


def _no_field(field: str, row: Mapping[str, Any]) -> str:
    names = one_line(", ".join(row) or "none")
    return f"has no field {field!r}, only {names}: name the field of the text with --field"


def _has_lone_surrogate(content: bytes) -> bool:
    """Whether that is all that is wrong: Python's own parser takes them."""
    try:
        row = json.loads(content)
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        return DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
