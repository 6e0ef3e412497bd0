"""Published fits of Approach 3 beside ours, which converged: objectives, exponents, constants, and Epoch AI's refit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from gemstones.accounting.parameters import ParamsConvention
from gemstones.laws.fit import Fit
from gemstones.laws.law import Law
from gemstones.laws.published import LAWS
from gemstones.paper.claim import (
    NO_INTERVAL,
    PER_CENT,
    Claim,
    inside,
    interval_words,
    number,
    statement,
)
from gemstones.shape import FloatArray
from gemstones.units import Interval

FitOf = Callable[[str, str, float, ParamsConvention], Fit]
"""The fit of a selection, law, δ and convention of N, with draws by run."""


@dataclass(frozen=True)
class Published:
    """A published fit: its objective, its exponents, and the best objective that is known."""

    selection: str
    law: str
    objective: float
    best: float
    exponents: tuple[float, ...]
    best_exponents: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """`N,T on all`."""
        return f"{self.law} on {self.selection}"


PUBLISHED = (
    Published("le100B", "N,T", 2.076018e-4, 2.075051556e-4, (0.2989, 0.6928), (0.2928, 0.7289)),
    Published("all", "N,T", 6.923300e-4, 6.923289079e-4, (0.25755, 0.59093), (0.2577, 0.5895)),
    Published("all", "w,d,T", 4.199462e-4, 4.199461721e-4, (0.261, 0.142, 0.542)),
    Published(
        "le100B",
        "w,d,N,T",
        1.11878e-4,
        1.114037941e-4,
        (0.245, 0.387, 0.500, 0.476),
        (0.307, 0.507, 0.393, 0.483),
    ),
    Published(
        "all",
        "w,d,N,T",
        2.949708e-4,
        2.948052764e-4,
        (0.2196, 0.4759, 0.3636, 0.4935),
        (0.208, 0.484, 0.368, 0.536),
    ),
    Published("hoffmann-reduced", "N,T", 1.33978e-5, 1.303638028e-5, (0.276, 0.474), (0.201, 0.524)),
)
"""At δ = 1e-4, total parameters; the sums, not means, of Huber's function (paper's repository)."""
CONVERGED = 1e-5
"""Relative distance of objectives up to which a published fit counts as at the minimum."""
AT_MOST = 1e-6
"""Above the best known objective, relatively, up to which ours counts as right."""
PRINTED_BEST = 0.01
"""Of exponents of the best known fits, which are known to three digits."""
SHIPPED = {"N,T": "gemstones", "w,d,N,T": "gemstones-width-depth"}
"""Published fits to `all`, with every constant."""
NOTHING = 1e-6
"""Nats per token: an irreducible loss below it is none."""

EPOCH = {"A": 477.8, "B": 2143.0, "exp(E)": 1.8172, "alpha": 0.34731, "beta": 0.36718}
EPOCH_OBJECTIVE = 1.018274e-3
EPOCH_ERRORS = {"alpha": 0.0154, "beta": 0.0206}
"""Besiroglu et al. 2024: constants and bootstrap standard errors, by row, δ = 1e-3."""
DELTA = 1e-4
UNCONVERGED = "The published fit stopped before its minimum"
MINIMUM = f"{NO_INTERVAL}a minimum"
NO_DRAWS = f"{NO_INTERVAL}too few runs"


def fit_claims(fit: FitOf, epoch_by_row: Fit) -> Iterator[Claim]:
    """Every published fit beside ours to the same rows."""
    made = {published: fit(published.selection, published.law, DELTA, "total") for published in PUBLISHED}
    yield _at_most(made)
    for published, ours in made.items():
        yield _objective(published, ours)
        yield from _exponents(published, ours)
        if (law := _released(published)) is not None:
            yield from _constants(published, law, ours)
    yield from _irreducible(fit("all", "w,d,T", DELTA, "total"))
    yield from _replication(epoch_by_row)


def _at_most(made: dict[Published, Fit]) -> Claim:
    right = [ours.objective <= published.best * (1 + AT_MOST) for published, ours in made.items()]
    best = ", ".join(f"{published.best:.9e} ({published.name})" for published in made)
    return statement(
        "best known fits",
        f"our objectives are at most the best known: {best}",
        ", ".join(f"{ours.objective:.9e}" for ours in made.values()),
        all(right),
        interval="none: minima",
        why=f"to {AT_MOST:g}",
    )


def _above(published: Published, ours: Fit) -> float:
    return published.objective / ours.objective - 1


def _objective(published: Published, ours: Fit) -> Claim:
    return number(
        "published fit",
        f"objective of {published.name}",
        published.objective,
        ours.objective,
        within=CONVERGED,
        interval=MINIMUM,
        write=".6e",
        why=f"the published fit lies {_above(published, ours):.2g} above the minimum, relatively; ours is "
        f"{ours.status}" + (f", flagged {_flags(ours)}" if ours.flags else ""),
        because=UNCONVERGED,
    )


def _flags(made: Fit) -> str:
    return ", ".join(flag.partition(":")[0] for flag in made.flags)


def _released(published: Published) -> Law | None:
    """The law that ships as a named constant, with all of its digits, where there is one."""
    law = LAWS[SHIPPED[published.law]] if published.selection == "all" and published.law in SHIPPED else None
    assert law is None or isinstance(law, Law)
    return law


def _exponents(published: Published, ours: Fit) -> Iterator[Claim]:
    intervals = (ours.intervals or {}).get("exponents", {})
    best = published.best_exponents or published.exponents
    law = _released(published)
    exact = published.exponents if law is None else law.exponents
    for term, short, theirs, known, here in zip(
        ours.law.terms, published.exponents, exact, best, ours.law.exponents, strict=True
    ):
        ends: Interval | str = intervals.get(term, NO_DRAWS)
        as_known = abs(here / known - 1) <= PRINTED_BEST
        yield number(
            "published fit",
            f"exponent of {term}, {published.name}" + ("" if law is None else f", in short {short:g}"),
            theirs,
            here,
            within=PER_CENT,
            interval=interval_words(ends, ".4g"),
            write=".5g" if law is None else ".10f",
            why=f"the best known fit has {known:g}{', as ours' * as_known}; the published value lies "
            f"{'inside' if inside(theirs, ends) else 'outside'} our interval",
            because=UNCONVERGED if as_known else "",
        )


def _constants(published: Published, law: Law, ours: Fit) -> Iterator[Claim]:
    """Those that the paper's text does not have: log coefficients, and E."""
    intervals = ours.intervals or {}
    of_terms = intervals.get("log_coefficients", {})
    rows = [
        (f"log coefficient of {term}", theirs, here, of_terms.get(term, NO_DRAWS))
        for term, theirs, here in zip(law.terms, law.log_coefficients, ours.law.log_coefficients, strict=True)
    ]
    assert law.log_irreducible is not None and ours.law.log_irreducible is not None  # sums of powers
    rows.append(
        ("E", law.log_irreducible, ours.law.log_irreducible, intervals.get("log_irreducible", NO_DRAWS))
    )
    for what, theirs, here, ends in rows:
        yield number(
            "published fit",
            f"{what}, {published.name}",
            theirs,
            here,
            within=PER_CENT,
            interval=interval_words(ends, ".4g"),
            write=".10f",
            why=f"the published fit lies {_above(published, ours):.2g} above the minimum, relatively",
            because=UNCONVERGED,
        )


def _irreducible(made: Fit) -> Iterator[Claim]:
    ends, irreducible = (made.intervals or {}).get("irreducible_loss", NO_DRAWS), made.law.irreducible_loss
    assert irreducible is not None
    yield statement(
        "published fit",
        "the law in w, d and T on all has no irreducible loss: exp(E) goes to 0",
        f"exp(E) is {_nats(irreducible)} nats per token",
        irreducible < NOTHING,
        interval=ends,
        settled=isinstance(ends, str) or ends[1] < NOTHING or ends[0] > NOTHING,
        write=_nats,
        why=f"our fit is flagged {_flags(made)}" if made.flags else "",
    )


def _nats(loss: float) -> str:
    return f"under {NOTHING:g}" if loss < NOTHING else f"{loss:.3g}"


def _replication(made: Fit) -> Iterator[Claim]:
    law, draws = made.law, made.theta_draws
    where = "Besiroglu et al. 2024"
    yield number(
        where,
        f"objective on {made.rows} Chinchilla runs, δ {made.delta:g}",
        EPOCH_OBJECTIVE,
        made.objective,
        within=AT_MOST,
        write=".6e",
        interval=MINIMUM,
    )
    ours = dict(zip(EPOCH, _hoffmann_constants(law.theta), strict=True))
    of_draws = dict(zip(EPOCH, _hoffmann_constants(draws), strict=True))
    for name, theirs in EPOCH.items():
        low, high = np.quantile(of_draws[name], [0.025, 0.975])
        yield number(
            where,
            f"{name}, intervals by row",
            theirs,
            float(ours[name]),
            within=2e-3,
            interval=(float(low), float(high)),
            write=".5g",
        )
    for name, theirs in EPOCH_ERRORS.items():
        yield number(
            where,
            f"bootstrap standard error of {name}, by row",
            theirs,
            float(of_draws[name].std(ddof=1)),
            within=0.15,
            interval=f"{NO_INTERVAL}{len(draws)} resamples give it to about {1 / np.sqrt(2 * len(draws)):.0%}",
            write=".3g",
        )


def _hoffmann_constants(theta: FloatArray) -> tuple[FloatArray, ...]:
    """A, B, exp(E), α, β of θ (…, 5)."""
    alpha, beta, *logs = (theta[..., i] for i in range(5))
    return (*(np.exp(x) for x in logs), alpha, beta)
