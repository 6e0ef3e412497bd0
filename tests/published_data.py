"""Where the published files are on this machine, or why they are not: asked once a session, within bounds of time.

The first of `GEMSTONES_DATA_DIR`, `../shared/data` beside the checkout, the cache, and a download of them all.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from gemstones.runs.fetch import ENTRIES, cache_path, fetch

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
DOWNLOAD_SECONDS = 20
"""For all files together, whatever the network does."""

HOW = (
    "run `make data` where there is a network (1 MB into the cache), "
    "or set GEMSTONES_DATA_DIR to a folder that holds them as <owner>/<repository>/<path>"
)

_DOWNLOAD = """
from concurrent.futures import ThreadPoolExecutor
from gemstones.runs.fetch import ENTRIES, fetch
with ThreadPoolExecutor(len(ENTRIES)) as pool:
    list(pool.map(fetch, ENTRIES.values()))
"""


class Incomplete(Exception):
    """GEMSTONES_DATA_DIR was given, and does not hold the files."""


def find(scratch: Path) -> Path | None:
    """The folder that holds every published file, each with its hash; None where they cannot be had.

    `scratch` is an empty folder for copies of files that are in the cache, which is laid out by commit.
    """
    if given := os.environ.get("GEMSTONES_DATA_DIR", ""):
        if missing := lacking(Path(given)):
            raise Incomplete(f"GEMSTONES_DATA_DIR={given} lacks {', '.join(missing)}: add them, or unset it")
        return Path(given).resolve()
    if not lacking(BESIDE):
        return BESIDE
    if from_cache(scratch) or (not offline() and download() and from_cache(scratch)):
        return scratch
    return None


def lacking(folder: Path) -> list[str]:
    """The files that are not in `folder`, or are others than those published."""
    return [e.location for e in ENTRIES.values() if sha256(folder / e.location) != e.sha256]


def from_cache(folder: Path) -> bool:
    """Whether the cache holds them all; `folder` then has them, laid out as GEMSTONES_DATA_DIR is."""
    if any(sha256(cache_path(entry)) != entry.sha256 for entry in ENTRIES.values()):
        return False
    for entry in ENTRIES.values():
        target = folder / entry.location
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(cache_path(entry), target)
    return True


def download(seconds: float = DOWNLOAD_SECONDS) -> bool:
    """Whether all files are in the cache after one attempt, in a process of its own that ends in time."""
    process = subprocess.Popen(
        [sys.executable, "-c", _DOWNLOAD],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def offline() -> bool:
    """Whether the caller has forbidden downloads."""
    return any(is_on(name) for name in ("GEMSTONES_OFFLINE", "HF_HUB_OFFLINE"))


def is_on(variable: str) -> bool:
    """Whether a variable of the environment says yes."""
    return os.environ.get(variable, "").strip().lower() not in ("", "0", "false")


def sha256(path: Path) -> str:
    """Of a file; of none, nothing."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


if __name__ == "__main__":  # `make data`
    for entry in ENTRIES.values():
        print(fetch(entry))
