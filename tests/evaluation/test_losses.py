"""Losses against plain computations of them, and what must not change them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from gemstones.evaluation.evaluate import Evaluated, evaluate
from gemstones.evaluation.losses import evaluate_windows
from gemstones.evaluation.options import Options
from gemstones.evaluation.scoring import NOT_COUNTED, scored, usable_head
from gemstones.evaluation.windows import of_documents, of_stream
from tests.evaluation.conftest import DOCUMENTS, END, KINDS, model_of, save_tokenizer

Save = Callable[..., Path]


def measured(folder: Path, text: Path, **options: Any) -> Any:
    done = evaluate([str(folder)], {"t": text}, columns={"tokens": "1e9"}, options=Options(**options))
    return done.rows[0].values


def plainly(folder: Path, context: int, stride: int) -> tuple[float, int]:
    """Nats over all documents and tokens, each from a forward pass of its own: no batch, no padding."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    nats, count = 0.0, 0
    for document in DOCUMENTS:
        row = [tokenizer.bos_token_id, *tokenizer(document)["input_ids"]]
        for target in range(1, len(row)):
            # The window that predicts it: the first reaches to `context`, each further one adds `stride` tokens.
            end = context if target <= context else context + math.ceil((target - context) / stride) * stride
            end = min(end, len(row) - 1)
            seen = torch.tensor([row[max(0, end - context) : target]])
            with torch.no_grad():
                logits = model(seen).logits[0, -1].double()
            nats -= float(torch.log_softmax(logits, -1)[row[target]])
            count += 1
    return nats / count, count


@pytest.mark.parametrize(
    "kind", [KINDS[-1], *(pytest.param(one, marks=pytest.mark.long) for one in KINDS[:-1])]
)
def test_the_loss_is_that_of_a_plain_computation(kind: str, saved: Save, text: Path) -> None:
    folder = saved(kind)
    for context, stride in ((64, 64), (16, 16), (16, 5)):
        expected, tokens = plainly(folder, context, stride)
        found = measured(folder, text, context=context, stride=stride)
        assert found["nats_per_token"] == pytest.approx(expected, rel=1e-6)
        assert found["evaluated_tokens"] == tokens
        size = sum(len(document.encode()) for document in DOCUMENTS)
        assert found["evaluated_bytes"] == size
        assert found["bits_per_byte"] == pytest.approx(expected * tokens / math.log(2) / size, rel=1e-6)


@pytest.mark.long
def test_batches_and_longer_windows_than_any_document_change_nothing(
    saved: Save, text: Path, tmp_path: Path
) -> None:
    folder, short = saved("gemma"), tmp_path / "short.jsonl"
    short.write_text("".join(json.dumps({"text": one[:40]}) + "\n" for one in DOCUMENTS))
    losses = [
        measured(folder, short, context=context, stride=stride, batch_tokens=batch)["nats_per_token"]
        for context, stride in ((64, 64), (60, 7))
        for batch in (1, 70, 10_000)
    ]
    assert losses == pytest.approx([losses[0]] * 6, rel=1e-6)


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any),
    st.integers(2, 12).flatmap(lambda context: st.tuples(st.just(context), st.integers(1, context))),
)
def test_every_token_is_predicted_once_within_the_context(lengths: list[int], span: tuple[int, int]) -> None:
    context, stride = span
    ids = [np.arange(1, n + 1, dtype=np.int32) for n in lengths]
    windows = of_documents(ids, 10, 0, context=context, stride=stride)
    times = np.zeros(len(windows.tokens), dtype=int)
    for start, end, first in zip(windows.start, windows.end, windows.first, strict=True):
        assert 0 <= start < end <= start + context and start < first <= end
        assert len({*windows.document[start : end + 1]}) == 1
        times[first : end + 1] += 1
    begins = windows.tokens == 0
    assert (times[begins] == 0).all() and (times[~begins] == 1).all()
    assert windows.predicted == sum(lengths)


def test_a_stream_is_whole_windows(saved: Save) -> None:
    ids = [np.arange(1, 8, dtype=np.int32), np.arange(1, 5, dtype=np.int32)]
    windows = of_stream(ids, 26, 0, context=4, stride=4)
    assert windows.tokens.tolist() == [1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 0]
    assert [*zip(windows.start, windows.end, windows.first, strict=True)] == [
        (0, 4, 1),
        (4, 8, 5),
        (8, 12, 9),
    ]
    assert (windows.predicted, windows.bytes) == (12, 24)


def test_the_standard_error_is_that_of_documents_drawn_again() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 50, 60)
    ids = [np.full(n, 1, dtype=np.int32) for n in lengths]
    windows = of_documents(ids, 1, 0, context=64, stride=64)
    nats = [rng.normal(3, 0.5) + rng.normal(0, 1, n) for n in lengths]
    by_place = np.concatenate([part for one in nats for part in ([0.0], one)])
    calls = iter(windows.batches(1000))

    def score(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        chosen = next(calls)
        places = windows.start[chosen][:, None] + np.arange(targets.shape[1]) + 1
        return torch.from_numpy(by_place[np.minimum(places, len(by_place) - 1)])

    found = evaluate_windows(score, windows, batch_tokens=1000, device=torch.device("cpu"))
    assert found.loss == pytest.approx(np.concatenate(nats).mean(), rel=1e-6)
    draws = rng.integers(0, 60, (4000, 60))
    sums, counts = np.array([one.sum() for one in nats]), lengths
    spread = (sums[draws].sum(1) / counts[draws].sum(1)).std()
    assert found.standard_error == pytest.approx(spread, rel=0.05)


def uniform(folder: Path, words: list[str], text: str) -> None:
    """A model of a bias alone, P(word) the same for each of `words`, whose tokenizer has those words."""
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = Tokenizer(
        models.WordLevel({END: 0, **{word: i for i, word in enumerate(words, 1)}}, unk_token=END)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(pattern="", behavior="isolated")
    if len(words[0]) == 2:
        from tokenizers import Regex

        tokenizer.pre_tokenizer = pre_tokenizers.Split(pattern=Regex(".."), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    assert len(tokenizer.encode(text).ids) == len(text) / len(words[0])
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=len(words) + 1, n_embd=8, n_layer=1, n_head=1, n_positions=64, bos_token_id=0)
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    model.save_pretrained(folder)
    save_tokenizer(tokenizer, folder)


def test_bits_per_byte_of_two_tokenizers_of_one_distribution(tmp_path: Path) -> None:
    """Letters uniform over 4: 2 bits a byte; by letter or by pair, the closed form is log2(V) over a token's bytes."""
    content = "abcd" * 16 + "ddca"
    (tmp_path / "text.txt").write_text(content)
    pairs = [a + b for a in "abcd" for b in "abcd"]
    found = {}
    for size, words in ((1, list("abcd")), (2, pairs)):
        uniform(tmp_path / str(size), words, content)
        found[size] = measured(tmp_path / str(size), tmp_path / "text.txt", context=16)
        # One word more than the letters need: the end of a document, of the same probability.
        assert found[size]["bits_per_byte"] == pytest.approx(math.log2(len(words) + 1) / size, rel=1e-6)
        assert found[size]["nats_per_token"] == pytest.approx(math.log(len(words) + 1), rel=1e-6)
    assert found[1]["evaluated_bytes"] == found[2]["evaluated_bytes"] == len(content)


def test_half_the_batch_where_memory_is_short() -> None:
    windows = of_documents([np.arange(1, 9, dtype=np.int32)] * 6, 48, 0, context=8, stride=8)
    seen = []

    def score(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        seen.append(inputs.numel())
        if inputs.numel() > 16:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return torch.ones(targets.shape)

    found = evaluate_windows(score, windows, batch_tokens=48, device=torch.device("cpu"))
    assert (found.loss, found.tokens, seen) == (1.0, 48, [48, 24, 8, 8, 8, 8, 8, 8])


def rows_of(done: Evaluated) -> list[float]:
    return [row.values["nats_per_token"] for row in done.rows]


@pytest.mark.parametrize("kind", ["gemma", "gpt2"])
def test_the_head_sees_what_counts_alone(kind: str) -> None:
    model = model_of(kind, 301)
    head, seen = model.get_output_embeddings(), []

    def logits(inputs: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = model(input_ids=inputs, use_cache=False).logits
        return found

    assert usable_head(logits, head, 301, torch.device("cpu")) is head
    rng = np.random.default_rng(0)
    inputs, targets = (torch.from_numpy(rng.integers(0, 301, (3, 20))) for _ in range(2))
    counted = torch.from_numpy(rng.random((3, 20)) < 0.3)
    counted[2] = False
    hook = head.register_forward_hook(lambda module, given, out: seen.append(tuple(out.shape[:2])))
    with torch.inference_mode():
        found = scored(logits, head)(inputs, torch.where(counted, targets, NOT_COUNTED))
        whole = torch.nn.functional.cross_entropy(
            logits(inputs).flatten(0, 1), targets.flatten(), reduction="none"
        )
    hook.remove()
    torch.testing.assert_close(found, whole.view(3, 20) * counted, rtol=1e-5, atol=1e-5)
    assert seen == [(1, int(counted.sum())), (3, 20)]
    assert not head._forward_pre_hooks


def test_a_head_that_mixes_positions_is_given_all_of_them() -> None:
    class Mixing(torch.nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.cumsum(1))

    torch.manual_seed(0)
    embedding, head = torch.nn.Embedding(50, 8), Mixing(8, 50)

    def logits(inputs: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = head(embedding(inputs))
        return found

    assert usable_head(logits, head, 50, torch.device("cpu")) is None
