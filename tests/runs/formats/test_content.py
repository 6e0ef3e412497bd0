"""Whatever a path holds or is: its rows, or one line with the remedy; nothing hangs, nothing fills the memory."""

from __future__ import annotations

import gzip
import io
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from gemstones.runs.formats import open_runs
from gemstones.runs.formats.compression import decompressed
from gemstones.runs.formats.content import LARGEST
from tests.runs.formats.written import PLAIN, ROWS, opened, refusal, written


def zstd(data: bytes) -> bytes:
    from gemstones.runs.formats.compression import zstandard

    return bytes(zstandard().compress(data))


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
def test_encodings_that_tell_themselves(tmp_path: Path, encoding: str) -> None:
    for text in (
        PLAIN,
        PLAIN.replace("a,", "modèle,"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
    ):
        frame = opened(tmp_path / "runs.csv", text.encode(encoding)).frame
        assert frame.columns == ["run", "tokens", "loss"]
        assert frame.rows()[1] == ROWS[1]


def test_latin_1_is_refused_with_the_remedy(tmp_path: Path) -> None:
    line = refusal(lambda: opened(tmp_path / "runs.csv", PLAIN.replace("a,", "modèle,").encode("latin-1")))
    assert line.endswith(
        "runs.csv: is not UTF-8 text: line 2, byte 19 is 0xe8; save it as UTF-8, or convert it: "
        "iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW"
    )


def test_nul_characters_are_refused_with_the_remedy(tmp_path: Path) -> None:
    line = refusal(lambda: opened(tmp_path / "runs.csv", PLAIN + "\0" * 9))
    assert "holds NUL characters from line 4 on, as files do that were not written whole: remove them" in line


@pytest.mark.parametrize("name", ["runs.csv.gz", "runs.csv.zst", "runs.csv", "runs"])
@pytest.mark.parametrize("compress", [gzip.compress, zstd])
def test_compression_is_told_by_the_content(tmp_path: Path, name: str, compress: object) -> None:
    assert callable(compress)
    whole = compress(PLAIN.encode())
    found = opened(tmp_path / name, whole)
    assert found.frame.rows() == ROWS
    assert found.dataset == "runs"
    (source,) = found.sources
    assert source.name == name
    assert len(source.sha256) == 64
    # Several members, or frames, are one file.
    assert decompressed(whole + compress(b"c,3e9,2.9\n"), "f") == (PLAIN + "c,3e9,2.9\n").encode()
    for cut in (4, len(whole) // 2, len(whole) - 1):
        line = refusal(lambda cut=cut: decompressed(whole[:cut], "runs.gz"))  # type: ignore[misc]
        assert line.startswith("runs.gz: is no whole ")
        assert line.endswith(": copy it again")


@pytest.mark.long
@pytest.mark.parametrize("compress", [gzip.compress, zstd])
def test_a_bomb_is_refused_before_it_fills_the_memory(tmp_path: Path, compress: object) -> None:
    assert callable(compress)
    path = written(tmp_path / "runs.csv.gz", compress(b"run,tokens,loss\n" + b"a,1,3\n" * (1 << 27)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = refusal(lambda: open_runs(path))
    assert "grows to more than 256 MiB when it is decompressed" in line
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 << 10  # of KiB


def test_pipes_and_devices_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "runs.csv"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), Path("/dev/null"), Path("/dev/random")):
        assert refusal(lambda path=path: open_runs(path)) == (  # type: ignore[misc]
            f"{path}: is a pipe or a device, not a file: write what it gives to a file, or hand it to standard input "
            "and give - as the path"
        )


def test_standard_input_is_read_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    class Input:
        buffer: io.RawIOBase | io.BytesIO = io.BytesIO(PLAIN.encode())

    monkeypatch.setattr(sys, "stdin", Input)
    found = open_runs("-")
    assert found.frame.rows() == ROWS
    assert (found.dataset, found.file) == ("stdin", "-")

    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            assert size == LARGEST + 1
            return bytes(11)

    monkeypatch.setattr("gemstones.runs.formats.content.LARGEST", 10)
    monkeypatch.setattr("tests.runs.formats.test_content.LARGEST", 10)
    Input.buffer = Endless()
    assert refusal(lambda: open_runs("-")).startswith("-: is larger than 0 GiB: keep the columns and rows")


def test_the_command_reads_standard_input() -> None:
    code = "from gemstones.runs.formats import open_runs; print(open_runs('-').frame.rows())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=PLAIN.encode(),
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.decode().strip() == str(ROWS)


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    assert refusal(lambda: open_runs(tmp_path / "no.csv")).endswith(
        "no.csv: does not exist: give the path of a file, or the name of a data set"
    )
    assert refusal(lambda: open_runs("a\0b.csv")).endswith("cannot be read: its path has a null character")
    assert refusal(lambda: open_runs("x" * 5000)).endswith("cannot be read: File name too long")
    assert refusal(lambda: open_runs(tmp_path / "*.csv")).endswith("*.csv: matches no file")
    loop = tmp_path / "loop.csv"
    loop.symlink_to(loop)
    assert "cannot be read: Too many levels of symbolic links" in refusal(lambda: open_runs(loop))
    unreadable = written(tmp_path / "private.csv", PLAIN)
    unreadable.chmod(0)
    if not os.access(unreadable, os.R_OK):
        assert refusal(lambda: open_runs(unreadable)).endswith("cannot be read: Permission denied")


def test_a_failure_of_the_machine_is_no_mistake_of_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    path = written(tmp_path / "runs.csv", PLAIN)
    monkeypatch.setattr(os, "open", broken)
    assert refusal(lambda: open_runs(path), status=1) == f"{path} cannot be read: Input/output error"


def test_folders_say_what_to_give_instead(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv", "notes.txt"):
        written(tmp_path / "logs" / name, PLAIN)
    assert refusal(lambda: open_runs(tmp_path / "logs")) == (
        f"{tmp_path}/logs: is a folder without suite.json, run.json, or runs' folders, event files of TensorBoard, "
        f"or offline runs of W&B: give its files, like '{tmp_path}/logs/*.csv'"
    )
    assert "is a folder, and format csv is not one of folders" in refusal(
        lambda: open_runs(tmp_path / "logs", format="csv")
    )


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "runs.xlsx",
            b"PK\x03\x04 [Content_Types].xml xl/workbook.xml",
            "gemstones.load(pandas.read_excel('runs.xlsx'))",
        ),
        (
            "runs.csv",
            b"PK\x03\x04 xl/workbook.xml",
            "is a spreadsheet: save the sheet as CSV, or read it into a frame",
        ),
        ("runs.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an Excel workbook: save the sheet as CSV"),
        ("runs.zip", b"PK\x03\x04 runs.csv", "is a ZIP archive: unpack it, and give the files in it"),
        (
            "runs.pkl",
            b"\x80\x04\x95",
            "is a pickle: it is not opened, for it may run code; save the table in it as",
        ),
        ("runs.bz2", b"BZh91AY", "is compressed with bzip2: decompress it"),
        ("runs.xz", b"\xfd7zXZ\x00", "is compressed with xz: decompress it"),
        ("runs.npy", b"\x93NUMPY\x01", "is an array of numpy"),
        ("runs.db", b"SQLite format 3\x00", "is an SQLite database"),
        ("runs.csv", b"<!DOCTYPE html><html>", "is a web page, as where a download asked for a password"),
        ("runs.csv", b"", "is empty: a header and rows are needed"),
        ("runs.csv", b"\n \n\t\n", "is empty: a header and rows are needed"),
        (
            "runs.txt",
            b"once upon\na time\n",
            "is of no format that is told by its content: choose one with --format",
        ),
        ("runs", b"\x00\x01\x02\xff", "is not UTF-8 text: line 1, byte 3 is 0xff"),
    ],
)
def test_what_is_no_table_is_refused_with_the_remedy(
    tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    assert expected in refusal(lambda: opened(tmp_path / name, content))
