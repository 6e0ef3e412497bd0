"""The tests themselves: what they do where published files are missing, and where a process of theirs dies."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gemstones.runs.fetch import Entry, cache_path
from tests import published_data

ROOT = Path(__file__).parents[1]
CONTENT = b"run,tokens,loss\na,1,3\n"
ENTRY = Entry("tiny", "me", "runs", "c0ffee", "data/a.csv", hashlib.sha256(CONTENT).hexdigest(), "MIT", 1)


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Entry]:
    """Two files that are nowhere, and a machine that has nothing else."""
    found = [ENTRY, dataclasses.replace(ENTRY, name="other", path="data/b.csv")]
    monkeypatch.setattr(published_data, "ENTRIES", {entry.name: entry for entry in found})
    monkeypatch.setattr(published_data, "BESIDE", tmp_path / "beside")
    monkeypatch.delenv("GEMSTONES_DATA_DIR")
    monkeypatch.setenv("GEMSTONES_OFFLINE", "1")
    monkeypatch.setenv("GEMSTONES_CACHE", str(tmp_path / "cache"))
    return found


def put(path: Path, content: bytes = CONTENT) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_nothing_is_found_where_there_is_nothing(entries: list[Entry], tmp_path: Path) -> None:
    assert published_data.find(tmp_path / "scratch") is None


def test_files_beside_the_checkout_count_only_together(entries: list[Entry], tmp_path: Path) -> None:
    put(tmp_path / "beside" / entries[0].location)
    assert published_data.find(tmp_path / "scratch") is None
    put(tmp_path / "beside" / entries[1].location, b"another file")
    assert published_data.find(tmp_path / "scratch") is None
    put(tmp_path / "beside" / entries[1].location)
    assert published_data.find(tmp_path / "scratch") == tmp_path / "beside"


def test_the_cache_is_laid_out_as_a_data_folder(entries: list[Entry], tmp_path: Path) -> None:
    for entry in entries:
        put(cache_path(entry))
    found = published_data.find(tmp_path / "scratch")
    assert found is not None and published_data.lacking(found) == []


def test_a_folder_that_was_named_must_hold_them(
    entries: list[Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMSTONES_DATA_DIR", str(tmp_path))
    put(tmp_path / entries[0].location)
    with pytest.raises(published_data.Incomplete, match=r"lacks me/runs/data/b\.csv"):
        published_data.find(tmp_path / "scratch")
    put(tmp_path / entries[1].location)
    assert published_data.find(tmp_path / "scratch") == tmp_path


@pytest.mark.parametrize(
    ("script", "ends_well"),
    [("", True), ("raise SystemExit(1)", False), ("import time; time.sleep(600)", False)],
)
def test_a_download_ends_in_time(script: str, ends_well: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published_data, "_DOWNLOAD", script)
    begun = time.monotonic()
    assert published_data.download(20 if ends_well else 1) is ends_well
    assert time.monotonic() - begun < 60


def pytest_says(*words: object, **environment: str) -> tuple[int, str]:
    """Exit status and output of pytest in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, words)],
        cwd=ROOT,
        env=os.environ | {"GEMSTONES_OFFLINE": "1", "CI": "", "PYTEST_ADDOPTS": ""} | environment,
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )
    return done.returncode, done.stderr + done.stdout


def test_what_needs_files_is_skipped_with_one_reason_and_the_remedy() -> None:
    file = "tests/runs/test_lr_sweep.py"
    status, said = pytest_says("--hide-published-data", file)
    assert status == 0
    end = said.splitlines()[-8:]
    (skipped,) = re.findall(r"(\d+) skipped", end[-1])
    assert any(line.startswith(f"{skipped} tests were skipped: ") for line in end)
    assert any("make data" in line and "GEMSTONES_DATA_DIR" in line for line in end)
    assert [line for line in end if line.startswith("SKIPPED")] == [
        line for line in end if line.startswith(f"SKIPPED [{skipped}] tests/conftest.py")
    ]


def test_an_incomplete_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    status, said = pytest_says("tests/test_units.py", GEMSTONES_DATA_DIR=str(tmp_path))
    assert status == pytest.ExitCode.USAGE_ERROR and "Traceback" not in said
    assert f"GEMSTONES_DATA_DIR={tmp_path} lacks " in said


@pytest.mark.long
def test_a_test_that_kills_its_process_ends_the_run(tmp_path: Path) -> None:
    # They take their time, as tests do: what pytest-xdist sends in the moment of a death is an error of its own.
    (tmp_path / "test_it.py").write_text(
        "import os, time, pytest\n@pytest.mark.parametrize('i', range(12))\n"
        "def test_it(i):\n    if i == 3: os.abort()\n    time.sleep(0.3)\n"
    )
    (options,) = re.findall(r"^PYTEST = .* -m pytest ([^$]*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    status, said = pytest_says(*options.split(), "-c", "/dev/null", "--rootdir", tmp_path, tmp_path)
    assert status == pytest.ExitCode.TESTS_FAILED, said
    assert re.search(r"crashed while running .*test_it\[3\]", said)
    assert "1 failed, 11 passed" in said.splitlines()[-1]
