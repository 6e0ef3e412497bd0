"""Finished fits on disk, so that a sensitivity analysis that was interrupted goes on where it was.

One JSON file per fit, named by what it is and a hash of all that it depends on: rows, models, law, δ, convention,
resamples, seed, version. A file whose content is not what its digest says, or not what was asked for, counts as none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from gemstones.errors import InvalidRequest
from gemstones.files import check_folder, make_folder, read_bytes, write_bytes
from gemstones.version import __version__

Made = TypeVar("Made", bound=msgspec.Struct)
Key = Mapping[str, str | int | float | None]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: dict[str, str | int | float | None]
    sha256: str
    """Of `content`, as it is written here."""
    content: msgspec.Raw


def kept(folder: Path | None, key: Key, make: Callable[[], Made], read: Callable[[bytes], Made]) -> Made:
    """What `make` makes, from `folder` if it is there; `read` validates it, raising `InvalidRequest` if it cannot.

    >>> kept(Path("out/fits"), {"law": "N,T"}, make, Fit.from_json)  # writes a file  # doctest: +SKIP
    """
    if folder is None:
        return make()
    full = {**key, "version": __version__}
    path = folder / _name(full)
    found = _read(path, full, read)
    if found is not None:
        return found
    made = make()
    content = msgspec.json.encode(made)
    file = _File(full, hashlib.sha256(content).hexdigest(), msgspec.Raw(content))
    make_folder(folder)
    write_bytes(path, msgspec.json.encode(file))
    return made


def _read(path: Path, key: Key, read: Callable[[bytes], Made]) -> Made | None:
    try:
        file = msgspec.json.decode(read_bytes(path), type=_File)
        content = bytes(file.content)
        whole = file.key == key and hashlib.sha256(content).hexdigest() == file.sha256
        return read(content) if whole else None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, InvalidRequest):
        return None


def folder_of_fits(output: Path) -> Path:
    """`fits` in `output`, made with the first fit; raises `InvalidPath` if it cannot be."""
    check_folder(output / "fits")
    return output / "fits"


def _name(key: Key) -> str:
    """What can be read of the key, and a hash of all of it."""
    said = "-".join(str(value) for value in key.values() if value is not None and len(str(value)) < 20)
    digest = hashlib.sha256(msgspec.json.encode(dict(key), order="sorted")).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9.]+', '-', said)[:60].strip('-')}-{digest[:16]}.json"
