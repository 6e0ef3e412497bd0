"""The model against its closed forms, on the meta device: nothing is computed, everything is counted."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import params
from gemstones.design.recipe import Patch, sigma
from gemstones.shape import Shape
from gemstones.train.initialisation import initialise, tensor_kind
from gemstones.train.model import Transformer, token_losses

THE_22 = [
    "256x23", "256x27", "256x71", "256x80", "384x13", "384x36", "512x11", "512x12", "512x13", "512x14", "512x16",
    "768x3", "768x45", "1024x28", "1280x15", "1280x36", "1536x50", "1792x7", "1792x18", "2048x27", "2560x8", "3072x12",
]  # fmt: skip


def on_meta(shape: Shape) -> Transformer:
    with torch.device("meta"):
        return Transformer(shape)


@pytest.mark.parametrize("text", THE_22)
def test_parameters_are_the_closed_form(text: str) -> None:
    shape = Shape.parse(text)
    assert sum(p.numel() for p in on_meta(shape).parameters()) == params(shape)


@pytest.mark.parametrize(
    "shape",
    [
        Shape(1024, 28),
        Shape(384, 13),
        Shape(768, 3),
        Shape(64, 5, head_size=16, vocabulary=1024, context=256, mlp_expansion=3),
        Shape(96, 2, head_size=32, queries_per_kv=3, vocabulary=512, context=128),
    ],
    ids=str,
)
def test_flops_are_the_closed_form(shape: Shape) -> None:
    model = on_meta(shape)
    tokens = torch.zeros(1, shape.context, dtype=torch.long, device="meta")
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        token_losses(model(tokens), tokens).mean().backward()
    assert counter.get_total_flops() == flops_per_token(shape, "matmul") * shape.context


def test_initial_values_are_those_of_the_recipe() -> None:
    shape, patch = Shape(512, 2, vocabulary=4096), Patch(threshold=200)
    model = Transformer(shape)
    initialise(model, shape, seed=3, patch=patch, norm_gain=0.5)
    kinds = set()
    for name, parameter in model.state_dict().items():
        kind, layer = tensor_kind(name)
        if kind is None:
            assert (parameter == 0.5).all() and "norm" in name
            continue
        kinds.add(kind)
        expected = sigma(shape, kind, layer, patch)
        # A normal cut at ±3σ has a standard deviation of 0.9866σ.
        assert float(parameter.std()) == pytest.approx(0.98658 * expected, rel=0.02)
        assert float(parameter.abs().max()) <= 3 * expected * (1 + 1e-6)
    assert len(kinds) == 9


def test_seeds_and_names_draw_different_numbers() -> None:
    shape = Shape(64, 2, head_size=16, vocabulary=128)
    first, again, other = (Transformer(shape) for _ in range(3))
    for model, seed in ((first, 1), (again, 1), (other, 2)):
        initialise(model, shape, seed=seed)
    assert torch.equal(first.head.weight, again.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)
    assert not torch.equal(first.head.weight, first.embedding.weight)


def test_losses_are_log_likelihoods_of_the_next_token() -> None:
    shape = Shape(64, 2, head_size=16, vocabulary=128, context=32)
    model = Transformer(shape)
    initialise(model, shape, seed=0)
    tokens = torch.randint(0, 128, (4, 33), generator=torch.Generator().manual_seed(0))
    logits = model(tokens[:, :-1])
    losses = token_losses(logits, tokens[:, 1:])
    by_hand = -logits.log_softmax(-1).gather(-1, tokens[:, 1:, None])[..., 0]
    torch.testing.assert_close(losses, by_hand)
    assert float(losses.detach().mean()) == pytest.approx(math.log(128), rel=0.3)
    # No position sees what comes after it.
    changed = tokens.clone()
    changed[:, 20:] = 0
    torch.testing.assert_close(model(changed[:, :-1])[:, :20], logits[:, :20])


@pytest.mark.parametrize("queries_per_kv", [1, 2])
def test_a_document_mask_hides_the_other_documents(queries_per_kv: int) -> None:
    """Rotary positions are relative: a document behind another one has the logits that it has alone."""
    shape = Shape(64, 2, head_size=16, queries_per_kv=queries_per_kv, vocabulary=128, context=24)
    model = Transformer(shape)
    initialise(model, shape, seed=0)
    end = 7
    drawn = torch.randint(8, 128, (2, 24), generator=torch.Generator().manual_seed(0))
    drawn[0, 9], drawn[1, 15] = end, end
    whole = model(drawn)
    model.end_of_document = end
    with torch.no_grad():
        masked = model(drawn)
        for row, cut in ((0, 10), (1, 16)):
            for part in (slice(0, cut), slice(cut, None)):
                torch.testing.assert_close(
                    masked[row : row + 1, part], model(drawn[row : row + 1, part]), atol=2e-5, rtol=0
                )
    assert torch.equal(whole[0, :10], masked[0, :10]) or torch.allclose(
        whole[0, :10], masked[0, :10], atol=1e-5
    )
    assert (whole[0, 10:] - masked[0, 10:]).abs().max() > 0.01
    # The loss that is trained on sees the same mask.
    targets = torch.randint(0, 128, (2, 24), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(model(drawn, targets), token_losses(masked, targets).sum(), rtol=1e-5, atol=0)
