"""Published laws as named constants, each with its source. They come without draws, so without intervals."""

from __future__ import annotations

import math
import os
from functools import lru_cache
from pathlib import Path
from typing import overload

import msgspec

from gemstones.accounting.parameters import ParamsConvention
from gemstones.arguments import checked
from gemstones.display import few_lines, html_table
from gemstones.errors import InvalidRequest
from gemstones.laws.constants import law_notes
from gemstones.laws.fit import Fit
from gemstones.laws.law import FittedRange, Law
from gemstones.laws.prescribes import Prescribes
from gemstones.runs.one_line import one_line
from gemstones.units import format_flops, format_quantity


class FrontierLaw(Prescribes, msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A law of the optimum alone, N*(C) = n0·(C / c0)^exponent in FLOPs and parameters: it predicts no loss.

    >>> published("kaplan").params_optimal(1e22)
    104709934825.6
    """

    n0: float
    """Parameters at c0."""
    c0: float
    """FLOPs."""
    exponent: float
    params_convention: ParamsConvention
    name: str
    source: str
    fitted: FittedRange = FittedRange()

    @property
    def form(self) -> str:
        """Its only term: the budget."""
        return "C"

    def params_optimal(self, budget_flops: float) -> float:
        """N*(C)."""
        return float(self.n0 * (budget_flops / self.c0) ** self.exponent)

    def __repr__(self) -> str:
        return few_lines(f"FrontierLaw {self.name}: {self}, predicts no loss", law_notes(self))

    def __str__(self) -> str:
        return f"N* = {format_quantity(self.n0)}·(C / {format_flops(self.c0)})^{self.exponent:g}"

    def _repr_html_(self) -> str:
        return html_table(self.name, (), ((str(self),),), ("it predicts no loss", *law_notes(self)))


# What `all` of the published main runs spans: 22 shapes, checkpoints of 10B to 350B tokens.
_GEMSTONES_RANGE = FittedRange(
    flops=(3.41735160082858e18, 4.46717066784591e21),
    params=(48_377_600, 2_007_837_696),
    tokens=(10_003_415_040, 350_119_526_400),
    width=(256, 3072),
    depth=(3, 80),
)
# The same rows, FLOPs counted as 6·N·T, as plans of a law in N and T count them.
_GEMSTONES_RANGE_6NT = msgspec.structs.replace(
    _GEMSTONES_RANGE, flops=(2.903647268634624e18, 4.217899099269523e21)
)
# Of the 240 runs that Epoch read off Figure 4 of Hoffmann et al. and fitted (selection `epoch`); the figure is
# also the only published record of what Hoffmann et al. fitted.
_CHINCHILLA_RANGE = FittedRange(
    flops=(1.3972367362937152e18, 1.2956022673438285e22),
    params=(57_334_197.40687078, 16_183_346_310.730501),
    tokens=(818_680_776.817937, 317_754_489_343.9688),
)

LAWS: dict[str, Law | FrontierLaw] = {
    law.name: law
    for law in (
        Law(
            ("N", "T"),
            (0.2575546364, 0.5909317455),
            (4.8761769847, 12.6984060933),
            0.6655226816,
            name="gemstones",
            source="McLeish et al. 2025, Equation 1 fitted to `all`, δ 1e-4",
            fitted=_GEMSTONES_RANGE_6NT,
        ),
        Law(
            ("w", "d", "N", "T"),
            (0.2195783536, 0.4758917337, 0.3636454068, 0.4935127042),
            (1.082043835, -0.2186969889, 6.0902355695, 10.4720427681),
            0.4282048563,
            name="gemstones-width-depth",
            source="McLeish et al. 2025, Equation 2 fitted to `all`, δ 1e-4",
            fitted=_GEMSTONES_RANGE,
        ),
        Law(
            ("N", "T"),
            (0.34, 0.28),
            (math.log(406.4), math.log(410.7)),
            math.log(1.69),
            name="chinchilla",
            source="Hoffmann et al. 2022, Equation 10, constants as printed",
            fitted=_CHINCHILLA_RANGE,
        ),
        Law(
            ("N", "T"),
            (0.3392, 0.2849),
            (math.log(406.4), math.log(410.7)),
            math.log(1.6934),
            name="chinchilla-unrounded",
            source="Hoffmann et al. 2022, constants before rounding",
            fitted=_CHINCHILLA_RANGE,
        ),
        Law(
            ("N", "T"),
            (0.3478, 0.3658),
            (math.log(482.01), math.log(2085.43)),
            math.log(1.8172),
            name="chinchilla-epoch",
            source="Besiroglu et al. 2024 (Epoch AI), refit of Hoffmann et al. 2022",
            fitted=_CHINCHILLA_RANGE,
        ),
        FrontierLaw(
            n0=1.6e9,
            c0=1e15 * 86400,
            exponent=0.88,
            params_convention="non_embedding",
            name="kaplan",
            source="Kaplan et al. 2020, as plotted by Porian et al. 2024",
            # Kaplan et al. 2020, §1: 768 to 1.5 billion non-embedding parameters, 22M to 23B tokens.
            fitted=FittedRange(params=(768, 1.5e9), tokens=(22e6, 23e9)),
        ),
    )
}

REFIT = "gemstones-refit"
"""Our own fit to `all` of the form that backtests choose, (w,d,N,T)^p, with draws by run; the default of
`gemstones plan`."""
REFIT_COMMAND = (
    "gemstones fit gemstones --select all --law auto --bootstrap 400 --resample-starts 30 --seed 0 "
    "--output gemstones-refit.json"
)
REFIT_PLAIN = "gemstones-refit-plain"
"""The same of Equation 2, without an exponent around the sum: the headline of the first release."""
REFIT_PLAIN_COMMAND = (
    "gemstones fit gemstones --select all --law w,d,N,T --bootstrap 400 --resample-starts 30 --seed 0 "
    "--output gemstones-refit-plain.json"
)
REFITS = (REFIT, REFIT_PLAIN)
LAW_NAMES = (*REFITS, *LAWS)


@lru_cache(maxsize=2)
def refit(name: str = REFIT) -> Fit:
    """A fit that ships with the package; `REFIT_COMMAND`, or `REFIT_PLAIN_COMMAND`, makes it again."""
    from importlib.resources import files

    return Fit.from_json(files("gemstones.laws").joinpath(f"{name}.json").read_bytes(), name)


def given_law(law: Fit | Law | FrontierLaw | str | Path) -> Fit | Law | FrontierLaw:
    """`law` itself, or what its name says: a published law, or a file that `Fit.save` wrote.

    Raises `InvalidRequest` for what is neither.
    """
    if isinstance(law, Fit | Law | FrontierLaw):
        return law
    if isinstance(law, str | Path):
        name = str(law)
        if name in LAW_NAMES:
            return published(name)
        if name.endswith(".json") or os.path.exists(name):  # noqa: PTH110 (Path raises for names that are too long)
            return Fit.load(name)
        raise InvalidRequest(
            f"law {one_line(name, 60)!r} is neither a law ({', '.join(LAW_NAMES)}) nor a file written by "
            "`gemstones fit --output`"
        )
    raise InvalidRequest(
        f"law of type {type(law).__name__} predicts nothing: give a fit, a law, or the name of one "
        f"({', '.join(LAW_NAMES)})"
    )


@overload
def published(name: None = None) -> tuple[str, ...]: ...
@overload
def published(name: str) -> Fit | Law | FrontierLaw: ...
@checked
def published(name: str | None = None) -> Fit | Law | FrontierLaw | tuple[str, ...]:
    """The published law of that `name`, or without one the names there are.

    Fits of ours have draws, and so intervals; constants of others have none. Losses are in nats per token, N is counted
    as each law's `params_convention` says. Raises `InvalidRequest` with the names for one that is unknown.

    >>> published()[:3]
    ('gemstones-refit', 'gemstones-refit-plain', 'gemstones')
    >>> published("chinchilla")
    <Law chinchilla [N,T]: L = 406.4·N^-0.34 + 410.7·T^-0.28 + 1.69
      ...
    """
    if name is None:
        return LAW_NAMES
    if name in REFITS:
        return refit(name)
    if name not in LAWS:
        raise InvalidRequest(
            f"law {name!r} is unknown: choose from {', '.join(LAW_NAMES)}, or name a fit's JSON file"
        )
    return LAWS[name]
