"""A folder of results is replaced as a whole, and never holds a mixture; what others wrote is left alone."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from gemstones.errors import Failure, InvalidPath
from gemstones.files import check_output, write_text
from gemstones.marks import is_marked, marked
from gemstones.output_folder import UNFINISHED, OutputFolder

CLOSING = ("report.html", "study.json")
PATTERNS = (*CLOSING, "tables/*.md", "figures/*.svg")


def folder(path: Path, **options: object) -> OutputFolder:
    return OutputFolder(path, "gemstones study", CLOSING, PATTERNS, **options)  # type: ignore[arg-type]


def fill(path: Path, files: Mapping[str, str], **options: object) -> None:
    results = folder(path, **options)
    results.check()
    with results.replacing() as filled:
        for name, text in files.items():
            (filled / name).parent.mkdir(exist_ok=True)
            write_text(filled / name, text)


def there(path: Path) -> dict[str, str]:
    """Without the marks."""
    marks = ("\n\n<!-- written by gemstones -->\n", "\n<!-- written by gemstones -->\n")
    files = {
        file.relative_to(path).as_posix(): file.read_text() for file in path.rglob("*") if file.is_file()
    }
    return {name: text.replace(marks[0], "").replace(marks[1], "") for name, text in files.items()}


def result(version: int, *tables: str) -> dict[str, str]:
    return {
        "report.html": f'<html><meta name="generator" content="gemstones 1"><p>{version}',
        "study.json": json.dumps({"settings": version, "conventions": {}, "provenance": {}}),
        **{f"tables/{name}.md": f"| {version} |" for name in tables},
    }


ONE = result(1, "fits", "old") | {"figures/a.svg": "<svg>1</svg>"}
TWO = result(2, "fits", "new")


def test_an_old_result_is_replaced_as_a_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    fill(out, ONE)
    assert there(out) == ONE
    fill(out, TWO)
    assert there(out) == TWO and not (out / "figures").exists()
    fill(out, {name: text for name, text in TWO.items() if name not in CLOSING})
    assert there(out).keys() == {"tables/fits.md", "tables/new.md"}


def test_what_others_wrote_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    theirs = {"notes.txt": "mine", "tables/mine.csv": "mine", "sensitivity/fits/a.json": "kept"}
    for name, text in theirs.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text)
    fill(out, ONE)
    fill(out, TWO)
    assert there(out) == TWO | theirs


@pytest.mark.parametrize("name", ["report.html", "study.json", "tables/fits.md"])
def test_what_others_wrote_is_not_replaced(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("precious")
    with pytest.raises(InvalidPath, match=r"is not what `gemstones study` wrote there: .* or force=True"):
        folder(out).check()
    assert there(out) == {name: "precious"}
    # Nor where it came while the work was done.
    with pytest.raises(InvalidPath, match="is not what"), folder(out).replacing() as filled:
        (filled / name).parent.mkdir(exist_ok=True)
        write_text(filled / name, "new")
    assert there(out) == {name: "precious"} and not (out / UNFINISHED).exists()
    fill(out, ONE, force=True)
    assert there(out) == ONE


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for before in ({}, ONE):
        if before:
            fill(out, before)
        with pytest.raises(Failure), folder(out).replacing() as filled:
            write_text(filled / "report.html", "2")
            raise Failure("the disk is full")
        assert (there(out) if out.exists() else {}) == before and not (out / UNFINISHED).exists()


def test_an_input_is_never_replaced(tmp_path: Path) -> None:
    fill(tmp_path, ONE)
    (tmp_path / "link").symlink_to(tmp_path / "tables" / "fits.md")
    for read in (
        tmp_path / "tables" / "fits.md",
        tmp_path / "link",
        tmp_path / "tables" / ".." / "tables" / "fits.md",
    ):
        with pytest.raises(InvalidPath, match="is what is read"):
            folder(tmp_path, inputs=(read,), force=True).check()


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with (
        folder(tmp_path).replacing(),
        pytest.raises(InvalidPath, match="is being written by another process"),
        folder(tmp_path).replacing(),
    ):
        pass


def test_a_folder_where_a_file_is_to_be(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(InvalidPath, match="is a folder, where a file is to be"):
        fill(tmp_path, ONE, force=True)


WRITER = """
import itertools, sys
from pathlib import Path
from tests.test_output_folder import folder, result
print("begun", flush=True)
for version in itertools.count():
    with folder(Path(sys.argv[1])).replacing() as filled:
        (filled / "tables").mkdir()
        for name, text in result(version, *(f"{i}" for i in range(8 + version % 3))).items():
            (filled / name).write_text(text)
"""


@pytest.mark.long
def test_killed_at_any_moment_it_is_no_mixture(tmp_path: Path) -> None:
    out, seen = tmp_path / "out", set()
    chance = random.Random(0)
    for _ in range(25):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, out],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )
        assert writer.stdout is not None and writer.stdout.readline() == "begun\n"
        time.sleep(chance.uniform(0, 0.06))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        files = {name: text for name, text in there(out).items() if not name.startswith(UNFINISHED)}
        old = (ONE, {name: text for name, text in ONE.items() if name != "study.json"})
        if files.keys() & {*CLOSING} and files not in old:
            if "study.json" in files:
                version = json.loads(files["study.json"])["settings"]
            else:
                version = int(files["report.html"].rpartition(">")[2])
            whole = result(version, *(f"{i}" for i in range(8 + version % 3)))
            assert files in (whole, {name: text for name, text in whole.items() if name != "study.json"})
            seen.add("new")
        # The next one takes it up without being forced.
        fill(out, ONE)
        assert there(out) == ONE
    assert seen == {"new"}


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".md", b"| a |\n"),
        (".svg", b"<svg></svg>"),
        (".pdf", b"%PDF-1.4\n%%EOF\n"),
        (".png", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + 17 * b"\0" + b"\0\0\0\0IEND" + 4 * b"\0"),
    ],
)
def test_a_mark_is_found_again(suffix: str, content: bytes) -> None:
    assert not is_marked(suffix, content)
    found = marked(suffix, content)
    assert is_marked(suffix, found) and marked(suffix, found) == found and content[:5] == found[:5]
    for other in (".md", ".svg", ".pdf", ".png", ".json", ".parquet", ".html", ".txt"):
        assert not is_marked(other, content) and not is_marked(other, b"") and not is_marked(other, b"[1]")


def test_a_file_that_is_there(tmp_path: Path) -> None:
    file, link = tmp_path / "fit.json", tmp_path / "link.json"
    check_output(file)
    file.write_text("")
    check_output(file)
    file.write_text("precious")
    link.symlink_to(file)
    for path in (file, link, tmp_path / "." / "fit.json", Path(os.path.relpath(file))):
        with pytest.raises(InvalidPath, match="is there and is not a fit: name another file, or force=True"):
            check_output(path, what="a fit")
        with pytest.raises(InvalidPath, match="is what is read"):
            check_output(path, inputs=[file], force=True)
        check_output(path, force=True)
        check_output(path, ours=lambda content: content == b"precious")
    (tmp_path / "hard.json").hardlink_to(file)
    with pytest.raises(InvalidPath, match="is what is read"):
        check_output(tmp_path / "hard.json", inputs=[file], force=True)
    check_output(Path("/dev/null"))
    assert json.loads(json.dumps(file.read_text())) == "precious"
