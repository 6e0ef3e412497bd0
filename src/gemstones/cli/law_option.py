"""The law that a command takes: a published one by name, or a fit from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gemstones.laws.fit import Fit
from gemstones.laws.law import Law
from gemstones.laws.published import LAW_NAMES, FrontierLaw, given_law

LawName = Annotated[
    str, Parameter(help=f"A law by name ({', '.join(LAW_NAMES)}), or a file of `gemstones fit --output`.")
]


def law_of(name: str) -> tuple[Fit | Law | FrontierLaw, str]:
    """The law that `name` means, and what to call it: the name, or that of the file."""
    return given_law(name), name if name in LAW_NAMES else Path(name).name
