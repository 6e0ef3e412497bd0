"""Costs against counts done by hand; totals; and what is said to be wrong with a suite."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.step_memory import step_bytes
from gemstones.design.cost import run_cost, suite_cost
from gemstones.design.recipe import Patch
from gemstones.design.spec import RunSpec
from gemstones.errors import InvalidRequest
from gemstones.shape import Shape

TINY = Shape(128, 4, head_size=16, vocabulary=512, context=256)
RATE = 5e10


def spec(shape: Shape = TINY, **others: Any) -> RunSpec:
    fields: dict[str, Any] = {
        "family": "main",
        "tokens": 1000 * 4096,
        "batch_sequences": 16,
        "warmup_tokens": 80_000,
        "evaluate_tokens": 100 * 4096,
        "checkpoint_tokens": 300 * 4096,
    }
    return RunSpec.of(shape, **(fields | others))


def child(parent: RunSpec, fork_step: int, steps: int) -> RunSpec:
    fork: dict[str, Any] = {
        "parent": parent.id,
        "fork_tokens": fork_step * 4096,
        "tokens": (fork_step + steps) * 4096,
    }
    return spec(family="cooldown", cooldown=True, **fork)


def messages(*specs: RunSpec, corpus_tokens: int | None = None) -> list[tuple[str, str]]:
    return [(f.level, f.message) for f in suite_cost(specs, RATE, corpus_tokens).findings]


def test_a_run() -> None:
    # 2 · 512 · 128, and per block 16,384 · 3 + 196,608 + 256 with 8 query and 4 kv heads, and a norm.
    total = 131_072 + 4 * (49_152 + 196_608 + 256) + 128
    parent = spec(permanent_tokens=(500 * 4096, 600 * 4096))
    cost = run_cost(parent, RATE)
    assert (cost.id, cost.family, cost.shape, cost.parent) == (parent.id, "main", "128x4", "")
    assert cost.params_total == total
    assert cost.params_non_embedding == total - 131_072
    assert (cost.tokens, cost.own_tokens, cost.own_steps) == (4_096_000, 4_096_000, 1000)
    assert cost.learning_rate == 5 / 256
    # 6 FLOPs per weight of a matrix but the embedding, and 12 · context · width per block for attention.
    matmul = 6 * (4 * (49_152 + 196_608) + 65_536) + 12 * 256 * 128 * 4
    assert cost.flops_matmul == matmul * 4_096_000
    assert cost.flops == flops_per_token(TINY, "gemstones") * 4_096_000
    assert cost.device_hours == pytest.approx(matmul * 4_096_000 / 5e10 / 3600)
    assert cost.memory_bytes == 16 * total
    assert cost.step_bytes == step_bytes(spec().shape, spec().batch_sequences) > cost.memory_bytes
    # At 300, 500, 600, 900 and 1000; kept at 500, 600 and 1000.
    assert (cost.checkpoints, cost.checkpoints_kept) == (5, 3)
    assert cost.bytes_per_checkpoint == 12 * total
    assert cost.bytes_kept == 36 * total


def test_a_child_pays_for_its_own_tokens() -> None:
    parent = spec()
    cost = run_cost(child(parent, 500, 50), RATE)
    whole = run_cost(parent, RATE)
    assert cost.parent == parent.id
    assert (cost.tokens, cost.own_tokens, cost.own_steps) == (550 * 4096, 50 * 4096, 50)
    for field in ("flops", "flops_matmul", "device_hours"):
        assert getattr(cost, field) == pytest.approx(getattr(whole, field) / 20)
    assert cost.checkpoints == 1


def test_half_the_time_on_a_device_twice_as_fast() -> None:
    assert run_cost(spec(), 2 * RATE).device_hours == run_cost(spec(), RATE).device_hours / 2
    assert run_cost(spec(precision="bfloat16"), RATE).memory_bytes == run_cost(spec(), RATE).memory_bytes


def test_totals() -> None:
    large = spec(Shape(256, 4, head_size=16, vocabulary=512, context=256))
    cost = suite_cost([spec(), child(spec(), 500, 50), large], RATE)
    assert cost.own_tokens == (1000 + 50 + 1000) * 4096
    for field in ("flops", "flops_matmul", "device_hours", "checkpoints", "bytes_kept"):
        assert getattr(cost, field) == pytest.approx(sum(getattr(run, field) for run in cost.runs))
    assert cost.bytes_written == sum(run.checkpoints * run.bytes_per_checkpoint for run in cost.runs)
    assert cost.memory_bytes == run_cost(large, RATE).memory_bytes
    empty = suite_cost([], RATE)
    assert (empty.runs, empty.findings, empty.flops, empty.memory_bytes) == ((), (), 0, 0)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_throughput_is_positive(rate: float) -> None:
    with pytest.raises(InvalidRequest, match=f"^throughput {rate} must be a positive number of FLOP/s"):
        suite_cost([spec()], rate)


def test_nothing_is_wrong() -> None:
    assert messages(spec(), child(spec(), 500, 50), corpus_tokens=4_096_000) == []


@pytest.mark.parametrize(
    ("run", "finding"),
    [
        (
            spec(warmup_tokens=4_096_000),
            ("warning", "the warm-up of 4,096,000 tokens is as long as the run, or longer"),
        ),
        (
            spec(evaluate_tokens=4_096_000),
            ("warning", "one evaluation only, at the end: the interval is 4,096,000 tokens"),
        ),
        (
            spec(evaluate_tokens=6000),
            ("warning", "evaluations every 6,000 tokens are every 4,096 in whole steps"),
        ),
        (
            spec(patch=Patch(mode="on")),
            ("warning", "the patch treats 128x4 as shallower, depth 2: it raises the rate"),
        ),
        (
            spec(Shape(2560, 8, vocabulary=512, context=256)),
            ("note", "2560x8 is patched (Appendix F.2): treated as of depth 26"),
        ),
        (
            spec(patch=Patch(32)),
            ("note", "128x4 is at the patch's threshold 32 exactly, and not patched"),
        ),
        (
            spec(tokens=4_000_000),
            ("note", "4,000,000 tokens are not a multiple of the batch's 4,096: 977 steps are 4,001,792"),
        ),
        (
            spec(Shape(128, 4, head_size=16, vocabulary=500, context=256)),
            ("note", "vocabulary 500 is not a multiple of 64: pad it for speed"),
        ),
        (
            spec(Shape(96, 4, head_size=16, vocabulary=512, context=384), tokens=1000 * 6144),
            (
                "note",
                "tensor parallelism splits 96x4, with kv heads 3 and context 384, only over 3 devices",
            ),
        ),
        (
            spec(Shape(96, 4, head_size=16, vocabulary=512, context=256)),
            ("note", "tensor parallelism splits 96x4, with kv heads 3 and context 256, not at all"),
        ),
        (
            spec(Shape(32, 4, head_size=16, vocabulary=512, context=256)),
            ("note", "tensor parallelism splits 32x4, with kv heads 1 and context 256, not at all"),
        ),
    ],
    ids=lambda value: value[1][:40] if isinstance(value, tuple) else "",
)
def test_what_is_wrong(run: RunSpec, finding: tuple[str, str]) -> None:
    assert messages(run) == [finding]


def test_a_fork_before_the_end_of_the_warm_up() -> None:
    assert messages(child(spec(), 10, 50)) == [
        ("warning", "the fork at 40,960 tokens is before the end of the warm-up at 80,000")
    ]


def test_a_fork_at_the_end_of_the_warm_up_is_fine() -> None:
    parent = spec(warmup_tokens=500 * 4096)
    assert messages(msgspec.structs.replace(child(parent, 500, 50), warmup_tokens=500 * 4096)) == []


def test_a_corpus_that_is_read_again() -> None:
    assert messages(spec(), corpus_tokens=1_638_400) == [
        ("note", "the corpus of 1,638,400 tokens is read 2.5 times")
    ]


def test_findings_are_said_once_warnings_first() -> None:
    first, second = spec(tokens=4_000_000), spec(tokens=4_000_000, seed=1)
    wrong = spec(tokens=4_000_000, warmup_tokens=10**9)
    findings = suite_cost([first, second, wrong], RATE).findings
    assert [finding.level for finding in findings] == ["warning", "note"]
    assert findings[0].runs == (wrong.id,)
    assert findings[1].runs == (first.id, second.id, wrong.id)


def test_evaluations_that_cost_much_are_found() -> None:
    # 10 evaluations of 480 windows of 256 tokens, at a third of the price: a tenth of 4,096,000 tokens.
    assert suite_cost([spec(evaluate_sequences=480)], RATE, None, 480).findings == ()
    [finding] = suite_cost([spec()], RATE, None, 4800).findings
    assert finding.level == "warning"
    assert finding.message.startswith(
        "evaluations cost 100% of the training on top, each of 1,228,800 held-out"
    )
    [finding] = suite_cost([spec(evaluate_sequences=480)], RATE, None, 100).findings
    assert (finding.level, finding.message) == (
        "note",
        "an evaluation is of all 100 held-out windows: 480 are asked for",
    )
