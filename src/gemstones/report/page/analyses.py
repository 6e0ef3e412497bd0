"""The sections of a study's further analyses: sensitivity, backtests, and the price of a wrong shape."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from gemstones.analyses.compare.result import Comparison
from gemstones.analyses.compare.shown import compare_notes
from gemstones.analyses.compare.shown import sentence as compare_sentence
from gemstones.analyses.isoflop.result import IsoFlop
from gemstones.analyses.isoflop.shown import isoflop_heading, isoflop_lines, isoflop_notes
from gemstones.analyses.next_run.next_runs import NextRuns
from gemstones.analyses.next_run.shown import next_heading, next_notes
from gemstones.laws.backtest import Backtest
from gemstones.planning.overspend import Overspend
from gemstones.planning.overtrain import Overtraining
from gemstones.planning.sensitivity import Sensitivity
from gemstones.report.analyses import Analyses
from gemstones.report.backtest_figure import backtest_figure, residuals_figure
from gemstones.report.backtest_tables import errors_table, flag_lines, missing_lines
from gemstones.report.backtest_words import conventions_sentence, sentence
from gemstones.report.compare_figure import compare_figure
from gemstones.report.isoflop_figure import isoflop_figure
from gemstones.report.numbers import counted, flops_text
from gemstones.report.overspend_figure import overspend_figure
from gemstones.report.overtrain_figure import overtrain_figure
from gemstones.report.page.page import Figure, Section
from gemstones.report.page.table import TableBlock
from gemstones.report.sensitivity import CHOICE_TITLES, level_rows, studies_frame
from gemstones.report.sensitivity_figures import shares_figure, studies_figure
from gemstones.report.style import RunColors
from gemstones.report.tables import Table
from gemstones.report.words import PARAMS_WORDS, RESOURCE_WORDS, law_words
from gemstones.runs.table import RunTable
from gemstones.units import format_quantity

if TYPE_CHECKING:
    import polars as pl

STUDY_COLUMNS = {"params_total", "base", "flags"}
"""Of the table of studies, for the download only."""


def analysis_sections(found: Analyses, runs: RunTable) -> dict[str, Section]:
    """The sections that there is something for, by the names that `study_page` takes."""
    sections = {}
    if found.sensitivity is not None:
        sections["sensitivity"] = sensitivity_section(found.sensitivity)
    if found.backtest is not None:
        sections["backtests"] = backtest_section(found.backtest, runs)
    if found.isoflop is not None:
        sections["isoflop"] = isoflop_section(found.isoflop)
    if found.comparisons:
        sections["compare"] = compare_section(found.comparisons)
    if found.next_run is not None:
        sections["next_run"] = next_run_section(found.next_run)
    if found.overspends or found.overtrained:
        sections["overspend"] = price_section(found.overspends, found.overtrained)
    return sections


# ---- Sensitivity


def sensitivity_section(made: Sensitivity) -> Section:
    """How far the answer depends on choices that are seldom reported."""
    last = flops_text(made.headline_budget)
    fits = (
        f"{counted(made.combinations, 'combination')} of choices, of which {len(made.studies):,} have an answer, from "
        f"{counted(made.distinct_fits, 'distinct fit')} ({counted(made.laws_fitted, 'law')}, "
        f"{counted(made.frontiers_found, 'frontier')}): ways to count FLOPs share the fits of Approach 3. Intervals "
        f"are from {counted(made.bootstrap, 'resample')} by run of each."
    )
    figures = [
        Figure(
            "studies",
            f"Parameters that every analysis prescribes for {last} FLOPs, in order",
            "One dot per analysis of the same runs, with its interval; below, the choices that it made.",
            studies_figure(made),
        )
    ]
    if made.decompositions:
        figures.append(
            Figure(
                "shares",
                "Shares of the variance of prescriptions, by choice",
                "Which choice moves the answer: Shapley shares of the variance of log prescriptions over all analyses "
                "(docs/sensitivity.md).",
                shares_figure(made),
            )
        )
    return Section(
        "sensitivity",
        "Sensitivity",
        (made.sentence, fits),
        figures=tuple(figures),
        tables=(
            TableBlock("choices", f"What each choice does to N*, for {last} FLOPs", _levels(made)),
            TableBlock("shares", f"Shares of the variance, for {last} FLOPs", _shares(made)),
            TableBlock("studies", "Every analysis", Table(studies_frame(made), frozenset(STUDY_COLUMNS))),
        ),
        notes=tuple(
            f"{counted(one.combinations, 'combination')} refused: {one.reason}" for one in made.refused
        ),
    )


def _levels(made: Sensitivity) -> Table:
    rows = [
        {
            "choice": row.choice,
            "level": row.level + (" (base study)" if row.base else ""),
            "studies": row.studies,
            "least N": row.least,
            "median N": row.median,
            "most N": row.most,
            "times the base": row.shift,
            "times the base_low": row.interval and row.interval[0],
            "times the base_high": row.interval and row.interval[1],
            "compared with": row.against,
        }
        for row in level_rows(made)
    ]
    notes = (
        "least, median and most are over all analyses with the choice; times the base is of the one that differs from "
        "the base study in this choice alone, or in what is named beside it",
    )
    return Table(_frame(rows, {"choice", "level", "compared with"}, {"studies"}), notes=notes)


def _shares(made: Sensitivity) -> Table:
    by_choice: dict[str, dict[str, Any]] = {}
    for share in made.decompositions:
        if share.budget == made.headline_budget:
            name = f"{share.quantity[0].upper() if share.quantity[0] in 'nt' else share.quantity[0]}*, %"
            ends = share.interval and (100 * share.interval[0], 100 * share.interval[1])
            row = by_choice.setdefault(share.choice, {"choice": CHOICE_TITLES[share.choice]})
            row |= _with_ends(name, 100 * share.share, ends)
    notes = (
        "percent of the variance of the logarithm of what all analyses prescribe; each column adds up to 100",
    )
    return Table(_frame([*by_choice.values()], {"choice"}), notes=notes if by_choice else ())


# ---- Backtests


def backtest_section(made: Backtest, runs: RunTable) -> Section:
    """What the laws predict of runs that they were not fitted to."""
    sentences = [
        f"{table.selection}: {said}."
        for table in made.tables
        for target in ("all", "frontier")
        if (said := sentence(made, table.selection, target)) is not None
    ]
    predicted = [score for score in made.scores if score.error is not None]
    figures = []
    if predicted:
        figures.append(
            Figure(
                "backtests",
                "Error of every law on what was held out, with intervals",
                "A dot left of another predicts better; whiskers are intervals.",
                backtest_figure(made),
            )
        )
    above = next((s.selection for s in predicted if (s.split, s.target) == ("compute", "all")), None)
    if above is not None:
        figures.append(
            Figure(
                "residuals",
                f"Predicted over measured loss above a cut in compute; {above}",
                "Fitted below the cut, predicted above it: a law that drifts away there will do so at your budget too.",
                residuals_figure(made, above, colors=RunColors.of(runs)),
            )
        )
    return Section(
        "backtests",
        "Backtests",
        (
            "Laws are compared by what they predict, not by how they fit: each is fitted to a part of the runs and "
            "asked for the rest.",
            *sentences,
            conventions_sentence(made),
        ),
        figures=tuple(figures),
        tables=(TableBlock("backtests", "Errors, of log loss", errors_table(made)),),
        notes=(*flag_lines(made), *missing_lines(made)),
    )


# ---- IsoFLOP profiles, and recipes compared


def isoflop_section(made: IsoFlop) -> Section:
    """The best size of each budget by parabolas, with a law's beside."""
    rows = [
        {
            "budget": one.flops,
            "runs": one.points,
            "params": one.n_opt,
            "params_low": one.intervals["n_opt"][0] if "n_opt" in one.intervals else None,
            "params_high": one.intervals["n_opt"][1] if "n_opt" in one.intervals else None,
            "tokens": one.t_opt,
            "loss": one.loss,
            "law's N": one.law_n_opt,
            "bias of the parabola": one.bias,
            "status": one.reason or "minimum",
        }
        for one in made.budgets
    ]
    return Section(
        "isoflop",
        "IsoFLOP profiles",
        (isoflop_heading(made) + ".", *(f"{said}." for said in isoflop_lines(made))),
        figures=(
            Figure(
                "isoflop",
                "Loss over size by budget, and the best size over FLOPs",
                "Approach 2: a parabola in log N through the runs of each budget (docs/isoflop.md).",
                isoflop_figure(made),
            ),
        ),
        tables=(
            TableBlock(
                "isoflop", "Budgets", Table(_frame(rows, {"status"}, {"runs"}), loss_unit=made.loss_unit)
            ),
        ),
        notes=tuple(isoflop_notes(made)[len(isoflop_lines(made)) :]),
    )


def next_run_section(found: NextRuns) -> Section:
    """The run that would teach most, and others at other costs."""
    rows = [
        {
            "shape": str(one.shape),
            "params_total": one.params_total,
            "tokens": one.tokens,
            "flops": one.flops,
            "share of N*'s variance": one.variance_explained["n_opt"],
            "share of the loss's": one.variance_explained["loss"],
            "value for its cost": one.value,
        }
        for one in found.candidates
    ]
    return Section(
        "next",
        "The run that would teach most",
        (
            next_heading(found) + ".",
            "Shares of two runs do not add up: buy one, add it to the runs, and ask again (docs/next-run.md).",
        ),
        tables=(
            TableBlock("candidates", "Candidates, by value for their cost", Table(_frame(rows, {"shape"}))),
        ),
        notes=tuple(next_notes(found)),
    )


def compare_section(comparisons: Sequence[Comparison]) -> Section:
    """Which recipe is better at scale, and how surely."""
    rows = [
        {
            "recipe": one.names[1],
            "against": one.names[0],
            "budget": at.budget,
            **_with_ends("difference", at.difference if at.interval else None, at.interval),
            "probability that its loss is lower": at.probability_lower,
            **_with_ends("compute multiplier", _finite(at.multiplier), _both_finite(at.multiplier_interval)),
        }
        for one in comparisons
        for at in one.at
    ]
    drawn = [one for one in comparisons if not one.reason]
    figures: tuple[Figure, ...] = ()
    if drawn:
        figures = (
            Figure(
                "compare",
                "Difference of loss between recipes, by budget, with intervals",
                "Below 0 the recipe is better; what the largest pairs measured is grey (docs/compare.md).",
                compare_figure(drawn),
            ),
        )
    words = []
    for one in comparisons:
        about = f"{one.names[1]} (B) against {one.names[0]} (A)"
        words.append(f"{about}: {one.reason or compare_sentence(one.at[-1], one.level)}.")
    return Section(
        "compare",
        "Recipes compared",
        tuple(words),
        figures=figures,
        tables=(TableBlock("compare", "Recipes at the budgets", Table(_frame(rows, {"recipe", "against"}))),),
        notes=tuple(dict.fromkeys(note for one in comparisons for note in compare_notes(one))),
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _both_finite(ends: tuple[float, float] | None) -> tuple[float, float] | None:
    return ends if ends is not None and all(map(math.isfinite, ends)) else None


# ---- The price of a wrong shape


def price_section(overspends: Sequence[Overspend], overtrained: Sequence[Overtraining]) -> Section:
    """What a shape off the frontier costs, and what tokens off the optimum do."""
    figures, tables = [], []
    words = []
    notes: list[str] = []
    if overspends:
        at = format_quantity(overspends[0].tokens_used)
        words.append(
            "Overspend is what a run used beyond what the frontier of all of them needed for the same loss, here after "
            f"{at} tokens."
        )
        figures.append(
            Figure(
                "overspend",
                f"Overspend of every shape after {at} tokens",
                "Filled: how much more the shape used than the frontier needs for its loss.",
                overspend_figure(overspends),
            )
        )
        tables += [
            TableBlock(
                f"overspend-{one.resource}", f"Overspend in {RESOURCE_WORDS[one.resource]}", _overspend(one)
            )
            for one in overspends
        ]
        notes += dict.fromkeys(note for one in overspends for note in (*one.notes, *one.left_out))
    if overtrained:
        words += [_capital(said) + "." for one in overtrained[:1] if (said := one.sentence)]
        figures.append(
            Figure(
                "overtraining",
                "Predicted loss over the factor of overtraining, by budget",
                "The best shape on more, or fewer, tokens than is optimal, for the same budget.",
                overtrain_figure(overtrained[:4]),
            )
        )
        tables.append(TableBlock("overtraining", "Overtraining", _overtraining(overtrained)))
        notes += dict.fromkeys(note for one in overtrained for note in one.notes)
    return Section(
        "overspend",
        "Overspend and overtraining",
        tuple(words),
        figures=tuple(figures),
        tables=tuple(tables),
        notes=tuple(dict.fromkeys(notes)),
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _overspend(found: Overspend) -> Table:
    rows = [
        {
            "shape": one.name,
            "tokens": one.tokens,
            "loss": one.loss,
            "used": one.resource,
            "overspend": one.overspend,
            "least without one": one.leave_one_out and one.leave_one_out[0],
            "most without one": one.leave_one_out and one.leave_one_out[1],
            "frontier": "yes" if one.on_frontier else "",
            "reason": one.reason or "",
        }
        for one in found.shapes
    ]
    notes = (
        "overspend is a fraction; least and most without one: when one run of the frontier at a time is left out",
    )
    return Table(_frame(rows, {"shape", "frontier", "reason"}), notes=notes)


def _overtraining(found: Sequence[Overtraining]) -> Table:
    rows = [
        {
            "budget": one.budget,
            "law": law_words(one.optimum.law_name),
            "factor": point.factor,
            "shape": None if point.shape is None else str(point.shape),
            "params": point.params,
            "params_convention": PARAMS_WORDS[one.params_convention],
            "tokens": point.tokens,
            **_with_ends("loss", point.loss, point.loss_interval),
            **_with_ends("loss increase", point.loss_increase, point.increase_interval),
        }
        for one in found
        for point in one.points
    ]
    return Table(_frame(rows, {"law", "shape", "params_convention"}))


def _with_ends(name: str, value: float | None, ends: tuple[float, float] | None) -> dict[str, float | None]:
    return {name: value, f"{name}_low": ends and ends[0], f"{name}_high": ends and ends[1]}


def _frame(rows: list[dict[str, Any]], text: Iterable[str], whole: Iterable[str] = ()) -> pl.DataFrame:
    """Typed by column: text, whole numbers, and numbers."""
    import polars as pl

    words, counts = set(text), set(whole)
    names = list(rows[0]) if rows else []
    schema = {n: pl.String if n in words else pl.Int64 if n in counts else pl.Float64 for n in names}
    return pl.DataFrame(rows, schema=schema)
