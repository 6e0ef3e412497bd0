"""What the paper says of industry models beside its prescriptions (§4.1, §4.3, Figures 5 and 12)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gemstones.analyses.overtrain.paired import paired
from gemstones.analyses.sensitivity.prescribe import prescribe_law
from gemstones.laws.fit import Fit
from gemstones.laws.published import LAWS
from gemstones.paper.approach3_curves import optimum
from gemstones.paper.claim import NO_INTERVAL, Claim, statement

CHINCHILLA = "chinchilla-epoch"
OFTEN, SYSTEMATICALLY = 0.5, 0.9
"""Shares of the models."""

Trained = tuple[str, float, float]
"""An industry model: its name, total parameters and training tokens."""


def industry_claims(refit: Fit, industry: Sequence[Trained]) -> Iterator[Claim]:
    """Their sizes beside those that Equation 2 and Chinchilla prescribe for their FLOPs, by 6·N·T."""
    budgets = [6 * total * tokens for _, total, tokens in industry]
    sizes = np.array([total for _, total, _ in industry])
    (found,) = prescribe_law(refit, [("total", "gemstones")], budgets)
    below = sizes < found.n_opt[0]
    held = float(below.mean())
    # Each draw's own share of the models: those of one draw go together.
    shares = paired(
        (sizes < found.n_opt[1:]).mean(1),
        np.full(found.draws, SYSTEMATICALLY),
        (held, SYSTEMATICALLY),
        refit.level,
    )
    yield statement(
        "§4.1, Figure 12",
        "industry models have fewer parameters than Equation 2 prescribes for their FLOPs (6·N·T)",
        f"{below.sum()} of {len(industry)}{_but(industry, below.tolist())}",
        held > SYSTEMATICALLY,
        interval=shares.words if refit.drawn else f"{NO_INTERVAL}no draws",
        settled=shares.decided,
        why=f"systematically: over {SYSTEMATICALLY:.0%}; their data are not the Gemstones', their training tokens as "
        "published by their authors",
    )
    smaller = sizes < np.array([optimum(LAWS[CHINCHILLA], budget)[0] for budget in budgets])
    yield statement(
        "§4.3, Figure 5",
        "industry models often use fewer parameters and more tokens than prior work prescribes (Chinchilla by Epoch "
        "AI, 6·N·T)",
        f"{smaller.sum()} of {len(industry)}{_but(industry, smaller.tolist())}",
        float(smaller.mean()) > OFTEN,
        interval=f"{NO_INTERVAL}published constants come without draws",
        why="often: more than half",
    )


def _but(industry: Sequence[Trained], held: Sequence[bool]) -> str:
    others = [name for (name, _, _), one in zip(industry, held, strict=True) if not one]
    return f": not {', '.join(others)}" if others else ""
