"""The law that a command takes: a published one by name, or a fit from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gemstones.cli.options import FLAG
from gemstones.errors import InvalidRequest
from gemstones.laws.fit import Fit
from gemstones.laws.law import Law
from gemstones.laws.published import LAW_NAMES, FrontierLaw, given_law
from gemstones.planning.plan import of_groups
from gemstones.printable import printable

LawName = Annotated[
    str, Parameter(help=f"A law by name ({', '.join(LAW_NAMES)}), or a file of `gemstones fit --output`.")
]

Of = Annotated[
    tuple[str, ...],
    FLAG,
    Parameter(
        help="Which one, like recipe=muon, of a law whose constants differ by a column; may be repeated."
    ),
]
Force = Annotated[
    bool,
    FLAG,
    Parameter(help="Plan even more than 4 decades of FLOPs from the fitted runs."),
]


def form_of(law: str) -> str:
    """`law` as the form that is fitted to RUNS; refused where it has constants already."""
    if law in LAW_NAMES or law.endswith(".json"):
        raise InvalidRequest(
            f"law {law} is fitted already: give RUNS or a law with constants, not both; a form like N,T or auto is "
            "fitted to RUNS"
        )
    return law


def law_of(name: str | Fit, of: tuple[str, ...] = ()) -> tuple[Fit | Law | FrontierLaw, str]:
    """The law that `name` and `of` mean, and what to call it: the name, that of the file, or what was fitted."""
    values = {}
    for written in of:
        column, equals, value = written.partition("=")
        if not (column and equals and value):
            raise InvalidRequest(f"of {written!r} is not COLUMN=VALUE: write it like recipe=muon")
        values[column] = value
    law = of_groups(given_law(name), values)
    if isinstance(name, Fit):
        return law, f"the fit to {name.dataset} ({name.selection})"
    return law, name if name in LAW_NAMES else printable(Path(name).name)
