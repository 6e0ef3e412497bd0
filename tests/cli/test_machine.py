"""When the machine fails, not the user: exit status 1, one line; and signals: 128 + number, no process left."""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from gemstones import errors
from gemstones.errors import Failure, InvalidPath, InvalidTable, MissingExtra, UserError
from gemstones.files import make_folder, trouble, write_bytes
from gemstones.train.queue import Interrupted
from tests.cli.conftest import Cli

COMMAND = [sys.executable, "-m", "gemstones"]
SLOW = ("fit", "pebbles", "--law", "w,d,N,T", "--bootstrap", "5000", "--workers", "2")


def gemstones(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, words)], capture_output=True, text=True, check=False, timeout=120, **options
    )


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOENT, InvalidPath),
        (errno.EACCES, InvalidPath),
        (errno.EISDIR, InvalidPath),
        (errno.ENOTDIR, InvalidPath),
        (errno.ENAMETOOLONG, InvalidPath),
        (errno.ENOSPC, Failure),
        (errno.EDQUOT, Failure),
        (errno.EIO, Failure),
        (errno.EMFILE, Failure),
        (errno.EROFS, Failure),
        (errno.EFBIG, Failure),
        (errno.ESTALE, Failure),
    ],
)
def test_whose_fault_it_is(number: int, kind: type[Exception]) -> None:
    error = trouble(OSError(number, os.strerror(number), "x"), "x cannot be written")
    assert type(error) is kind and str(error) == f"x cannot be written: {os.strerror(number)}"
    assert error.exit_status == (2 if kind is InvalidPath else 1)


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    write_bytes(file, b"before")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Failure, match="file cannot be written: No space left on device"):
        write_bytes(file, b"after")
    assert file.read_bytes() == b"before" and [*tmp_path.iterdir()] == [file]


def test_a_path_that_is_wrong_is_the_users(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "none" / "x", tmp_path, tmp_path / "file" / "x", tmp_path / ("x" * 300)):
        with pytest.raises(InvalidPath, match="cannot be written"):
            write_bytes(path, b"")
    for path in (tmp_path / "file", tmp_path / "file" / "x", Path("x\0y")):
        with pytest.raises(InvalidPath, match="cannot be made a folder"):
            make_folder(path)


def test_every_error_survives_the_way_from_a_worker() -> None:
    def kinds(base: type[Exception]) -> Iterator[type[Exception]]:
        for kind in base.__subclasses__():
            yield kind
            yield from kinds(kind)

    more: dict[type[Exception], tuple[object, ...]] = {MissingExtra: ("this",), Interrupted: (15,)}
    for kind in kinds(errors.GemstonesError):
        made = kind("what is wrong", *more.get(kind, ()))
        again = pickle.loads(pickle.dumps(made))
        assert (type(again), str(again), vars(again)) == (kind, str(made), vars(made))
    table = pickle.loads(pickle.dumps(InvalidTable("too small", file="a.csv", row=3, column="loss")))
    assert str(table) == "a.csv, row 3, column loss: too small" and table.row == 3


@pytest.mark.long
def test_a_full_disk_in_a_worker_is_no_refused_combination(tmp_path: Path) -> None:
    done = gemstones(
        "sensitivity", "pebbles", "--law", "N,T", "--params", "total", "--delta", "1e-4",
        "--approach", "approach3,hull", "--bootstrap", "40", "--workers", "2", "--output", tmp_path / "out",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, ""), done
    assert done.stderr.count("\n") == 1 and done.stderr.endswith("cannot be written: File too large\n")
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert all(name.startswith("pebbles-") and name.endswith(".json") for name in left)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "out of memory: call again with fewer --workers"),
        (MemoryError("Unable to allocate 3 TiB"), "out of memory (Unable to allocate 3 TiB)"),
        (OSError(errno.EIO, "Input/output error", "runs.csv"), "runs.csv: Input/output error"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        (BrokenProcessPool("a child died"), "a worker process died, perhaps for want of memory"),
        (Failure("two\nlines\x1b[31m"), "two lines [31m"),
        (ZeroDivisionError("a\nb"), "a defect of gemstones, please report it: ZeroDivisionError: a b"),
    ],
    ids=repr,
)
def test_failures_are_one_line(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("gemstones.cli.fit.fit_law", fail)
    outcome = cli("fit", "pebbles")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.startswith(f"gemstones: {said}") and outcome.err.count("\n") == 1


def test_a_defect_shows_itself_when_asked(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("gemstones.cli.fit.fit_law", fail)
    monkeypatch.setenv("GEMSTONES_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        cli("fit", "pebbles")


def shell(line: str, unbuffered: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line.replace("gemstones", " ".join(COMMAND))],
        capture_output=True, text=True, check=False, timeout=120, env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
    )  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["plan 1e22", "plan 1e22 --near-all --json", "--help", "fit --help"])
def test_a_reader_that_has_gone_is_no_error(command: str, unbuffered: str) -> None:
    for reader in ("head -1", "true"):
        done = shell(f"set -o pipefail; gemstones {command} | {reader}", unbuffered)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["count 1024x28", "--help", "--version"])
def test_standard_output_that_cannot_be_written(command: str, unbuffered: str) -> None:
    done = shell(f"gemstones {command} >/dev/full", unbuffered)
    assert done.returncode == 1
    assert done.stderr == "gemstones: output cannot be written: No space left on device\n"


def test_closed_streams(tmp_path: Path) -> None:
    assert shell("gemstones count 1024x28 >&-").returncode == 0
    assert shell("gemstones count 1024x28 >&- 2>&- <&-").returncode == 0
    for line in (
        "gemstones count 10x2 2>&-",
        "gemstones count 10x2 >&- 2>&-",
        "gemstones count 10x2 2>/dev/full",
    ):
        done = shell(line)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", "")
    # A file that is opened does not become standard output, in which others would write.
    output = tmp_path / "fit.json"
    assert shell(f"gemstones fit pebbles --output {output} >&- <&-").returncode == 0
    assert output.read_text().startswith("{") and output.read_text().endswith("}\n")


def children(process: int) -> list[int]:
    found: list[int] = []
    for file in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, file.read_text().split()):
                found += [child, *children(child)]
    return found


def alive(process: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.long
@pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="the children of a process are named in /proc"
)
@pytest.mark.parametrize("group", [False, True], ids=["process", "group"])
@pytest.mark.parametrize(
    ("number", "said"),
    [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated"), (signal.SIGHUP, "hung up")],
)
def test_a_signal_ends_a_command_with_its_workers(
    tmp_path: Path, number: signal.Signals, said: str, group: bool
) -> None:
    """To the process alone, as kill does, or to its group, as a terminal does."""
    running = subprocess.Popen(
        [*COMMAND, *SLOW, "--output", tmp_path / "fit.json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while len(workers := children(running.pid)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(workers) >= 3  # two workers, and who cleans up behind them
    (os.killpg if group else os.kill)(running.pid, number)
    out, err = running.communicate(timeout=30)
    assert (running.returncode, out, err) == (128 + number, "", f"gemstones: {said}\n")
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, workers)) and [*tmp_path.iterdir()] == []


def test_a_signal_that_the_caller_ignores_stays_ignored() -> None:
    fit = "gemstones fit pebbles --bootstrap 1000 --workers 1"  # still at it after a second, on a quick machine too
    done = shell(f"(trap '' HUP; {fit} >/dev/null & child=$!; sleep 1; kill -HUP $child; wait $child)")
    assert (done.returncode, done.stderr) == (0, "")


def test_user_errors_and_failures_have_their_status() -> None:
    assert {UserError.exit_status, Failure.exit_status} == {2, 1}
