"""A design as a suite file, which `gemstones suite plan` and `suite run` take."""

from __future__ import annotations

import math
from collections import Counter

from gemstones.analyses.next_run.candidates import CHECKPOINTS, COOLDOWN
from gemstones.analyses.next_run.result import Bought, Design
from gemstones.analyses.next_run.shown import factor_text
from gemstones.laws.interval import level_text
from gemstones.marks import DESIGNED
from gemstones.units import format_flops

BOTH = "# They are of one recipe: train the other with this file too. The FLOPs are of both."
LEAST_STEPS = 400
"""Of the shortest run, if batches of a sequence allow."""
MOST_SEQUENCES = 1024
WARMUP = 100
"""Steps of the warm-up, at most a hundredth of the shortest run."""


def suite_text(design: Design) -> str:
    """TOML of a suite with the runs of `design`, in stages by the order in which to buy them.

    Runs of one shape are one family each, with other seeds, so that none is a copy of another's beginning; each
    checkpoint that the design counts on is an evaluation, or with `annealed` the end of a cooldown. Batch and warm-up
    are a start: what is good depends on the data and the recipe.
    """
    first = design.runs[0].shape
    shortest = min(run.tokens for run in design.runs)
    batch = 2 ** max(
        0,
        min(round(math.log2(MOST_SEQUENCES)), int(math.log2(max(shortest / first.context / LEAST_STEPS, 1)))),
    )
    step = batch * first.context
    warmup = max(step, round(min(WARMUP * step, shortest / 100)))
    groups = _groups(design)
    names = dict.fromkeys(str(run.shape) for run in design.runs)
    lines = [
        f"# {len(design.runs) * design.seeds} runs for {design.want} at {format_flops(design.budget)} FLOPs, "
        f"{DESIGNED}:",
        f"# {format_flops(design.flops)} FLOPs ({design.flops_convention}), {level_text(design.level)} interval "
        f"{factor_text(design.interval_factor)} either way by the model of docs/next-run.md.",
        *([BOTH] if design.want == "compare" else []),
        "# Batch, warm-up and rate are a start, not part of the design: set what suits your data and recipe.",
        "# stage is the order in which to buy.",
        "",
        "[models]",
        f"head_size = {first.head_size}",
        f"queries_per_kv = {first.queries_per_kv}",
        f"mlp_expansion = {first.mlp_expansion}",
        f"vocabulary = {first.vocabulary}",
        f"context = {first.context}",
        "",
        "[shapes]",
        "explicit = [" + ", ".join(f'"{name}"' for name in names) + "]",
        "",
        "[training] # of none: every run is of a family below",
        f"tokens = {round(shortest)}",
        f"batch_sequences = {batch}",
        f"warmup_tokens = {warmup}",
        f"evaluations = {2 ** (CHECKPOINTS - 1)} # of each run",
    ]
    seeds: Counter[str] = Counter()
    names_used: Counter[str] = Counter()
    for stage, (run, count) in enumerate(groups):
        shape = str(run.shape)
        start, number = seeds[shape], count * design.seeds
        seeds[shape] += number
        name = "main" if names_used[shape] == 0 else f"main-{names_used[shape] + 1}"
        names_used[shape] += 1
        family = name if name == "main" else f"{name}-{shape}"
        fork = run.tokens / (1 + COOLDOWN) if design.annealed else run.tokens
        own = ", ".join(str(start + i) for i in range(number))
        lines += [
            "",
            "[[families]]",
            'family = "variant"',
            f'name = "{family}"',
            f'shapes = ["{shape}"]',
            f"tokens = {round(fork)}",
            f"seeds = [{own}]",
            f"stage = {stage}",
        ]
        if design.annealed:
            shares = ", ".join(f"{share:.4g}" for share in run.annealed_at)
            lines += [
                "",
                "[[families]]",
                'family = "cooldown"',
                f'name = "cooldown-{stage}"',
                f'of = "{family}"',
                f'shapes = ["{shape}"]',
                f"fractions = [{shares}]",
                f"length = {COOLDOWN}",
                f"stage = {stage}",
            ]
    return "\n".join(lines) + "\n"


def _groups(design: Design) -> list[tuple[Bought, int]]:
    """Different runs in the order of their first purchase, and how often each is bought."""
    counts: Counter[tuple[str, float]] = Counter((str(run.shape), run.tokens) for run in design.runs)
    first: dict[tuple[str, float], Bought] = {}
    for run in design.runs:
        first.setdefault((str(run.shape), run.tokens), run)
    return [(run, counts[key]) for key, run in first.items()]
