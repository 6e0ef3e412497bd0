"""What msgspec finds wrong in a document, as `path.of.field: value, rule, choices`, in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from msgspec import inspect

from gemstones.errors import InvalidRequest, UserError

_LOCATED = re.compile(r"(?P<rule>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_OWN = re.compile(r"(?P<field>[a-z_]+): (?P<rule>.*)", re.DOTALL)
_LONGEST = 240


def field_error(error: msgspec.ValidationError, document: Any, of: type) -> InvalidRequest:
    """`error`, found when `document` (plain values) was read as `of`, naming the field.

    Structs may add rules of their own by raising `InvalidRequest("field: rule")` from `__post_init__`.
    """
    located = _LOCATED.fullmatch(str(error))
    assert located is not None
    rule, path = located["rule"], located["path"] or ""
    if unknown := _UNKNOWN.fullmatch(rule):
        return at(join(path, unknown[1]), f"unknown field{_choices(document, of, path)}")
    if missing := _MISSING.fullmatch(rule):
        return at(join(path, missing[1]), f"is required{_choices(document, of, join(path, missing[1]))}")
    if own := _OWN.fullmatch(rule):
        return at(join(path, own["field"]), own["rule"])
    rule = rule.replace("`", "")
    if rule.startswith("Invalid "):  # an enumeration or a tag
        value = rule.partition("value ")[2]
        return at(path, f"{value} is not known{_choices(document, of, path)}")
    if rule.startswith("Expected "):
        return at(path, f"{_shown(_value(document, path))} given, {rule[0].lower()}{rule[1:]}")
    return at(path, rule)


def at(path: str, rule: str) -> InvalidRequest:
    """An error of the field at `path`, in one line."""
    text = f"{path}: {rule}" if path else rule
    return InvalidRequest(" ".join("".join(c if c.isprintable() else " " for c in text).split()))


@contextmanager
def under(path: str) -> Iterator[None]:
    """Mistakes found within are reported as mistakes of the field (or file) at `path`."""
    try:
        yield
    except UserError as error:
        raise at(path, str(error)) from None


def join(path: str, field: str) -> str:
    """The path of `field` in the table at `path`."""
    return f"{path}.{field}" if path else field


def _shown(value: Any) -> str:
    text = "a table" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _keys(path: str) -> list[str | int]:
    parts = re.findall(r"[^.\[\]]+", path)
    return [int(part) if part.isdecimal() else part for part in parts]


def _value(document: Any, path: str) -> Any:
    for key in _keys(path):
        document = document[key]
    return document


def _choices(document: Any, of: type, path: str) -> str:
    """What may stand at `path`: the fields of a table, the words of an enumeration, or nothing to say."""
    node: inspect.Type = inspect.type_info(of)
    for key in _keys(path):
        if isinstance(node, inspect.StructType):
            if key == node.tag_field:
                return ""  # one kind only: there is nothing to choose
            node = next(field.type for field in node.fields if field.encode_name == key)
        elif isinstance(node, inspect.VarTupleType):
            node = node.item_type
        elif isinstance(node, inspect.UnionType):
            kinds = [kind for kind in node.types if isinstance(kind, inspect.StructType)]
            return f": choose from {', '.join(sorted(str(kind.tag) for kind in kinds))}" if kinds else ""
        document = document[key] if key in document or isinstance(key, int) else None
    if isinstance(node, inspect.UnionType):  # of tables, told apart by their tag
        node = next(
            kind
            for kind in node.types
            if isinstance(kind, inspect.StructType) and kind.tag == document[kind.tag_field]
        )
    if isinstance(node, inspect.StructType) and isinstance(document, dict):
        tag = [node.tag_field] if node.tag_field else []
        return f": choose from {', '.join([*tag, *(field.encode_name for field in node.fields)])}"
    if isinstance(node, inspect.LiteralType):
        return f": choose from {', '.join(map(str, node.values))}"
    return ""
