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
from gemstones.output_folder import MANIFEST, UNFINISHED, OutputFolder

CLOSING = ("report.html", "study.json")
PATTERNS = (*CLOSING, "tables/*.md")


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
    return {
        file.relative_to(path).as_posix(): file.read_text()
        for file in path.rglob("*")
        if file.is_file() and file.name != MANIFEST
    }


ONE = {
    "report.html": "1",
    "study.json": "1",
    "tables/fits.md": "1",
    "tables/old.md": "1",
    "figures/a.png": "1",
}
TWO = {"report.html": "2", "study.json": "2", "tables/fits.md": "2", "tables/new.md": "2"}


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
    with pytest.raises(InvalidPath, match=r"is not what `gemstones study` wrote there: .* or --force"):
        folder(out).check()
    assert there(out) == {name: "precious"}
    # Nor where it came while the work was done.
    with pytest.raises(InvalidPath, match="is not what"), folder(out).replacing() as filled:
        (filled / name).parent.mkdir(exist_ok=True)
        write_text(filled / name, "new")
    assert there(out) == {name: "precious"} and not (out / UNFINISHED).exists()
    fill(out, ONE, force=True)
    assert there(out) == ONE


def test_what_others_changed_is_theirs(tmp_path: Path) -> None:
    fill(tmp_path, ONE)
    (tmp_path / "tables/fits.md").write_text("1, and my notes")
    with pytest.raises(InvalidPath, match=r"fits\.md is not what"):
        folder(tmp_path).check()
    (tmp_path / "tables/old.md").write_text("1, and my notes")  # of which there is none in the new one
    fill(tmp_path, TWO, force=True)
    assert there(tmp_path) == TWO | {"tables/old.md": "1, and my notes"}


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
from gemstones.files import write_text
from gemstones.output_folder import OutputFolder
results = OutputFolder(Path(sys.argv[1]), "x", ("report.html", "study.json"), ("*",))
print("begun", flush=True)
for version in itertools.count():
    with results.replacing() as filled:
        for i in range(8 + version % 3):
            (filled / f"tables-{i % 4}").mkdir(exist_ok=True)
            (filled / f"tables-{i % 4}" / f"{i}.md").write_text(str(version))
        for name in ("report.html", "study.json"):
            (filled / name).write_text(str(version))
"""


def test_killed_at_any_moment_it_is_no_mixture(tmp_path: Path) -> None:
    out, seen = tmp_path / "out", set()
    chance = random.Random(0)
    for _ in range(25):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, out], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None and writer.stdout.readline() == "begun\n"
        time.sleep(chance.uniform(0, 0.05))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        files = (
            {n: t for n, t in there(out).items() if not n.startswith((UNFINISHED, "."))}
            if out.exists()
            else {}
        )
        if "study.json" in files or "report.html" in files:
            versions = {int(text) for text in files.values()}
            assert len(versions) == 1
            (version,) = versions
            assert sum(name.startswith("tables") for name in files) == 8 + version % 3
            seen.add("whole")
        # The next one takes it up without being forced.
        fill(out, ONE, force=False)
        assert there(out) == ONE
        for name in ONE:
            (out / name).unlink()
    assert seen == {"whole"}


def test_a_file_that_is_there(tmp_path: Path) -> None:
    file, link = tmp_path / "fit.json", tmp_path / "link.json"
    check_output(file)
    file.write_text("")
    check_output(file)
    file.write_text("precious")
    link.symlink_to(file)
    for path in (file, link, tmp_path / "." / "fit.json", Path(os.path.relpath(file))):
        with pytest.raises(InvalidPath, match="is there and is not a fit: name another file, or --force"):
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
