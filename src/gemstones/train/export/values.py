"""What an export says of itself: `gemstones.json`, from which the model card is written."""

from __future__ import annotations

from typing import Any

import msgspec

from gemstones.design.spec import RunSpec


class Provenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a run was when its weights were saved, and how it came there."""

    step: int
    loss: float | None = None
    """Of the held-out windows after this step, nats/token; None if it was not evaluated there."""
    evaluation_windows: int | None = None
    sessions: int = 1
    """Begun before this step; more than one after interruptions."""
    rollbacks: int = 0
    """Times that it diverged before this step and went back."""
    epochs: float | None = None
    """How often the whole run reads its training text."""
    corpus_fingerprint: str = ""
    corpus_tokens: int | None = None
    """Of the training split."""


class Exported(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`gemstones.json`."""

    format: int = 1
    run: str
    family: str
    parent: str
    tokens: int
    """Trained on, the parent's up to the fork included."""
    provenance: Provenance
    params_total: int
    max_logit_difference: float
    """Between `GemmaForCausalLM` loaded from the folder and our model, in float32."""
    compared_tokens: int
    """Over which."""
    moved_channels: int
    """As `gemma.GemmaWeights` has it."""
    rounded_channels: int
    """As `gemma.GemmaWeights` has it."""
    versions: dict[str, str]
    spec: RunSpec

    def summary(self) -> dict[str, Any]:
        """For `--json`: flat, but for versions and specification."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        provenance, _ = document.pop("provenance"), document.pop("format")
        return {"run": document.pop("run"), **provenance, **document}
