"""The paper's headline claims, each beside the figure that shows it: what `paper.md` and `paper.html` lead with.

A headline stands on claims of the chapters, by their `topic`; its verdict is made of theirs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gemstones.paper.approach1_claims import PUBLISHED, PUBLISHED_BINS, WHOLE
from gemstones.paper.claim import NO_INTERVAL, Chapter, Claim, Verdict
from gemstones.paper.plan_claims import NARROW, RATIO_AT_1E22, SHAPES, WIDE
from gemstones.paper.price_claims import WORST_FLOPS, WORST_HOURS
from gemstones.shape import Shape

Outcome = Literal["holds", "holds in part", "undecided", "does not hold"]
FOR: tuple[Verdict, ...] = ("holds", "reproduced")
AGAINST: tuple[Verdict, ...] = ("does not hold", "differs")


@dataclass(frozen=True)
class Said:
    """What the paper concludes."""

    topic: str
    """Of the claims that it stands on."""
    title: str
    """In a few words, for a table of contents."""
    says: str
    where: str
    paper: str
    """The paper's numbers, or what it has instead."""
    figure: int


@dataclass(frozen=True)
class Headline:
    """What the paper concludes, and what became of it."""

    said: Said
    claims: tuple[Claim, ...]
    """At least one."""

    @property
    def outcome(self) -> Outcome:
        """Of the verdicts of its claims: none counts for another.

        It holds if all hold; in part if some do not, and others do; it is undecided if none fails and some are.
        """
        verdicts = [claim.verdict for claim in self.claims]
        if any(verdict in AGAINST for verdict in verdicts):
            return "holds in part" if any(verdict in FOR for verdict in verdicts) else "does not hold"
        return "undecided" if "undecided" in verdicts else "holds"

    @property
    def tally(self) -> str:
        """How many of its claims came out in which way: `3 held, 1 undecided`."""
        verdicts = [claim.verdict for claim in self.claims]
        found = {
            "held": sum(v in FOR for v in verdicts),
            "undecided": verdicts.count("undecided"),
            "failed": sum(v in AGAINST for v in verdicts),
        }
        return ", ".join(f"{count} {what}" for what, count in found.items() if count)


def _slopes() -> str:
    slopes = [lines["params"][0] for _, lines in PUBLISHED.values()]
    return (
        f"N* grows with FLOPs to the power {min(slopes):.3f} to {max(slopes):.3f} over five selections (published fits "
        "of Approach 1)"
    )


def _aspect_ratios() -> str:
    narrow, wide = (Shape.parse(SHAPES[budget]) for budget in (NARROW, WIDE))
    return (
        f"width/depth {narrow.aspect_ratio:.3g} ({narrow}) at {NARROW:g} FLOPs, {wide.aspect_ratio:.3g} ({wide}) at "
        f"{WIDE:g} (its published constants)"
    ).replace("e+", "e")


SAID = (
    Said(
        "selection", "Selection", "Which models and checkpoints are fitted changes what a law prescribes",
        "§1, §4.2", _slopes(), 6,
    ),
    Said(
        "aspect", "Width and depth", "The optimal width over depth rises with the budget", "§4.1",
        _aspect_ratios(), 5,
    ),
    Said(
        "tokens", "Tokens per parameter",
        "The optimal tokens per parameter fall with the budget, more as Kaplan's than as Chinchilla's", "§4.1",
        f"{RATIO_AT_1E22:g} tokens per parameter at 1e22 FLOPs (its published constants)", 12,
    ),
    Said(
        "constant", "Approach 1",
        "By the runs' own frontier tokens per parameter are about constant, slightly more than Chinchilla's",
        "§4.1", f"FLOPs to the power {PUBLISHED[WHOLE][1]['tokens_per_param'][0]:.3f} (published fit)", 4,
    ),
    Said(
        "hull", "Hull or bins", "The convex hull is more robust than the least loss of each bin", "§3.2, §4.1",
        f"{PUBLISHED[WHOLE][0]} points of the hull, {PUBLISHED_BINS[WHOLE][0]} bins; slopes of tokens per parameter "
        f"{PUBLISHED[WHOLE][1]['tokens_per_param'][0]:.3f} and {PUBLISHED_BINS[WHOLE][1]:.3f} (published fits)", 9,
    ),
    Said(
        "wide", "Wide or deep", "Narrow and deep models cost too much, in device hours above all", "§1, §4.3",
        f"the least efficient overspend about {WORST_FLOPS:.0%} in FLOPs, more than {WORST_HOURS:.0%} in GPU hours", 7,
    ),
    Said(
        "overtraining", "Overtraining",
        "Overtraining costs little loss, less at larger budgets, and less than training too large a model",
        "§1, §4.3", "no number: “only a small amount”", 8,
    ),
    Said(
        "flops", "FLOPs", "6 times the parameters miscounts FLOPs, most for unusual shapes", "Appendix G",
        "no number: “a significant amount”", 24,
    ),
)  # fmt: skip
"""In the order in which the paper draws on them."""


_OF = re.compile(r"the interval is of ([^;,]+)")


def headlines(chapters: Sequence[Chapter]) -> tuple[Headline, ...]:
    """Every headline that the chapters have claims for."""
    every = [claim for chapter in chapters for claim in chapter.claims]
    found = (Headline(said, tuple(claim for claim in every if claim.topic == said.topic)) for said in SAID)
    return tuple(headline for headline in found if headline.claims)


def with_interval(claim: Claim) -> str:
    """Our number, with its interval where it has one, and what that is of where it is not of the number before it."""
    if claim.interval.startswith(NO_INTERVAL):
        return claim.ours
    if (of := _OF.search(claim.why)) is not None:
        return f"{claim.ours} (interval of {of[1]}: {claim.interval})"
    return f"{claim.ours} {claim.interval}"
