"""Industry models as points of figures and of the explorer: their shapes, and on how many tokens they were trained.

Figures take shapes and parameters from what is published beside the runs (`gemstones.runs.industry`); `TRAINED` has
the same, so that a page has them without that file. FLOPs are 6·N·T, N in total, a matrix that is embedding and head at
once counted once.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, NamedTuple

from gemstones.runs.industry import IndustryModel


class Trained(NamedTuple):
    """A model's total parameters, width and depth; how many tokens it was pretrained on, and who says so."""

    params: int
    width: int
    depth: int
    tokens: float
    source: str


GEMMA = "Gemma Team 2024, arXiv:2403.08295, section 4"
GEMMA_2 = "Gemma Team 2024, arXiv:2408.00118, section 3.1"
LLAMA_2 = "Touvron et al. 2023, arXiv:2307.09288, Table 1"
LLAMA_3 = "Llama 3 model card: over 15T"
LLAMA_3_1 = "Llama 3.1 model card: about 15T"
LLAMA_3_2 = "Llama 3.2 model card: up to 9T"
QWEN_2 = "Yang et al. 2024, arXiv:2407.10671, section 3.1"
QWEN_2_5 = "Qwen Team 2024, arXiv:2412.15115: up to 18T"

TRAINED = MappingProxyType(
    {
        "google/Gemma-2b": Trained(2_506_172_416, 2048, 18, 3e12, GEMMA),
        "google/Gemma-7b": Trained(8_537_680_896, 3072, 28, 6e12, GEMMA),
        "google/Gemma-2-2b": Trained(2_614_341_888, 2304, 26, 2e12, GEMMA_2),
        "google/Gemma-2-9b": Trained(9_241_705_984, 3584, 42, 8e12, GEMMA_2),
        "google/Gemma-2-27b": Trained(27_227_128_320, 4608, 46, 13e12, GEMMA_2),
        "meta-llama/Llama-2-7b-hf": Trained(6_738_415_616, 4096, 32, 2e12, LLAMA_2),
        "meta-llama/Llama-2-13b-hf": Trained(13_015_864_320, 5120, 40, 2e12, LLAMA_2),
        "meta-llama/Llama-2-70b-hf": Trained(68_976_648_192, 8192, 80, 2e12, LLAMA_2),
        "meta-llama/Llama-3-8B": Trained(8_030_261_248, 4096, 32, 15e12, LLAMA_3),
        "meta-llama/Llama-3.1-70B": Trained(70_553_706_496, 8192, 80, 15e12, LLAMA_3_1),
        "meta-llama/Llama-3.2-1B": Trained(1_235_814_400, 2048, 16, 9e12, LLAMA_3_2),
        "meta-llama/Llama-3.2-3B": Trained(3_212_749_824, 3072, 28, 9e12, LLAMA_3_2),
        "Qwen/Qwen2-0.5B": Trained(494_032_768, 896, 24, 12e12, QWEN_2),
        "Qwen/Qwen2-1.5B": Trained(1_543_714_304, 1536, 28, 7e12, QWEN_2),
        "Qwen/Qwen2-7B": Trained(7_615_616_512, 3584, 28, 7e12, QWEN_2),
        "Qwen/Qwen2.5-0.5B": Trained(494_032_768, 896, 24, 18e12, QWEN_2_5),
        "Qwen/Qwen2.5-1.5B": Trained(1_543_714_304, 1536, 28, 18e12, QWEN_2_5),
        "Qwen/Qwen2.5-3B": Trained(3_085_938_688, 2048, 36, 18e12, QWEN_2_5),
        "Qwen/Qwen2.5-7B": Trained(7_615_616_512, 3584, 28, 18e12, QWEN_2_5),
        "Qwen/Qwen2.5-14B": Trained(14_770_033_664, 5120, 48, 18e12, QWEN_2_5),
        "Qwen/Qwen2.5-32B": Trained(32_763_876_352, 5120, 64, 18e12, QWEN_2_5),
    }
)
"""By name on the Hugging Face hub."""


def trained_points() -> list[dict[str, Any]]:
    """Every model with its shape, parameters (total), tokens and FLOPs (6·N·T); needs no published file."""
    return [
        {
            "name": name.rpartition("/")[2].removesuffix("-hf"),
            "params": model.params,
            "width": model.width,
            "depth": model.depth,
            "tokens": model.tokens,
            "flops": 6.0 * model.params * model.tokens,
        }
        for name, model in TRAINED.items()
    ]


def trained_models(models: Iterable[IndustryModel]) -> list[dict[str, Any]]:
    """Models whose tokens are published, as rows: budget (FLOPs, 6·N·T) and every quantity that a law prescribes."""
    return [_row(model, TRAINED[model.name]) for model in models if model.name in TRAINED]


def _row(model: IndustryModel, trained: Trained) -> dict[str, Any]:
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
