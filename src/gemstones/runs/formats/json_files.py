"""One JSON value that is a table: records, columns, or pandas' own orientations of them.

    [{"run": "a", "loss": 3.1}, …]                 records, also under one key: {"data": […]}
    {"run": ["a", …], "loss": [3.1, …]}            columns
    {"loss": {"0": 3.1, …}, …}                     columns of cells by index, as DataFrame.to_json writes
    {"columns": […], "index": […], "data": [[…]]}  its orientation "split"
    {"run": "a", "loss": 3.1}                      one row

Source: RFC 8259; https://pandas.pydata.org/docs/reference/api/pandas.DataFrame.to_json.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gemstones.errors import InvalidTable
from gemstones.runs.formats.content import Content
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.records import frame_of_records
from gemstones.runs.one_line import listed, one_line


def _open(content: Content) -> Opened:
    frame = frame_of_records(_records(content.json, content.file), content.file)
    if not frame.width or not frame.height:
        raise InvalidTable("has no rows", file=content.file)
    return Opened(frame, JSON.name, content.file)


def _records(value: Any, file: str) -> Iterator[Mapping[str, Any]]:
    """The rows of `value`. Raises `InvalidTable` where it is no table."""
    if isinstance(value, list):
        for row, record in enumerate(value, start=1):
            if not isinstance(record, dict):
                raise InvalidTable(f"is a {type(record).__name__}, not an object", file=file, row=row)
            yield record
        return
    if not isinstance(value, dict):
        raise InvalidTable(f"is a {type(value).__name__}, not a list of objects", file=file)
    if {"columns", "data"} <= value.keys() and _is_list_of(value["data"], list):
        names = [str(name) for name in value["columns"]]
        yield from (dict(zip(names, cells, strict=False)) for cells in value["data"])
        return
    tables = [key for key, held in value.items() if held and _is_list_of(held, dict)]
    if len(tables) > 1:
        raise InvalidTable(
            f"has rows under {listed(tables)}: keep one of them, or write them to files of their own",
            file=file,
        )
    if tables:
        yield from value[tables[0]]
        return
    columns = {key: held for key, held in value.items() if isinstance(held, list | dict)}
    if len(columns) == len(value) and value:
        yield from _of_columns(columns, file)
        return
    yield value


def _of_columns(columns: Mapping[str, Any], file: str) -> Iterator[Mapping[str, Any]]:
    lists = {name: list(held.values()) if isinstance(held, dict) else held for name, held in columns.items()}
    lengths = {name: len(held) for name, held in lists.items()}
    for name, length in lengths.items():
        if length != max(lengths.values()):
            raise InvalidTable(
                f"has {length} cells, another column {max(lengths.values())}",
                file=file,
                column=one_line(name, 60) or "''",
            )
    for cells in zip(*lists.values(), strict=True):
        yield dict(zip(lists, cells, strict=True))


def _is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, Sequence) and all(isinstance(item, kind) for item in value)


JSON = Format(
    name="json",
    files="a JSON file: a list of objects, or an object of columns",
    command="gemstones data show runs.json",
    source="https://www.rfc-editor.org/rfc/rfc8259",
    detect=lambda content: (
        content.suffix == ".json" or (content.is_text and content.text.lstrip()[:1] in ("{", "["))
    ),
    open=_open,
)
