"""Files that are recognised, and not read: what to do with them instead."""

from __future__ import annotations

from gemstones.errors import InvalidTable
from gemstones.runs.formats.content import Content

_PICKLE = "it is not opened, for it may run code; save the table in it as Parquet or CSV"
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (
        b"\xd0\xcf\x11\xe0",
        "an Excel workbook",
        "save the sheet as CSV, or read it into a frame and hand that over",
    ),
    (b"FEA1", "a Feather file of version 1", "write it again as Feather version 2 or Parquet"),
    (b"BZh", "compressed with bzip2", "decompress it, or compress it with gzip or zstd"),
    (b"\xfd7zXZ\x00", "compressed with xz", "decompress it, or compress it with gzip or zstd"),
    (b"\x04\x22\x4d\x18", "compressed with LZ4", "decompress it, or compress it with gzip or zstd"),
    (b"\x80\x02", "a pickle", _PICKLE),
    (b"\x80\x03", "a pickle", _PICKLE),
    (b"\x80\x04", "a pickle", _PICKLE),
    (b"\x80\x05", "a pickle", _PICKLE),
    (b"\x93NUMPY", "an array of numpy", "give a mapping of its columns from Python, or save them as CSV"),
    (b"\x89HDF", "an HDF5 file", "read its table into a frame, or save that as Parquet"),
    (b"SQLite format 3\x00", "an SQLite database", "write the table of runs to CSV or Parquet"),
    (b"Obj\x01", "an Avro file", "write it again as Parquet"),
    (b"ORC", "an ORC file", "write it again as Parquet"),
    (b"%PDF", "a PDF", "save its table as CSV"),
)


def refuse_known(content: Content) -> None:
    """Refuse what is recognised as something else, with the remedy."""
    data = content.data
    if data.startswith(b"PK\x03\x04"):
        if b"xl/" in data or content.suffix in (".xlsx", ".xlsm", ".xlsb", ".ods"):
            raise InvalidTable(
                "is a spreadsheet: save the sheet as CSV, or read it into a frame and hand that over from Python: "
                f"gemstones.load(pandas.read_excel({content.name!r}))",
                file=content.file,
            )
        raise InvalidTable("is a ZIP archive: unpack it, and give the files in it", file=content.file)
    for magic, kind, remedy in _KINDS:
        if data.startswith(magic):
            raise InvalidTable(f"is {kind}: {remedy}", file=content.file)
    head = data[:512].lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        raise InvalidTable(
            "is a web page, as where a download asked for a password: download the file again",
            file=content.file,
        )
