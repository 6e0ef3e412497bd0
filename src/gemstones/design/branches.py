"""Where cooldowns branch off their parents, and the runs that they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from gemstones.accounting.flops import flops_per_token
from gemstones.design.field_errors import at, under
from gemstones.design.schedule import step_of
from gemstones.design.spec import RunSpec
from gemstones.design.suite_file import Cooldown
from gemstones.units import format_flops, format_quantity

FORK_TOLERANCE = 0.005
"""A fork this near, as a fraction of its steps, to a regular checkpoint of the parent is at that checkpoint; one
this far beyond its end is at its end, where a budget says where it is.

Intervals are rounded to steps once, so "every 10B" drifts off "every 2B": 10B is nearest to step 2384, the
fifth checkpoint is at step 2385, and the published cooldowns start there.
"""
MOST_FORKS = 10_000
"""Of one cooldown family: more is a slip of units."""

Forked = list[tuple[RunSpec, int]]
"""Parents, and the tokens at which a branch starts, before rounding to steps."""


def forks(family: Cooldown, parents: Sequence[RunSpec], path: str) -> Iterator[tuple[str, Forked]]:
    """Fork points of every parent, with where they are written."""
    if isinstance(family.forks, tuple):
        for i, fork in enumerate(family.forks):
            yield f"{path}.forks[{i}]", [(run, int(fork)) for run in parents]
    elif isinstance(family.fractions, tuple):
        for i, fraction in enumerate(family.fractions):
            yield f"{path}.fractions[{i}]", [(run, round(fraction * run.trained_tokens)) for run in parents]
    elif isinstance(family.every, int) and isinstance(family.until, int):
        if not 1 <= family.until // family.every <= MOST_FORKS:
            raise at(
                f"{path}.until", f"{family.until} must be 1 to {MOST_FORKS:,} times every, {family.every}"
            )
        for tokens in range(family.every, family.until + 1, family.every):
            yield f"{path}.until", [(run, tokens) for run in parents]
    else:
        assert isinstance(family.flops, tuple)
        for i, budget in enumerate(family.flops):
            where = f"{path}.flops[{i}]"
            ends = [(run, _fork_for(run, budget, family.length)) for run in parents]
            reached = [
                (run, min(tokens, run.trained_tokens))
                for run, tokens in ends
                if tokens <= (1 + FORK_TOLERANCE) * run.trained_tokens
            ]
            if not reached:
                raise at(
                    where,
                    f"{format_flops(budget)} FLOPs are more than any of the {len(parents)} parents comes to",
                )
            yield where, reached


def _fork_for(run: RunSpec, budget: float, length: float) -> int:
    """Tokens after which a cooldown of `length` ends at `budget` FLOPs (Appendix G), the parent's included."""
    return max(1, round(budget / flops_per_token(run.shape) / (1 + length)))


def cooled(parent: RunSpec, fork: int, family: Cooldown, path: str) -> RunSpec:
    """The cooldown of `parent` from `fork` tokens on, that lasts `family.length` times as long as it had trained."""
    step = step_of(fork, parent.batch_tokens)
    regular = min(parent.checkpoint_steps, key=lambda checkpoint: abs(checkpoint - step))
    # Where all checkpoints are kept, a branch is at one, whether it was planned with its parent or is added later.
    if abs(regular - step) <= FORK_TOLERANCE * step or (parent.keep == "all" and step < parent.steps):
        step = regular
    if step > parent.steps:
        raise at(
            path,
            f"{format_quantity(fork)} is beyond the end of its parent {parent.id} at "
            f"{format_quantity(parent.trained_tokens)} tokens: fork earlier, or train longer",
        )
    fork_tokens = step * parent.batch_tokens
    if fork_tokens > parent.decay_start:
        raise at(
            path,
            f"{format_quantity(fork)} is where the rate of its parent {parent.id} falls already, from "
            f"{format_quantity(parent.decay_start)} tokens on: fork earlier, or branch off runs of a constant rate",
        )
    own_steps = step_of(family.length * fork_tokens, parent.batch_tokens)
    with under(path):
        return msgspec.structs.replace(
            parent,
            family=family.name,
            parent=parent.id,
            fork_tokens=fork_tokens,
            tokens=fork_tokens + own_steps * parent.batch_tokens,
            cooldown=True,
            decay_tokens=0,
            decay=family.decay,
            floor=family.floor,
            keep="forks",
        )
