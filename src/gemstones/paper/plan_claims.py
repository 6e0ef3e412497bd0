"""What the paper prescribes (§4.1, Figures 5, 12 and 16), beside exact minima over every feasible shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec
import numpy as np

from gemstones.analyses.sensitivity.prescribe import ends, prescribe_law
from gemstones.laws.fit import Fit
from gemstones.laws.hoffmann import optimal_params_tokens
from gemstones.laws.law import Law
from gemstones.laws.published import LAWS
from gemstones.numbers import flops_text
from gemstones.paper.approach3_claims import EMBEDDINGS
from gemstones.paper.claim import (
    NO_INTERVAL,
    Chapter,
    Claim,
    between,
    beyond,
    exact,
    number,
    statement,
)
from gemstones.paper.industry_claims import Trained, industry_claims
from gemstones.planning.plan import plan
from gemstones.planning.result import Plan
from gemstones.shape import FloatArray
from gemstones.units import Interval, format_quantity

SHAPES = {
    1e18: "512x6",
    1e19: "768x16",
    1e20: "1536x25",
    1e21: "2560x45",
    1e22: "4864x66",
    1e23: "9728x93",
    1e24: "19712x133",
}
"""Of the published `w,d,N,T` law, by budget in FLOPs: minima over every feasible shape, widths multiples of 256."""
RATIO_AT_1E22 = 2.8
"""Tokens per parameter of the last but two."""
BIN = 10 ** (8 / 12)
"""Width of the published plots' bins: 13 edges over 1e18 to 1e26."""
NARROW, WIDE = 1e19, 1e24
"""Budgets between which a prescription's trend is read."""
SEARCHED, MINOR = (1e18, 1e19, 1e20, 1e22, 1e24), 0.1
"""Budgets at which Equation 4 is compared with a search over shapes; a minor difference of N*, relatively."""
SEARCHED_FROM = 1e20
"""From which the difference is to be minor: smaller models are half embedding, whose parameters cost no FLOPs."""
EXACTLY = 1e-5
"""Of the least of two million sizes over a factor of e², which are 1e-6 apart."""
KAPLAN, CHINCHILLA = "kaplan", "chinchilla-epoch"
CHINCHILLA_BUDGET = 5.76e23
"""FLOPs that Chinchilla was trained with (Hoffmann et al. 2022)."""
LEFT_EDGE = "The published plots draw a bin's minimum at its left edge"
CONSTANTS = f"{NO_INTERVAL}published constants come without draws"


def plan_chapter(refit: Fit, classic: Fit, industry: Sequence[Trained]) -> Chapter:
    """Shapes by budget, trends, and what the published plots and tables get wrong.

    `refit` is our fit of `w,d,N,T` to `all`, `classic` that of `N,T`, both with draws.
    """
    law = LAWS["gemstones-width-depth"]
    assert isinstance(law, Law)
    claims = [
        *_published_shapes(law),
        *_our_shapes(refit),
        *trends(refit),
        *_left_edge(law),
        *_embedding(law),
        *_hoffmann(classic),
        *_rounding(),
        *industry_claims(refit, industry),
    ]
    return Chapter(
        "Prescriptions",
        "The shape of least predicted loss among all feasible ones (widths multiples of 256, heads of size 128, even "
        "in number), T = FLOPs / FLOPs per token (Appendix G), N counts total parameters. The paper prints no shapes: "
        "beside ours stand the minima of its published constants over an enumeration of every feasible shape. Those "
        "constants come without draws, so prescriptions from them have no interval; ours are 95%, by run.",
        tuple(claims),
        (5, 12, 16),
    )


def _published_shapes(law: Law) -> Iterator[Claim]:
    for budget, shape in SHAPES.items():
        yield exact(
            "§4.1, Figure 5",
            f"best shape for {flops_text(budget)} FLOPs, published constants of w,d,N,T",
            shape,
            str(_plan(budget, law).shape),
            interval=CONSTANTS,
        )
    yield number(
        "§4.1, Figure 5",
        "tokens per parameter at 1e22 FLOPs, published constants",
        RATIO_AT_1E22,
        _plan(1e22, law).tokens_per_param,
        within=0.02,
        interval=CONSTANTS,
        write=".3g",
    )


def _our_shapes(refit: Fit) -> Iterator[Claim]:
    for budget in (1e20, 1e22, 1e24):
        made = plan(budget, refit)
        found = made.intervals
        assert made.shape is not None and made.near_optimal is not None
        yield beyond(
            "§4.1",
            f"best shape for {flops_text(budget)} FLOPs by our converged fit",
            f"{made.shape} on {format_quantity(made.tokens)} tokens; {made.near_optimal.count:,} shapes within "
            f"{made.near_optimal.tolerance:.1%} of its loss",
            f"{NO_INTERVAL}no draws"
            if found is None
            else f"width {between(found['width'], '.0f')}, depth {between(found['depth'], '.0f')}, tokens "
            f"{between(found['tokens'], format_quantity)}",
            made.extrapolation.sentence(),
        )


def trends(refit: Fit) -> Iterator[Claim]:
    """How the prescribed shape and tokens per parameter change with FLOPs."""
    (found,) = prescribe_law(refit, [("total", "gemstones")], [NARROW, WIDE])
    aspect, ratio = found.w_opt / found.d_opt, found.t_opt / found.n_opt
    shape, (flat, flat_ends) = _power(refit, aspect), _power(refit, ratio)
    for topic, says, values, (power, interval), rises in (
        ("aspect", "the prescribed width over depth rises with FLOPs", aspect, shape, True),
        ("tokens", "the prescribed tokens per parameter fall with FLOPs", ratio, (flat, flat_ends), False),
    ):
        yield statement(
            "§4.1, Figure 5",
            says,
            f"{values[0, 0]:.3g} at {flops_text(NARROW)}, {values[0, 1]:.3g} at {flops_text(WIDE)} FLOPs: the power "
            f"{power:.3f}",
            (power > 0) is rises,
            interval=interval,
            settled=interval[0] * interval[1] > 0,
            why="the interval is of the power",
            topic=topic,
        )
    kaplan, chinchilla = (_published_ratio(name) for name in (KAPLAN, CHINCHILLA))
    powers = [float(np.log(law[1] / law[0]) / np.log(WIDE / NARROW)) for law in (kaplan, chinchilla)]
    middle = sum(powers) / 2
    yield statement(
        "§4.1, Figure 5",
        "prescribed tokens per parameter track Kaplan's prescription more closely than Chinchilla's",
        f"power {flat:.2f} of FLOPs, Kaplan's {powers[0]:.2f}, Chinchilla's {powers[1]:.2f} (Epoch AI's refit); at "
        f"{flops_text(WIDE)} FLOPs {ratio[0, 1]:.2g}, {kaplan[1]:.2g} and {chinchilla[1]:.2g}",
        flat < middle,
        interval=flat_ends,
        settled=flat_ends[1] < middle or flat_ends[0] > middle,
        why=f"the interval is of our power; by slopes: under {middle:.2f} it is nearer to Kaplan's; his count N "
        "without embeddings",
        topic="tokens",
    )


def _power(refit: Fit, values: FloatArray) -> tuple[float, Interval]:
    """Of FLOPs between the two budgets, for `values` (1 + draws, 2)."""
    powers = np.log(values[:, 1] / values[:, 0]) / np.log(WIDE / NARROW)
    power = float(powers[0])
    found = ends(powers[1:], power, discrete=True, level=refit.level)
    return power, found or (power, power)


def _published_ratio(name: str) -> tuple[float, float]:
    """Tokens per parameter at both budgets, by 6·N·T."""
    low, high = (_plan(budget, LAWS[name]).tokens_per_param for budget in (NARROW, WIDE))
    return low, high


def _left_edge(law: Law) -> Iterator[Claim]:
    at, drawn = _plan(1e22, law), _plan(1e22 * BIN, law)
    yield exact(
        "Figure 5",
        "the best shape for 1e22 FLOPs by the published constants, as the published plots draw it and as it is",
        str(drawn.shape),
        str(at.shape),
        why=f"the minimum of the bin that begins at 1e22 FLOPs lies at its right edge, {flops_text(1e22 * BIN)}: it "
        f"has {drawn.params / at.params:.2f} times the parameters; our figures draw a prescription at its own budget",
        interval=CONSTANTS,
        because=LEFT_EDGE,
    )


def _embedding(law: Law) -> Iterator[Claim]:
    right = _plan(1e20, law).relaxed
    wrong = _plan(1e20, msgspec.structs.replace(law, params_convention="non_embedding")).relaxed
    assert right is not None and wrong is not None
    yield exact(
        "Figure 16",
        "real-valued optimum at 1e20 FLOPs by the published constants, N as in the published relaxed tables and as in "
        "the fit",
        _real(wrong),
        _real(right),
        why="those tables count N without any embedding in a law that was fitted with both: "
        f"{wrong['params_total'] / right['params_total'] - 1:+.1%} parameters; we count as the fit did",
        interval=CONSTANTS,
        because=EMBEDDINGS,
    )


def _real(optimum: dict[str, float]) -> str:
    return f"width {optimum['width']:.0f}, depth {optimum['depth']:.1f}"


def _hoffmann(classic: Fit) -> Iterator[Claim]:
    law = classic.law
    n, _ = (float(x) for x in optimal_params_tokens(law.theta, 1e21))
    grid = np.exp(np.linspace(np.log(n) - 1, np.log(n) + 1, 2_000_001))
    losses = law.loss(np.column_stack([grid, 1e21 / (6 * grid)]))
    least = float(grid[losses.argmin()])
    found = plan(1e21, classic).intervals
    yield statement(
        "Figure 12",
        "Hoffmann's Equation 4 is the minimum of an N,T law under 6·N·T",
        f"N* = {n:.6g} at 1e21 FLOPs; the best of 2 million sizes has {least:.6g}",
        abs(least / n - 1) < EXACTLY,
        interval=f"{NO_INTERVAL}no draws" if found is None else between(found["params"], format_quantity),
        why="the interval is of N*",
    )
    (searched,) = prescribe_law(
        msgspec.structs.replace(classic, drawn=()), [("total", "gemstones")], SEARCHED
    )
    ratios = {
        budget: float(size / optimal_params_tokens(law.theta, budget)[0])
        for budget, size in zip(SEARCHED, searched.n_opt[0], strict=True)
    }
    yield statement(
        "Figure 12",
        "Equation 4 and a search over shapes with FLOPs by Appendix G differ little",
        "N* of the search is " + ", ".join(f"{r:.2f} at {flops_text(budget)}" for budget, r in ratios.items())
        + " FLOPs, times that of Equation 4",
        all(abs(r - 1) < MINOR for budget, r in ratios.items() if budget >= SEARCHED_FROM),
        interval=f"{NO_INTERVAL}both are of the same constants",
        why=f"little: under {MINOR:.0%} from {flops_text(SEARCHED_FROM)} FLOPs; below, embeddings, which cost no "
        "FLOPs, are much of N",
    )  # fmt: skip


def _rounding() -> Iterator[Claim]:
    names = ("chinchilla", "chinchilla-unrounded", CHINCHILLA)
    found = [_plan(CHINCHILLA_BUDGET, LAWS[name]) for name in names]
    constants = []
    for name in names:
        law = LAWS[name]
        assert isinstance(law, Law)
        (alpha, beta), (a, b) = law.exponents, np.exp(law.log_coefficients)
        constants.append(f"E {law.irreducible_loss:.5g}, A {a:.6g}, B {b:.6g}, α {alpha:g}, β {beta:g}")
    yield beyond(
        "§3.2",
        "Chinchilla's law at its own budget, 5.76e23 FLOPs by 6·N·T: as printed, before rounding, Epoch AI's refit",
        ", ".join(
            f"{format_quantity(p.params)} on {format_quantity(p.tokens)} tokens ({p.tokens_per_param:.3g} each)"
            for p in found
        ),
        CONSTANTS,
        f"rounding the constants biases the prescription: {'; '.join(constants)}",
    )


@lru_cache(maxsize=64)
def _plan(budget: float, law: Law) -> Plan:
    return plan(budget, law)
