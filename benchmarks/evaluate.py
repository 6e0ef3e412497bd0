"""Tokens per second of `gemstones evaluate` against a bare forward pass of the same model, type and batch.

    python benchmarks/evaluate.py [--threads 1]

The bare pass is `model(input_ids=…, use_cache=False)` over the same windows, and over full ones, in inference mode,
with nothing done to the logits. Ours has the losses too, and the ordering and sums of `gemstones.evaluation.losses`.
Alternating, the best of several of each: the machine has other work.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import re
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gemstones.evaluation.losses import evaluate_windows
from gemstones.evaluation.scoring import scored, usable_head
from gemstones.evaluation.windows import Windows, of_documents

SHAPES = ((256, 4, 512), (256, 4, 50_304))
CONTEXT, BATCH, TOKENS, DOCUMENTS, REPEATS = 256, 1024, 4096, 30, 5


def model_of(width: int, depth: int, vocabulary: int) -> Any:
    from transformers import GemmaConfig, GemmaForCausalLM

    config = GemmaConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=4 * width, num_hidden_layers=depth,
        num_attention_heads=width // 64, num_key_value_heads=width // 128, head_dim=64, tie_word_embeddings=False,
        max_position_embeddings=CONTEXT,
    )  # fmt: skip
    return GemmaForCausalLM(config).eval()


def inputs_of(windows: Windows, chosen: Any) -> torch.Tensor:
    """The windows of a batch, padded."""
    starts, ends = windows.start[chosen], windows.end[chosen]
    places = starts[:, None] + np.arange(int((ends - starts).max()))
    return torch.from_numpy(windows.tokens[np.minimum(places, len(windows.tokens) - 1)].astype(np.int64))


def seconds(work: Any) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def processor() -> str:
    """Its name, where Linux tells it."""
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor()


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
                lengths = sizes or [
                    int(n) for n in np.minimum(rng.lognormal(5.0, 0.8, DOCUMENTS) + 8, 4 * CONTEXT)
                ]
                documents = [rng.integers(1, vocabulary, n).astype(np.int32) for n in lengths]
                windows = of_documents(documents, 1, 0, context=CONTEXT, stride=CONTEXT)
                predicted = windows.predicted
                whole = torch.from_numpy(rng.integers(1, vocabulary, (TOKENS // CONTEXT, CONTEXT)))
                full = whole.split(BATCH // CONTEXT)
                same = [inputs_of(windows, chosen) for chosen in windows.batches(BATCH)]

                def logits(inputs: torch.Tensor, model: Any = model) -> torch.Tensor:
                    return model(input_ids=inputs, use_cache=False).logits

                head = usable_head(logits, model.get_output_embeddings(), vocabulary, torch.device("cpu"))
                score = scored(logits, head)

                def bare(batches: Any, model: Any = model) -> None:
                    with torch.inference_mode():
                        for part in batches:
                            model(input_ids=part, use_cache=False)

                def ours(score: Any = score, windows: Any = windows) -> None:
                    evaluate_windows(score, windows, batch_tokens=BATCH, device=torch.device("cpu"))

                ways = (lambda: bare(full), lambda: bare(same), ours)  # noqa: B023 — called here
                times = np.array([[seconds(way) for way in ways] for _ in range(1 + REPEATS)])[1:].min(0)
                of_full, of_same, our = TOKENS / times[0], predicted / times[1], predicted / times[2]
                kind = str(dtype).removeprefix("torch.")
                lines.append(
                    f"| {width}x{depth} | {vocabulary:,} | {kind} | {name} | {of_full:,.0f} | {of_same:,.0f} | "
                    f"{our:,.0f} | {our / of_same:.2f} | {our / of_full:.2f} |"
                )
                print(lines[-1], flush=True)
    page = Path(__file__).with_suffix(".md")
    page.write_text(
        "# `gemstones evaluate` against a bare forward pass\n\n"
        f"Predicted tokens per CPU second, {threads} thread, batches of {BATCH:,} tokens in windows of {CONTEXT}, "
        f"the best of {REPEATS}, alternating, as other work ran beside; written by `benchmarks/evaluate.py` on "
        f"{datetime.date.today()}: {processor()}; PyTorch {torch.__version__}, transformers {version('transformers')}, "
        f"Python {platform.python_version()}. Claim: at least 0.8 of the bare pass of the same batches.\n\n"
        "The bare pass drops its logits; it has the same batches of windows, or only full ones. `windows` are full, "
        f"{TOKENS:,} tokens; `documents` are {DOCUMENTS} of lognormal lengths (median 150 tokens): padding, and what "
        "the last window of a long one reads again to be full (its definition), count as time but not as tokens. There "
        "`evaluate` can be quicker than the bare pass of the same batches: the head is given what counts alone.\n\n"
        "| shape | vocabulary | type | text | bare, full windows | bare, same windows | evaluate | of same | of full |"
        "\n"
        "|---|---:|---|---|---:|---:|---:|---:|---:|\n" + "\n".join(lines) + "\n"
    )


if __name__ == "__main__":
    main()
