"""JSON by content: lines, arrays, objects, nested fields, and lines that are bad."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gemstones.train.corpus import InvalidCorpus, Options, build
from gemstones.train.corpus.documents import Reading, documents_of
from tests.train.corpus.conftest import decoded, text_of, write_texts
from tests.train.corpus.test_cli import cli

__all__ = ["cli"]  # the fixture

Cli = Callable[..., tuple[int, str, str]]


def read(path: Path, content: bytes | str, **how: object) -> list[str]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(documents_of(path, Reading(**how)))  # type: ignore[arg-type]


LONG = "x" * 100_000


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"text": "a"}\n{"text": "b"}\n', ["a", "b"]),
        ('{"text": "a"}', ["a"]),
        ('\ufeff\n\n  {"text": "a"}\n', ["a"]),
        ('{"id": 1, "text": "a"}\r\n{"text": null}\r\n', ["a", ""]),
        (f'{{"id": "{LONG}", "text": "a"}}\n{{"text": "b"}}', ["a", "b"]),  # longer than what is looked at
        (f'{{"text": "{LONG}"}}\n{{"text": "b"}}', [LONG, "b"]),
        ('[{"text": "a"}, {"text": "b"}]', ["a", "b"]),
        ('[\n  {"text": "a"},\n  {"text": "b"}\n]\n', ["a", "b"]),
        ('{\n  "text": "a",\n  "more": [\n    {"text": "x"},\n    {"text": "y"}\n  ]\n}', ["a"]),
    ],
)
def test_documents_of_json(tmp_path: Path, content: str, expected: list[str]) -> None:
    assert read(tmp_path / "a.json", content) == expected


@pytest.mark.parametrize(
    "content", ['{"name": "x", "version": 1}', '{\n "a": {"b": 1}\n}', "[1, 2]", "{not json", "[]", '"text"']
)
def test_other_json_is_plain_text_and_said(tmp_path: Path, content: str) -> None:
    reading = Reading()
    (tmp_path / "a.json").write_text(content)
    assert list(documents_of(tmp_path / "a.json", reading)) == [content]
    assert reading.as_text
    texts = write_texts(tmp_path / "t", range(10))
    (texts / "a.json").write_text(content)
    manifest = build([texts], tmp_path / "c", Options(vocabulary=300, validation=0.3)).corpus.manifest
    said = f"1 files of JSON without the field 'text' are plain text: {texts / 'a.json'}"
    assert said in manifest.notes


@pytest.mark.parametrize("name", ["a.json", "a", "a.txt", "part-0001.json.gz"])
def test_lines_without_the_field_are_refused_whatever_the_name(tmp_path: Path, name: str) -> None:
    content = b'{"body": "a", "id": 1}\n{"body": "b"}\n'
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(InvalidCorpus, match=r", line 1: has no field 'text', only body, id: name the field"):
        list(documents_of(path))
    assert list(documents_of(path, "body")) == ["a", "b"]


def test_a_field_within_a_field(tmp_path: Path) -> None:
    import polars as pl

    rows = [
        {"meta": {"text": "a", "deep": {"er": "x"}}, "a.b": "dotted"},
        {"meta": {"text": None, "deep": {"er": "y"}}},
    ]
    lines = "\n".join(json.dumps(row) for row in rows)
    path = tmp_path / "a.jsonl"
    assert read(path, lines, field="meta.text") == ["a", ""]
    assert read(path, lines, field="meta.deep.er") == ["x", "y"]
    assert read(path, lines.split("\n")[0], field="a.b") == ["dotted"]
    for field in ("meta.none", "meta.text.more", "a.c"):
        with pytest.raises(InvalidCorpus, match=f"has no field '{field}', only meta"):
            read(path, lines, field=field)
    table = tmp_path / "a.parquet"
    pl.DataFrame({"meta": [row["meta"] for row in rows], "a.b": ["dotted", None]}).write_parquet(table)
    for field, expected in (("meta.text", ["a", ""]), ("meta.deep.er", ["x", "y"]), ("a.b", ["dotted", ""])):
        assert list(documents_of(table, field)) == expected
    for field, saying in (
        ("meta.none", "has no column 'meta.none'"),
        ("meta.deep", "is Struct"),
        ("x.y", "only meta"),
    ):
        with pytest.raises(InvalidCorpus, match=saying):
            list(documents_of(table, field))


BAD = {
    "not UTF-8": b'{"text": "\xff"}',
    "Latin-1": b'{"text": "\xe9t\xe9"}',
    "encoded surrogate": b'{"text": "\xed\xa0\x80"}',
    "lone high surrogate": b'{"text": "a\\ud800"}',
    "lone low surrogate": b'{"text": "\\udc00b"}',
    "high before a letter": b'{"text": "\\ud800\\u0041 x"}',
    "elsewhere than in the text": b'{"id": "\\ud83d", "text": "a"}',
    "cut": b'{"text": "a',
    "no object": b'["text"]',
    "no field": b'{"body": "x"}',
    "no text": b'{"text": 3}',
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
@pytest.mark.parametrize("place", [0, 2])
def test_bad_lines_are_refused_or_skipped_and_counted(
    tmp_path: Path, kind: str, name: str, place: int
) -> None:
    lines = [b'{"text": "good %d"}' % i for i in range(4)]
    lines.insert(place, BAD[kind])
    content = b"\n".join(lines) + b"\n"
    with pytest.raises(InvalidCorpus) as caught:
        read(tmp_path / name, content)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / name}, line {place + 1}: ")
    assert "\n" not in said
    if "surrogate" in kind and kind != "encoded surrogate":
        assert "has a lone surrogate" in said
    if "field" not in said:
        assert "--bad-lines skip" in said
    reading = Reading(bad_lines="skip")
    assert list(documents_of(tmp_path / name, reading)) == [f"good {i}" for i in range(4)]
    assert (reading.skipped_lines, reading.skipped_bytes) == (1, len(BAD[kind]) + 1)


def test_skipping_does_not_hide_a_wrong_field(tmp_path: Path) -> None:
    with pytest.raises(InvalidCorpus, match="line 1: has no field 'text', only body"):
        read(tmp_path / "a.jsonl", b'{"body": "a"}\n{"body": "b"}\n', bad_lines="skip")


def test_the_command_counts_and_names_what_it_skipped(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    rows = [json.dumps({"meta": {"text": text_of(seed, 20)}}) for seed in range(40)]
    rows[3:3] = ['{"meta": {"text": "\\ud800"}}', "{"]
    (folder / "c4.00000.json.gz").write_bytes(gzip.compress("\n".join(rows).encode()))
    command = ("build", folder, "--output", tmp_path / "c", "--vocabulary", "300", "--validation", "0.2")
    status, out, err = cli(*command, "--field", "meta.text")
    assert (status, out) == (2, "")
    assert "c4.00000.json.gz, line 4: has a lone surrogate" in err
    status, out, err = cli(*command, "--field", "meta.text", "--bad-lines", "skip")
    assert (status, err) == (0, "")
    assert ": 40 documents" in out and ", 2 bad lines" in out
    assert "warning" not in out
    # A picture that is larger than the text: named, and said at the end.
    (folder / "nowhere").symlink_to(tmp_path / "missing")
    (folder / "picture.png").write_bytes(b"\x89PNG\0" + bytes(range(256)) * 20)
    status, out, err = cli(*command, "--field", "meta.text", "--bad-lines", "skip", "--force")
    assert status == 0
    assert f"skipped: {folder / 'picture.png'}, 5.12KB: binary" in out
    assert f"skipped: {folder / 'nowhere'}, 0B: no file and no folder" in out
    last = out.rstrip("\n").split("\n")[-1]
    assert last.startswith("warning: ") and "of the input was skipped" in last and "picture.png" in last
    status, out, _ = cli("show", tmp_path / "c", "--json")
    summary = json.loads(out)
    assert summary["bad_lines"] == 2
    assert summary["skipped"]["binary"] == 1
    assert [Path(file["path"]).name for file in summary["skipped_files"]] == [
        "picture.png",
        "c4.00000.json.gz",
        "nowhere",
    ]
    assert 0.5 < summary["skipped_share"] < 1


def test_dolma_and_c4_as_they_are_published(tmp_path: Path) -> None:
    texts = [text_of(seed) for seed in range(30)]
    for name in ("dolma-0000.json.gz", "plain"):
        folder = tmp_path / name
        folder.mkdir()
        if name == "plain":
            for i, text in enumerate(texts):
                (folder / f"{i:03}.txt").write_text(text)
        else:
            lines = [
                json.dumps({"id": str(i), "text": text, "metadata": {"n": i}}) for i, text in enumerate(texts)
            ]
            (folder / name).write_bytes(gzip.compress("\n".join(lines).encode()))
    made = [
        build([tmp_path / name], tmp_path / f"{name}-corpus", Options(vocabulary=300, validation=0.2)).corpus
        for name in ("dolma-0000.json.gz", "plain")
    ]
    assert made[0].fingerprint == made[1].fingerprint
    assert sorted(decoded(made[0], "train") + decoded(made[0], "validation")) == sorted(texts)
