"""What ranks hold, as torch shards it, against the closed form of `design.layout`."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist

from gemstones.accounting.parameters import params, params_by_group
from gemstones.design.layout import DeviceBytes, Layout, device_bytes
from gemstones.errors import Failure
from gemstones.shape import Shape
from gemstones.train import dry_run as module
from gemstones.train.dry_run import dry_run, play
from gemstones.train.throughput import measured_throughput

SMALL = Shape(64, 2, head_size=8, vocabulary=500, context=16)


@pytest.mark.parametrize(
    "layout", [Layout(), Layout(2), Layout(1, 4), Layout(3, 2), Layout(64, 2), Layout(7, 4)], ids=str
)
def test_the_closed_form_is_what_torch_does_on_every_kind_of_rank(layout: Layout) -> None:
    found = dry_run(SMALL, layout)
    assert {0, layout.processes - 1} <= found.played.keys()
    for rank, held in found.played.items():
        expected = device_bytes(SMALL, layout, rank)
        assert (held.weights, held.gradients, held.moments) == (
            *(expected.weights, expected.gradients),
            expected.moments,
        )
        assert found.bytes_per_rank[rank] == held.states
    assert len(found.bytes_per_rank) == layout.processes
    norms = 16 * (layout.tensor - 1) * params_by_group(SMALL)["norm"]
    assert found.bytes_total == 16 * params(SMALL) + norms
    assert found.bytes_replicated == norms


def test_every_rank_of_a_layout_one_after_the_other() -> None:
    layout = Layout(6, 2)
    played = [play(SMALL, layout, rank).states for rank in range(layout.processes)]
    assert tuple(played) == dry_run(SMALL, layout).bytes_per_rank


def test_the_largest_model_of_the_paper_on_256_ranks() -> None:
    found = dry_run(large := Shape(2048, 27), Layout(256))
    first, last = found.played[0], found.played[255]
    # 50,304 rows of embedding and head are 197 on each rank but the last, which has 69.
    assert first.states - last.states == 16 * 2 * (197 - 69) * 2048
    assert found.bytes_total == 16 * params(large)
    assert found.bytes_replicated == 0


def test_the_group_is_gone_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    dry_run(SMALL, Layout(2))
    assert not dist.is_initialized()

    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(module, "distribute", broken)
    with pytest.raises(RuntimeError, match="broken"):
        dry_run(SMALL, Layout(2))
    assert not dist.is_initialized()


def test_a_torch_that_shards_otherwise_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "device_bytes", lambda *_: DeviceBytes(1, 1, 2))
    with pytest.raises(Failure, match=r"^torch .* bytes of 64x2 on rank 0 of 2x1, 4 expected"):
        dry_run(SMALL, Layout(2))


def test_measuring_leaves_the_threads_as_they_were() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        rate = measured_throughput("float32", 0.25)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert rate.peak_flops_per_second is not None
    assert rate.flops_per_second_per_device == rate.peak_flops_per_second / 4
    assert rate.peak_flops_per_second > 1e9
    assert "float32" in rate.convention
