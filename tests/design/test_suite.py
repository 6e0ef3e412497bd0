"""Suites: what their runs are, parents first; a suite like the paper's; every mistake in one line."""

from __future__ import annotations

import textwrap
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gemstones.accounting.parameters import params
from gemstones.design import suite_file
from gemstones.design.recipe import learning_rate
from gemstones.design.spec import RunSpec
from gemstones.design.suite import Suite, expand, load_suite, suite_shapes
from gemstones.errors import UserError
from gemstones.shape import Shape

TINY = """\
[models]
head_size = 16
vocabulary = 512
context = 256
[shapes]
explicit = ["64x8", "96x4", "128x2"]
[training]
tokens = "6M"
batch_sequences = 16
warmup_tokens = "80K"
evaluate_every = "300K"
checkpoint_every = "1M"
"""
COOLDOWN = '[[families]]\nfamily = "cooldown"\nforks = ["2M", "4M"]\nshapes = ["64x8", "128x2"]\n'
ABLATION = '[[families]]\nfamily = "lr-ablation"\n'
SIZES = TINY.replace('explicit = ["64x8", "96x4", "128x2"]', 'sizes = ["300K", "1M"]')

# fmt: off
PAPER_SHAPES = [
    "256x23", "256x27", "256x71", "256x80", "384x13", "384x36", "512x11", "512x12",
    "512x13", "512x14", "512x16", "768x3", "768x45", "1024x28", "1280x15", "1280x36",
    "1536x50", "1792x7", "1792x18", "2048x27", "2560x8", "3072x12",
]
# fmt: on
PAPER = f"""\
[models]
vocabulary = 50_304
[shapes]
explicit = {PAPER_SHAPES}
[training]
tokens = "350B"
batch_sequences = 2048
warmup_tokens = "80M"
evaluate_every = "2B"
precision = "bfloat16"
[training.patch]
on = ["1792x7", "3072x12"]
[[families]]
family = "lr-ablation"
lr_factor = 0.5
tokens = "100B"
shapes = {[name for name in PAPER_SHAPES if name not in ("512x14", "512x16")]}
[[families]]
family = "cooldown"
every = "10B"
until = "100B"
"""


def suite(folder: Path, text: str = TINY) -> Suite:
    file = folder / "suite.toml"
    file.write_text(text)
    return load_suite(file)


def runs(folder: Path, text: str = TINY, **corpus: Any) -> tuple[RunSpec, ...]:
    return expand(suite(folder, text), **corpus)


def test_main_runs(tmp_path: Path) -> None:
    found = runs(tmp_path, corpus_fingerprint="abc")
    assert [str(run.shape) for run in found] == ["64x8", "96x4", "128x2"]
    shape = Shape(64, 8, head_size=16, vocabulary=512, context=256)
    assert found[0] == RunSpec.of(
        shape,
        family="main",
        tokens=6_000_000,
        batch_sequences=16,
        warmup_tokens=80_000,
        evaluate_tokens=300_000,
        checkpoint_tokens=1_000_000,
        corpus_fingerprint="abc",
    )
    assert found[0].id != runs(tmp_path)[0].id


def test_every_field_arrives(tmp_path: Path) -> None:
    text = (
        TINY.replace("vocabulary = 512", "queries_per_kv = 1\nmlp_expansion = 3")
        .replace('checkpoint_every = "1M"', "")
        .replace("tokens = ", 'norm_gain = 2\nclip = 0.5\nprecision = "bfloat16"\nlr_base = 3\ntokens = ', 1)
        + '[training.patch]\nthreshold = 20\ninclusive = true\nmode = "off"\non = ["96x4"]\n'
    )
    first, second, _ = runs(tmp_path, "seeds = [7]\n" + text, vocabulary=1000)
    assert (first.vocabulary, first.queries_per_kv, first.mlp_expansion, first.seed) == (1000, 1, 3, 7)
    assert (first.norm_gain, first.clip_norm, first.precision, first.lr_base) == (2, 0.5, "bfloat16", 3)
    assert first.checkpoint_tokens == first.evaluate_tokens == 300_000
    assert (first.patch.threshold, first.patch.inclusive, first.patch.mode) == (20, True, "off")
    assert second.patch.mode == "on"
    assert second.learning_rate == learning_rate(second.shape, 3, second.patch) == 3 / 96  # ⌈96/100⌉ = 1


def test_a_cooldown_branches_at_a_step_that_its_parent_keeps(tmp_path: Path) -> None:
    found = runs(tmp_path, TINY + COOLDOWN)
    assert Counter(run.family for run in found) == {"main": 3, "cooldown": 4}
    by_id = {run.id: run for run in found}
    cooled = [run for run in found if run.family == "cooldown"]
    assert [(str(run.shape), run.fork_step) for run in cooled] == [
        ("64x8", 488),
        ("128x2", 488),
        ("64x8", 976),  # 4M is nearest to step 977; the parent's fourth checkpoint is at 4 · 244
        ("128x2", 976),
    ]
    for run in cooled:
        parent = by_id[run.parent]
        assert parent.shape == run.shape
        assert run.fork_tokens in parent.permanent_tokens
        assert run.fork_step in parent.checkpoint_steps
        assert run.steps - run.fork_step == round(run.fork_step * 0.1)
        assert run.cooldown
        assert run.learning_rate == parent.learning_rate
    assert by_id[cooled[0].parent].permanent_tokens == (488 * 4096, 976 * 4096)
    assert [run.permanent_tokens for run in found if str(run.shape) == "96x4"] == [()]
    # A suite that gains cooldowns keeps its main runs.
    assert [run.id for run in runs(tmp_path)] == [run.id for run in found[:3]]


def test_a_fork_far_from_regular_checkpoints_has_its_own(tmp_path: Path) -> None:
    text = TINY + '[[families]]\nfamily = "cooldown"\nforks = ["2.3M"]\nlength = 0.5\n'
    main, *_, cooled = runs(tmp_path, text.replace('"96x4", "128x2"', ""))
    assert cooled.fork_step == 562  # 561.5, a tie: the later step
    assert cooled.steps == 562 + 281
    assert main.checkpoint_steps == (244, 488, 562, 732, 976, 1220, 1465)


def test_a_fork_at_the_end_is_the_last_checkpoint(tmp_path: Path) -> None:
    found = runs(tmp_path, TINY + '[[families]]\nfamily = "cooldown"\nforks = ["6M"]\n')
    assert {run.fork_step for run in found if run.parent} == {1465}


def test_ablations_and_sweeps(tmp_path: Path) -> None:
    found = runs(tmp_path, TINY + ABLATION + 'lr_factor = 0.25\ntokens = "3M"\nshapes = ["96X4"]\n')
    (ablated,) = [run for run in found if run.family == "lr-ablation"]
    assert (ablated.lr_base, ablated.tokens, ablated.parent) == (1.25, 3_000_000, "")
    assert ablated.learning_rate == found[1].learning_rate / 4

    swept = runs(tmp_path, TINY.replace("[training]", "[training]\nlr_base = [1.25, 2.5, 5, 10]"))
    assert Counter(run.lr_base for run in swept) == {1.25: 3, 2.5: 3, 5.0: 3, 10.0: 3}
    assert len({run.id for run in swept}) == 12

    seeded = runs(tmp_path, "seeds = [0, 1]\n" + TINY + COOLDOWN + ABLATION)
    assert Counter((run.family, run.seed) for run in seeded) == {
        ("main", 0): 3,
        ("main", 1): 3,
        ("cooldown", 0): 4,
        ("cooldown", 1): 4,
        ("lr-ablation", 0): 3,
        ("lr-ablation", 1): 3,
    }
    seeds = {run.id: run.seed for run in seeded}
    assert all(seeds[run.parent] == run.seed for run in seeded if run.parent)


def test_parents_come_first(tmp_path: Path) -> None:
    for text in (COOLDOWN + ABLATION, ABLATION + COOLDOWN):
        seen: set[str] = set()
        for run in runs(tmp_path, "seeds = [3, 4]\n" + TINY + text):
            assert not run.parent or run.parent in seen
            assert run.id not in seen
            seen.add(run.id)
        assert len(seen) == 2 * (3 + 3 + 4)


def test_the_papers_suite(tmp_path: Path) -> None:
    found = runs(tmp_path, PAPER)
    assert Counter(run.family for run in found) == {"main": 22, "lr-ablation": 20, "cooldown": 220}
    batch = 2048 * 2048
    main = {run.id: run for run in found if run.family == "main"}
    for run in main.values():
        assert (run.batch_tokens, run.steps) == (batch, 83_447)
        assert len(run.evaluation_steps) == 175
        # Branches need no checkpoint beside the regular ones, every 477 steps.
        assert run.checkpoint_steps == run.evaluation_steps
        assert run.permanent_steps[:-1] == tuple(2385 * k for k in range(1, 11))
    halved = [run for run in found if run.family == "lr-ablation"]
    assert {(run.lr_base, run.tokens) for run in halved} == {(2.5, 100 * 10**9)}
    cooled = [run for run in found if run.family == "cooldown"]
    ends = sorted({run.steps for run in cooled})
    # The last rows of the published cooldown file.
    published = [2622, 5246, 7870, 10493, 13116, 15740, 18364, 20987, 23610, 26223]
    assert [abs(ours - theirs) <= 2 for ours, theirs in zip(ends, published, strict=True)][:9] == [True] * 9
    assert ends[-1] == 26_235  # 110B; the published run stops 12 steps early
    for run in cooled:
        assert run.own_tokens == pytest.approx(0.1 * run.fork_tokens, abs=batch)
        assert 0.99 * 11e9 < run.trained_tokens < 1.01 * 110e9
    rates = {str(run.shape): run.learning_rate for run in main.values()}
    assert rates["1024x28"] == pytest.approx(5 / (1024 * 28**0.5))
    assert rates["768x3"] == pytest.approx(5 / (768 * 3**0.5))
    assert rates["3072x12"] == pytest.approx(5 / (3072 * 31**0.5))
    assert rates["2560x8"] == pytest.approx(5 / (2560 * 26**0.5))


def test_shapes_by_size(tmp_path: Path) -> None:
    read = suite(tmp_path, SIZES.replace("[training]", "per_size = 4\ntolerance = 0.1\n[training]"))
    shapes = suite_shapes(read)
    assert len(set(shapes)) == 8
    for i, shape in enumerate(shapes):
        assert params(shape) == pytest.approx((3e5, 1e6)[i // 4], rel=0.1)
        assert shape.architecture == {
            "head_size": 16,
            "queries_per_kv": 2,
            "mlp_expansion": 4,
            "vocabulary": 512,
            "context": 256,
        }
    assert [run.shape for run in expand(read)] == list(shapes)


@pytest.mark.parametrize(
    ("ranges", "holds"),
    [
        ("width_min = 96", lambda shape: shape.width >= 96),
        ("width_max = 96", lambda shape: shape.width <= 96),
        ("depth_min = 6", lambda shape: shape.depth >= 6),
        ("depth_max = 20", lambda shape: shape.depth <= 20),
        ("width_multiple = 96", lambda shape: shape.width % 96 == 0),
    ],
)
def test_ranges_of_shapes(ranges: str, holds: Callable[[Shape], bool], tmp_path: Path) -> None:
    def shapes(more: str) -> tuple[Shape, ...]:
        table = f"tolerance = 0.4\nper_size = 2\n{more}\n[training]"
        return suite_shapes(suite(tmp_path, SIZES.replace("300K", "3M").replace("[training]", table)))

    assert all(map(holds, shapes(ranges)))
    assert not all(map(holds, shapes("")))


def test_odd_numbers_of_heads_on_request(tmp_path: Path) -> None:
    table = "tolerance = 0.4\nper_size = 20\n%s\n[training]"
    odd = SIZES.replace("context", "queries_per_kv = 1\ncontext")
    for even_heads in (True, False):
        text = odd.replace("[training]", table % f"even_heads = {str(even_heads).lower()}")
        heads = {shape.query_heads % 2 for shape in suite_shapes(suite(tmp_path, text))}
        assert heads == ({0} if even_heads else {0, 1})


def test_paths_are_from_the_files_folder(tmp_path: Path) -> None:
    read = suite(tmp_path, 'corpus = "../corpus"\noutput = "/runs"\n' + TINY)
    assert (read.corpus, read.output) == (tmp_path / "../corpus", Path("/runs"))
    assert (suite(tmp_path).corpus, suite(tmp_path).output) == (None, None)


def test_the_vocabulary_is_the_files_or_the_corpus(tmp_path: Path) -> None:
    assert runs(tmp_path, vocabulary=500)[0].vocabulary == 512  # padded
    assert runs(tmp_path, vocabulary=512)[0].vocabulary == 512
    without = TINY.replace("vocabulary = 512\n", "")
    assert runs(tmp_path, without, vocabulary=500)[0].vocabulary == 500


def changed(old: str, new: str, text: str = TINY) -> str:
    assert text.count(old) == 1, f"{old!r} is not once in the file: the test would test nothing"
    return text.replace(old, new)


MISTAKES: list[tuple[str, str]] = [
    (changed("[models]", "[models"), "is not TOML: "),
    (changed("[models]", "extra = 1\n[models]"), "extra: unknown field: choose from models, shapes, "),
    (changed("[models]", "[modls]"), "modls: unknown field: choose from models, shapes, training, "),
    ("", "models: is required"),
    ("[models]\n", "shapes: is required"),
    (changed("head_size", "headsize"), "models.headsize: unknown field: choose from head_size, "),
    (changed("head_size = 16", "head_size = 0"), "models.head_size: 0 given, expected int >= 1"),
    (changed("head_size = 16", "head_size = 16.5"), "models.head_size: 16.5 given, expected int, got float"),
    (changed("vocabulary = 512\n", ""), "models.vocabulary: is required as long as no corpus gives it"),
    (changed('"96x4"', '"96"'), "shapes.explicit[1]: shape '96' is not WIDTHxDEPTH: "),
    (changed('"96x4"', '"97x4"'), "shapes.explicit[1]: width 97 is not a multiple of the head size 16: "),
    (changed('"96x4"', "96"), "shapes.explicit[1]: 96 given, expected str, got int"),
    (changed('"96x4"', '"64x8"'), "shapes.explicit[1]: 64x8 is in the suite already: leave one out"),
    (changed("[training]", "tolerance = 0.1\n[training]"), "shapes.tolerance: chooses among sizes, "),
    (changed("explicit", "sizes = [1e6]\nexplicit"), "shapes.explicit: give either explicit shapes or sizes"),
    (changed('explicit = ["64x8", "96x4", "128x2"]', ""), "shapes.explicit: give either explicit shapes or"),
    (
        changed('["64x8", "96x4", "128x2"]', "[]"),
        "shapes.explicit: a list given, expected array of length >= 1",
    ),
    (SIZES[: SIZES.index("[training]")], "training: is required"),
    (SIZES.replace('"300K", "1M"]', '"x"]'), "shapes.sizes[0]: quantity 'x' is not a number: "),
    (SIZES.replace('"1M"]', '"1Q"]'), "shapes.sizes[1]: quantity '1Q' is not a number: "),
    (SIZES.replace('"300K", "1M"]', '"10K"]'), "shapes.sizes[0]: 10K has 0 feasible shapes within ±5.0%, 3 "),
    (
        changed("[training]", "tolerance = 2\n[training]", SIZES),
        "shapes.tolerance: 2 given, expected float < 1",
    ),
    (changed("[training]", "tolerance = nan\n[training]", SIZES), "shapes.tolerance: nan given, expected "),
    (changed("[training]", "width_min = 9000\n[training]", SIZES), "shapes: width range 9000 to 8192 is "),
    (SIZES.replace('"300K", "1M"]', '"1M", "1M"]'), "shapes.sizes[1]: "),
    (changed('"6M"', '"6 megas"'), "training.tokens: quantity '6 megas' is not a number: write it like "),
    (changed('"6M"', "0"), "training.tokens: quantity 0 must be positive and finite"),
    (changed('"6M"', "inf"), "training.tokens: quantity inf must be positive and finite"),
    (changed('"6M"', "true"), "training.tokens: True is not a number: write it like "),
    (changed('"6M"', "2020-01-01"), "training.tokens: 2020-01-01 is not a number: "),
    (changed('"6M"', '"1.5"'), "training.tokens: quantity '1.5' must be a whole number"),
    (changed('"6M"', '"99E"'), "training.tokens: quantity '99E' must be at most 9223372036854775807"),
    (changed('tokens = "6M"', ""), "training.tokens: is required"),
    (
        changed("batch_sequences = 16", "batch_sequences = -1"),
        "training.batch_sequences: -1 given, expected ",
    ),
    (changed("[training]", "[training]\nlr_base = 0"), "training.lr_base: 0 given, expected float > 0"),
    (changed("[training]", "[training]\nlr_base = inf"), "training.lr_base: inf given, expected float <= 1"),
    (changed("[training]", "[training]\nlr_base = [1, -2]"), "training.lr_base[1]: -2 given, expected float"),
    (changed("[training]", "[training]\nlr_base = []"), "training.lr_base: a list given, expected array of"),
    (changed("[training]", "[training]\nlr_base = [5, 5.0]"), "training.lr_base[1]: 5 is there already: "),
    (changed("[training]", "[training]\nlr_base = 5e-324"), "training.lr_base: 0.0 must be positive and "),
    (
        changed("[training]", '[training]\nprecision = "fp8"'),
        "training.precision: 'fp8' is not known: choose ",
    ),
    (changed('"300K"', "1", TINY.replace('"6M"', '"6T"')), "training.evaluate_every: 1 of 6000000000000 "),
    (TINY + "[training.patch]\nmode = 'of'\n", "training.patch.mode: 'of' is not known: choose from "),
    (TINY + "[training.patch]\nmod = 'off'\n", "training.patch.mod: unknown field: choose from threshold, "),
    (TINY + "[training.patch]\non = ['1x1']\n", "training.patch.on[0]: '1x1' is no shape of this suite: "),
    (TINY + "[training.patch]\non = ['64x8']\noff = ['64x8']\n", "training.patch.off: 64x8 is switched on "),
    (TINY + "[[families]]\n", "families[0].family: is required: choose from cooldown, lr-ablation"),
    (TINY + ABLATION + "[[families]]\nfamily = 'main'\n", "families[1].family: 'main' is not known: choose "),
    (
        TINY + ABLATION + "lr_factr = 1\n",
        "families[0].lr_factr: unknown field: choose from family, shapes, lr_",
    ),
    (TINY + ABLATION + "lr_factor = 1\n", "families[0].lr_factor: run lr-ablation-64x8-"),
    (TINY + ABLATION + ABLATION, "families[1].lr_factor: run lr-ablation-64x8-"),
    (TINY + ABLATION + "lr_factor = 5e-324\n", "families[0].lr_factor: 0.0 must be positive and finite"),
    (TINY + ABLATION + "shapes = ['64x9']\n", "families[0].shapes[0]: '64x9' is no shape of this suite: "),
    (TINY + COOLDOWN + "length = 0\n", "families[0].length: 0 given, expected float > 0"),
    (TINY + COOLDOWN + "every = 5\n", "families[0].forks: give either forks, like "),
    (TINY + COOLDOWN.replace('forks = ["2M", "4M"]', "every = 5"), "families[0].forks: give either "),
    (TINY + COOLDOWN.replace('forks = ["2M", "4M"]', ""), "families[0].forks: give either forks, like "),
    (
        TINY + COOLDOWN.replace("forks", "fork"),
        "families[0].fork: unknown field: choose from family, shapes, f",
    ),
    (
        TINY + COOLDOWN.replace("4M", "7M"),
        "families[0].forks[1]: 7M is beyond the end of its parent main-64x8-",
    ),
    (TINY + COOLDOWN.replace("4M", "2.001M"), "families[0].forks[1]: run cooldown-64x8-2M-"),
    (TINY + COOLDOWN.replace('"4M"', '"4Mio"'), "families[0].forks[1]: quantity '4Mio' is not a number: "),
    (
        TINY + "[[families]]\nfamily='cooldown'\nevery='4M'\nuntil='2M'\n",
        "families[0].until: 2000000 must be ",
    ),
    (TINY + "[[families]]\nfamily='cooldown'\nevery='4M'\nuntil='8M'\n", "families[0].until: 8M is beyond "),
    (
        TINY + "[[families]]\nfamily='cooldown'\nevery=1\nuntil='6M'\n",
        "families[0].until: 6000000 must be 1 ",
    ),
    ("seeds = [1, 1]\n" + TINY, "seeds[1]: 1 is there already: leave one out"),
    ("seeds = [-1]\n" + TINY, "seeds[0]: -1 given, expected int >= 0"),
    ("seeds = 0\n" + TINY, "seeds: 0 given, expected array, got int"),
    ('"ev\\nil" = 1\n' + TINY, "ev il: unknown field: "),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES, ids=[message[:60] for _, message in MISTAKES])
def test_every_mistake_is_one_line_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "suite.toml"
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        expand(load_suite(file))
    assert str(caught.value).startswith(f"{file}: {message}")
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.exit_status == 2


def test_a_corpus_larger_than_the_vocabulary(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"suite\.toml: models\.vocabulary: 512 is smaller than the corpus's 513"
    ):
        runs(tmp_path, vocabulary=513)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    for file, rule in (
        (tmp_path / "none.toml", "cannot be read: No such file or directory"),
        (tmp_path, "cannot be read: Is a directory"),
        (binary, "is not TOML: "),
    ):
        with pytest.raises(UserError) as caught:
            load_suite(file)
        assert str(caught.value).startswith(f"{file}: {rule}")
        assert len(str(caught.value).splitlines()) == 1


def test_the_example_of_the_format_expands(tmp_path: Path) -> None:
    assert suite_file.__doc__ is not None
    example = textwrap.dedent(suite_file.__doc__.partition("\n\n")[2])
    assert set(tomllib.loads(example)) == {
        *("recipe", "seeds", "order", "held_out"),
        *("models", "shapes", "training", "families"),
    }
    assert len(runs(tmp_path, example, vocabulary=512)) == 2 + 2 * 2 + 2
