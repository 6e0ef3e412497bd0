"""Where the corpora lie that a suite names: as its file says, or as whoever runs it does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gemstones.design.suite_file import Suite
from gemstones.errors import InvalidRequest


def held_out_folders(suite: Suite, given: Mapping[str, Path]) -> dict[str, Path]:
    """Folders of the suite's held-out sets by name, those `given` in the place of the file's own."""
    return _folders(suite, suite.held_out, given, "held-out set", "held_out")


def source_folders(suite: Suite, given: Mapping[str, Path]) -> dict[str, Path]:
    """Folders of the sources of the suite's mixtures by name, those `given` in the place of the file's own."""
    return _folders(suite, suite.sources, given, "source", "sources")


def _folders(
    suite: Suite, own: Mapping[str, Path], given: Mapping[str, Path], what: str, table: str
) -> dict[str, Path]:
    for name in given:
        if name not in own:
            known = f"there are {', '.join(own)}" if own else "there is none"
            raise InvalidRequest(
                f"{what} {name!r} is not in {suite.file} ({known}): name it there in [{table}]"
            )
    return {name: given.get(name, folder) for name, folder in own.items()}
