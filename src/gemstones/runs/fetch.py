"""Files of data sets: those in the package, and published ones, pinned to a commit and a SHA-256.

Published files are taken from the first of: the folder `GEMSTONES_DATA_DIR` (`<owner>/<repository>/<path>`
below it), the cache (`GEMSTONES_CACHE`, or the platform's cache folder), a download. Whatever the way, the hash
is verified.
"""

from __future__ import annotations

import hashlib
import os
import sys
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from gemstones.errors import InvalidTable, Unavailable
from gemstones.files import of_the_path
from gemstones.runs.one_line import one_line

RAW_URL = "https://raw.githubusercontent.com"
"""Files of GitHub repositories by commit."""

TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Entry:
    """One file of a public repository, exactly as it was at one commit."""

    name: str
    owner: str
    repository: str
    commit: str
    path: str
    sha256: str
    licence: str
    rows: int

    @property
    def location(self) -> str:
        """Where it is below `GEMSTONES_DATA_DIR`."""
        return f"{self.owner}/{self.repository}/{self.path}"

    @property
    def url(self) -> str:
        """Where it is downloaded from."""
        path = urllib.parse.quote(self.path)
        return f"{RAW_URL}/{self.owner}/{self.repository}/{self.commit}/{path}"


@dataclass(frozen=True)
class Packaged:
    """One file that comes with the package."""

    name: str
    file: str
    """Beside this module."""
    licence: str

    @property
    def url(self) -> str:
        """Empty: it is not downloaded."""
        return ""

    @property
    def sha256(self) -> str:
        """Of the file as it is: whoever installed the package answers for it."""
        return _sha256(fetch(self))


def _gemstones(name: str, path: str, sha256: str, rows: int) -> Entry:
    # github.com/mcleish7/gemstone-scaling-laws; the licence file is in the repository.
    commit = "5f420478f6057b0cbb4d13405fb10ca64675bccb"
    return Entry(name, "mcleish7", "gemstone-scaling-laws", commit, path, sha256, "MIT", rows)


ENTRIES: Mapping[str, Entry] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            _gemstones(
                "gemstones-main",
                "wandb_dfs/wandb_df_for_fitting_hot_100b+_477.jsonl",
                "c7a56e023c2cee6be296defc284126778c62387023a6e0c01e57599999591f5d",
                3850,
            ),
            _gemstones(
                "gemstones-lr-ablation",
                "wandb_dfs/wandb_df_for_fitting_lr_ablation_hot_477.jsonl",
                "10f606c27a52b31a8c97a8fe50ff265fdea795869b9a35804a7b1cad2fa233c2",
                1000,
            ),
            _gemstones(
                "gemstones-cooldown",
                "wandb_dfs/wandb_df_for_fitting_cool_end.jsonl",
                "bdf01b6b21bafc414218124a6f9e195cee07f3d69ceacbfae2fcf069d34f4e61",
                199,
            ),
            _gemstones(
                "gemstones-fineweb-edu",
                "benchmarks/fineweb_edu_losses_combined.jsonl",
                "03285285a54b54e90800e2a5097affb988cac6f6c6a2f5e79f31dd5136a96457",
                770,
            ),
            _gemstones(
                "gemstones-dclm",
                "benchmarks/fineweb_dclm_losses_combined.jsonl",
                "98c0f1762a59650086ed35b151d70e3a92ad5dd49d78e1f743d85a9b17b70da6",
                770,
            ),
            _gemstones(
                "gemstones-accuracies",
                "benchmarks/light_eval_df.parquet",
                "f0fdb94b939b1020c7fffbbf50fc4b03e0f173581e70bb3cb1eb71333ef5aece",
                770,
            ),
            _gemstones(
                "gemstones-accuracy-errors",
                "benchmarks/light_eval_df_err.parquet",
                "11d0b6cfbb9984c6e6c6129e13c0af2e34c6c51237ce17bba1427eebc36d2812",
                770,
            ),
            _gemstones(
                "industry-losses",
                "data/our_val_loss_data.json",
                "6d3f5d014c895d4e8eeede2a9431c4fe53c428104cc4250e4fedd53394f8e204",
                21,
            ),
            _gemstones(
                "lr-sweep",
                "data/preflight_mup_olmo_variant.csv",
                "e75730274996b31eda60cc665d940ca2e32d8c0ad6ba9902d086ca93008d397c",
                24,
            ),
            Entry(
                "chinchilla-epoch",
                "epoch-research",
                "analyzing-chinchilla",
                "92258837425e1b5f2851d624287f0120583a3d0e",
                "data/svg_extracted_data.csv",
                "193478df4e90f040016431996c45682659306840ecdadf83cfb9cd5ca0aa1b30",
                # No licence file in the repository: downloaded for the user, never redistributed.
                "none stated",
                245,
            ),
        )
    }
)
"""Every published file, by name."""


def fetch(entry: Entry | Packaged) -> Path:
    """The path of the file on this machine, of a published one the hash verified.

    Raises `InvalidTable` for a file of `GEMSTONES_DATA_DIR` that is absent or another, `Unavailable` where
    the file would have to be downloaded and cannot be, or is missing from the package.
    """
    if isinstance(entry, Packaged):
        return _in_package(entry)
    folder = os.environ.get("GEMSTONES_DATA_DIR", "")
    if folder:
        path = Path(folder, entry.location)
        return _verified(path, entry)
    cached = cache_path(entry)
    if cached.is_file() and _sha256(cached) == entry.sha256:
        return cached
    offline = next((name for name in ("GEMSTONES_OFFLINE", "HF_HUB_OFFLINE") if _is_on(name)), None)
    if offline:
        raise Unavailable(
            f"{entry.name} is not in the cache and {offline} is set: unset it, set GEMSTONES_DATA_DIR to a "
            f"folder that holds {entry.location}, or fetch it where there is a network (`gemstones data fetch`)"
        )
    _download(entry, cached)
    return cached


def cache_path(entry: Entry) -> Path:
    """Where the file is, or will be, in the cache."""
    return Path(cache_folder(), entry.owner, entry.repository, entry.commit, entry.path)


def cache_folder() -> Path:
    """What can be had again is kept here: `GEMSTONES_CACHE`, or the platform's cache folder."""
    import pooch

    return Path(os.environ.get("GEMSTONES_CACHE", "") or pooch.os_cache("gemstones"))


def _in_package(entry: Packaged) -> Path:
    path = Path(__file__).with_name(entry.file)
    if not path.is_file():
        raise Unavailable(
            f"{entry.name} comes with the package, but {one_line(path, 300)} is not there: install gemstones again"
        )
    return path


def _verified(path: Path, entry: Entry) -> Path:
    file = one_line(path, 300)
    try:
        found = _sha256(path)
    except OSError as error:
        if not of_the_path(error):
            raise
        raise InvalidTable(
            f"cannot be read ({one_line(error.strerror)}), expected SHA-256 {entry.sha256}, found none: "
            f"GEMSTONES_DATA_DIR must hold {entry.location}, or be unset",
            file=file,
        ) from None
    if found != entry.sha256:
        raise InvalidTable(
            f"has SHA-256 {found}, expected {entry.sha256}: put the file of commit {entry.commit[:12]} "
            "there, or unset GEMSTONES_DATA_DIR",
            file=file,
        )
    return path


def _download(entry: Entry, path: Path) -> None:
    import pooch

    progress = _Progress(entry.name) if sys.stderr.isatty() else False
    try:
        with _quiet_pooch():
            pooch.retrieve(
                entry.url,
                known_hash=f"sha256:{entry.sha256}",
                path=path.parent,
                fname=path.name,
                downloader=pooch.HTTPDownloader(progressbar=progress, timeout=TIMEOUT_SECONDS),
            )
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; ValueError is a wrong hash
        raise Unavailable(
            f"{entry.name} cannot be downloaded from {RAW_URL.split('/')[2]} ({_reason(error)}): try again, or set "
            f"GEMSTONES_DATA_DIR to a folder that holds {entry.location}"
        ) from error


def _reason(error: Exception) -> str:
    """Why in a few words: urllib3's own are a paragraph, with the address twice."""
    import requests

    if isinstance(error, requests.ConnectionError):
        return "no network, or it does not answer"
    return one_line(error, 120)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_on(variable: str) -> bool:
    return os.environ.get(variable, "").strip().lower() not in ("", "0", "false")


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)


class _Progress:
    """What pooch asks of a progress bar, as one line on standard error."""

    def __init__(self, name: str) -> None:
        self.name, self.total, self.done = name, 0, 0

    def update(self, size: int) -> None:
        """Count `size` more bytes."""
        self.done += size
        # The total is the compressed size, pooch counts chunks: only an estimate until the last call.
        share = f"{min(100, 100 * self.done // self.total)}%" if self.total else f"{self.done:,} bytes"
        print(f"\r{self.name}: {share}", end="", file=sys.stderr, flush=True)

    def reset(self) -> None:
        """Start again: pooch does so to end at the exact total."""
        self.done = 0

    def close(self) -> None:
        """End the line."""
        print(file=sys.stderr, flush=True)
