"""Industry models as points of Figures 5 and 12 to 21: their shapes, and on how many tokens they were trained.

Shapes and parameters are published beside the runs (`gemstones.runs.industry`); FLOPs are 6·N·T, N in total, a matrix
that is embedding and head at once counted once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from gemstones.runs.industry import IndustryModel


@dataclass(frozen=True)
class TrainingTokens:
    """How many tokens models were pretrained on, and who says so."""

    tokens: float
    source: str
    at_most: bool = False
    """Only a limit is published: "up to"."""


GEMMA = "Gemma Team 2024, arXiv:2403.08295, section 4"
GEMMA_2 = "Gemma Team 2024, arXiv:2408.00118, section 3.1"
LLAMA_2 = TrainingTokens(2e12, "Touvron et al. 2023, arXiv:2307.09288, Table 1")
LLAMA_3 = TrainingTokens(15e12, "Llama 3 model card: over 15T")
LLAMA_3_1 = TrainingTokens(15e12, "Llama 3.1 model card: about 15T")
LLAMA_3_2 = TrainingTokens(9e12, "Llama 3.2 model card: up to 9T", at_most=True)
QWEN_2 = "Yang et al. 2024, arXiv:2407.10671, section 3.1"
QWEN_2_5 = TrainingTokens(18e12, "Qwen Team 2024, arXiv:2412.15115: up to 18T", at_most=True)

TRAINED_ON = MappingProxyType(
    {
        "google/Gemma-2b": TrainingTokens(3e12, GEMMA),
        "google/Gemma-7b": TrainingTokens(6e12, GEMMA),
        "google/Gemma-2-2b": TrainingTokens(2e12, GEMMA_2),
        "google/Gemma-2-9b": TrainingTokens(8e12, GEMMA_2),
        "google/Gemma-2-27b": TrainingTokens(13e12, GEMMA_2),
        "meta-llama/Llama-2-7b-hf": LLAMA_2,
        "meta-llama/Llama-2-13b-hf": LLAMA_2,
        "meta-llama/Llama-2-70b-hf": LLAMA_2,
        "meta-llama/Llama-3-8B": LLAMA_3,
        "meta-llama/Llama-3.1-70B": LLAMA_3_1,
        "meta-llama/Llama-3.2-1B": LLAMA_3_2,
        "meta-llama/Llama-3.2-3B": LLAMA_3_2,
        "Qwen/Qwen2-0.5B": TrainingTokens(12e12, QWEN_2),
        "Qwen/Qwen2-1.5B": TrainingTokens(7e12, QWEN_2),
        "Qwen/Qwen2-7B": TrainingTokens(7e12, QWEN_2),
        "Qwen/Qwen2.5-0.5B": QWEN_2_5,
        "Qwen/Qwen2.5-1.5B": QWEN_2_5,
        "Qwen/Qwen2.5-3B": QWEN_2_5,
        "Qwen/Qwen2.5-7B": QWEN_2_5,
        "Qwen/Qwen2.5-14B": QWEN_2_5,
        "Qwen/Qwen2.5-32B": QWEN_2_5,
    }
)
"""By name on the Hugging Face hub."""


def trained_models(models: Iterable[IndustryModel]) -> list[dict[str, Any]]:
    """Models whose tokens are published, as rows: budget (FLOPs, 6·N·T) and every quantity that a law prescribes."""
    return [_row(model, TRAINED_ON[model.name]) for model in models if model.name in TRAINED_ON]


def _row(model: IndustryModel, trained: TrainingTokens) -> dict[str, Any]:
    return {
        "name": model.short_name,
        "budget": 6.0 * model.params_total * trained.tokens,
        "width": float(model.width),
        "depth": float(model.depth),
        "aspect_ratio": model.aspect_ratio,
        "params": float(model.params_total),
        "tokens": trained.tokens,
        "tokens_per_param": trained.tokens / model.params_total,
        "source": trained.source,
    }
