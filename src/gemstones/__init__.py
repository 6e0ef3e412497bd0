"""Scaling laws of width, depth and tokens: design, fit and plan, with honest intervals.

    >>> import gemstones as gs
    >>> runs = gs.load("pebbles").select("all")  # or a file, or a frame
    >>> law = gs.fit(runs, "N,T", bootstrap=40)
    >>> law.plan(1e14).tokens
    2.35e+07

What is offered here is loaded when it is first used: `import gemstones` itself loads nothing heavy.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from gemstones.version import __version__ as __version__

_NAME = re.compile(r"^from (gemstones[\w.]*) import (\w+) as \2$", re.MULTILINE)
_HOME = {
    name: module for module, name in _NAME.findall(Path(__file__).with_suffix(".pyi").read_text("utf-8"))
}
"""Public name → the module that it is in. The stub lists them, once for type checkers and for this."""

__all__ = sorted(_HOME.keys() - {"__version__"})  # noqa: PLE0605 - type checkers read the stub


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'gemstones' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
