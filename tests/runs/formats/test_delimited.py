"""Tables of text: separators, quotes, rows that differ, decimal commas; the fast reader and the careful one agree."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemstones.errors import InvalidTable
from gemstones.runs.formats import delimited
from tests.runs.formats.written import PLAIN, ROWS, opened, refusal

PIECES = [
    "a",
    "1",
    '"',
    '""',
    ",",
    "\n",
    "\r\n",
    "\r",
    " ",
    "é",
    ";",
    "\t",
    '"a,b"',
    '"x\ny"',
    "",
    "3,4",
    "x,y\n",
]
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=16).map("".join)


@settings(max_examples=1500, deadline=None)
@given(TEXTS, st.integers(1, 9))
@pytest.mark.long
def test_both_readers_agree(text: str, block: int) -> None:
    """What the fast one reads, the careful one reads too, whatever the blocks its structure is looked at in."""
    kept = delimited._BLOCK
    delimited._BLOCK = block
    try:
        fast = delimited._alike(text, ",")
    finally:
        delimited._BLOCK = kept
    if fast is not None:
        careful = delimited._row_by_row(text, ",", "f")
        expected = [[cell.replace("\r\n", "\n") for cell in row] for row in careful.iter_rows()]
        assert [[cell or "" for cell in row] for row in fast.iter_rows()] == expected


CELLS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=6) | st.sampled_from(
    ["a,b", 'say "x"', "two\nlines", "", " ", "3.4"]
)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(2, 4).flatmap(
        lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1)
    )
)
@pytest.mark.long
def test_what_is_written_as_csv_is_read(rows: list[list[str]]) -> None:
    """Quoted separators, quotes and line ends come back; cells are stripped, and empty ones null."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([f"name {place}" for place in range(len(rows[0]))])
    writer.writerows(rows)
    frame = delimited.parse_delimited(file.getvalue(), "f", ",").frame
    expected = [tuple(pl.Series([cell]).str.strip_chars()[0] or None for cell in row) for row in rows]
    assert frame.rows() == expected
    assert set(frame.dtypes) == {pl.String}


def test_the_fast_reader_reads_tables_as_people_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def careful(*_: Any) -> pl.DataFrame:
        raise AssertionError("read row by row")

    monkeypatch.setattr(delimited, "_row_by_row", careful)
    for text in (
        PLAIN,
        PLAIN.rstrip("\n"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("a,", '"a",').replace("b,", '"b, or ""b"""' + ","),
        PLAIN + "\n\n",
    ):
        assert delimited.parse_delimited(text, "f").frame.height == 2


@pytest.mark.parametrize(
    ("separator", "name", "format_name"),
    [
        (",", "runs.csv", "csv"),
        ("\t", "runs.csv", "tsv"),
        ("\t", "runs.tsv", "tsv"),
        (";", "runs.csv", "csv-semicolon"),
        (",", "runs.txt", "csv"),
        ("\t", "runs", "tsv"),
        (";", "runs.dat", "csv-semicolon"),
    ],
)
def test_separators_are_told_by_the_content(
    tmp_path: Path, separator: str, name: str, format_name: str
) -> None:
    found = opened(tmp_path / name, PLAIN.replace(",", separator))
    assert (found.format, found.frame.rows()) == (format_name, ROWS)
    # Of a longer table the first rows are looked at, the last of which is cut.
    long = PLAIN.replace(",", separator) + "".join(
        f"r{row}{separator}1{separator}2\n" for row in range(20_000)
    )
    assert opened(tmp_path / name, long).frame.shape == (20_002, 3)


def test_a_first_line_that_names_the_separator(tmp_path: Path) -> None:
    """As Excel writes and reads it."""
    for text in (
        "sep=;\n" + PLAIN.replace(",", ";"),
        "sep=;\r\n" + PLAIN.replace(",", ";").replace("\n", "\r\n"),
    ):
        found = opened(tmp_path / "runs.csv", text)
        assert (found.format, found.frame.rows()) == ("csv-semicolon", ROWS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PLAIN + "c,3e9\n", "row 3: has 2 cells, the header 3"),
        (PLAIN + "c,3e9,2.9,0\nd,4e9,2.8\n", "row 3: has 4 cells, the header 3"),
        (PLAIN + '"c,3e9,2.9\nd,4e9,2.8\n', "row 3: is no CSV: unexpected end of data"),
        (
            "run,tokens,loss,loss\na,1,3,3\n",
            "column loss: is there twice: give every column a name of its own",
        ),
        ("run,tokens, loss ,loss\na,1,3,3\n", "column loss: is there twice"),
        ("run,tokens,,column_3\na,1,3,3\n", "column column_3: is there twice"),
    ],
)
def test_rows_that_differ_are_named(tmp_path: Path, text: str, expected: str) -> None:
    line = refusal(lambda: opened(tmp_path / "runs.csv", text))
    assert line.startswith(f"{tmp_path / 'runs.csv'}, {expected}")


def test_long_cells_are_read(tmp_path: Path) -> None:
    """Above 131,072 characters, the limit of Python's reader, in both readers."""
    limit = csv.field_size_limit()
    name = "x" * 200_000
    for text in (PLAIN + f"{name},3e9,2.9\n", PLAIN + f'{name},3e9,2".9\n'):
        assert opened(tmp_path / "runs.csv", text).frame["run"][2] == name
    assert csv.field_size_limit() == limit


def test_columns_without_a_name(tmp_path: Path) -> None:
    """The index that pandas writes is kept; what a separator at the end of every row makes is no column."""
    indexed = opened(tmp_path / "runs.csv", ",run,loss\n0,a,3.1\n1,b,3.0\n").frame
    assert indexed.columns == ["column_1", "run", "loss"]
    trailing = opened(tmp_path / "runs.csv", "run,loss,\na,3.1,\nb,3.0,\n").frame
    assert trailing.columns == ["run", "loss"]


def test_a_header_without_rows_is_a_table_without_rows(tmp_path: Path) -> None:
    assert opened(tmp_path / "runs.csv", "run,tokens,loss\n").frame.shape == (0, 3)


@pytest.mark.parametrize(
    ("separator", "losses", "decimal_comma"),
    [
        (";", ["3,406", "3,12"], True),
        (";", ["3,406", "3,122"], True),  # semicolons are for those who write 3,406
        (";", ["1.234,5", "3"], True),
        (";", ["0,5e-3", "3"], True),
        (";", ["3.406", "3.12"], False),
        (";", ["1,000,000", "3,406"], False),
        (";", ["1,234.5", "3,406"], False),
        ("\t", ["3,40", "3,12"], True),
        ("\t", ["3,406", "3,122"], False),  # could be thousands: for the rules of a loss to tell
        (",", ["3,40", "3,12"], True),
        (",", ["3,406", "3,122"], False),
        (",", ["3.40", "3.12"], False),
    ],
)
def test_decimal_commas(tmp_path: Path, separator: str, losses: list[str], decimal_comma: bool) -> None:
    rows = [["run", "tokens", "loss"], ["a", "1000000000", losses[0]], ["b", "2000000000", losses[1]]]
    file = io.StringIO()
    csv.writer(file, delimiter=separator, lineterminator="\n").writerows(rows)
    found = opened(tmp_path / "runs.csv", file.getvalue())
    assert found.decimal_comma is decimal_comma
    assert found.frame["loss"].to_list() == losses  # cells stay as they are


def test_both_decimal_marks_in_a_column_are_refused(tmp_path: Path) -> None:
    text = "run;tokens;loss\na;1;3,40\nb;2;3.12\n"
    assert refusal(lambda: opened(tmp_path / "runs.csv", text)).endswith(
        "runs.csv, column loss: holds '3,40' in row 1 and '3.12' in row 2: write all numbers with the same decimal mark"
    )


def test_a_format_goes_before_what_the_content_tells(tmp_path: Path) -> None:
    found = opened(tmp_path / "runs.csv", "run;x,loss\na;b,3.1\n", format="csv")
    assert found.frame.columns == ["run;x", "loss"]
    assert refusal(lambda: opened(tmp_path / "runs.csv", PLAIN, format="cvs")).startswith(
        "format 'cvs' is unknown: choose from arrow, csv, csv-semicolon, "
    )
    assert "is a file, and format ledgers is not one of files" in refusal(
        lambda: opened(tmp_path / "runs.csv", PLAIN, format="ledgers")
    )


def test_published_files_are_typed() -> None:
    frame = delimited.typed_csv(b"a,b,c,d\n1,1.5,x,true\n2,,y,false\n", "f")
    assert frame.schema == {"a": pl.Int64, "b": pl.Float64, "c": pl.String, "d": pl.Boolean}
    with pytest.raises(InvalidTable, match="f, row 1: has 1 cells, the header 2"):
        delimited.typed_csv(b"a,b\n1\n", "f")
