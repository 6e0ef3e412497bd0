"""What is a document, by kind of file."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from gemstones.train.corpus.documents import BinaryFileError, documents_of
from gemstones.train.corpus.errors import InvalidCorpus
from gemstones.train.corpus.html import html_text

PAGE = """<!DOCTYPE html><html><head><title>The title</title><style>p { color: red }</style>
<script>if (a < b) { document.write("<p>never</p>") }</script></head>
<body><nav><ul><li>Home<li><a href=x>Up</a></ul><nav>deeper</nav>still</nav>
<h1>Caf&eacute; &amp; &#x1F642;</h1><p>one   two
three<br>four<p>five <b>bo</b>ld<pre>  kept
    as is</pre><table><tr><td>1</td><td>2</td></tr></table><!-- a comment --></body></html>"""

TEXT = "The title\n\nCafé & 🙂\n\none two three\nfour\nfive bold\n  kept\n    as is\n\n"  # blocks on their own lines


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def parquet(path: Path, **columns: list[object]) -> bytes:
    pl.DataFrame(columns).write_parquet(path)
    return path.read_bytes()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_every_kind_plain_and_packed(tmp_path: Path, suffix: str) -> None:
    lines = '{"text": "a\\nb"}\n\n{"id": 1, "text": null}\n{"text": "Ü"}'
    table = parquet(tmp_path / "made.parquet", text=["x", None, "y\nz"], id=[1, 2, 3])
    for name, content, expected in (
        ("page.HTML", b"<p>a<p>b", ["a\nb"]),
        ("page.htm", b"<p>a", ["a"]),
        ("rows.jsonl", lines.encode(), ["a\nb", "", "Ü"]),
        ("rows.ndjson", b'\xef\xbb\xbf{"text": "a"}\r\n', ["a"]),
        ("rows.parquet", table, ["x", "", "y\nz"]),
        ("README.md", b"# a\r\n\tb", ["# a\r\n\tb"]),
        ("main.rs", b"\xef\xbb\xbffn main() {}", ["fn main() {}"]),
        ("noname", "Ü".encode(), ["Ü"]),
        ("empty", b"", [""]),
    ):
        assert list(documents_of(write(tmp_path / (name + suffix), content))) == expected, name


def test_parquet_in_several_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gemstones.train.corpus.documents.ROWS_AT_ONCE", 7)
    rows = [f"row {i}" for i in range(21)]
    parquet(tmp_path / "a.parquet", text=rows)
    assert list(documents_of(tmp_path / "a.parquet")) == rows


def test_a_field_of_another_name(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", b'{"text": "no", "body": "yes"}')
    parquet(tmp_path / "a.parquet", text=["no"], body=["yes"])
    for name in ("a.jsonl", "a.parquet"):
        assert list(documents_of(tmp_path / name, "body")) == ["yes"]


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("content", [b"a\0b", b"\xff\xfe", "Ü".encode("latin-1"), b"ok then \xc3"])
def test_binaries(tmp_path: Path, content: bytes, suffix: str) -> None:
    with pytest.raises(BinaryFileError):
        list(documents_of(write(tmp_path / f"file.txt{suffix}", content)))


@pytest.mark.parametrize(
    ("name", "content", "saying"),
    [
        ("a.jsonl", b'{"text": "a"}\n{"text": "b"', ("a.jsonl, line 2", "JSON")),
        ("a.jsonl", b'{"text": "a"}\n\n["text"]', ("a.jsonl, line 3", "array")),
        ("a.jsonl", b'{"text": "\xff"}', ("a.jsonl, line 1",)),
        ("a.jsonl", b"[" * 100_000, ("a.jsonl, line 1",)),
        ("a.jsonl", b'{"body": "a"}', ("a.jsonl, line 1", "'text'", "body", "--field")),
        ("a.jsonl", b'{"text": ["a"]}', ("a.jsonl, line 1", "'text'", "--field")),
        ("a.jsonl.gz", b'{"text": 1}', ("a.jsonl.gz, line 1", "'text'")),
        ("a.parquet", b"PAR1 not PAR1", ("a.parquet", "Parquet")),
    ],
)
def test_errors_name_file_and_line(
    tmp_path: Path, name: str, content: bytes, saying: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidCorpus) as caught:
        list(documents_of(write(tmp_path / name, content)))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    for part in saying:
        assert part in str(caught.value)


def test_parquet_errors(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", body=["a"], number=[1])
    for field, saying in (("text", "body, number"), ("number", "Int64")):
        with pytest.raises(InvalidCorpus, match=rf"a\.parquet: .*{field}.*{saying}.*--field"):
            list(documents_of(tmp_path / "a.parquet", field))


def test_broken_gzip(tmp_path: Path) -> None:
    whole = gzip.compress(json.dumps({"text": "long " * 1000}).encode())
    for name in ("a.txt.gz", "a.jsonl.gz"):
        (tmp_path / name).write_bytes(whole[:-20])
        with pytest.raises(InvalidCorpus, match=rf"{name}: is not a whole gzip file"):
            list(documents_of(tmp_path / name))
    # The name alone does not make a gzip file.
    (tmp_path / "b.gz").write_bytes(b"text")
    assert list(documents_of(tmp_path / "b.gz")) == ["text"]


def test_html() -> None:
    text = html_text(PAGE)
    assert text.startswith(TEXT)
    assert text.removeprefix(TEXT).split() == ["1", "2"]
    for dropped in ("never", "color", "Home", "deeper", "still", "comment"):
        assert dropped not in text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("", ""),
        ("a<script>b", "a"),
        ("<nav>a<div>b</nav>c", "c"),
        ("<svg><nav></svg>a", "a"),
        ("</nav></pre>a  b", "a b"),
        ("&lt;p&gt; &bogus; &#0; 1 < 2", "<p> &bogus; \ufffd 1 < 2"),
        ("a<br/><br><br><br>b", "a\n\nb"),
    ],
)
def test_html_that_is_not_as_it_should_be(page: str, text: str) -> None:
    assert html_text(page) == text
