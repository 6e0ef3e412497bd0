"""The sections of a study's further analyses: sensitivity, backtests, and the price of a wrong shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gemstones.analyses.backtest.backtest import Backtest
from gemstones.analyses.backtest.figure import backtest_figure, residuals_figure
from gemstones.analyses.backtest.tables import errors_table, flag_lines, missing_lines
from gemstones.analyses.backtest.words import conventions_sentence, sentence
from gemstones.analyses.overspend.figure import around_value, overspend_figure
from gemstones.analyses.overspend.overspend import Overspend
from gemstones.analyses.overtrain.figure import overtrain_figure
from gemstones.analyses.overtrain.overtrain import Overtraining
from gemstones.analyses.sensitivity.figures import shares_figure, studies_figure
from gemstones.analyses.sensitivity.files import CHOICE_TITLES, level_rows, studies_frame
from gemstones.analyses.sensitivity.sensitivity import Sensitivity
from gemstones.figures.style import RunColors
from gemstones.figures.table import Table
from gemstones.numbers import counted, flops_text
from gemstones.page.page import Figure, Section
from gemstones.page.rows import typed_frame, with_ends
from gemstones.page.table import TableBlock
from gemstones.report.analyses import Analyses
from gemstones.report.findings import (
    analyses_spread,
    drift,
    largest_share,
    least_error,
    typical_overspend,
)
from gemstones.report.questions import compare_section, isoflop_section, next_run_section, tasks_section
from gemstones.runs.table import RunTable
from gemstones.units import format_quantity
from gemstones.words import PARAMS_WORDS, RESOURCE_WORDS, law_words

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
    if found.tasks:
        sections["tasks"] = tasks_section(found.tasks)
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
            analyses_spread(made),
            "studies",
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
                largest_share(made),
                "shares",
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
            TableBlock(
                "studies",
                "Every analysis",
                Table(studies_frame(made), frozenset(STUDY_COLUMNS)),
                first=("law", "params", "tokens"),
            ),
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
    return Table(typed_frame(rows, {"choice", "level", "compared with"}, {"studies"}), notes=notes)


def _shares(made: Sensitivity) -> Table:
    by_choice: dict[str, dict[str, Any]] = {}
    for share in made.decompositions:
        if share.budget == made.headline_budget:
            name = f"{share.quantity[0].upper() if share.quantity[0] in 'nt' else share.quantity[0]}*, %"
            ends = share.interval and (100 * share.interval[0], 100 * share.interval[1])
            row = by_choice.setdefault(share.choice, {"choice": CHOICE_TITLES[share.choice]})
            row |= with_ends(name, 100 * share.share, ends)
    notes = (
        "percent of the variance of the logarithm of what all analyses prescribe; each column adds up to 100",
    )
    return Table(typed_frame([*by_choice.values()], {"choice"}), notes=notes if by_choice else ())


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
                least_error(made),
                "backtests",
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
                drift(made, above),
                "backtests",
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
        tables=(
            TableBlock(
                "backtests",
                "Errors, of log loss",
                errors_table(made),
                first=("law", "error", "split", "cut", "target", "bias"),
            ),
        ),
        notes=(*flag_lines(made), *missing_lines(made)),
    )


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
                typical_overspend(overspends[0]),
                f"overspend-{overspends[0].resource}",
            )
        )
        tables += [
            TableBlock(
                f"overspend-{one.resource}",
                f"Overspend in {RESOURCE_WORDS[one.resource]}",
                _overspend(one),
                first=("shape", "overspend", "loss"),
            )
            for one in overspends
        ]
        notes += dict.fromkeys(note for one in overspends for note in (*one.notes, *one.left_out))
    if overtrained:
        figures.append(
            Figure(
                "overtraining",
                "Predicted loss over the factor of overtraining, by budget",
                "The best shape on more, or fewer, tokens than is optimal, for the same budget.",
                overtrain_figure(overtrained[:4]),
                _capital(overtrained[0].sentence or ""),
                "overtraining",
            )
        )
        tables.append(
            TableBlock(
                "overtraining",
                "Overtraining",
                _overtraining(overtrained),
                first=("factor", "loss increase", "loss", "shape"),
            )
        )
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
            found.resource: one.resource,
            **with_ends("overspend", one.overspend, around_value(one)),
            "frontier": "yes" if one.on_frontier else "",
            "reason": one.reason or "",
        }
        for one in found.shapes
    ]
    notes = (
        "overspend is a fraction; below it its range with all runs of the frontier or any one of them left out",
    )
    return Table(typed_frame(rows, {"shape", "frontier", "reason"}), notes=notes)


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
            **with_ends("loss", point.loss, point.loss_interval),
            **with_ends("loss increase", point.loss_increase, point.increase_interval),
        }
        for one in found
        for point in one.points
    ]
    return Table(typed_frame(rows, {"law", "shape", "params_convention"}))
