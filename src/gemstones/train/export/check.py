"""What `transformers` makes of an export, against what we trained: logits and tokens must be the same."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gemstones.errors import Failure, extra
from gemstones.runs.one_line import one_line
from gemstones.shape import Shape
from gemstones.train.corpus.tokenizer import parse_tokenizer
from gemstones.train.export.folder import TOKENIZER
from gemstones.train.model import Transformer

TOLERANCE = 1e-5
"""Largest difference of a logit: what is beyond it is no rounding."""
COMPARED_TOKENS = 2048
"""About as many are compared, in windows of the context, but one random and one held-out window at least."""
MOST_WINDOWS = 4
"""Of each kind."""


def require_transformers() -> dict[str, str]:
    """Versions of what computes the comparison; `MissingExtra` where it is not installed."""
    with extra("export", "export to a Hugging Face folder"):
        import huggingface_hub  # noqa: F401
        import safetensors.torch  # noqa: F401

        transformers = _transformers()
    return {"torch": str(torch.__version__), "transformers": str(transformers.__version__)}


def window_count(context: int) -> int:
    """Windows to compare of one kind, random or held out."""
    return min(MOST_WINDOWS, max(1, COMPARED_TOKENS // (2 * context)))


def random_windows(shape: Shape) -> list[Tensor]:
    """Windows of random tokens, int64 (context,) each, the same every time."""
    size = (window_count(shape.context), shape.context)
    return list(torch.randint(shape.vocabulary, size, generator=torch.Generator().manual_seed(0)))


@torch.inference_mode()
def logit_difference(
    shape: Shape, weights: Mapping[str, Tensor], folder: Path, windows: Sequence[Tensor]
) -> float:
    """Largest difference of a logit between our model and `GemmaForCausalLM` as loaded from `folder`.

    `windows` are int64 (S,) each; arithmetic is float32 on the CPU. NaN if a logit is not a number. Raises
    `Failure` if tensors are missing or left over.
    """
    transformers = _transformers()
    with torch.device("meta"):
        ours = Transformer(shape)
    ours.load_state_dict(dict(weights), assign=True)
    with _quiet():
        theirs, problems = transformers.GemmaForCausalLM.from_pretrained(
            folder, attn_implementation="sdpa", local_files_only=True, output_loading_info=True
        )
    if wrong := {kind: sorted(map(str, names)) for kind, names in problems.items() if names}:
        raise Failure(f"transformers does not take the weights as they are: {one_line(wrong)}")
    theirs.eval()
    largest = torch.zeros(())
    for window in windows:
        tokens = window[None]
        logits = theirs(input_ids=tokens, use_cache=False).logits
        # Unlike Python's max, torch.maximum passes on what is not a number.
        largest = torch.maximum(largest, (logits - ours(tokens)).abs().max())
    return float(largest)


def check_tokenizer(folder: Path, end_of_document: int, windows: Sequence[Tensor]) -> None:
    """Raise `Failure` unless `AutoTokenizer` encodes the text of `windows` as the corpus was encoded."""
    file = folder / TOKENIZER
    original = parse_tokenizer(file.read_bytes(), file)
    with _quiet():
        loaded = _transformers().AutoTokenizer.from_pretrained(folder, local_files_only=True)
        if loaded.eos_token_id != end_of_document:
            raise Failure(
                f"transformers ends a document with id {loaded.eos_token_id}, the corpus with {end_of_document}"
            )
        for window in windows:
            text = original.decode(window.tolist(), skip_special_tokens=True)
            expected = original.encode(text, add_special_tokens=False).ids
            try:
                same = loaded(text, add_special_tokens=False)["input_ids"] == expected
            except Exception:  # tokenizers raises no narrower class
                same = False
            if not same:
                raise Failure(
                    "the tokenizer, as transformers loads it, does not encode as the corpus was encoded"
                )


def _transformers() -> Any:
    """The module, untyped: its own types are wrong about what we call, and half a minute to check."""
    return import_module("transformers")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the bars and hints of `transformers`: what is said here is ours."""
    logging = _transformers().utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
