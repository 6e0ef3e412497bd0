"""A study writes everything it names, says what it left out, and is the same every time."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from gemstones.errors import InvalidPath, InvalidQuantity, InvalidRequest
from gemstones.laws.chosen import Candidate, Choice
from gemstones.laws.diagnostics import doubts
from gemstones.report.analyses import OWN_BACKTESTS
from gemstones.report.answers import annealed_sentence
from gemstones.report.result import Study
from gemstones.report.steps import planning_fits, trusted_first
from gemstones.report.study import WITHOUT_PUBLISHED, study
from gemstones.report.summary import closing_text
from gemstones.runs import RunTable, load
from tests.report.conftest import short_analyses
from tests.stones import TOKENS

FIGURES = {"approach1", "approach3"}
TABLES = {"fits", "envelopes", "plans", "near_optimal"}


def written(output: Path) -> set[str]:
    return {path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file()}


def test_gemstones_writes_every_file(gemstones_study: Study) -> None:
    figures = FIGURES | {f"{name}-le100B" for name in FIGURES} | {"overspend", "overtraining"}
    expected = {f"figures/{name}.{kind}" for name in figures for kind in ("png", "svg")}
    expected |= {f"tables/{name}.{kind}" for name in TABLES for kind in ("parquet", "md")}
    expected |= {"report.html", "study.json"}
    files = {p.relative_to(gemstones_study.output).as_posix() for p in gemstones_study.files}
    assert expected == files == written(gemstones_study.output)


def test_every_analysis_writes_its_files(stones_study: Study) -> None:
    files = {p.relative_to(stones_study.output).as_posix() for p in stones_study.files}
    assert {"sensitivity/sensitivity.json", "backtests/backtest.json"} <= files
    kept = {name for name in written(stones_study.output) if name.startswith("sensitivity/fits/")}
    assert written(stones_study.output) - kept == files
    made = stones_study.analyses.sensitivity
    assert made is not None and len(kept) == made.distinct_fits
    assert {name.partition("/")[0] for name in files if "/" in name} == {
        "figures", "tables", "sensitivity", "backtests",
    }  # fmt: skip


def test_analyses(stones_study: Study) -> None:
    found = stones_study.analyses
    assert found.sensitivity is not None and found.backtest is not None and found.step_time is not None
    assert found.sensitivity.combinations == 108
    page = (stones_study.output / "report.html").read_text()
    assert f"{found.sensitivity.distinct_fits:,} distinct fits" in page
    assert sum(found.sensitivity.decomposition.values()) == pytest.approx(1)
    assert {one.resource for one in found.overspend} == {"flops", "device_hours"}
    assert {one.tokens_used for one in found.overspend} == {TOKENS[-1]}
    assert [one.optimum.shape is not None for one in found.overtraining] == [True] * 3
    assert stones_study.notes == ()


def test_gemstones_analyses(gemstones_study: Study) -> None:
    found = gemstones_study.analyses
    assert {one.tokens_used for one in found.overspend} == {350119526400.0}
    assert found.step_time is not None
    assert found.step_time.held_out_error == pytest.approx(0.104, abs=0.002)


def test_gemstones_fits_and_frontiers(gemstones_study: Study) -> None:
    fits = {(f.selection, f.law.form): f for f in gemstones_study.fits}
    assert set(fits) >= {(s, law) for s in ("all", "le100B") for law in ("N,T", "w,d,T", "w,d,N,T")}
    chosen = {s: fit for (s, _), fit in fits.items() if fit.chosen is not None}
    assert chosen["all"].law.form == "(w,d,N,T)^p" and {*chosen} == {"all", "le100B"}
    # The best known objectives (paper.md, section 4).
    assert fits["all", "w,d,N,T"].objective <= 2.948052764e-4 * (1 + 1e-6)
    assert fits["le100B", "N,T"].objective <= 2.075051556e-4 * (1 + 1e-6)
    hulls = {(e.selection, e.resource): e for e in gemstones_study.envelopes if e.method == "hull"}
    assert set(hulls) == {(s, r) for s in ("all-2B", "le100B-2B") for r in ("flops", "device_hours")}
    assert hulls["le100B-2B", "flops"].fits["tokens_per_param"].slope == pytest.approx(-0.018391393)
    assert len(hulls["all-2B", "flops"].frontier) == 28


def test_gemstones_plans(gemstones_study: Study) -> None:
    flagged = {f.law.name: bool(doubts(f.flags)) for f in gemstones_study.fits}
    laws = []
    chosen = {f.selection: f.law.name for f in gemstones_study.fits if f.chosen is not None}
    for selection in ("all", "le100B"):
        laws.append(chosen[selection])
        pair = [f"{law} fitted to {selection}" for law in ("w,d,N,T", "N,T")]
        # A fit with a caution comes after one without.
        laws += pair[::-1] if flagged[pair[0]] and not flagged[pair[1]] else pair
    names = [plan.law_name for plan in gemstones_study.plans]
    assert names == [name for law in (*laws, "chinchilla-epoch", "kaplan") for name in [law] * 3]
    for plan in gemstones_study.plans:
        assert plan.intervals is not None or "no interval" in plan.intervals_note
    assert gemstones_study.notes == (
        "no comparison of recipes, no sensitivity analysis and no backtests: left out as asked (--quick); "
        f"{OWN_BACKTESTS}",
    )


def test_fits_without_flags_plan_first(stones_study: Study) -> None:
    plain = [msgspec.structs.replace(f, chosen=None) for f in stones_study.fits if f.selection == "all"]
    choice = Choice("N,T", (Candidate("N,T", 5, None, None, None, None),), (), 0)
    first = msgspec.structs.replace(next(f for f in plain if f.law.form == "N,T"), chosen=choice)
    assert planning_fits([*plain, first])[0] is first
    planning = planning_fits([f for f in plain if f.law.form in ("N,T", "w,d,T", "w,d,N,T")])
    assert [f.law.form for f in planning] == ["w,d,N,T", "N,T"]
    for flags, order in (
        (((), ()), ["w,d,N,T", "N,T"]),
        ((("x",), ()), ["N,T", "w,d,N,T"]),
        (((), ("x",)), ["w,d,N,T", "N,T"]),
        ((("x",), ("x",)), ["w,d,N,T", "N,T"]),
    ):
        fits = [msgspec.structs.replace(f, flags=of) for f, of in zip(planning, flags, strict=True)]
        assert [f.law.form for f in trusted_first(fits)] == order
    assert [f.law.form for f in planning_fits(planning[1:])] == ["N,T"] and planning_fits([]) == []


def test_json_holds_everything(stones_study: Study) -> None:
    text = (stones_study.output / "study.json").read_text()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    content = json.loads(text, parse_constant=refuse)
    assert content == json.loads(json.dumps(stones_study.summary()))
    assert all(len(source["sha256"]) == 64 for source in content["provenance"]["sources"])
    assert set(content["provenance"]["versions"]) == {"gemstones", "numpy"}
    assert content["settings"]["seed"] == 0
    assert all(fit["intervals"] and "flags" in fit for fit in content["fits"])
    assert str(stones_study.output) not in text


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_same_for_any_number_of_workers(small_csv: Path, tmp_path: Path) -> None:
    runs = load(small_csv)
    digests = set()
    for workers in (1, 2):
        with short_analyses():
            made = study(
                runs, tmp_path / f"with-{workers}", bootstrap=130, budgets=[1e20], seed=3, workers=workers
            )
        content = (made.output / "study.json").read_bytes() + (made.output / "report.html").read_bytes()
        digests.add(hashlib.sha256(content).hexdigest())
    assert len(digests) == 1


def test_chinchilla_leaves_out_what_it_does_not_know(chinchilla_study: Study) -> None:
    assert [f.law.form for f in chinchilla_study.fits if f.chosen is None] == ["N,T"]
    assert [f.chosen is None for f in chinchilla_study.fits].count(False) == 1
    assert {e.resource for e in chinchilla_study.envelopes} == {"flops"}
    widths, hours, *others = chinchilla_study.notes
    assert [note.partition(":")[0] for note in others] == [
        "no sensitivity analysis and no backtests", "no overspend in FLOPs", "no overspend in device hours",
        "no throughput model",
    ]  # fmt: skip
    assert widths.startswith("w,d,T and w,d,N,T not fitted to epoch:") and "column width" in widths
    assert hours.startswith("no frontier of epoch over device hours:")


@pytest.mark.long
def test_pebbles_are_studied_at_their_own_scale(pebbles: RunTable, tmp_path: Path) -> None:
    made = study(pebbles, tmp_path, bootstrap=0, quick=True)
    assert any("(--quick)" in note for note in made.notes) and made.analyses.sensitivity is None
    assert {f.law.form for f in made.fits if f.chosen is None} == {"N,T", "w,d,T", "w,d,N,T"}
    assert {e.resource for e in made.envelopes} == {"flops", "device_hours"}
    most = pebbles.select().numbers("flops").max()
    assert most / 100 < made.settings.budgets[0] < most < made.settings.budgets[-1] < 1000 * most
    planned = [plan for plan in made.plans if plan.law_form == "N,T"]
    assert [plan.budget_flops for plan in planned] == list(made.settings.budgets)
    assert {plan.models.vocabulary for plan in made.plans} == {1024}
    assert planned[-1].extrapolation.flops_decades == pytest.approx(1.7, abs=0.8)
    assert any(note.startswith(WITHOUT_PUBLISHED) for note in made.notes)
    assert {f"figures/{name}.svg" for name in FIGURES} <= written(tmp_path)
    drawn = (tmp_path / "figures" / "approach1.svg").read_text() + (tmp_path / "study.json").read_text()
    assert "Chinchilla" not in drawn and "Kaplan" not in drawn and "/work" not in drawn


@pytest.mark.long
def test_three_columns_are_enough(small_study: Study) -> None:
    assert small_study.analyses.sensitivity is not None and small_study.analyses.backtest is not None
    assert [f.law.form for f in small_study.fits] == ["N,T"]
    assert any("assumed to be one run" in a for a in small_study.provenance["assumptions"])
    assert [f"{p.law_name} {p.budget_flops:g}" for p in small_study.plans][:2] == [
        "N,T fitted to all 1e+18",
        "N,T fitted to all 1e+20",
    ]
    assert any("device_hours" in note for note in small_study.notes)
    assert {f"figures/{name}.png" for name in FIGURES} <= written(small_study.output)


@pytest.mark.long
def test_an_edge_of_the_search_is_a_note(shaped_csv: Path, tmp_path: Path) -> None:
    made = study(
        load(shaped_csv), tmp_path / "out", law="w,d,N,T", bootstrap=0, budgets=[1e15, 1e21], quick=True
    )
    edges = [note for note in made.notes if "edge of the search" in note]
    assert edges and all("1e15 FLOPs" in edge for edge in edges)
    assert [p.budget_flops for p in made.plans if p.law_name == "w,d,N,T fitted to all"] == [1e21]
    assert [p.budget_flops for p in made.plans if p.law_name == "N,T fitted to all"] == [1e15, 1e21]


@pytest.mark.long
def test_one_shape_per_width_is_a_note(tmp_path: Path) -> None:
    rows = [f"{w},{w // 64},{t},{2 + 90 / w + 9e8 / t}" for w in (256, 512, 1024) for t in (1e9, 1e10, 1e11)]
    (tmp_path / "line.csv").write_text("\n".join(["width,depth,tokens,loss", *rows]))
    made = study(
        load(tmp_path / "line.csv"), tmp_path / "out", law="N,T", bootstrap=0, budgets=[1e20], quick=True
    )
    assert any("depth is a function of width" in note for note in made.notes)


def test_nothing_to_fit_is_notes(tmp_path: Path) -> None:
    (tmp_path / "bare.csv").write_text("tokens,loss\n1000000,4\n2000000,3.5\n4000000,3.2\n")
    made = study(load(tmp_path / "bare.csv"), tmp_path / "out", bootstrap=0)
    assert made.fits == () and made.envelopes == ()
    assert any("no law could be fitted" in note for note in made.notes)
    assert (made.output / "tables" / "fits.md").exists()


@pytest.mark.long
def test_a_selection_that_was_made_stays(gemstones: RunTable, tmp_path: Path) -> None:
    runs = gemstones.select("chinchilla-reduced")
    made = study(runs, tmp_path, law="N,T", bootstrap=0, budgets=[1e21], quick=True)
    assert {f.selection for f in made.fits} == {"chinchilla-reduced"}
    assert made.envelopes[0].selection == "chinchilla-reduced"
    with pytest.raises(InvalidRequest, match="chinchilla-reduced"):
        study(runs, tmp_path, select="all", bootstrap=0)


@pytest.mark.long
def test_progress_grows_to_one(shaped_csv: Path, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    study(
        load(shaped_csv),
        tmp_path / "out",
        law="w,d,N,T",
        bootstrap=40,
        budgets=[1e20],
        quick=True,
        progress=lambda what, done: told.append((what, done)),
    )
    shares = [done for _, done in told]
    assert shares == sorted(shares) and shares[-1] == 1.0 and shares.count(1.0) == 1
    assert "fitting w,d,N,T, all" in {what for what, _ in told}


def test_a_file_is_no_folder(small_study: Study, shaped_csv: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InvalidPath, match="taken"):
        study(load(shaped_csv), tmp_path / "taken")
    with pytest.raises(InvalidQuantity):
        study(load(shaped_csv), tmp_path / "out", budgets=[-1.0])


def test_what_cannot_be_studied_leaves_nothing(gemstones: RunTable, shaped_csv: Path, tmp_path: Path) -> None:
    output = tmp_path / "deep" / "out"
    with pytest.raises(InvalidRequest, match="unknown"):
        study(gemstones, output, select="none", bootstrap=0)
    with pytest.raises(InvalidQuantity):
        study(gemstones, output, budgets=[0.0], bootstrap=0)
    with pytest.raises(InvalidPath, match=r"mine\.csv"):
        (tmp_path / "mine.csv").write_text("")
        study(load(shaped_csv), tmp_path / "mine.csv" / "out", bootstrap=0)
    assert not output.parent.exists()


BLOCKED = """
import sys
sys.modules["altair"] = None
from pathlib import Path
from gemstones.errors import MissingExtra
from gemstones.figures.approach1 import approach1_figure
from gemstones.report.study import study
from gemstones.runs import load
made = study(load(sys.argv[1]), Path(sys.argv[2]), law="w,d,N,T", bootstrap=0, budgets=[1e20], quick=True)
print(*made.notes, sep="\\n")
try:
    approach1_figure(load(sys.argv[1]).select(), made.envelopes)
except MissingExtra as error:
    print("raised", error)
"""


@pytest.mark.long
def test_without_altair_there_are_tables(shaped_csv: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BLOCKED, str(shaped_csv), str(output)],
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.stderr == ""
    assert (
        "no figures and no page: drawing figures needs the extra 'report': pip install 'gemstones[report]'"
        in done.stdout
    )
    assert "raised drawing figures needs the extra 'report'" in done.stdout
    assert written(output) == {f"tables/{n}.{k}" for n in TABLES for k in ("md", "parquet")} | {"study.json"}
    assert not (output / "figures").exists()


def test_annealed_losses_that_are_not_planned_from_are_said(
    stones_study: Study, gemstones_study: Study
) -> None:
    assert annealed_sentence(stones_study) is None  # there are none
    said = annealed_sentence(gemstones_study)
    assert said is not None and "199 ends of cooldowns" in said
    assert "the selection cooldown" in said and "--" not in said  # a page has no command line
    typed = said.replace("a study of the selection cooldown", "--select cooldown")
    assert f"  {typed}" in closing_text(gemstones_study).splitlines()
