"""Verdicts are computed from numbers: at the edges of tolerances, with a wrong number, and from small fits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstones.accounting.parameters import ParamsConvention
from gemstones.analyses.overspend.overspend import overspend
from gemstones.analyses.overtrain.overtrain import overtrain
from gemstones.laws.envelope import Envelope, Method, Resource, envelope
from gemstones.laws.fit import Fit
from gemstones.laws.fitting import fit
from gemstones.laws.published import refit
from gemstones.laws.solver.objective import Objective
from gemstones.paper import approach1_claims, fit_claims, price_claims, suite_claims
from gemstones.paper.approach1_claims import approach1_chapter
from gemstones.paper.claim import (
    NO_INTERVAL,
    Chapter,
    Claim,
    beyond,
    cell,
    check_counts,
    counts,
    exact,
    markdown,
    number,
    statement,
)
from gemstones.paper.headlines import SAID, Headline, headlines, with_interval
from gemstones.paper.learning_rates import learning_rate_optima
from gemstones.paper.plan_claims import plan_chapter
from gemstones.paper.price_claims import price_chapter
from gemstones.paper.starts_claims import starts_claims
from gemstones.paper.suite_claims import suite_chapter
from gemstones.paper.text import paper_text
from gemstones.runs import RunTable


def compared(paper: float, ours: float, within: float, *, absolute: bool = False) -> Claim:
    return number(
        "§1", "a number", paper, ours, within=within, absolute=absolute, interval="none: exact", why="x", because="y"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("paper", "ours", "within", "absolute", "verdict"),
    [
        (2.0, 2.5, 0.25, False, "reproduced"),  # at the edge, exact in binary
        (2.0, 2.5001, 0.25, False, "differs"),
        (2.0, 1.5, 0.25, False, "reproduced"),
        (-2.0, -2.5, 0.25, False, "reproduced"),
        (-2.0, 2.0, 0.25, False, "differs"),
        (2.0, 2.5, 0.5, True, "reproduced"),
        (2.0, 2.5, 0.4999, True, "differs"),
        (-0.114, -0.1144, 0.0006, True, "reproduced"),
        (0.0, 0.0, 0.0, False, "reproduced"),
        (0.0, 1e-12, 0.5, False, "differs"),  # of nothing, nothing is near
        (1.0, math.nan, 10.0, False, "differs"),
        (1.0, math.inf, math.inf, True, "differs"),
    ],
)
def test_a_number_is_reproduced_up_to_its_tolerance(
    paper: float, ours: float, within: float, absolute: bool, verdict: str
) -> None:
    claim = compared(paper, ours, within, absolute=absolute)
    assert claim.verdict == verdict
    # What they differ by is said only where they do.
    assert (claim.why, claim.because) == (("x", "y") if verdict == "differs" else ("", ""))


@given(st.floats(1e-9, 1e9), st.floats(-0.4, 0.4))
def test_relative_tolerance_is_of_the_papers_number(paper: float, off: float) -> None:
    ours = paper * (1 + off)
    assert compared(paper, ours, abs(off) * 1.001 + 1e-9).verdict == "reproduced"
    if abs(off) > 1e-3:
        assert compared(paper, ours, abs(off) * 0.999).verdict == "differs"


def test_statements_are_undecided_unless_settled() -> None:
    def stated(holds: bool, settled: bool) -> Claim:
        return statement("§1", "x", "y", holds, interval=(0.0, 1.0), settled=settled, because="a cause")

    assert stated(True, True).verdict == "holds" and stated(True, True).because == ""
    assert stated(False, True).verdict == "does not hold" and stated(False, True).because == "a cause"
    assert stated(True, False).verdict == stated(False, False).verdict == "undecided"
    assert stated(True, True).interval == "[0, 1]"


def test_what_is_exact_is_equal_or_differs() -> None:
    assert exact("§1", "a count", 22, 22, why="x").verdict == "reproduced"
    assert exact("§1", "a count", 22, 22, why="x").why == ""
    assert exact("§1", "a set", "a, b", "b, a", why="x", interval="none: y").verdict == "differs"
    assert beyond("§1", "x", "y", "none: z").verdict == "ours"


def test_numbers_are_written_as_asked_for() -> None:
    claim = number("§1", "x", 0.5, 0.25, within=0.1, interval=(0.125, 1.0), write=".1%")
    assert (claim.paper, claim.ours, claim.interval) == ("50.0%", "25.0%", "[12.5%, 100.0%]")
    shown = number("§1", "x", 2e9, 2e9, within=0.1, interval="none: y", write=lambda v: f"{v / 1e9:g}B")
    assert (shown.paper, shown.interval) == ("2B", "none: y")


def test_verdicts_are_counted() -> None:
    claims = (compared(1, 1, 0.1), compared(1, 2, 0.1), compared(1, 3, 0.1))
    found = counts([Chapter("a", "", claims), Chapter("b", "", claims[:1])])
    assert found["reproduced"] == 2 and found["differs"] == 2 and sum(found.values()) == 4


def test_counts_are_checks_and_no_claims() -> None:
    count, wrong = exact("§1", "rows", 22, 22), exact("§1", "other rows", 22, 21, because="Words")
    shape = exact("§1", "a shape", "1x1", "1x1", interval="none: constants")
    form = number("§1", "a closed form", 2.0, 2.0, within=0.0, interval="none: z", check=True)
    assert [claim.check for claim in (count, wrong, shape, form)] == [True, True, False, True]
    chapters = [Chapter("a", "", (count, wrong, shape, form))]
    assert counts(chapters)["reproduced"] == 1 and counts(chapters)["differs"] == 0
    assert check_counts(chapters) == {"reproduced": 2, "differs": 1}
    claims, _, checks = markdown(chapters, "# Head").partition("\n## Checks\n")
    assert "| a shape |" in claims and "| rows |" not in claims
    assert "| rows |" in checks and "| other rows |" in checks and "| a shape |" not in checks


def made_headline(*verdicts: str) -> Headline:
    claims = (replace(statement("§1", "x", "y", True, interval="none: z"), verdict=v) for v in verdicts)  # type: ignore[arg-type]
    return Headline(SAID[0], tuple(claims))


@pytest.mark.parametrize(
    ("verdicts", "outcome", "tally"),
    [
        (("holds", "reproduced"), "holds", "2 held"),
        (("holds", "undecided"), "undecided", "1 held, 1 undecided"),
        (("holds", "does not hold"), "holds in part", "1 held, 1 failed"),
        (("holds", "undecided", "differs"), "holds in part", "1 held, 1 undecided, 1 failed"),
        (("undecided", "does not hold"), "does not hold", "1 undecided, 1 failed"),
    ],
)
def test_a_headline_is_as_its_claims(verdicts: tuple[str, ...], outcome: str, tally: str) -> None:
    assert (made_headline(*verdicts).outcome, made_headline(*verdicts).tally) == (outcome, tally)


def test_headlines_have_the_claims_of_their_topic(gemstones: RunTable) -> None:
    claim = statement("§2", "it | does", "y", True, interval=(0, 1), topic="wide")
    chapter = Chapter("T", "words", (claim, replace(claim, says="other", topic="")))
    (found,) = headlines([chapter])
    assert found.claims == (claim,) and found.said.figure == 7
    text = paper_text([gemstones], [chapter], {7: "A caption."}, 100)
    lead = text.partition("## How the claims came out")[0]
    assert f"## 1. {found.said.says}" in lead and "**Holds** (1 held)" in lead and found.said.paper in lead
    assert "- **holds**: it \\| does: y [0, 1]" in lead
    assert "[![Figure 7](figures/figure-07.png)](figures/figure-07.png)" in lead
    # The numbers that the paper has are those of its published fits.
    assert "0.458 to 0.799" in SAID[0].paper and "48 (768x16) at 1e19" in SAID[1].paper


def test_nothing_in_a_cell_ends_it() -> None:
    assert cell("a | b") == r"a \| b" and cell("a\nb\r\n c") == "a b c"
    assert cell(r"\|") == r"\\\|" and cell("<script>") == r"\<script>" and cell("~x~") == r"\~x\~"
    hostile = Claim("§1", "a | b\n| c |", "1|2", "<b>", "[0, 1]", "holds", "x\n\n# y")
    lines = markdown([Chapter("T", "words", (hostile,), (4,))], "# Head").splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 3  # header, rule, one row
    assert table[2].replace(r"\|", "").count("|") == 8
    assert "**holds**" in table[2] and "[Figure 4](figures/figure-04.png)." in lines


def test_the_page_groups_differences_by_their_cause(gemstones: RunTable) -> None:
    shared = [
        replace(compared(1.0, 2.0, 0.1), says=says, because="They stopped early") for says in ("one", "two")
    ]
    undecided = statement("§2", "a | b", "y", True, interval=(0, 1), settled=False)
    holds = statement("§2", "fine", "y", True, interval=(0, 1), why="a criterion")
    rare = replace(compared(1.0, 2.0, 0.1), says="rarely", because="A rare cause")
    chapter = Chapter("T", "words", (rare, *shared, undecided, holds))
    text = paper_text([gemstones], [chapter], {4: "A caption."}, 100)
    head = text.partition("\n## T\n")[0]
    assert "Of 5 claims 3 differ, 1 holds and 1 is undecided." in head
    assert head.count("They stopped early") == 1 and head.index("one") < head.index("two")
    assert head.index("They stopped early") < head.index("A rare cause")  # that of most claims first
    assert "- **undecided**, §2: a \\| b: y [0, 1]." in head and "fine" not in head
    assert "[Figure 4](figures/figure-04.png), [its data](figures/figure-04.parquet): A caption." in text
    for source in (*(s.sha256 for s in gemstones.sources), "our_val_loss_data.json", "numpy"):
        assert source in text


def by_says(claims: Chapter | list[Claim]) -> Mapping[str, Claim]:
    every = claims.claims if isinstance(claims, Chapter) else claims
    found = {claim.says: claim for claim in every}
    assert len(found) == len(every), "two claims say the same"
    return found


def test_the_suite(gemstones: RunTable, chinchilla: RunTable, monkeypatch: pytest.MonkeyPatch) -> None:
    def chapter() -> Mapping[str, Claim]:
        return by_says(suite_chapter(gemstones, chinchilla, learning_rate_optima()))

    claims = chapter()
    assert claims["rows of the selection all"].verdict == "reproduced"
    outside = claims["of the 22, shapes outside the 5%"]
    assert outside.verdict == "differs" and "512x16 114.4M" in outside.why
    assert claims["checkpoints of 10B to 100B not cooled down"].ours == "3072x12 at 100B"
    assert claims["models that the patch applies to, width/depth > 256"].ours == "2560x8"
    monkeypatch.setitem(suite_claims.ROWS, "all", 771)
    broken = chapter()["rows of the selection all"]
    assert (broken.paper, broken.ours, broken.verdict) == ("771", "770", "differs")


@pytest.fixture(scope="module")
def frontier(gemstones: RunTable) -> Callable[[str, Resource, Method], Envelope]:
    made: dict[tuple[str, Resource, Method], Envelope] = {}

    def of(selection: str, resource: Resource, method: Method) -> Envelope:
        key = (selection, resource, method)
        if key not in made:
            table = gemstones.select(selection)
            made[key] = envelope(table, resource=resource, method=method, bootstrap=40)
        return made[key]

    return of


def test_approach_1(
    frontier: Callable[[str, Resource, Method], Envelope], monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = by_says(approach1_chapter(frontier))
    slope = claims["slope of N, le100B-2B"]
    assert (slope.paper, slope.ours, slope.verdict) == ("0.499380216", "0.499380216", "reproduced")
    assert all(claim.verdict != "differs" for claim in claims.values())
    assert claims["binning takes in many points that are strictly suboptimal"].ours.startswith(
        "68% of the 506"
    )
    # A wrong digit, in the ninth place but one, is found.
    points, lines = approach1_claims.PUBLISHED["le100B-2B"]
    wrong = lines | {"params": (0.499380316, lines["params"][1])}
    monkeypatch.setitem(approach1_claims.PUBLISHED, "le100B-2B", (points + 1, wrong))
    broken = by_says(approach1_chapter(frontier))
    assert [says for says, claim in broken.items() if claim.verdict == "differs"] == [
        "points of the hull, le100B-2B",
        "slope of N, le100B-2B",
    ]


def test_approach_1_without_resamples_has_no_intervals(
    frontier: Callable[[str, Resource, Method], Envelope],
) -> None:
    bare = approach1_chapter(lambda *key: replace(frontier(*key), draws={}))
    assert not any(claim.interval.startswith("[") for claim in bare.claims)
    assert all(claim.interval for claim in bare.claims)
    assert all(claim.verdict != "undecided" for claim in bare.claims)


@pytest.fixture(scope="module")
def reduced(chinchilla: RunTable) -> Fit:
    return fit(chinchilla.select("hoffmann-reduced"), "N,T", bootstrap=40)


def test_published_fits_that_stopped_early_differ(
    reduced: Fit, chinchilla: RunTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    (published,) = [p for p in fit_claims.PUBLISHED if p.selection == "hoffmann-reduced"]
    epoch = fit(chinchilla.select("epoch"), objective=Objective(delta=1e-3), bootstrap=60, unit="row")

    def claims(beside: fit_claims.Published) -> Mapping[str, Claim]:
        monkeypatch.setattr(fit_claims, "PUBLISHED", (beside,))
        no_floor = msgspec.structs.replace(
            reduced, law=msgspec.structs.replace(reduced.law, log_irreducible=-30.0), drawn=()
        )

        def made(selection: str, law: str, delta: float, params: ParamsConvention) -> Fit:
            return reduced if selection == beside.selection else no_floor

        return by_says(list(fit_claims.fit_claims(made, epoch)))

    found = claims(published)
    objective, exponent = (
        found["objective of N,T on hoffmann-reduced"],
        found["exponent of N, N,T on hoffmann-reduced"],
    )
    assert objective.verdict == exponent.verdict == "differs"
    assert objective.because == exponent.because == fit_claims.UNCONVERGED
    assert "best known fit has 0.201, as ours" in exponent.why
    assert next(iter(found.values())).verdict == "holds"
    for name in (
        "objective on 240 Chinchilla runs, δ 0.001",
        "alpha, intervals by row",
        "A, intervals by row",
    ):
        assert found[name].verdict == "reproduced"
    # A published fit that had converged would be reproduced; a better one would say that ours is not the best.
    ours = reduced.law.exponents
    converged = claims(replace(published, objective=reduced.objective, exponents=ours, best_exponents=ours))
    assert converged["objective of N,T on hoffmann-reduced"].verdict == "reproduced"
    assert converged["exponent of N, N,T on hoffmann-reduced"].verdict == "reproduced"
    better = claims(replace(published, best=published.best * (1 - 1e-5)))
    assert next(iter(better.values())).verdict == "does not hold"
    # Of a difference that the best known fit does not have, the cause is not known.
    strange = claims(replace(published, best_exponents=(0.3, 0.3)))["exponent of N, N,T on hoffmann-reduced"]
    assert strange.verdict == "differs" and strange.because == ""


def test_prescriptions(gemstones: RunTable, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = refit("gemstones-refit-plain")
    few = msgspec.structs.replace(shipped, drawn=shipped.drawn[:12])
    classic = fit(gemstones.select("all"), "N,T", bootstrap=40)
    small, large = ("small", 1e9, 1e13), ("huge", 1e15, 1e9)
    claims = by_says(plan_chapter(few, classic, [small]))
    assert all(
        claim.verdict == "reproduced"
        for says, claim in claims.items()
        if "published constants of w,d,N,T" in says
    )
    drawn = claims[
        "the best shape for 1e22 FLOPs by the published constants, as the published plots draw it and as it is"
    ]
    assert (drawn.paper, drawn.ours, drawn.verdict) == ("7680x83", "4864x66", "differs")
    assert "N* = " in claims["Hoffmann's Equation 4 is the minimum of an N,T law under 6·N·T"].ours
    assert claims["Hoffmann's Equation 4 is the minimum of an N,T law under 6·N·T"].verdict == "holds"
    says = "industry models have fewer parameters than Equation 2 prescribes for their FLOPs (6·N·T)"
    assert claims[says].verdict == "holds" and claims[says].ours == "1 of 1"
    both = by_says(plan_chapter(few, classic, [small, large]))[says]
    assert both.verdict == "does not hold" and both.ours == "1 of 2: not huge"
    monkeypatch.setitem(plan_claims_shapes(), 1e18, "512x7")
    broken = by_says(plan_chapter(few, classic, [small]))
    assert broken["best shape for 1e18 FLOPs, published constants of w,d,N,T"].verdict == "differs"


def plan_claims_shapes() -> dict[float, str]:
    from gemstones.paper import plan_claims

    return plan_claims.SHAPES


def test_prices(gemstones: RunTable, monkeypatch: pytest.MonkeyPatch) -> None:
    table = gemstones.select("all-2B")
    made: Any = {
        (resource, method): overspend(table, 300e9, resource, method)
        for resource in ("flops", "device_hours")
        for method in ("interpolate", "nearest")
    }
    law = refit("gemstones-refit-plain")
    found = [overtrain(budget, msgspec.structs.replace(law, drawn=law.drawn[:12])) for budget in (1e21, 1e22)]
    claims = by_says(price_chapter(made, found))
    nearest, interpolated = (
        claims[f"overspend of 2560x8 in FLOPs, {how}"] for how in ("by the nearest point", "interpolated")
    )
    assert (nearest.paper, nearest.ours, nearest.verdict) == ("-11.4%", "-11.4%", "reproduced")
    assert (interpolated.paper, interpolated.ours, interpolated.verdict) == ("-11.4%", "20.8%", "differs")
    assert "of 1280x36" in interpolated.why and "seems cheaper" in interpolated.why
    in_flops, in_hours = (
        claims[f"it is better to err on the side of too wide than of too narrow, in {words}"]
        for words in ("FLOPs", "device hours")
    )
    # 16.3% against 15.7% of a few shapes decides nothing; 78% against 1% does.
    assert (in_flops.verdict, in_hours.verdict) == ("undecided", "holds")
    assert claims["over- and undertraining by a factor of 2 are cheap at 1e22 FLOPs"].verdict == "holds"
    monkeypatch.setitem(price_claims.OVERSPENDS["flops"], "2560x8", -0.115)
    broken = by_says(price_chapter(made, found))["overspend of 2560x8 in FLOPs, by the nearest point"]
    assert broken.verdict == "differs"


def test_starts() -> None:
    def frame(spread: Callable[[str, str, float], float]) -> pl.DataFrame:
        return pl.DataFrame(
            [
                {
                    "selection": selection, "delta": delta, "solver": solver, "starts": starts,
                    "low": 0.3, "high": 0.3 + spread(solver, selection, delta),
                }
                for selection in ("le100B", "all")
                for delta in (1e-3, 1e-4, 1e-5)
                for solver in ("lbfgs", "gemstones")
                for starts in (1, 10, 11)
            ]
        )  # fmt: skip

    def verdicts(spread: Callable[[str, str, float], float]) -> list[str]:
        return [claim.verdict for claim in starts_claims(frame(spread))]

    def as_found(solver: str, selection: str, delta: float) -> float:
        return 0.0 if solver == "gemstones" else 0.5 if selection == "le100B" else 0.4

    assert verdicts(as_found) == ["holds", "holds", "ours"]
    assert verdicts(lambda solver, selection, delta: 0.01) == ["does not hold", "does not hold", "ours"]
    claims = list(starts_claims(frame(as_found)))
    assert claims[-1].ours == "0.000; 0.000" and "optimiser" in claims[-1].why


def test_an_interval_stands_beside_what_it_is_of() -> None:
    """After the last of several numbers it reads as that one's."""
    bare = Claim("§1", "it grows", "", "1 to 2", "[0.3, 0.4]", "holds")
    assert with_interval(bare) == "1 to 2 [0.3, 0.4]"
    said = with_interval(replace(bare, why="many; the interval is of 2 less 1, on paired resamples"))
    assert said == "1 to 2 (interval of 2 less 1: [0.3, 0.4])"
    assert with_interval(replace(bare, interval=f"{NO_INTERVAL}a count")) == "1 to 2"
