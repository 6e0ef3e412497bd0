"""What a page says of its numbers follows from them, and is said in one way throughout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gemstones.analyses.analysis import Analyses
from gemstones.analyses.compare.compare import compare
from gemstones.analyses.compare.section import compare_section
from gemstones.analyses.isoflop.figure import isoflop_figure
from gemstones.analyses.isoflop.isoflop import isoflop
from gemstones.analyses.overspend.overspend import overspend
from gemstones.analyses.overspend.section import typical_overspend
from gemstones.analyses.sensitivity.choices import Levels
from gemstones.analyses.sensitivity.section import sensitivity_section
from gemstones.analyses.sensitivity.sensitivity import sensitivity
from gemstones.analyses.sensitivity.sweep import Sweep
from gemstones.figures import style
from gemstones.figures.table import Table
from gemstones.laws.envelope import envelope
from gemstones.laws.published import refit
from gemstones.numbers import quantity_text
from gemstones.page.page import Section
from gemstones.page.svg import Drawing
from gemstones.page.table import TableBlock, shown
from gemstones.planning.near import NearOptimal
from gemstones.planning.plan import plan
from gemstones.planning.result import Plan
from gemstones.planning.shown import near_sentence, plan_answer
from gemstones.report.answers import first_plan
from gemstones.report.findings import flatness
from gemstones.report.page import study_page
from gemstones.report.result import Study
from gemstones.report.summary import closing_text
from gemstones.report.tables import formula_words
from gemstones.runs import RunTable
from tests.analyses import planted


@pytest.fixture(scope="module")
def one() -> Plan:
    made = plan(1e22, refit("gemstones-refit-plain"))
    assert made.shape is not None and made.near_optimal is not None
    return made


def with_shapes(one: Plan, *counts: int) -> list[Plan]:
    return [replace(one, near_optimal=near(count)) for count in counts]


def near(count: int, depth: tuple[int, int] = (3, 3)) -> NearOptimal:
    return NearOptimal(0.005, count, (128, 160), depth, ())


def test_an_optimum_is_called_flat_where_many_shapes_are_as_good(one: Plan) -> None:
    assert flatness(with_shapes(one, 41, 729)).startswith(
        "The optimum is flat: 41 to 729 shapes come within 0.5%"
    )
    few = flatness(with_shapes(one, 1, 2))
    assert (
        few
        == "Few shapes are about as good: 1 to 2 shapes come within 0.5% of the least loss, by law and budget"
    )
    assert flatness(with_shapes(one, 1)).startswith(
        "Few shapes are about as good: no shape but the best comes"
    )
    assert flatness(with_shapes(one, 1, 90)).startswith(
        "How flat the optimum is depends on the law and the budget: 1"
    )
    # To a law without terms of shape all are as good, which says nothing of them.
    assert flatness([replace(made, shape=None) for made in with_shapes(one, 90)]) == ""


def test_a_span_of_one_is_a_number() -> None:
    assert "widths 128 to 160, depth 3" in near_sentence(near(2))
    assert "widths 128 to 160, depths 3 to 4" in near_sentence(near(2, (3, 4)))


def test_edges_of_the_search_are_named_in_words() -> None:
    cut = replace(near(2), truncated_by=("width_min", "depth_max"))
    assert "it reaches the edge of the search (least width, greatest depth)" in near_sentence(cut)
    frame = pl.DataFrame({"shapes": [1, 2], "cut_by_search_at": ["", "width_min, depth_min"]})
    made = shown(TableBlock("t", "T", Table(frame)))
    assert [row[1].text for row in made.rows] == ["", "least width, least depth"]


def sections(study: Study, runs: RunTable | None = None) -> dict[str, Section]:
    return {section.name: section for section in study_page(study, runs).sections}


def test_the_summary_answers_in_a_sentence(stones_study: Study) -> None:
    first = first_plan(stones_study)
    assert first is not None
    said = study_page(stones_study).summary[0]
    assert f"prescribes {plan_answer(first)}; 95% intervals from 60 resamples by run" in said
    assert str(first.shape) in said and "total parameters" in said and "of a new run" in said


def test_the_lead_of_prescriptions_follows_from_the_plans(stones_study: Study) -> None:
    few = tuple(p if p.near_optimal is None else replace(p, near_optimal=near(1)) for p in stones_study.plans)
    assert "Few shapes" in " ".join(sections(replace(stones_study, plans=few))["prescriptions"].words)


def test_a_page_without_backtests_sends_nobody_there(stones_study: Study, stones_runs: RunTable) -> None:
    quick = sections(replace(stones_study, analyses=Analyses({})), stones_runs)
    said = [text for s in quick.values() for text in (*s.words, *(f.caption for f in s.figures))]
    assert "predicted" in [figure.name for figure in quick["fits"].figures]
    assert "backtests" not in quick and not any("Backtests" in text for text in said)
    assert any("Backtests say" in text for text in sections(stones_study)["envelope"].words)


def test_the_formula_has_the_power_of_a_law_that_has_one(stones_study: Study) -> None:
    plain, powered = stones_study.fits[0], refit("gemstones-refit")
    assert powered.law.parsed_form.has_outer
    assert "^p" not in formula_words([plain])
    assert "over the terms x)^p, p the outer exponent" in formula_words([plain, powered])
    assert "^p + exp(log_irreducible)" in stones_study.conventions["laws"]


def test_studies_without_an_optimum_are_not_counted_among_those_with_one(pebbles: RunTable) -> None:
    few = Levels(laws=("N,T",), params=("total",), flops=("6N",), deltas=(1e-4, 1e-3))
    made = sensitivity(Sweep.of(pebbles, few, selections=["all"]), [1e14], bootstrap=0)
    last = made.studies[-1]
    assert last is not made.base
    none = replace(last, prescribed=replace(last.prescribed, n_opt=np.full((1, 1), np.nan)))
    section = sensitivity_section(replace(made, studies=(*made.studies[:-1], none)))
    with_one = len(made.studies) - 1
    assert f"of which {with_one} have an optimum for 1e14 FLOPs" in section.words[1]
    assert f"over {with_one} of {len(made.studies)} studies" in section.words[0]


def test_recipes_are_called_by_name() -> None:
    a, b = planted.suite(0.0, recipe="a"), planted.suite(-0.01, 1, recipe="b")
    one = compare(a, b, budgets=(1e22,), law="N,T", bootstrap=40)
    section = compare_section([replace(one, names=("usual", "new"))])
    assert "new's loss is" in section.figures[0].title and "than usual's" in section.figures[0].title
    assert "P(new lower)" in section.figures[0].title
    chart = section.figures[0].chart
    assert not isinstance(chart, Path | Drawing)
    drawn = chart.to_json()
    assert "Loss relative to usual's" in drawn
    # What is expected has the colour of no law.
    assert not [color for color in (*style.REFERENCES.values(), *style.FORMS.values()) if color in drawn]


def test_overspend_is_said_in_a_sentence(pebbles: RunTable) -> None:
    table = pebbles.select("all")
    found = overspend(table, float(table.numbers("tokens").max()) / 2)
    known = [one for one in found.shapes if one.overspend is not None]
    most = max(known, key=lambda one: one.overspend or 0.0)
    said = typical_overspend(found)
    assert said.startswith(f"{most.name} used ") and f"the most of the {len(known)} runs" in said
    assert typical_overspend(replace(found, shapes=(most,))).startswith(f"{most.name} used ")


def test_what_is_alike_in_all_rows_is_said_if_it_is_something() -> None:
    frame = pl.DataFrame(
        {"loss": [1.0, 2.0, 3.0], "tokens": [4.0] * 3, "reason": [""] * 3, "cut": [None] * 3}
    )
    made = shown(TableBlock("t", "T", Table(frame)))
    assert made.notes == ("in all rows: T 4.00",) and [c.title for c in made.columns] == ["loss"]
    nothing = shown(TableBlock("t", "T", Table(frame.drop("tokens"))))
    assert nothing.notes == () and [c.title for c in nothing.columns] == ["loss"]


def test_the_axis_of_profiles_has_the_words_of_its_flops() -> None:
    made = replace(isoflop(planted.grid(3), bootstrap=0), flops_convention="gemstones")
    text = isoflop_figure(made).to_json()
    assert "FLOPs (Appendix G)" in text and "FLOPs (gemstones)" not in text
    assert "N* grows as FLOPs to the power" in text


def test_approaches_beside_profiles_have_as_many_resamples() -> None:
    grid = planted.grid(3)
    made = isoflop(grid, bootstrap=240)
    alone = envelope(grid, bootstrap=240).intervals
    assert alone is not None and made.approaches[0].intervals["params"] == alone["params"]["slope"]
    assert "240 resamples" in made.approaches[0].how and "240 resamples" in made.approaches[2].how


def test_the_law_that_answers_is_backtested(stones_study: Study) -> None:
    first = first_plan(stones_study)
    assert first is not None and first.law_form not in ("N,T", "w,d,T")
    made = stones_study.analyses.backtest
    assert made is not None and first.law_form in {score.law for score in made.scores}


def test_sensitivity_says_where_the_law_that_answers_was_not_tried(stones_study: Study) -> None:
    def said(form: str) -> str:
        plans = tuple(replace(one, law_form=form) for one in stones_study.plans)
        of_form = replace(stones_study, plans=plans)
        page = study_page(of_form, sections=(Section("sensitivity", "S"),))
        section = " ".join(next(s for s in page.sections if s.name == "sensitivity").words)
        # Beside the span that the answer may lie outside of, wherever that is said.
        assert section in page.summary[-1] and section in closing_text(of_form)
        return section

    assert said("N,T") == ""
    answer = first_plan(stones_study)
    assert answer is not None
    number = quantity_text("params", answer.params)
    assert f"without (w,d,T)^p, which answers here with {number} parameters" in said("(w,d,T)^p")


def test_losses_of_bytes_do_not_depend_on_tokens(stones_study: Study) -> None:
    """Losses per token are of the runs' own tokenizer, losses per byte of no one's."""
    assert "tokenizers do not compare" in stones_study.conventions["loss"]
    per_byte = replace(stones_study, loss_unit="bits_per_byte").conventions["loss"]
    assert per_byte.startswith("bits per byte, ") and "token" not in per_byte
