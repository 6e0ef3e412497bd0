"""Every combination of choices: which there are, what they share, and that each is what a study of its own gives."""

import dataclasses
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gemstones.analyses.analysis import Asked, Selected, Settings
from gemstones.analyses.sensitivity import in_study
from gemstones.analyses.sensitivity.choices import CHOICES, Choices, Levels, selected
from gemstones.analyses.sensitivity.sensitivity import Sensitivity, headline_position, sensitivity
from gemstones.analyses.sensitivity.sweep import Sweep
from gemstones.errors import InvalidRequest
from gemstones.laws.envelope import envelope
from gemstones.laws.fitting import fit
from gemstones.laws.interval import interval
from gemstones.laws.solver.objective import Objective
from gemstones.planning.plan import plan
from gemstones.runs import RunTable, load
from gemstones.runs.recount import recounted

BUDGETS = (1e20, 1e22)


def run(sweep: Sweep, **options: object) -> Sensitivity:
    return sensitivity(sweep, BUDGETS, **{"bootstrap": 0, **options})  # type: ignore[arg-type]


def text(made: Sensitivity) -> str:
    return json.dumps(made.summary())


# ---------------------------------------------------------------- which there are


def test_combinations_and_distinct_fits_of_the_gemstones(gemstones: RunTable) -> None:
    sweep = Sweep.of(gemstones)
    # 7 selections × (5 laws × 2 δ + hull + bins) × 3 conventions of N × 3 of FLOPs
    assert len(sweep.combinations) == 7 * (5 * 2 + 2) * 9
    assert len(sweep.reasons) == 3 * 36
    laws = [one for one in sweep.fits if one.method is None]
    # Of five selections N,T and w,d,N,T three times, with an exponent around them and without, w,d,T once; of two only
    # N,T; each for two δ.
    assert len(laws) == (5 * (4 * 3 + 1) + 2 * 2 * 3) * 2
    # A frontier depends on how FLOPs are counted: two conventions, and 6·N·T for each of N.
    assert len(sweep.fits) - len(laws) == 7 * 2 * 5
    assert sum(map(len, sweep.fits.values())) == 756 - 108
    lengths = [one.law.count(",") for one in sweep.fits]
    assert lengths == sorted(lengths, reverse=True)
    fits_of = {one: choices for one, choices in sweep.fits.items() if one.law == "w,d,T"}
    assert all(len(choices) == 9 for choices in fits_of.values())


def test_the_frontier_is_of_the_dense_selection(gemstones: RunTable) -> None:
    tables = selected(gemstones)
    assert (tables["all"].fitted.selection, tables["all"].frontier.selection) == ("all", "all-2B")
    assert tables["cooldown"].frontier.selection == "cooldown"
    narrow = selected(gemstones, ["all"], "width = 512")["all"]
    assert (narrow.fitted.rows, narrow.frontier.rows) == (175, 875)
    once = gemstones.select("le100B")
    assert [*selected(once)] == ["le100B"]
    with pytest.raises(InvalidRequest, match="is the selection 'le100B' already"):
        selected(once, ["all"])


def test_what_is_refused_says_why(gemstones: RunTable, chinchilla: RunTable) -> None:
    levels = Levels(approaches=("approach3",), laws=("w,d,N,T", "N,T"), deltas=(1e-4,), flops=("6N",))
    made = run(Sweep.of(gemstones, levels, selections=["all", "width512"]))
    reasons = {one.reason: one for one in made.refused}
    (width,) = (one for reason, one in reasons.items() if "width is the same in every row (512)" in reason)
    assert (width.choices, width.combinations) == ({"selection": ("width512",), "law": ("w,d,N,T",)}, 3)
    assert len(made.studies) + sum(one.combinations for one in made.refused) == made.combinations == 12

    made = run(Sweep.of(chinchilla, Levels(deltas=(1e-4,))))
    assert {study.choices.flops_convention for study in made.studies} == {"6N"}
    assert {study.choices.params_convention for study in made.studies} == {"total"}
    assert len(made.studies) == made.distinct_fits == 3 * 4
    assert len(made.studies) + sum(one.combinations for one in made.refused) == made.combinations
    assert any(
        one.choices.get("law") == ("w,d,N,T", "w,d,T", "(w,d,N,T)^p") and "width" in one.reason
        for one in made.refused
    )
    assert all(summary["w_opt"] == [None, None] for summary in made.summary()["studies"])
    assert {share.quantity for share in made.decompositions} == {"n_opt", "t_opt"}


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        ({"approaches": ("approach2",)}, "approach3, "),
        ({"flops": ("taken",)}, "gemstones, "),
        ({"params": ("all",)}, "no_embedding"),
        ({"deltas": (0.0,)}, "delta 0"),
        ({"laws": ("N,N",)}, "different columns"),
        ({"laws": ("N,T,step",)}, "cannot prescribe"),
        ({"laws": ()}, "none is left"),
    ],
)
def test_levels_that_there_are_not(levels: dict[str, tuple[str, ...]], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        Levels(**levels)  # type: ignore[arg-type]


def test_nothing_to_study(chinchilla: RunTable) -> None:
    with pytest.raises(
        InvalidRequest, match=r"no combination of choices has an answer for chinchilla.*width and depth"
    ):
        Sweep.of(chinchilla, Levels(laws=("w,d,T",), approaches=("approach3",)))


# ---------------------------------------------------------------- what they are


SMALL = Levels(
    laws=("w,d,T", "N,T"), deltas=(1e-4, 1e-3), params=("total", "non_embedding"), flops=("gemstones", "6N")
)


@pytest.fixture(scope="module")
def small(gemstones: RunTable) -> Sensitivity:
    """Two selections of the Gemstones with few draws."""
    sweep = Sweep.of(gemstones, SMALL, selections=["le100B", "cooldown"])
    return run(sweep, bootstrap=40, seed=5)


def study(made: Sensitivity, **choices: object) -> Choices:
    (one,) = (
        s.choices for s in made.studies if all(getattr(s.choices, name) == v for name, v in choices.items())
    )
    return one


def test_the_base_study_has_the_first_of_everything(small: Sensitivity) -> None:
    assert small.base.choices == Choices("le100B", "approach3", "w,d,T", "total", "gemstones", 1e-4)
    assert [(shift.choice, shift.level) for shift in small.shifts] == [
        ("selection", "cooldown"), ("approach", "hull"), ("approach", "bins"), ("law", "N,T"),
        ("params_convention", "non_embedding"), ("flops_convention", "6N"), ("delta", 1e-3),
    ]  # fmt: skip
    for shift in small.shifts:
        others = [n for n in CHOICES if getattr(shift.study, n) != getattr(small.base.choices, n)]
        assert others == ([shift.choice, "law", "delta"] if shift.choice == "approach" else [shift.choice])
        assert shift.against == small.base.choices


def test_shifts_are_those_of_direct_refits(gemstones: RunTable, small: Sensitivity) -> None:
    def refitted(selection: str, law: str = "w,d,T", delta: float = 1e-4) -> object:
        table = gemstones.select(selection)
        return fit(table, law, objective=Objective(delta=delta))

    base = plan(1e22, refitted("le100B"))  # type: ignore[arg-type]
    assert small.base.prescribed.n_opt[0, 1] == base.params
    shifts = {(shift.choice, shift.level): shift for shift in small.shifts}
    for key, other in (
        (("selection", "cooldown"), refitted("cooldown")),
        (("delta", 1e-3), refitted("le100B", delta=1e-3)),
    ):
        planned = plan(1e22, other)  # type: ignore[arg-type]
        assert planned.shape is not None and base.shape is not None
        assert shifts[key].ratio["n_opt"][1] == pytest.approx(planned.params / base.params)
        assert shifts[key].ratio["t_opt"][1] == pytest.approx(planned.tokens / base.tokens)
        assert shifts[key].ratio["w_opt"][1] == pytest.approx(planned.shape.width / base.shape.width)
        assert shifts[key].ratio["d_opt"][1] == pytest.approx(planned.shape.depth / base.shape.depth)
    hull = envelope(gemstones.select("le100B-2B"))
    at = float(hull.fits["params"].at(1e22))
    assert shifts["approach", "hull"].ratio["n_opt"][1] == pytest.approx(at / base.params)
    assert shifts["approach", "hull"].ratio["w_opt"] == (None, None)


def test_intervals_of_shifts_are_of_paired_draws(gemstones: RunTable) -> None:
    levels = Levels(laws=("N,T",), approaches=("approach3", "hull"), params=("total",), flops=("6N",))
    made = run(Sweep.of(gemstones, levels, selections=["le100B"]), bootstrap=40, seed=5)
    table = gemstones.select("le100B")
    draws = [
        fit(table, "N,T", objective=Objective(delta=delta), bootstrap=40, seed=5).theta_draws
        for delta in (1e-4, 1e-3)
    ]
    from gemstones.laws.hoffmann import optimal_params_tokens

    first, second = (optimal_params_tokens(of, 1e22)[0] for of in draws)
    (shift,) = (shift for shift in made.shifts if shift.choice == "delta")
    expected = interval(second / first, float(shift.ratio["n_opt"][1] or 0))
    assert shift.interval["n_opt"][1] == pytest.approx(expected)
    # And the frontier's draws are of the same runs, of which there are more checkpoints.
    hull = envelope(recounted(gemstones.select("le100B-2B"), "6N_total"), bootstrap=40, seed=5).draws[
        "params"
    ]
    (shift,) = (shift for shift in made.shifts if shift.choice == "approach")
    paired = np.exp(hull[:, 0] * np.log(1e22) + hull[:, 1]) / first
    assert shift.interval["n_opt"][1] == pytest.approx(interval(paired, float(shift.ratio["n_opt"][1] or 0)))


def test_a_level_that_the_base_study_cannot_have_is_held_against_the_nearest(gemstones: RunTable) -> None:
    levels = Levels(
        laws=("w,d,T", "N,T"), approaches=("approach3",), params=("total",), flops=("6N",), deltas=(1e-4,)
    )
    made = run(Sweep.of(gemstones, levels, selections=["le100B", "width512"]))
    (shift,) = (shift for shift in made.shifts if shift.choice == "selection")
    assert (shift.study.law, shift.against.law, shift.against.selection) == ("N,T", "N,T", "le100B")
    assert (shift.ratio["n_opt"][1] or 1) < 0.1


def test_flops_conventions_share_fits_and_only_change_what_a_budget_buys(small: Sensitivity) -> None:
    by = {s.choices: s.prescribed for s in small.studies}
    of_law = {"selection": "le100B", "approach": "approach3", "law": "w,d,T", "delta": 1e-4}
    appendix = by[study(small, **of_law, params_convention="total", flops_convention="gemstones")]
    rule = by[study(small, **of_law, params_convention="total", flops_convention="6N")]
    assert not np.array_equal(appendix.t_opt, rule.t_opt)
    # Without a term in N the convention of N is one of counting: the shapes are the same.
    other = by[study(small, **of_law, params_convention="non_embedding", flops_convention="gemstones")]
    np.testing.assert_array_equal(other.w_opt, appendix.w_opt)
    np.testing.assert_array_equal(other.params_total, appendix.params_total)
    assert (other.n_opt < appendix.n_opt).all()
    assert small.laws_fitted == 2 * 2 * (1 + 2) and small.frontiers_found == 2 * 2 * 3
    assert len(small.studies) == 2 * (2 + 2 * 2) * 4


def test_spread_shares_and_the_sentence(small: Sensitivity) -> None:
    summary = small.summary()
    assert summary["combinations"] == len(summary["studies"]) == 48
    for spread in summary["spread"]:
        position = small.budgets.index(spread["budget"])
        values = [s[spread["quantity"]][position] for s in summary["studies"]]
        known = [v for v in values if v is not None]
        assert (spread["least"], spread["most"], spread["studies"]) == (min(known), max(known), len(known))
        assert spread["ratio"] == pytest.approx(max(known) / min(known))
        assert spread["median"] == pytest.approx(np.median(known))
    assert sum(small.decomposition.values()) == pytest.approx(1)
    assert {*small.decomposition} == {*CHOICES, "interactions"} - {"loss"}  # there is one
    by_choices = itertools.groupby(summary["decompositions"], key=lambda s: (s["quantity"], s["budget"]))
    for _, shares in by_choices:
        assert sum(share["share"] for share in shares) == pytest.approx(1)
    for one in summary["studies"]:
        for value, ends in zip(one["n_opt"], one["interval"]["n_opt"], strict=True):
            assert ends[0] <= value <= ends[1]
    assert "Prescriptions for 1e22 FLOPs run from" in small.sentence and "48 studies" in small.sentence
    assert (
        f"({max(v for k, v in small.decomposition.items() if k != 'interactions'):.0%} of" in small.sentence
    )


@pytest.mark.long
def test_a_table_of_three_columns(tmp_path: Path) -> None:
    lines = ["params_total,tokens,loss"]
    for params, tokens in itertools.product((1e6, 3e6, 1e7, 3e7), (1e8, 3e8, 1e9)):
        lines.append(f"{params:.0f},{tokens:.0f},{1.7 + 400 / params**0.34 + 410 / tokens**0.28:.6f}")
    file = tmp_path / "mine.csv"
    file.write_text("\n".join(lines) + "\n")
    made = run(Sweep.of(load(file)), bootstrap=40)
    assert made.base.choices == Choices("all", "approach3", "N,T", "total", "6N", 1e-4)
    # The planted law, whatever δ: Hoffmann's closed form.
    g = (0.34 * 400 / (0.28 * 410)) ** (1 / 0.62)
    assert made.base.prescribed.n_opt[0] == pytest.approx(
        [g * (c / 6) ** (0.28 / 0.62) for c in BUDGETS], rel=1e-2
    )
    assert len(made.studies) == 6


# ---------------------------------------------------------------- workers, and going on


@pytest.fixture
def quick(gemstones: RunTable) -> Callable[..., Sensitivity]:
    levels = Levels(laws=("N,T",), params=("total",), flops=("6N", "gemstones"))
    sweep = Sweep.of(gemstones, levels, selections=["le100B", "chinchilla-reduced"])
    return lambda **options: run(sweep, **{"bootstrap": 40, **options})


@pytest.mark.long
def test_the_number_of_workers_does_not_matter(quick: Callable[..., Sensitivity]) -> None:
    done: list[int] = []
    assert text(quick(workers=1, progress=done.append)) == text(quick(workers=2))
    assert done == [*range(1, 13)]


def test_finished_fits_are_kept_and_damaged_ones_made_again(
    quick: Callable[..., Sensitivity], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = text(quick())
    assert text(quick(output=tmp_path)) == whole
    files = sorted((tmp_path / "fits").iterdir())
    assert len(files) == 12

    damaged = [file for file in files if "N-T" in file.name][:3] + [
        file for file in files if "hull" in file.name
    ][:1]
    contents = [file.read_bytes() for file in damaged]
    damaged[0].write_bytes(contents[0][:-40])
    damaged[1].write_bytes(
        contents[1].replace(b'"exponents":[0.', b'"exponents":[1.')
    )  # still JSON, another law
    damaged[2].write_bytes(contents[0])  # a whole file, of another fit
    damaged[3].write_bytes(b"\xff\xfe")
    assert text(quick(output=tmp_path)) == whole
    assert [file.read_bytes() for file in damaged] == contents

    def never(*_: object, **__: object) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr("gemstones.analyses.sensitivity.sweep.fit", never)
    monkeypatch.setattr("gemstones.analyses.sensitivity.sweep.frontier_lines", never)
    assert text(quick(output=tmp_path)) == whole
    with pytest.raises(AssertionError, match="fitted again"):
        quick(output=tmp_path, seed=1)
    with pytest.raises(AssertionError, match="fitted again"):
        quick(output=tmp_path, bootstrap=41)


def test_a_killed_analysis_goes_on(quick: Callable[..., Sensitivity], tmp_path: Path) -> None:
    words = [
        "sensitivity", "gemstones", "--select", "le100B,chinchilla-reduced", "--law", "N,T", "--params", "total",
        "--flops", "6N,gemstones", "--bootstrap", "40", "--budgets", "1e20,1e22", "--workers", "1", "--json",
        "--output", str(tmp_path),
    ]  # fmt: skip
    command = [sys.executable, "-m", "gemstones", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        folder, until = tmp_path / "fits", time.monotonic() + 60
        while len([*folder.glob("*.json")] if folder.exists() else []) < 2 and child.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.005)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    kept = {file.name: file.stat().st_mtime_ns for file in folder.glob("*.json")}
    assert 2 <= len(kept) < 12, "killed too late to tell"
    assert not (tmp_path / "sensitivity.json").exists()
    assert text(quick(output=tmp_path)) == text(quick())
    assert {name: (folder / name).stat().st_mtime_ns for name in kept} == kept


def test_headline_budget() -> None:
    assert headline_position((1e20, 1e22, 1e24), (3.4e18, 4.5e21)) == 1
    assert headline_position((1e23, 1e24), (3.4e18, 4.5e21)) == 0
    assert headline_position((1e20, 4.5e22), (3.4e18, 4.5e21)) == 1
    assert headline_position((1e20, 1e24), None) == 1


def test_base_study_has_a_prescription(pebbles: RunTable) -> None:
    """w,d,N,T on pebbles has its optimum at depth 1, the edge: others cannot be held against it."""
    levels = Levels(approaches=("approach3",), params=("total",), flops=("gemstones",), deltas=(1e-4,))
    made = sensitivity(Sweep.of(pebbles, levels, selections=["all"]), [1e13], bootstrap=0)
    by_law = {study.choices.law: study.prescribed.n_opt[0, 0] for study in made.studies}
    assert np.isnan(by_law["w,d,N,T"]) and np.isfinite(by_law[made.base.choices.law])
    assert all(shift.ratio["n_opt"][0] is None or shift.ratio["n_opt"][0] > 0 for shift in made.shifts)


# ---------------------------------------------------------------- several losses

SETS = {"loss": 410.0, "loss_near": 410.0, "loss_far": 4100.0}
"""B of the law that is planted in each: E is another as well, which no prescription depends on."""
ON_SETS = Levels(approaches=("approach3",), laws=("N,T",), params=("total",), flops=("6N",), deltas=(1e-4,))


def on_sets() -> list[dict[str, float | str]]:
    sizes = itertools.product((1e6, 3e6, 1e7, 3e7), (1e8, 3e8, 1e9))
    return [
        {"run": f"{n:g}", "params_total": n, "tokens": t, "loss_far_stderr": 0.1}
        | {name: 1 + i / 4 + 400 / n**0.34 + b / t**0.28 for i, (name, b) in enumerate(SETS.items())}
        for n, t in sizes
    ]


def test_the_loss_is_a_choice_where_there_are_several() -> None:
    made = run(Sweep.of(load(on_sets()), ON_SETS), bootstrap=40)
    assert [study.choices.loss for study in made.studies] == [*SETS]
    shifts = {shift.level: shift for shift in made.shifts}
    # N* goes with (A a / B b)^(1 / (a + b)) in Hoffmann's closed form.
    for level, factor in (("loss_near", 1.0), ("loss_far", 10 ** (-1 / 0.62))):
        assert shifts[level].choice == "loss"
        assert shifts[level].ratio["n_opt"] == pytest.approx([factor, factor], rel=0.02)
        assert shifts[level].interval["n_opt"][0] == pytest.approx([factor, factor], rel=0.05)
    assert made.decomposition["loss"] == pytest.approx(1)
    said = made.sentence
    assert "the set that losses are of moves them most (100%" in said
    assert "fitted to the losses on near N* is 1 [" in said and "those on far N* is 0.0244 [" in said


def test_losses_are_chosen_by_set_or_column() -> None:
    rows = on_sets()
    chosen = Sweep.of(load(rows), dataclasses.replace(ON_SETS, losses=("far", "main")))
    assert [one.loss for one in chosen.combinations] == ["loss_far", "loss"]
    with pytest.raises(InvalidRequest, match=r"loss 'edu' is no loss of .*: choose from main, near, far"):
        Sweep.of(load(rows), dataclasses.replace(ON_SETS, losses=("edu",)))
    rows[3]["loss_near"] = None  # type: ignore[assignment]
    made = run(Sweep.of(load(rows), ON_SETS))
    assert [study.choices.loss for study in made.studies] == ["loss", "loss_far"]
    (refused,) = made.refused
    assert refused.choices == {"loss": ("loss_near",)} and "not known of every row" in refused.reason


def test_a_study_asks_it_of_its_own_loss_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swept: list[Sweep] = []
    monkeypatch.setattr(in_study, "sensitivity", lambda sweep, *rest, **more: swept.append(sweep))
    runs = load(on_sets())
    settings = Settings(None, BUDGETS, 0, 0, 1e-4)
    asked = Asked(runs, [Selected(runs, runs)], [], settings, tmp_path, 1, lambda share: None)
    answer = in_study.ANALYSIS.ask(asked)
    assert {choices.loss for choices in swept[0].combinations} == {"loss"}
    (note,) = answer.notes
    assert "of loss alone, not of loss_near, loss_far: `gemstones sensitivity`" in note


def test_sets_of_an_evaluation_are_losses() -> None:
    """Its rows are by set, and give the same studies as columns do."""
    wide = on_sets()
    rows = [
        {"run": f"{row['run']} on {name}", "set": name, "tokenizer": "bytes", "loss": row[name]}
        | {key: row[key] for key in ("params_total", "tokens")}
        for row in wide
        for name in SETS
    ]
    table = dataclasses.replace(load(rows), format="evaluation")
    made = run(Sweep.of(table, ON_SETS), bootstrap=40)
    by_column = run(Sweep.of(load(wide), ON_SETS), bootstrap=40)
    assert [study.choices.loss for study in made.studies] == [*SETS]
    for shift, other in zip(made.shifts, by_column.shifts, strict=True):
        assert shift.interval["n_opt"] == other.interval["n_opt"]


@pytest.mark.published_data
def test_losses_of_the_gemstones_on_three_sets() -> None:
    """The main runs' rows of `gemstones-benchmarks` are those of the data set of each set."""
    table = load("gemstones-benchmarks")
    made = run(Sweep.of(table, ON_SETS, selections=["all"]))
    alone = [
        run(Sweep.of(load(name), ON_SETS, selections=["all"]))
        for name in ("gemstones", "gemstones-fineweb-edu", "gemstones-dclm")
    ]
    assert [study.choices.loss for study in made.studies] == ["loss", "loss_fineweb_edu", "loss_dclm"]
    for study, one in zip(made.studies, alone, strict=True):
        assert study.prescribed.n_opt[0] == pytest.approx(one.base.prescribed.n_opt[0], rel=1e-9)
