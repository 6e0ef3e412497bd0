"""The section of a study's page: what laws predict of runs that they were not fitted to."""

from __future__ import annotations

from gemstones.analyses.backtest.backtest import Backtest
from gemstones.analyses.backtest.figure import backtest_figure, residuals_figure
from gemstones.analyses.backtest.tables import errors_table, flag_lines, missing_lines
from gemstones.analyses.backtest.words import TARGET_WORDS, conventions_sentence, predictor_words, sentence
from gemstones.display import cautions
from gemstones.figures.style import RunColors
from gemstones.numbers import counted, flops_text
from gemstones.page.page import Figure, Section
from gemstones.page.table import TableBlock
from gemstones.runs.table import RunTable


def backtest_section(made: Backtest, runs: RunTable) -> Section:
    """What the laws predict of runs that they were not fitted to."""
    several = len(made.tables) > 1
    sentences = [
        f"Selection {table.selection}, {said}." if several else f"{said[:1].upper()}{said[1:]}."
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
                folded=True,
            )
        )
    return Section(
        "backtests",
        "Backtests",
        (
            "Laws are compared by what they predict, not by how they fit: each is fitted to a part of the runs and "
            "asked for the rest.",
            *sentences,
        ),
        figures=tuple(figures),
        tables=(
            TableBlock(
                "backtests",
                "Errors, of log loss",
                errors_table(made),
                first=("predicted_by", "error", "held_out", "error_of", "bias"),
            ),
        ),
        notes=(conventions_sentence(made), *cautions(flag_lines(made)), *missing_lines(made)),
    )


def least_error(made: Backtest) -> str:
    """Who predicts best what is held out."""
    predicted = [s for s in made.scores if s.error is not None]
    rivals = [[s for s in predicted if s.target == target] for target in TARGET_WORDS]
    # Where one law alone predicts every row, it is compared with others by the frontier.
    scores = next(
        (of for of in rivals if len({predictor_words(s.approach, s.law) for s in of}) > 1), predicted
    )
    splits = list(dict.fromkeys((s.selection, s.split, s.cut) for s in scores))

    def best(of: object) -> str:
        least = min((s for s in scores if (s.selection, s.split, s.cut) == of), key=lambda s: s.error or 0.0)
        return predictor_words(least.approach, least.law)

    winners = [best(of) for of in splits]
    first = max(dict.fromkeys(winners), key=winners.count)
    return (
        f"{first} predicts {TARGET_WORDS[scores[0].target]} best in {winners.count(first)} of "
        f"{counted(len(splits), 'split')}"
    )


def drift(made: Backtest, selection: str) -> str:
    """How far predictions above the lowest cut in compute are off."""
    scores = [
        s
        for s in made.scores
        if (s.selection, s.split, s.target) == (selection, "compute", "all") and s.bias is not None
    ]
    cut = min(s.cut for s in scores if s.cut is not None)
    said = [f"{s.law} by {_signed(s.bias)}" for s in scores if s.cut == cut and s.bias is not None]
    return f"Fitted to less than {flops_text(cut)} FLOPs, laws are off beyond: {', '.join(said)} on average"


def _signed(share: float) -> str:
    text = f"{share:+.1%}"
    return "0.0%" if text in ("-0.0%", "+0.0%") else text
