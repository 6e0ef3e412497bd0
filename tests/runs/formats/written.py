"""Files to read, written by the tests, and the one line of a refusal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gemstones.errors import GemstonesError
from gemstones.runs.formats import Opened, open_runs

PLAIN = "run,tokens,loss\na,1e9,3.1\nb,2e9,3.0\n"
"""The smallest table of runs."""
ROWS = [("a", "1e9", "3.1"), ("b", "2e9", "3.0")]


def written(path: Path, content: str | bytes) -> Path:
    """`path`, with this content; its folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def opened(path: Path, content: str | bytes, **options: Any) -> Opened:
    """What a file with this content is opened as."""
    return open_runs(written(path, content), **options)


def refusal(call: Callable[[], object], status: int = 2) -> str:
    """The one line that a call is refused with."""
    with pytest.raises(GemstonesError) as caught:
        call()
    assert caught.value.exit_status == status
    line = str(caught.value)
    assert line.isprintable(), line
    return line
