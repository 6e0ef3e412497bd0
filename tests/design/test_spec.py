"""Run specifications: derived values, ids, JSON there and back, and what is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstones.design.corpora import HeldOut, Source
from gemstones.design.recipe import Patch
from gemstones.design.schedule import Schedule
from gemstones.design.spec import RunSpec
from gemstones.errors import InvalidRequest
from gemstones.shape import Shape

TINY = Shape(64, 8, head_size=16, vocabulary=512, context=256)


def spec(shape: Shape = TINY, **others: Any) -> RunSpec:
    fields: dict[str, Any] = {
        "family": "main",
        "tokens": 6_000_000,
        "batch_sequences": 16,
        "warmup_tokens": 80_000,
        "evaluate_tokens": 300_000,
        "checkpoint_tokens": 1_000_000,
    }
    return RunSpec.of(shape, **(fields | others))


def child(**others: Any) -> RunSpec:
    fork: dict[str, Any] = {
        "parent": spec().id,
        "fork_tokens": 488 * 4096,
        "tokens": 537 * 4096,
        "cooldown": True,
    }
    return spec(**({"family": "cooldown"} | fork | others))


SPECS = st.builds(
    spec,
    st.builds(
        lambda heads, depth, head_size, vocabulary, context: Shape(
            2 * heads * head_size, depth, head_size=head_size, vocabulary=vocabulary, context=context
        ),
        st.integers(1, 20),
        st.integers(1, 60),
        st.sampled_from([16, 128]),
        st.integers(1, 60_000),
        st.integers(1, 4096),
    ),
    family=st.sampled_from(["main", "lr-ablation", "x1"]),
    tokens=st.integers(1, 10**8),
    batch_sequences=st.integers(1, 5000),
    lr_base=st.floats(1e-6, 100),
    patch=st.builds(Patch, st.floats(1, 1000), st.booleans(), st.sampled_from(["rule", "on", "off"])),
    warmup_tokens=st.integers(0, 10**9),
    seed=st.integers(0, 2**63 - 1),
    norm_gain=st.floats(0.1, 2),
    evaluate_tokens=st.integers(10**5, 10**9),
    checkpoint_tokens=st.integers(10**5, 10**9),
    corpus_fingerprint=st.text(),
    precision=st.sampled_from(["float32", "bfloat16"]),
)


def test_a_run() -> None:
    run = spec()
    assert run.shape == TINY
    assert (run.batch_tokens, run.steps, run.trained_tokens) == (4096, 1465, 1465 * 4096)
    assert (run.fork_step, run.own_tokens) == (0, 1465 * 4096)
    assert run.learning_rate == pytest.approx(5 / (64 * 8**0.5))
    assert run.schedule == Schedule(80_000)
    assert run.evaluation_steps == (*range(73, 19 * 73 + 1, 73), 1465)
    assert run.checkpoint_steps == (244, 488, 732, 976, 1220, 1465)
    assert run.permanent_steps == (1465,)


def test_a_parent_keeps_the_fork() -> None:
    run = spec(permanent_tokens=(500 * 4096, 300 * 4096, 500 * 4096))
    assert run.permanent_tokens == (300 * 4096, 500 * 4096)
    assert run.permanent_steps == (300, 500, 1465)
    assert run.checkpoint_steps == (244, 300, 488, 500, 732, 976, 1220, 1465)


def test_a_cooldown() -> None:
    run = child()
    assert (run.fork_step, run.steps, run.own_tokens) == (488, 537, 49 * 4096)
    assert run.schedule == Schedule(80_000, 488 * 4096, 537 * 4096)
    assert run.schedule.rate_factor(run.fork_tokens, run.batch_tokens) == 1
    assert run.schedule.rate_factor(run.trained_tokens - 4096, 4096) == pytest.approx(1 / 49)
    assert run.evaluation_steps == (511, 537)
    assert run.checkpoint_steps == run.permanent_steps == (537,)


def test_ids_are_readable() -> None:
    assert re.fullmatch(r"main-64x8-[0-9a-f]{8}", spec().id)
    assert re.fullmatch(r"cooldown-64x8-2M-[0-9a-f]{8}", child().id)


def test_ids_do_not_depend_on_how_numbers_are_written_or_on_the_process() -> None:
    assert spec(lr_base=5, norm_gain=1, patch=Patch(256)).id == spec(lr_base=5.0, norm_gain=1.0).id
    code = "import sys; from gemstones.design.spec import RunSpec; print(RunSpec.from_json(sys.argv[1]).id)"
    ids = {
        subprocess.run(
            [sys.executable, "-c", code, child().to_json()],
            env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert ids == {child().id}


def test_an_id_that_was_given_is_given_for_ever() -> None:
    # A change here loses the run folders of every user: only with a new version of the run's format.
    assert spec().id == "main-64x8-88558a7f"
    assert child(parent="main-64x8-00000000").id == "cooldown-64x8-2M-c226ad82"


CHANGES: dict[str, Any] = {
    "family": "other",
    "depth": 9,
    "tokens": 6_000_001,
    "batch_sequences": 32,
    "lr_base": 2.5,
    "patch_threshold": 255.0,
    "patch_inclusive": True,
    "patch_mode": "off",
    "warmup_tokens": 0,
    "seed": 1,
    "recipe": "muon",
    "rate_power": 0.5,
    "norm_gain": 2.0,
    "betas": (0.9, 0.99),
    "epsilon": 1e-6,
    "decay_tokens": 4096,
    "held_out": (HeldOut("prose"),),
    "mixture": (Source("code", 1.0),),
    "document_mask": True,
    "weight_decay": 0.0,
    "clip_norm": 0.5,
    "evaluate_tokens": 300_001,
    "evaluate_sequences": 100,
    "spike_nats": 2.0,
    "corpus_fingerprint": "ab",
    "precision": "bfloat16",
    "vocabulary": 511,
    "head_size": 32,
    "queries_per_kv": 1,
    "mlp_expansion": 2,
    "context": 128,
}


def test_whatever_is_trained_changes_the_id_and_when_it_is_saved_does_not() -> None:
    run = spec()
    ids = {run.id}
    for field, value in CHANGES.items():
        rate = {
            "lr_base": run.learning_rate / 2,
            "depth": run.learning_rate * (8 / 9) ** 0.5,
            "rate_power": 5.0 / (64 * 8**0.5) ** 0.5,
            "recipe": 5.0 / 8**0.5,
        }
        extra = {"learning_rate": rate[field]} if field in rate else {}
        ids.add(msgspec.structs.replace(run, **{field: value}, **extra).id)
    assert len(ids) == 1 + len(CHANGES)
    parentless = {"width", "learning_rate", "parent", "fork_tokens", "cooldown"}
    saving = {"checkpoint_tokens", "permanent_tokens", "keep"}
    falling = {"decay", "floor"}
    assert set(RunSpec.__struct_fields__) == CHANGES.keys() | parentless | saving | falling
    assert len({child().id, child(decay="cosine").id, child(floor=0.1).id}) == 3
    assert len({child().id, child(cooldown=False).id, child(parent="other").id}) == 3
    assert spec(checkpoint_tokens=500_000, permanent_tokens=(4096,), keep="all").id == run.id


@given(SPECS)
def test_json_there_and_back(run: RunSpec) -> None:
    again = RunSpec.from_json(run.to_json())
    assert again == run
    assert again.id == run.id
    assert again.to_json() == run.to_json()
    assert list(json.loads(run.to_json())) == list(RunSpec.__struct_fields__)
    assert RunSpec.from_json(run.to_json().encode()) == run


@given(SPECS, SPECS)
def test_different_runs_have_different_ids(one: RunSpec, other: RunSpec) -> None:
    def trained(run: RunSpec) -> RunSpec:
        return msgspec.structs.replace(run, checkpoint_tokens=10**6)

    assert (one.id == other.id) == (trained(one) == trained(other))


@given(SPECS)
def test_points_lie_in_the_run(run: RunSpec) -> None:
    for steps in (run.evaluation_steps, run.checkpoint_steps, run.permanent_steps):
        assert steps[-1] == run.steps
        assert list(steps) == sorted(set(steps))
        assert steps[0] > 0
    assert abs(run.trained_tokens - run.tokens) <= max(run.batch_tokens / 2, run.batch_tokens - run.tokens)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"depth": "8"}, "depth: '8' given, expected int, got str"),
    ({"depth": 0}, "depth: 0 must be a whole number of 1 to 9223372036854775807"),
    ({"tokens": 10**19}, "tokens: 10000000000000000000 must be a whole number of 1 to 9223372036854775807"),
    ({"seed": -1}, "seed: -1 must be a whole number of 0 to 9223372036854775807"),
    ({"betas": [0.9, "x"]}, "betas[1]: 'x' given, expected float, got str"),
    ({"betas": [0.9, 1]}, "betas: (0.9, 1.0) must be two numbers from 0 to below 1"),
    ({"precision": "float16"}, "precision: 'float16' is not known: choose from bfloat16, float32"),
    ({"sed": 1}, "sed: unknown field: choose from family, width, "),
    ({"tokens": None}, "tokens: None given, expected int, got null"),
    ({"family": "../x"}, "family: '../x' must be words of a-z and 0-9, joined by hyphens"),
    ({"family": ""}, "family: '' must be words of a-z and 0-9, joined by hyphens"),
    ({"width": 60}, "width: width 60 is not a multiple of the head size 16: choose 48 or 64, "),
    ({"clip_norm": 0}, "clip_norm: 0.0 must be positive and finite"),
    ({"weight_decay": -0.1}, "weight_decay: -0.1 must be finite and at least 0"),
    ({"patch_threshold": 0}, "patch_threshold: 0.0 must be a positive number"),
    ({"lr_base": 10}, "learning_rate: 0.02762135864009951 is not the 0.05524271728019902 of shape 64x8 at "),
    ({"parent": "main-64x8-0"}, "fork_tokens: 0 with parent 'main-64x8-0': "),
    ({"fork_tokens": 4096}, "fork_tokens: 4096 with parent '': "),
    ({"cooldown": True}, "cooldown: true needs a parent and fork_tokens, where it starts"),
    ({"parent": "p", "fork_tokens": 5}, "fork_tokens: 5 is not a multiple of the 4096 tokens of a step"),
    ({"parent": "p", "fork_tokens": 1465 * 4096}, "tokens: 6000000 leaves no step after the fork at 6000640"),
    (
        {"batch_sequences": 1, "tokens": 10**12},
        "evaluate_tokens: 300000 of 1000000000000 tokens is more than ",
    ),
    ({"checkpoint_tokens": 1, "tokens": 10**13, "evaluate_tokens": 10**12}, "checkpoint_tokens: 1 of "),
    (
        {"permanent_tokens": [5]},
        "permanent_tokens: 5 is not a step of this run: a multiple of 4096 after 0, ",
    ),
    ({"permanent_tokens": [1466 * 4096]}, "permanent_tokens: 6004736 is not a step of this run: "),
]


@pytest.mark.parametrize(
    ("change", "message"), REFUSED, ids=[message.split(" ")[0] for _, message in REFUSED]
)
def test_what_is_refused(change: dict[str, Any], message: str) -> None:
    document = json.loads(spec().to_json()) | change
    with pytest.raises(InvalidRequest) as caught:
        RunSpec.from_json(json.dumps(document))
    assert str(caught.value).startswith(message)
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.exit_status == 2


@pytest.mark.parametrize("field", ["family", "width", "tokens", "learning_rate", "evaluate_tokens"])
def test_a_missing_field(field: str) -> None:
    document = json.loads(spec().to_json())
    del document[field]
    with pytest.raises(InvalidRequest, match=f"^{field}: is required$"):
        RunSpec.from_json(json.dumps(document))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1]", "\n{}}", b"\xff", "[" * 100_000],
    ids=["empty", "cut", "list", "trailing", "binary", "deep"],
)
def test_not_a_specification(text: str | bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        RunSpec.from_json(text)
    assert len(str(caught.value).splitlines()) == 1


def test_a_child_keeps_no_checkpoint_of_its_parent() -> None:
    assert child(permanent_tokens=(489 * 4096,)).permanent_steps == (489, 537)
    with pytest.raises(InvalidRequest, match=r"^permanent_tokens: 1998848 is not a step of this run: "):
        child(permanent_tokens=(488 * 4096,))


def test_built_in_code_it_is_checked_too() -> None:
    with pytest.raises(InvalidRequest, match=r"^tokens: 1\.5 must be a whole number"):
        spec(tokens=1.5)
    with pytest.raises(InvalidRequest, match=r"^norm_gain: nan must be positive and finite$"):
        spec(norm_gain=float("nan"))
    with pytest.raises(AttributeError):
        spec().tokens = 1  # type: ignore[misc]
