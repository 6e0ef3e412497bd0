"""Interrupted at any moment and called again, a build ends as if undisturbed, byte for byte."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gemstones.errors import Failure, InvalidRequest
from gemstones.train.corpus import Options, build, encode, extract, workers
from tests.train.corpus.conftest import SMALL, snapshot, write_texts

BUILD = """
import sys
from pathlib import Path
from gemstones.train.corpus import Options, build, encode, extract
encode.UNIT_BYTES, extract.TASK_BYTES = 20_000, 30_000
if __name__ == "__main__":
    options = Options(vocabulary=600, validation=0.1, shard_tokens=40_000)
    build([Path(sys.argv[1])], sys.argv[2], options, workers=2)
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("script") / "make.py"
    path.write_text(BUILD)
    return path


def start(script: Path, texts: Path, output: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(script), str(texts), str(output)],
        env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )


def alive(session: int) -> list[str]:
    """Processes of a session, but for those that have ended and wait to be reaped."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found.append(stat.parent.name)
    return found


def records(output: Path) -> dict[Path, int]:
    """The records of finished parts, and when they were written."""
    found = {}
    for path in (*(output / ".work").glob("*.index"), *(output / ".work").glob("*.counts")):
        with contextlib.suppress(FileNotFoundError):  # the work folder is removed at the end
            found[path] = path.stat().st_mtime_ns
    return found


@pytest.mark.long
def test_killed_at_random_moments(script: Path, tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "t", range(500), words=500)
    began = time.monotonic()
    assert start(script, texts, tmp_path / "undisturbed").wait() == 0
    duration = time.monotonic() - began
    expected = snapshot(tmp_path / "undisturbed")
    assert len(expected) > 4

    output, generator, resumed = tmp_path / "c", random.Random(), 0
    for attempt in range(100):
        before = records(output)
        process = start(script, texts, output)
        if attempt < 2:  # at any moment, the start of the interpreter included
            time.sleep(0.6 * duration * generator.random())
        elif attempt < 20:  # at work: when more was finished than before, or soon after
            while process.poll() is None and records(output).keys() <= before.keys():
                time.sleep(0.001)
            time.sleep(generator.choice((0, 0.1)) * duration * generator.random())
        if attempt < 20:
            process.send_signal((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[attempt % 4])
        if process.wait() == 0:
            if resumed >= 4 or attempt >= 50:
                break
            shutil.rmtree(output)  # it was faster than the kills: once more
            continue
        now = records(output)
        if (output / "manifest.json").exists():  # killed while it tidied up: the corpus is whole
            whole = {name: content for name, content in snapshot(output).items() if ".work" not in name}
            assert whole == expected
            continue
        # What was finished before is not done again.
        assert {path: now.get(path) for path in before} == before
        resumed += bool(before)
        deadline = time.monotonic() + 20
        while alive(process.pid):  # nobody is left to write
            assert time.monotonic() < deadline, alive(process.pid)
            time.sleep(0.02)
    assert process.returncode == 0
    assert snapshot(output) == expected
    assert resumed >= 4, (attempt, resumed)


class Interrupted(BaseException):
    """As rude as a signal."""


def interrupt_at(monkeypatch: pytest.MonkeyPatch, moment: int, *, after: bool) -> Callable[[], int]:
    """Stop before or after the file operation of that number; returns a count of those that were made."""
    made = 0

    def counting(operation: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            nonlocal made
            made += 1
            number = made  # operations may use one another
            if number == moment and not after:
                raise Interrupted
            try:
                return operation(*arguments, **keywords)
            finally:  # also where it failed, as to remove what is not there does
                if number == moment:
                    raise Interrupted

        return call

    for name in ("replace", "unlink", "mkdir", "rmdir"):  # pathlib and shutil use these
        monkeypatch.setattr(os, name, counting(getattr(os, name)))
    return lambda: made


@pytest.mark.long
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("forced", [False, True])
def test_interrupted_at_every_file_operation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool, forced: bool
) -> None:
    monkeypatch.setattr(encode, "UNIT_BYTES", 1500)
    monkeypatch.setattr(extract, "TASK_BYTES", 2000)
    options = Options(vocabulary=270, validation=0.2, shard_tokens=1500)
    texts = write_texts(tmp_path / "t", range(12))
    expected = snapshot(build([texts], tmp_path / "undisturbed", options).corpus.folder)
    other = build([texts], tmp_path / "other", SMALL).corpus.folder
    output, moment = tmp_path / "c", 0
    while True:
        moment += 1
        shutil.rmtree(output, ignore_errors=True)
        if forced:  # it replaces another corpus
            shutil.copytree(other, output)
        with monkeypatch.context() as patch:
            count = interrupt_at(patch, moment, after=after)
            try:
                build([texts], output, options, force=forced)
            except Interrupted:
                pass
            else:
                break
        build([texts], output, options, force=forced)
        assert snapshot(output) == expected, moment
    assert moment == count() + 1 > 20


def interrupt(*_: object) -> None:
    raise Interrupted


def test_parts_of_another_build_are_not_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = write_texts(tmp_path / "t", range(12))
    with monkeypatch.context() as patch:
        patch.setattr(encode, "encode", interrupt)
        with pytest.raises(Interrupted):
            build([texts], tmp_path / "c", SMALL)
    assert (tmp_path / "c" / ".work").exists()
    other = Options(vocabulary=280, validation=0.2)
    with pytest.raises(
        InvalidRequest, match=r"unfinished build of other vocabulary 300 \(now 280\).*--force"
    ):
        build([texts], tmp_path / "c", other)
    build([texts], tmp_path / "c", other, force=True)
    build([texts], tmp_path / "fresh", other)
    assert snapshot(tmp_path / "c") == snapshot(tmp_path / "fresh")


def _die(task: int) -> None:
    if task == 3:
        os.kill(os.getpid(), signal.SIGKILL)


def _fail(task: int) -> None:
    if task == 3:
        raise ZeroDivisionError


def test_a_worker_that_dies_is_noticed() -> None:
    with pytest.raises(Failure, match=r"a worker process died \(status -9\).*fewer --workers"):
        list(workers.run(_die, range(10), 2))


def test_a_defect_shows_where_it_is() -> None:
    with pytest.raises(RuntimeError, match="in _fail"):
        list(workers.run(_fail, range(10), 2))


def test_every_task_is_done_once() -> None:
    assert sorted(workers.run(_nothing, range(50), 3)) == list(range(50))


def _nothing(task: int) -> None:
    pass


ORPHANS = """
import sys, time
from pathlib import Path
from gemstones.train.corpus import workers
def work(path):
    Path(path).touch()
    time.sleep(300)
if __name__ == "__main__":
    list(workers.run(work, sys.argv[1:], 2))
"""


def test_workers_end_with_their_parent_in_the_middle_of_a_task(tmp_path: Path) -> None:
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS)
    process = start(script, tmp_path / "a", tmp_path / "b")
    deadline = time.monotonic() + 30
    while not ((tmp_path / "a").exists() and (tmp_path / "b").exists()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert len(alive(process.pid)) >= 3
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while left := alive(process.pid):
        assert time.monotonic() < deadline, left
        time.sleep(0.02)
