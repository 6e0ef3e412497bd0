"""Tokens per second of `gemstones evaluate` against a bare forward pass of the same model, type and batch.

    python benchmarks/evaluate.py [--threads 1]

The bare pass is `model(input_ids=…, use_cache=False).logits` over as many full windows, in inference mode, with nothing
done to the logits. Ours has the losses too, and the padding, ordering and sums of `gemstones.evaluation.losses`.
Alternating, the best of several of each: the machine has other work.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gemstones.evaluation.losses import evaluate_windows
from gemstones.evaluation.models import _scored
from gemstones.evaluation.windows import of_documents

SHAPES = ((256, 4, 512), (256, 4, 50_304))
CONTEXT, BATCH, TOKENS, REPEATS = 256, 1024, 2048, 3


def model_of(width: int, depth: int, vocabulary: int) -> Any:
    from transformers import GemmaConfig, GemmaForCausalLM

    config = GemmaConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=4 * width, num_hidden_layers=depth,
        num_attention_heads=width // 64, num_key_value_heads=width // 128, head_dim=64, tie_word_embeddings=False,
        max_position_embeddings=CONTEXT,
    )  # fmt: skip
    return GemmaForCausalLM(config).eval()


def seconds(work: Any) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    threads = parser.parse_args().threads
    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    lines = []
    for width, depth, vocabulary in SHAPES:
        model = model_of(width, depth, vocabulary)
        for dtype in (torch.float32, torch.bfloat16):
            model = model.to(dtype)
            for name, sizes in (("windows", [CONTEXT] * (TOKENS // CONTEXT)), ("documents", None)):
                lengths = sizes or [int(n) for n in np.minimum(rng.lognormal(5.0, 0.8, 12) + 8, 4 * CONTEXT)]
                documents = [rng.integers(1, vocabulary, n).astype(np.int32) for n in lengths]
                windows = of_documents(documents, 1, 0, context=CONTEXT, stride=CONTEXT)
                predicted = windows.predicted
                whole = torch.from_numpy(rng.integers(1, vocabulary, (TOKENS // CONTEXT, CONTEXT)))
                score = _scored(lambda inputs, model=model: model(input_ids=inputs, use_cache=False).logits)

                def bare(model: Any = model, whole: Any = whole) -> None:
                    with torch.inference_mode():
                        for part in whole.split(BATCH // CONTEXT):
                            model(input_ids=part, use_cache=False)

                def ours(score: Any = score, windows: Any = windows) -> None:
                    evaluate_windows(score, windows, batch_tokens=BATCH, device=torch.device("cpu"))

                bare(), ours()
                times = np.array([(seconds(bare), seconds(ours)) for _ in range(REPEATS)]).min(0)
                paces = TOKENS / times[0], predicted / times[1]
                kind = str(dtype).removeprefix("torch.")
                shape = f"{width}x{depth} | {vocabulary:,} | {kind} | {name}"
                ratio = paces[1] / paces[0]
                lines.append(f"| {shape} | {paces[0]:,.0f} | {paces[1]:,.0f} | {ratio:.2f} |")
                print(lines[-1], flush=True)
    page = Path(__file__).with_suffix(".md")
    page.write_text(
        "# `gemstones evaluate` against a bare forward pass\n\n"
        f"Predicted tokens per CPU second, {threads} thread, batches of {BATCH:,} tokens in windows of {CONTEXT}, "
        f"the best of {REPEATS}, alternating; written by `benchmarks/evaluate.py`. The bare pass has full windows and "
        "drops its logits; `documents` are of lognormal lengths (median 150 tokens), whose padding counts as time but "
        "not as tokens.\n\n"
        "| shape | vocabulary | type | text | bare pass | evaluate | ratio |\n|---|---|---|---|---|---|---|\n"
        + "\n".join(lines)
        + "\n"
    )


if __name__ == "__main__":
    main()
