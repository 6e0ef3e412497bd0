"""A trained run as a folder that `transformers` loads as `GemmaForCausalLM`, with the same logits.

    checkpoint → gemma (names, gains, configuration) → folder → check (logits, tokenizer) → card

transformers is imported inside functions, so that importing this package stays light.
"""

from gemstones.train.export.check import logit_difference
from gemstones.train.export.export import Tokenizer, export, export_run
from gemstones.train.export.gemma import gemma_config, gemma_weights
from gemstones.train.export.values import Exported, Provenance

__all__ = [
    "Exported",
    "Provenance",
    "Tokenizer",
    "export",
    "export_run",
    "gemma_config",
    "gemma_weights",
    "logit_difference",
]
