"""CSV, TSV, and CSV with semicolons, as plain tables: every column as text.

Sources: RFC 4180; https://www.iana.org/assignments/media-types/text/tab-separated-values
"""

from __future__ import annotations

from gemstones.runs.formats.content import Content
from gemstones.runs.formats.delimited import find_separator, is_table, parse_delimited
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened

TABLES = (".csv", ".tsv", ".tab")
"""Suffixes of what is a table, though its rows may differ; of any other, the rows must look like one."""
OTHERS = (".txt", ".dat")


def _format(name: str, separator: str, files: str, command: str, source: str) -> Format[Content]:
    def detect(content: Content) -> bool:
        if not content.is_text or find_separator(content.text) != separator:
            return False
        wide = content.suffix in OTHERS and len(content.columns) > 2
        return content.suffix in TABLES or wide or is_table(content.text)

    def open_table(content: Content) -> Opened:
        table = parse_delimited(content.text, content.file, separator)
        return Opened(table.frame, name, content.file, decimal_comma=table.decimal_comma)

    return Format(name, files, command, source, detect, open_table)


CSV = _format(
    "csv",
    ",",
    "a CSV file with a header",
    "gemstones data show runs.csv",
    "https://www.rfc-editor.org/rfc/rfc4180",
)
TSV = _format(
    "tsv",
    "\t",
    "a table with tabs between its columns",
    "gemstones data show runs.tsv",
    "https://www.iana.org/assignments/media-types/text/tab-separated-values",
)
SEMICOLONS = _format(
    "csv-semicolon",
    ";",
    "a CSV file of a spreadsheet with semicolons, and perhaps decimal commas",
    "gemstones data show runs.csv",
    "https://support.microsoft.com/office/import-or-export-text-txt-or-csv-files-5250ac4c-663c-47ce-937b-339e391393ba",
)
