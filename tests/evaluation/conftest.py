"""Small random models of several architectures with toy tokenizers, as `save_pretrained` writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tests.cli.conftest import Cli, cli

__all__ = ["Cli", "cli"]

END = "<|endoftext|>"
DOCUMENTS = (
    "the cat sat on the mat and the dog sat on the cat",
    "a",
    "naïve café — ünïcode, 12 + 30 = 42!",
    " ".join(f"word{i % 7} follows word{i % 5}." for i in range(40)),
    "the dog and the cat and the mat and the end",
)


def byte_tokenizer(vocabulary: int = 300) -> Tokenizer:
    """A byte-level BPE of a few merges."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(DOCUMENTS, trainer)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=END, eos_token=END).save_pretrained(folder)


def model_of(kind: str, vocabulary: int, seed: int = 0, **others: Any) -> Any:
    """A random model, its logits far from uniform."""
    import transformers as t

    torch.manual_seed(seed)
    usual: dict[str, Any] = {
        "vocab_size": vocabulary, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None, "initializer_range": 0.3,
    }  # fmt: skip
    sized = {
        "hidden_size": 32, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        "max_position_embeddings": 64,
    }  # fmt: skip
    made = {
        "gemma": lambda: t.GemmaForCausalLM(
            t.GemmaConfig(
                **usual
                | sized
                | {"num_key_value_heads": 2, "head_dim": 8, "tie_word_embeddings": False}
                | others
            )
        ),
        "llama": lambda: t.LlamaForCausalLM(
            t.LlamaConfig(**usual | sized | {"tie_word_embeddings": True} | others)
        ),
        "neox": lambda: t.GPTNeoXForCausalLM(t.GPTNeoXConfig(**usual | sized | others)),
        "gpt2": lambda: t.GPT2LMHeadModel(
            t.GPT2Config(**usual | {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64} | others)
        ),
    }
    return made[kind]().eval()


KINDS = ("gemma", "llama", "neox", "gpt2")


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Saves a model with its tokenizer: `saved(kind, name, seed=…)`."""

    def save(
        kind: str = "gemma", name: str = "model", seed: int = 0, tokens: int = 300, **others: Any
    ) -> Path:
        folder = tmp_path / name
        tokenizer = byte_tokenizer(tokens)
        model_of(kind, tokenizer.get_vocab_size() + 3, seed, **others).save_pretrained(folder)
        save_tokenizer(tokenizer, folder)
        return folder

    return save


@pytest.fixture
def text(tmp_path: Path) -> Path:
    import json

    file = tmp_path / "text.jsonl"
    file.write_text("".join(json.dumps({"text": one}) + "\n" for one in DOCUMENTS))
    return file
