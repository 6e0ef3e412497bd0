"""What the paper and its published fits say by Approach 1 (§4.1, Figures 4 and 9–11), beside ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from gemstones.analyses.overtrain.paired import Paired, paired
from gemstones.laws.envelope import BINS, OF_FRONTIER, QUANTITIES, Envelope, Method, Resource
from gemstones.laws.published import LAWS
from gemstones.paper.approach3_curves import optimum
from gemstones.paper.claim import (
    NO_INTERVAL,
    Chapter,
    Claim,
    beyond,
    exact,
    inside,
    interval_words,
    number,
    statement,
)
from gemstones.units import Interval

Frontier = Callable[[str, Resource, Method], Envelope]
"""The envelope of a selection by resource and method, with draws, total parameters."""

PUBLISHED: dict[str, tuple[int, dict[str, tuple[float, float]]]] = {
    "le100B-2B": (
        21,
        {
            "params": (0.499380216, -2.845107696),
            "tokens": (0.480988823, 1.896320827),
            "tokens_per_param": (-0.018391393, 4.741428523),
        },
    ),
    "lr-ablation-2B": (
        17,
        {
            "params": (0.513127536, -3.568844081),
            "tokens": (0.485794433, 1.794942270),
            "tokens_per_param": (-0.027333103, 5.363786350),
        },
    ),
    "cooldown": (
        12,
        {
            "params": (0.596981017, -7.522191520),
            "tokens": (0.393260379, 6.103985245),
            "tokens_per_param": (-0.203720638, 13.626176765),
        },
    ),
    "all-2B": (
        28,
        {
            "params": (0.457903080, -1.025860401),
            "tokens": (0.524898684, -0.029520870),
            "tokens_per_param": (0.066995605, 0.996339530),
        },
    ),
    "gt120B-2B": (
        14,
        {"params": (0.798672483, -18.042169765), "tokens": (0.182842984, 17.065587607)},
    ),
}
"""Points of the hull, and (slope, intercept) of each line over FLOPs: the published fits (paper's repository)."""
PUBLISHED_BINS = {
    "le100B-2B": (506, -0.213179264),
    "all-2B": (593, -0.106875586),
    "cooldown": (172, -0.520714679),
}
"""Non-empty bins of 750, and the slope of tokens per parameter."""

WHERE = {
    "le100B-2B": "Figures 4, 9",
    "lr-ablation-2B": "Figure 10",
    "cooldown": "Figure 11",
    "all-2B": "published fit",
    "gt120B-2B": "published fit",
}
EXACT = 1e-8
"""Of slopes and intercepts, which are published to nine digits."""
WORDS = {"params": "N", "tokens": "T", "tokens_per_param": "T/N"}
FLAT = 0.1
"""A power of FLOPs under which tokens per parameter count as constant: 26% over a decade."""
SLIGHTLY = 2.0
"""A factor under which one prescription is slightly above another: Figure 4's axis spans three decades."""
COMPARED_AT = 1e21
"""FLOPs at which prescriptions are compared: near the end of the fitted runs."""
HALF, COOLED = "lr-ablation-2B", "cooldown"
WHOLE = "le100B-2B"
"""Runs of the same tokens as those, at the whole rate and not cooled down."""


def approach1_chapter(frontier: Frontier) -> Chapter:
    """Slopes, intercepts and sizes of every published frontier, and what the paper concludes from them."""
    claims = [
        *_lines(frontier),
        *_binned(frontier),
        *_constant(frontier),
        *_hull_or_bins(frontier),
        *_selections(frontier),
    ]
    return Chapter(
        "Approach 1: the frontier of least loss",
        "log y = slope · log FLOPs + intercept over the points of the lower convex hull of log loss and log FLOPs "
        "(Appendix G), natural logarithms, N counts total parameters; slopes and intercepts of the published fits are "
        f"reproduced if they agree to {EXACT:g}. Intervals are 95%, from resamples of whole runs: the frontier itself "
        f"is the same, but which runs are on it is chance. They are {OF_FRONTIER}.",
        tuple(claims),
        (4, 9, 10, 11),
    )


def _lines(frontier: Frontier) -> Iterator[Claim]:
    for selection, (points, lines) in PUBLISHED.items():
        found = frontier(selection, "flops", "hull")
        yield exact(WHERE[selection], f"points of the hull, {selection}", points, len(found.frontier))
        for quantity in QUANTITIES:
            if quantity not in lines:
                continue
            (slope, intercept), ours = lines[quantity], found.fits[quantity]
            for name, theirs, line in (
                ("slope", slope, ours.slope),
                ("intercept", intercept, ours.intercept),
            ):
                yield number(
                    WHERE[selection],
                    f"{name} of {WORDS[quantity]}, {selection}",
                    theirs,
                    line,
                    within=EXACT,
                    absolute=True,
                    interval=_interval(found, quantity, name),
                    write=".9f",
                )


def _interval(found: Envelope, quantity: str, name: str) -> str:
    """As text, to fewer digits than the numbers that are compared; or that there is none."""
    return interval_words(_ends(found, quantity, name), ".4f")


def _ends(found: Envelope, quantity: str, name: str = "slope") -> Interval | str:
    if found.intervals is None:
        return f"{NO_INTERVAL}no resamples"
    return found.intervals[quantity][name] or f"{NO_INTERVAL}too few resamples"


def _binned(frontier: Frontier) -> Iterator[Claim]:
    for selection, (bins, slope) in PUBLISHED_BINS.items():
        found = frontier(selection, "flops", "bins")
        yield exact("Figure 4, red", f"non-empty bins of {BINS}, {selection}", bins, len(found.frontier))
        yield number(
            "Figure 4, red",
            f"slope of T/N over the bins' minimisers, {selection}",
            slope,
            found.fits["tokens_per_param"].slope,
            within=EXACT,
            absolute=True,
            interval=_interval(found, "tokens_per_param", "slope"),
            write=".9f",
        )


def _constant(frontier: Frontier) -> Iterator[Claim]:
    found = frontier(WHOLE, "flops", "hull")
    slope, ends = found.fits["tokens_per_param"].slope, _ends(found, "tokens_per_param")
    yield statement(
        "§4.1, Figure 4",
        "tokens per parameter are close to constant in FLOPs, by the hull, to 100B tokens",
        f"power {slope:.3f} of FLOPs",
        abs(slope) < FLAT,
        interval=ends,
        settled=isinstance(ends, str) or (ends[0] > -FLAT and ends[1] < FLAT) or min(map(abs, ends)) > FLAT,
        why=f"a power under {FLAT:g} counts as constant",
        topic="constant",
    )
    ours = float(found.fits["tokens_per_param"].at(COMPARED_AT))
    params, tokens = optimum(LAWS["chinchilla-epoch"], COMPARED_AT)
    theirs = tokens / params
    between_ratios = found.interval_at("tokens_per_param", COMPARED_AT)
    low, high = (end / theirs for end in between_ratios or (ours, ours))
    interval = (low, high) if between_ratios else f"{NO_INTERVAL}no resamples"
    compared = (
        f"{ours:.3g} against {theirs:.3g} (Epoch AI's refit) at 1e21 FLOPs: {ours / theirs:.2f} times as many"
    )
    yield statement(
        "§4.1, Figure 4",
        "more tokens per parameter than Chinchilla's prescription",
        compared,
        ours > theirs,
        interval=interval,
        settled=low > 1 or high < 1,
        write=".2f",
        why="the interval is of the ratio; FLOPs by Appendix G here and 6·N·T there, as in the paper's figure",
        topic="constant",
    )
    yield statement(
        "§4.1, Figure 4",
        "only slightly more tokens per parameter than Chinchilla's prescription",
        f"{ours / theirs:.2f} times as many",
        ours / theirs < SLIGHTLY,
        interval=interval,
        settled=high < SLIGHTLY or low > SLIGHTLY,
        write=".2f",
        why=f"a factor under {SLIGHTLY:g} counts as slight",
        topic="constant",
    )
    hours = frontier(WHOLE, "device_hours", "hull")
    yield beyond(
        "Figure 4, right",
        "power of T/N over device hours as measured, by the hull",
        f"{hours.fits['tokens_per_param'].slope:.3f}",
        _ends(hours, "tokens_per_param"),
        f"{len(hours.frontier)} points on the hull",
    )


def _hull_or_bins(frontier: Frontier) -> Iterator[Claim]:
    hull, bins = (frontier(WHOLE, "flops", method) for method in ("hull", "bins"))
    share = _beaten(bins)
    yield statement(
        "§4.1, Figure 4",
        "binning takes in many points that are strictly suboptimal",
        f"{share:.0%} of the {len(bins.frontier)} bins' minimisers have a higher loss than one of fewer FLOPs; the "
        f"hull has {len(hull.frontier)} points, none of them such",
        share > 0.5 and _beaten(hull) == 0,
        interval=f"{NO_INTERVAL}a count",
        why="many: more than half",
        topic="hull",
    )
    widths = {
        selection: [_width(frontier(selection, "flops", method)) for method in ("hull", "bins")]
        for selection in PUBLISHED
    }
    if all(width is not None for pair in widths.values() for width in pair):
        times = [binned / hulled for hulled, binned in widths.values() if hulled and binned]
        yield statement(
            "§3.2",
            "the hull makes the law more robust to which models there are than binning does",
            f"intervals of the slope of T/N from resampled runs are {min(times):.1f} to {max(times):.1f} times as wide "
            f"by bins, over {len(times)} selections",
            min(times) > 1,
            interval=f"{NO_INTERVAL}it compares intervals",
            topic="hull",
        )
    spans = []
    for method in ("hull", "bins"):
        made: Method = method
        slopes = [frontier(s, "flops", made).fits["tokens_per_param"].slope for s in PUBLISHED]
        spans.append(max(slopes) - min(slopes))
    yield beyond(
        "§3.2",
        "the same of which checkpoints are kept: slopes of T/N over the five selections span",
        f"{spans[0]:.2f} by the hull, {spans[1]:.2f} by bins",
        f"{NO_INTERVAL}those above are of each",
        "about as much",
    )


def _beaten(found: Envelope) -> float:
    """The share of the points that some point of less resource beats in loss."""
    points = sorted(found.frontier, key=lambda point: float(point["resource"]))
    losses = np.array([float(point["loss"]) for point in points])
    return float((losses[1:] > np.minimum.accumulate(losses)[:-1]).sum() / len(losses))


def _width(found: Envelope) -> float | None:
    ends = _ends(found, "tokens_per_param")
    return None if isinstance(ends, str) else ends[1] - ends[0]


def _selections(frontier: Frontier) -> Iterator[Claim]:
    found = {selection: frontier(selection, "flops", "hull") for selection in PUBLISHED}
    slopes = {selection: one.fits["params"].slope for selection, one in found.items()}
    low, high = (pick(slopes, key=lambda s: slopes[s]) for pick in (min, max))
    apart = _difference(found[high], found[low])
    yield statement(
        "§4.2, Figure 6",
        "the slope depends on which checkpoints are kept",
        f"N* grows with FLOPs to the power {slopes[low]:.3f} ({low}) to {slopes[high]:.3f} ({high})",
        slopes[high] > slopes[low],
        interval=apart.interval or apart.words,
        settled=apart.decided,
        why=f"the interval is of {high} less {low}, on paired resamples of the runs",
        topic="selection",
    )
    halved, cooled = (_difference(found[one], found[WHOLE]) for one in (HALF, COOLED))
    yield statement(
        "§3.1, Ablation Study",
        "with half the learning rate the fit remains robust: growth of N* by the hull",
        f"power {slopes[HALF]:.3f} of FLOPs, {slopes[WHOLE]:.3f} at the whole rate",
        halved.interval is None or inside(0.0, halved.interval),
        interval=halved.interval or halved.words,
        why="robust: the interval of the difference of the two has 0 in it",
    )
    yield statement(
        "§4.2, Figure 6",
        "cooling down noticeably changes the growth of N* by the hull",
        f"power {slopes[COOLED]:.3f} of FLOPs, {slopes[WHOLE]:.3f} without",
        slopes[COOLED] != slopes[WHOLE],
        interval=cooled.interval or cooled.words,
        settled=cooled.decided,
        why="noticeably: the resamples agree on the sign of the difference, of which the interval is",
    )


def _difference(one: Envelope, other: Envelope) -> Paired:
    """The growth of N* by one frontier less that by another; resample i of runs that both have is of the same ones."""
    none = np.zeros((0, 2))
    drawn = [np.asarray(found.draws.get("params", none))[:, 0] for found in (one, other)]
    return paired(drawn[0], drawn[1], (one.fits["params"].slope, other.fits["params"].slope), one.level)
