"""The recipe: learning rate, initialisation and weight decay as pure functions of a shape (paper §3.1, F.2).

    rate   lr_eff = lr_base / (width · √depth')
    sigma  1/√width, but  attention output  1/√(2 · width · (l' + 1))
                          MLP output        1/√(2 · mlp_width · (l' + 1)),  l' = l · depth'/depth

l counts layers from 0; tensors are drawn from a normal truncated at ±3σ. depth' is the depth, except where
the patch of Appendix F.2 applies: very wide shapes are treated as if their aspect ratio were only 100.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from gemstones.errors import InvalidRequest
from gemstones.shape import Shape

LR_BASE = 5.0
"""The optimum of the paper's sweep (§3.1, Figure 3); its ablation halves it."""
TRUNCATION = 3.0
"""Initial values lie within ± this many σ (§3.1)."""
BETAS = (0.9, 0.95)
"""AdamW's decay rates of the two moments (§3 "Training Details")."""
EPSILON = 1e-8
"""What AdamW adds to the root of the second moment; the paper does not state one, this is PyTorch's."""
WEIGHT_DECAY = 0.1
"""AdamW's, on matrices only (§3 "Training Details")."""
CLIP_NORM = 1.0
"""Largest global norm of a gradient; the paper does not state one, its code base clips at 1."""

TensorKind = Literal[
    "embedding",
    "head",
    "query",
    "key",
    "value",
    "attention_output",
    "mlp_gate",
    "mlp_up",
    "mlp_output",
]
"""The matrices of the model; all but `embedding` and `head` are there once per layer."""
PatchMode = Literal["rule", "on", "off"]


class Patch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When very wide shapes are trained as if they were deeper (Appendix F.2).

    By the text, "if width/depth > 256". By its list 1792x7 and 3072x12, at exactly 256, are patched too,
    but not 768x3, also at 256: hence `inclusive`, and `mode` to switch the patch on or off for one run.
    """

    threshold: float = 256.0
    """Width over depth beyond which the rule applies."""
    inclusive: bool = False
    """The rule applies at the threshold itself too."""
    mode: PatchMode = "rule"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.threshold) and self.threshold > 0):
            raise InvalidRequest(f"threshold: {self.threshold} must be a positive number")
        # One value, one text: 256 and 256.0 must not differ in a run's id.
        msgspec.structs.force_setattr(self, "threshold", float(self.threshold))

    def applies(self, shape: Shape) -> bool:
        """Whether `shape` is patched."""
        if self.mode != "rule":
            return self.mode == "on"
        # Products, not quotients: 768/3 against 256 is then exact.
        limit = self.threshold * shape.depth
        return shape.width > limit or (self.inclusive and shape.width == limit)


BY_RULE = Patch()
"""The patch as the text of Appendix F.2 has it."""


def effective_depth(shape: Shape, patch: Patch = BY_RULE) -> int:
    """depth' = ⌈width/100⌉ where the patch applies, else the depth (F.2).

    >>> effective_depth(Shape(2560, 8)), effective_depth(Shape(1024, 28))
    (26, 28)
    """
    return -(-shape.width // 100) if patch.applies(shape) else shape.depth


def learning_rate(
    shape: Shape, lr_base: float = LR_BASE, patch: Patch = BY_RULE, power: float = 1.0
) -> float:
    """lr_eff = lr_base / (width · √depth')^power, the rate after warm-up; the paper's power is 1 (§3.1).

    >>> f"{learning_rate(Shape(1024, 16)):.3g}"
    '0.00122'
    """
    scale = shape.width * math.sqrt(effective_depth(shape, patch))
    return lr_base / (scale if power == 1 else scale**power)


def sigma(shape: Shape, tensor: TensorKind, layer: int | None = None, patch: Patch = BY_RULE) -> float:
    """σ of the truncated normal that `tensor` of layer `layer` (from 0) starts from (§3.1).

    Only the two output projections depend on the layer, and must name it. The MLP's counts its real fan-in,
    the MLP width, which is 4 · width in the paper.
    """
    match tensor:
        case "attention_output":
            fan_in = shape.width
        case "mlp_output":
            fan_in = shape.mlp_width
        case _:
            return 1 / math.sqrt(shape.width)
    if layer is None or not 0 <= layer < shape.depth:
        raise InvalidRequest(f"layer {layer} of {tensor} must be 0 to {shape.depth - 1} in shape {shape}")
    effective_layer = layer * effective_depth(shape, patch) / shape.depth
    return 1 / math.sqrt(2 * fan_in * (effective_layer + 1))


def decayed(tensor: TensorKind | Literal["norm"]) -> bool:
    """Whether weight decay acts on `tensor`: on matrices only, embedding and head included (§3)."""
    return tensor != "norm"
