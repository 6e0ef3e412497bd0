"""Horizons, schedules, variants and branches of suite files; every mistake in one line with its remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import params
from gemstones.design.corpora import HeldOut, Source
from gemstones.design.spec import RunSpec
from gemstones.design.suite import expand, load_suite
from gemstones.errors import UserError

BATCH = 4096
SUITE = """\
{top}
[models]
head_size = 16
vocabulary = 512
context = 256
[shapes]
explicit = ["64x8", "96x4", "128x2"]
[training]
{horizon}
batch_sequences = 16
warmup_tokens = "80K"
evaluations = 10
{training}
"""


def suite(
    families: str = "", horizon: str = 'tokens = "6M"', training: str = "lr_base = 1.0", top: str = ""
) -> str:
    return SUITE.format(top=top, horizon=horizon, training=training) + families


def family(**fields: Any) -> str:
    def toml(value: Any) -> str:
        return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')

    lines = [f"{name} = {toml(value)}" for name, value in fields.items()]
    return "\n".join(["[[families]]", *lines, ""])


def runs(folder: Path, text: str, **corpus: Any) -> tuple[RunSpec, ...]:
    file = folder / "suite.toml"
    file.write_text(text)
    return expand(load_suite(file), **corpus)


def near(run: RunSpec, tokens: float) -> bool:
    return abs(run.trained_tokens - tokens) <= run.batch_tokens / 2


def test_every_shape_gets_the_tokens_that_a_budget_pays_for(tmp_path: Path) -> None:
    made = runs(tmp_path, suite(horizon='flops = [1e13, "30T"]'))
    assert len(made) == 6
    for run, budget in zip(made, [1e13, 3e13] * 3, strict=True):
        assert near(run, budget / flops_per_token(run.shape))


def test_tokens_per_param_are_over_total_parameters_and_most_flops_cuts(tmp_path: Path) -> None:
    free = runs(tmp_path, suite(horizon="tokens_per_param = 20"))
    cost = sorted(flops_per_token(run.shape) * run.tokens for run in free)[1]
    assert all(near(run, 20 * params(run.shape)) for run in free)
    cut = runs(tmp_path, suite(horizon=f"tokens_per_param = 20\nmost_flops = {cost}"))
    for run, uncut in zip(cut, free, strict=True):
        assert near(run, min(uncut.tokens, cost / flops_per_token(run.shape)))
    assert sum(run.tokens < uncut.tokens for run, uncut in zip(cut, free, strict=True)) == 1


def test_evaluations_are_so_many_of_each_run(tmp_path: Path) -> None:
    made = runs(tmp_path, suite(horizon="flops = [1e13, 1e14]"))
    assert {len(run.evaluation_steps) for run in made} == {10}


def test_a_rate_that_falls_at_the_end_of_one_run(tmp_path: Path) -> None:
    table = 'schedule = {decay = "1-sqrt", fraction = 0.25, floor = 0.1}'
    for run in runs(tmp_path, suite(training=table)):
        assert (run.falls, run.cooldown, run.decay, run.floor) == (True, False, "1-sqrt", 0.1)
        assert run.decay_tokens == round(run.steps / 4) * BATCH
        factors = [run.schedule.rate_factor(step * BATCH, BATCH) for step in range(run.steps)]
        at = run.steps - run.decay_tokens // BATCH
        assert factors[at - 1] == factors[at] == 1.0 > factors[at + 1]
        assert factors[-1] > run.schedule.rate_factor(run.trained_tokens, BATCH) == pytest.approx(0.1)


def test_a_cosine_is_over_all_that_the_warm_up_leaves(tmp_path: Path) -> None:
    run = runs(tmp_path, suite(training='schedule = {decay = "cosine", fraction = 1.0}'))[0]
    assert run.decay_start == 20 * BATCH  # 80,000 tokens are 19.5 steps
    middle = (run.decay_start + run.trained_tokens) // 2
    assert run.schedule.rate_factor(middle, BATCH) == pytest.approx(0.5)


def test_a_variant_is_the_main_run_but_for_what_it_says(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "betas": [0.8, 0.99], "epsilon": 1e-6, "weight_decay": 0.0, "batch_sequences": 8, "context": 128,
        "seeds": [7], "clip": 0.5, "warmup_tokens": 1000, "rate_power": 0.5, "lr_base": 3.0, "recipe": "mup",
    }  # fmt: skip
    spelled = {"clip": "clip_norm", "seeds": "seed"}
    for name, value in changes.items():
        text = suite(family(family="variant", name="other", shapes=["64x8"], **{name: value}))
        made = runs(tmp_path, text)
        main, other = made[0], made[-1]
        expected = tuple(value) if name == "betas" else value[0] if name == "seeds" else value
        assert getattr(other, spelled.get(name, name)) == expected
        assert other.family == "other"
        same = {
            "family",
            "learning_rate",
            "lr_base",
            spelled.get(name, name),
            "evaluate_tokens",
            "checkpoint_tokens",
        }
        for field in set(RunSpec.__struct_fields__) - same:
            assert getattr(main, field) == getattr(other, field)


def test_what_is_called_main_takes_the_place_of_the_main_runs(tmp_path: Path) -> None:
    text = suite(
        family(family="cooldown", fractions=[1.0])
        + family(family="variant", name="main", tokens="1M", shapes=["96x4"])
    )
    made = runs(tmp_path, text)
    tokens = {str(run.shape): run.tokens for run in made if run.family == "main"}
    assert tokens == {"64x8": 6_000_000, "96x4": 1_000_000, "128x2": 6_000_000}
    assert len(made) == 6


def test_a_variant_s_rate(tmp_path: Path) -> None:
    half = runs(tmp_path, suite(family(family="variant", name="half", lr_factor=0.5)))
    assert half[3].learning_rate == half[0].learning_rate / 2
    # Another recipe has a rate of its own, unless one is given.
    muon = runs(tmp_path, suite(family(family="variant", name="muon", recipe="muon", shapes=["96x4"])))[-1]
    assert (muon.lr_base, muon.learning_rate) == (0.02, 0.01)
    given = runs(tmp_path, suite(family(family="variant", name="muon", recipe="muon", lr_base=0.1)))[-1]
    assert given.lr_base == 0.1


def test_branches_at_fractions_of_their_parents_and_at_budgets(tmp_path: Path) -> None:
    text = suite(
        family(family="cooldown", fractions=[0.25, 1.0], length=0.2)
        + family(family="cooldown", name="isoflop", flops=[1e13, 3e13], length=0.2, decay="1-sqrt"),
        horizon='tokens = "20M"\nmost_flops = 4e13',
    )
    made = runs(tmp_path, text)
    main = {run.id: run for run in made if run.family == "main"}
    cooled = [run for run in made if run.family == "cooldown"]
    assert len(cooled) == 6
    for run in cooled:
        parent = main[run.parent]
        assert run.own_tokens == pytest.approx(0.2 * run.fork_tokens, abs=BATCH)
        assert run.fork_tokens in {
            parent.permanent_tokens[0],
            *parent.permanent_tokens,
            parent.trained_tokens,
        }
    grid = [run for run in made if run.family == "isoflop"]
    assert {run.decay for run in grid} == {"1-sqrt"}
    for run, budget in zip(grid, [1e13] * 3 + [3e13] * 3, strict=True):
        assert flops_per_token(run.shape) * run.trained_tokens == pytest.approx(budget, rel=0.01)


def test_only_shapes_that_reach_a_budget_branch_there(tmp_path: Path) -> None:
    ends = sorted(flops_per_token(run.shape) * run.trained_tokens for run in runs(tmp_path, suite()))
    text = suite(family(family="cooldown", flops=[1.05 * ends[1]], length=0.1))
    made = runs(tmp_path, text)
    main = [run for run in made if run.family == "main"]
    reach = [run for run in main if flops_per_token(run.shape) * run.trained_tokens >= ends[1]]
    assert len(reach) == 2
    assert [run.parent for run in made if run.family == "cooldown"] == [run.id for run in reach]


def test_branches_of_another_family(tmp_path: Path) -> None:
    text = suite(
        family(family="variant", name="muon", recipe="muon", shapes=["64x8"])
        + family(family="cooldown", of="muon", name="muon-cooldown", fractions=[0.5])
    )
    made = runs(tmp_path, text)
    child = made[-1]
    parent = next(run for run in made if run.id == child.parent)
    assert (parent.family, child.family, child.recipe) == ("muon", "muon-cooldown", "muon")
    assert made[-2] is parent


def test_the_cheapest_first_and_parents_before_their_branches(tmp_path: Path) -> None:
    text = suite(
        family(family="variant", name="short", tokens="500K")
        + family(family="cooldown", fractions=[0.1, 1.0]),
        top='order = "cheapest"',
    )
    made = runs(tmp_path, text)
    cost = [flops_per_token(run.shape) * run.trained_tokens for run in made]
    assert [run.family for run in made[:3]] == ["short"] * 3
    mains = [at for at, run in enumerate(made) if run.family == "main"]
    assert sorted(cost[at] for at in mains) == [cost[at] for at in mains]
    assert len(made) == 3 + 3 + 6
    for at, run in enumerate(made):
        assert not run.parent or run.parent in {before.id for before in made[:at]}
    # The short branch of a run comes right after it, before any dearer run.
    assert [run.family for run in made[3:6]] == ["main", "cooldown", "cooldown"]


def test_a_later_stage_comes_after_and_a_branch_never_before_its_parent(tmp_path: Path) -> None:
    text = suite(
        family(family="variant", name="main", tokens="1M", shapes=["128x2"], stage=2)
        + family(family="variant", name="other", seeds=[1], shapes=["64x8"], stage=1)
        + family(family="cooldown", fractions=[1.0])
    )
    made = [(run.family, str(run.shape)) for run in runs(tmp_path, text)]
    assert made == [
        *(("main", "64x8"), ("main", "96x4"), ("cooldown", "64x8"), ("cooldown", "96x4")),
        *(("other", "64x8"), ("main", "128x2"), ("cooldown", "128x2")),
    ]


def test_all_checkpoints_can_be_kept_and_the_run_is_the_same(tmp_path: Path) -> None:
    some = runs(tmp_path, suite())[0]
    every = runs(tmp_path, suite(training='lr_base = 1.0\nkeep = "all"'))[0]
    assert every.id == some.id
    assert every.permanent_steps == every.checkpoint_steps
    assert some.permanent_steps == (some.steps,)


def test_branches_are_at_checkpoints_where_all_are_kept(tmp_path: Path) -> None:
    forks = family(family="cooldown", fractions=[0.333, 0.5, 1.0])
    made = runs(tmp_path, suite(forks, training='lr_base = 1.0\nkeep = "all"'))
    main = {run.id: run for run in made if run.family == "main"}
    for run in made[3:]:
        assert run.fork_step in main[run.parent].regular_steps
    # Added later, they find their checkpoints: the parents are the same and keep the same.
    alone = runs(tmp_path, suite(training='lr_base = 1.0\nkeep = "all"'))
    assert [(run.id, run.permanent_steps) for run in alone] == [
        (run.id, run.permanent_steps) for run in made[:3]
    ]


def test_held_out_sets_are_part_of_the_run(tmp_path: Path) -> None:
    text = suite() + '[held_out]\nprose = "p"\ncode = "c"\n'
    made = runs(tmp_path, text, held_out={"prose": "ab", "code": "cd"})
    assert made[0].held_out == (HeldOut("code", "cd"), HeldOut("prose", "ab"))
    assert made[0].id != runs(tmp_path, suite())[0].id
    assert RunSpec.from_json(made[0].to_json()) == made[0]
    assert load_suite(tmp_path / "suite.toml").held_out == {}


def test_a_mixture_is_of_the_suite_s_sources(tmp_path: Path) -> None:
    table = '[sources]\nprose = "p"\ncode = "c"\n'
    variant = family(family="variant", name="code-only", shapes=["64x8"]) + "mixture = { code = 1 }\n"
    text = suite(variant, training="mixture = { prose = 0.75, code = 0.25 }") + table
    made = runs(tmp_path, text, sources={"prose": "ab", "code": "cd"})
    assert made[0].mixture == (Source("code", 0.25, "cd"), Source("prose", 0.75, "ab"))
    assert made[-1].mixture == (Source("code", 1.0, "cd"),)
    assert RunSpec.from_json(made[0].to_json()) == made[0]


MISTAKES = [
    (suite(training="mixture = { prose = 1 }"), "training.mixture: 'prose' is not in [sources]: there are none"),
    (
        suite(training="mixture = { prose = -1 }") + '[sources]\nprose = "p"',
        "training.mixture: prose has weight -1: weights are positive and finite",
    ),
    (
        suite(training="mixture = { prose = 1, code = 1e-4 }") + '[sources]\nprose = "p"\ncode = "c"',
        "training.mixture: code has 0.0001 of the weight: sources are mixed by 1,024 sequences",
    ),
    (suite() + '[sources]\n"A" = "p"', "sources: name: 'A' must begin with"),
    (suite(horizon=""), "training.tokens: is required: give one of tokens, flops, tokens_per_param"),
    (suite(horizon='tokens = "1M"\nflops = [1e12]'), "training.flops: tokens and flops say the same in two ways"),
    (suite(horizon="flops = []"), "training.flops: "),
    (suite(horizon="flops = [-1.0]"), "training.flops[0]: FLOPs -1"),
    (suite(horizon="flops = [inf]"), "training.flops[0]: FLOPs "),
    (suite(training='evaluate_every = "1M"'), "training.evaluations: evaluate_every says the same"),
    (suite(training="schedule = {fraction = 1.5}"), "training.schedule.fraction: 1.5 given, "),
    (suite(training='schedule = {decay = "exp"}'), "training.schedule.decay: 'exp' is not known: choose from "),
    (suite(training="schedule = {floor = 1.0}"), "training.schedule.floor: "),
    (suite(training='keep = "some"'), "training.keep: 'some' is not known: choose from all, forks"),
    (suite(training="betas = [0.9]"), "training.betas: "),
    (suite(top='recipe = "adam"'), "recipe: 'adam' is not known: choose from gemstones, muon, mup"),
    (suite(top='order = "dearest"'), "order: 'dearest' is not known: choose from cheapest, listed"),
    (suite() + '[held_out]\nvalidation = "x"', "held_out: name: validation is the corpus's own"),
    (suite() + '[held_out]\n"a b" = "x"', "held_out: name: 'a b' must begin with"),
    (suite(family(family="variant")), "families[0].name: is required"),
    (
        suite(family(family="variant", name="main", shapes=["96x4"]) + family(family="variant", name="main")),
        "families[1].shapes: the main runs of 96x4 are those of families[0] already",
    ),
    (suite(2 * family(family="variant", name="x", seeds=[1])), "families[1].name: 'x' is a family before this one"),
    (suite(family(family="variant", name="A B")), "families[0].name: 'A B' must be words of a-z and 0-9"),
    (suite(family(family="variant", name="same")), "families[0]: run same-64x8-"),
    (suite(family(family="variant", name="x", seeds=[1, 1])), "families[0].seeds[1]: 1 is there already"),
    (suite(family(family="cooldown", of="muon", fractions=[1.0])), "families[0].of: 'muon' is no family before"),
    (suite(family(family="cooldown", name="main", fractions=[1.0])), "families[0].name: 'main' is another"),
    (suite(family(family="cooldown", fractions=[1.1])), "families[0].fractions[0]: "),
    (suite(family(family="cooldown", fractions=[1.0], forks=["1M"])), "families[0].forks: give either forks"),
    (suite(family(family="cooldown", flops=[1e20])), "families[0].flops[0]: 1e20 FLOPs are more than any of the 3"),
    (
        suite(family(family="cooldown", fractions=[1.0]), training="schedule = {}"),
        "families[0].fractions[0]: 6M is where the rate of its parent main-64x8-",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "rule"), MISTAKES, ids=[rule for _, rule in MISTAKES])
def test_every_mistake_is_one_line_with_its_place(tmp_path: Path, text: str, rule: str) -> None:
    with pytest.raises(UserError) as caught:
        runs(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'suite.toml'}: {rule}")
    assert len(str(caught.value).splitlines()) == 1
