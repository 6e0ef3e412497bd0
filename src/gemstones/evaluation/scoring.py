"""A model's logits → the losses of the tokens that count: nothing is computed of what pads or was predicted before.

The head, a third of a small model's work and more, is given the hidden states of counted positions alone; where a
model's head is no module of its own, or a trial shows that its logits are then others, all logits are computed. The
cross-entropy is taken a few rows at a time, which stay in a processor's cache: the same numbers, in less time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import torch

    Logits: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
    Score: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

NOT_COUNTED = -1
"""In place of a target that does not count."""
_AT_ONCE = {"cpu": 2**18, "cuda": 2**28}
"""Logits that the cross-entropy takes at once, by device: 1 MiB of float32, what a core's cache holds."""


def scored(logits: Logits, head: Any = None) -> Score:
    """What gives losses in nats, float32 (B, S), of inputs and targets, int64 (B, S); 0 of targets `NOT_COUNTED`.

    `logits` is the model, int64 (B, S) → (B, S, V), and `head` its module that makes them of hidden states.
    """
    import torch

    def score(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        counted = targets != NOT_COUNTED
        if bool(counted.all()):
            return _cross_entropy(logits(inputs).flatten(0, 1), targets.flatten()).view(targets.shape)
        with _of_counted(head, counted):
            found = logits(inputs)
        rows = found[counted] if found.shape[:2] == counted.shape else found.flatten(0, 1)
        losses = torch.zeros(targets.shape, device=found.device)
        losses[counted] = _cross_entropy(rows, targets[counted])
        return losses

    return score


def usable_head(logits: Logits, head: Any, rows: int, device: torch.device) -> Any:
    """`head`, or None where logits of some positions alone are not those of all."""
    import torch

    if head is None:
        return None
    inputs = (torch.arange(16, device=device) * 7 % rows).view(2, 8)
    targets = inputs.roll(1)
    targets[0, ::2] = targets[1, 3:] = NOT_COUNTED
    with torch.inference_mode():
        try:
            whole, part = (scored(logits, one)(inputs, targets) for one in (None, head))
        except (RuntimeError, ValueError, TypeError, IndexError, AttributeError):
            return None
    close = torch.allclose(whole, part, rtol=1e-5 if whole.dtype == torch.float32 else 1e-2, atol=1e-4)
    return head if close else None


@contextlib.contextmanager
def _of_counted(head: Any, counted: torch.Tensor) -> Iterator[None]:
    """Inside, the head sees the counted positions of (B, S) as one sequence, (1, n)."""
    if head is None:
        yield
        return

    def chosen(module: Any, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
        hidden, *more = given
        return (hidden[counted][None], *more) if hidden.shape[:2] == counted.shape else None

    hook = head.register_forward_pre_hook(chosen)
    try:
        yield
    finally:
        hook.remove()


def _cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Nats, float32 (n,), of logits (n, V)."""
    import torch
    from torch.nn.functional import cross_entropy

    size = max(1, _AT_ONCE.get(logits.device.type, 2**28) // logits.shape[-1])
    parts = zip(torch.split(logits, size), torch.split(targets, size), strict=True)
    return torch.cat([cross_entropy(part.float(), of, reduction="none") for part, of in parts])
