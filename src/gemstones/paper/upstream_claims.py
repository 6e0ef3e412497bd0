"""Claims on what the repository shows since: whether the validation set matters, and whether shape does at equal loss.

Neither is in the paper, so every verdict is of a statement of ours, by a condition on the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from gemstones.laws.envelope import Envelope
from gemstones.laws.fit import Fit
from gemstones.numbers import flops_text
from gemstones.paper.claim import NO_INTERVAL, Chapter, Claim, between, beyond, statement
from gemstones.paper.fits import EnvelopeKey, FitKey
from gemstones.paper.upstream import BUDGET, OWN, SETS, Upstream
from gemstones.units import format_quantity

REPOSITORY = "published repository"
SAME = 1.25
"""A factor in N* within which prescriptions are called the same: near-optimal sets span more."""
NO_DRAWS = f"{NO_INTERVAL}no draws"
RESOURCES = {"flops": "FLOPs", "device_hours": "device hours"}
FIGURES = (25, 26, 27, 28)


def upstream_chapter(
    found: Upstream, fits: Mapping[FitKey, Fit], envelopes: Mapping[EnvelopeKey, Envelope]
) -> Chapter:
    """Every claim of the chapter."""
    return Chapter(
        "What the published repository shows since",
        f"Not in the paper: the 770 checkpoints of the main runs, every 10B tokens, with losses on {len(SETS)} "
        "validation sets (nats per token) and nine accuracies. Laws of loss are (w,d,N,T)^p, refitted to the same "
        "resamples of runs on every set; the law of a task is error = epsilon - k*exp(-gamma*loss), by least squares, "
        f"chance (mean of nine: {found.sets[0].mean_task.chance:.3f} accuracy) as a bound. FLOPs by Appendix G.",
        (*_sets(found), *_tasks(found), *_shapes(found), *_slopes(fits, envelopes)),
        FIGURES,
    )


def _sets(found: Upstream) -> Iterator[Claim]:
    for one in found.sets:
        yield beyond(
            REPOSITORY,
            f"N* at {flops_text(BUDGET)} FLOPs by losses on {SETS[one.name]}",
            f"{format_quantity(one.n_opt)}, T/N {one.tokens / one.n_opt:.3g}",
            NO_DRAWS if one.n_opt_interval is None else between(one.n_opt_interval, format_quantity),
        )
    others = [one for one in found.sets if one.name != OWN]
    ends = [one.ratio_interval for one in others if one.ratio_interval is not None]
    within = [low >= 1 / SAME and high <= SAME for low, high in ends]
    outside = [low > SAME or high < 1 / SAME for low, high in ends]
    yield statement(
        REPOSITORY,
        f"the validation set does not move the prescription at {flops_text(BUDGET)} FLOPs",
        ", ".join(f"N* on {SETS[one.name]} {one.ratio:.3g} times" for one in others),
        all(abs(math.log(one.ratio)) <= math.log(SAME) for one in others),
        interval=", ".join(between(x, ".3g") for x in ends) or NO_DRAWS,
        settled=all(within) or any(outside),
        why=f"the same: within a factor of {SAME:g}; resamples of runs are paired",
    )


def _tasks(found: Upstream) -> Iterator[Claim]:
    for one in found.sets:
        law, ends = one.mean_task, one.mean_task.intervals
        yield beyond(
            REPOSITORY,
            f"law of the mean error of nine tasks by losses on {SETS[one.name]}",
            ", ".join(f"{name} {value:.7g}" for name, value in law.constants.items())
            + f", sum of squares {law.objective:.7g}",
            NO_DRAWS
            if ends is None
            else ", ".join(f"{between(x, '.4g')} of {name}" for name, x in ends.items()),
            why=f"off by {100 * law.root_mean_square:.2f} points a row; held out, by losses that a law predicts, "
            f"{100 * (law.error_beyond or 0):.2f} points above the cut of compute and "
            f"{100 * (law.error_left_out or 0):.2f} for runs left out",
        )


def _shapes(found: Upstream) -> Iterator[Claim]:
    mean, *each = found.at_equal_loss
    yield statement(
        REPOSITORY,
        "at equal loss, deeper models make fewer errors (mean of nine tasks)",
        f"{100 * mean.slope:+.2f} points of error for every doubling of width over depth",
        mean.slope > 0,
        interval=NO_DRAWS
        if mean.interval is None
        else between((100 * mean.interval[0], 100 * mean.interval[1]), "+.2f"),
        settled=mean.settled,
        why="what the law of the mean error leaves, regressed on the log of width over depth; both refitted in every "
        "resample",
    )
    for one in each:
        yield beyond(
            REPOSITORY,
            f"error on {one.task} at equal loss, by doublings of width over depth",
            f"{100 * one.slope:+.2f} points",
            NO_DRAWS
            if one.interval is None
            else between((100 * one.interval[0], 100 * one.interval[1]), "+.2f"),
            why="" if one.settled else "cannot be told from none",
        )


def _slopes(fits: Mapping[FitKey, Fit], envelopes: Mapping[EnvelopeKey, Envelope]) -> Iterator[Claim]:
    """The growth of N* with FLOPs of every facet: a table of what Figure 6 draws."""
    for key, made in fits.items():
        if (exponents := made.optimal_exponents) is None:
            continue
        ends = (made.intervals or {}).get("optimal_exponents") or {}
        known = ends.get("params")
        yield beyond(
            "Figure 6",
            f"N* over FLOPs, Approach 3 {key.law} (delta {key.delta:g}, N counts {key.params}), {key.selection}",
            f"exponent {exponents['params']:.3f}",
            NO_DRAWS if known is None else between(known, ".3f"),
        )
    for frontier, found in envelopes.items():
        known = (found.intervals or {}).get("params", {}).get("slope")
        if "params" in found.fits:
            yield beyond(
                "Figure 6",
                f"N* over {RESOURCES[frontier.resource]}, Approach 1 by {frontier.method} (N counts "
                f"{frontier.params}), {frontier.selection}",
                f"slope {found.fits['params'].slope:.3f}",
                NO_DRAWS if known is None else between(known, ".3f"),
            )
