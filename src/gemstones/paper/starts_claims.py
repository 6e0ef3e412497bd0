"""What the paper says of the number of starting points (Appendix D.5, Figure 20), beside our Figure 20."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from gemstones.paper.claim import NO_INTERVAL, Claim, beyond, statement
from gemstones.paper.fits import power
from gemstones.paper.starts import COVERED

if TYPE_CHECKING:
    import polars as pl

FEW_STARTS = 10
"""At which spreads over draws of starts are compared."""
UNSTABLE = 0.1
"""A spread of the exponent of T* from which it is: prescriptions four decades on differ by a factor of 2.5."""
TIGHT = 1e-5
MORE_DATA = (1e-4, 1e-5)
LESS, MORE = "le100B", "all"
NONE = f"{NO_INTERVAL}spreads are over draws of starts"

Spread = Mapping[tuple[str, float], float]
"""By selection and δ."""


def starts_claims(frame: pl.DataFrame) -> Iterator[Claim]:
    """Of the data of Figure 20 (`starts.exponents_by_starts`)."""
    few = max(n for n in frame["starts"].to_list() if n <= FEW_STARTS)
    theirs, ours = (_spread(frame, solver, few) for solver in ("lbfgs", "gemstones"))
    where = "Appendix D.5, Figure 20"
    by_delta = {delta: max(v for (_, d), v in theirs.items() if d == delta) for _, delta in theirs}
    spreads = ", ".join(f"{by_delta[delta]:.2f} at δ {power(delta)}" for delta in sorted(by_delta))
    yield statement(
        where,
        f"with few starts δ 1e-5 is unstable (here {few}, L-BFGS-B with numerical gradients)",
        f"the exponent of T* spreads over {spreads} ({COVERED:.0%} of draws of starts, the worse selection)",
        by_delta[TIGHT] > UNSTABLE,
        interval=NONE,
        why=f"unstable: over {UNSTABLE:g}"
        + ("; so few are too few at any δ" if min(by_delta.values()) > UNSTABLE else ""),
    )
    pairs = [(delta, theirs[LESS, delta], theirs[MORE, delta]) for delta in MORE_DATA]
    yield statement(
        where,
        f"more tokens make δ 1e-4 and 1e-5 more stable ({few} starts)",
        ", ".join(
            f"{less:.2f} to 100B and {more:.2f} to 350B at δ {power(delta)}" for delta, less, more in pairs
        ),
        all(more < less for _, less, more in pairs),
        interval=NONE,
    )
    tightest = max(v for (_, delta), v in ours.items() if delta == TIGHT)
    yield beyond(
        where,
        f"the same with this project's solver, at δ 1e-5, and the largest spread at any δ, {few} starts",
        f"{tightest:.3f}; {max(ours.values()):.3f}",
        NONE,
        "so the instability is the optimiser's, not the objective's" if max(ours.values()) < UNSTABLE else "",
    )


def _spread(frame: pl.DataFrame, solver: str, starts: int) -> Spread:
    import polars as pl

    rows = frame.filter((pl.col("solver") == solver) & (pl.col("starts") == starts)).to_dicts()
    return {
        (row["selection"], row["delta"]): row["high"] - row["low"]
        for row in rows
        if row["high"] is not None and row["low"] is not None
    }
