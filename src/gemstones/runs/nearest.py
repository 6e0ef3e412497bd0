"""The name that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, found: Iterable[str]) -> str | None:
    """The name most like `name`, one that contains it first.

    >>> nearest("loss", ["step", "val_loss"]), nearest("tokns", ["tokens", "step"]), nearest("x", ["step"])
    ('val_loss', 'tokens', None)
    """
    names = list(found)
    containing = [other for other in names if len(name) > 1 and name.lower() in other.lower()]
    near = containing or difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return near[0] if near else None
