"""Backtests as rows of text: the same in a terminal and in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gemstones.display import cautions, few_lines, html_table, interval_text, labelled, with_interval
from gemstones.laws.interval import NO_DRAWS, level_text
from gemstones.units import format_quantity

if TYPE_CHECKING:
    from gemstones.analyses.backtest.backtest import Backtest
    from gemstones.analyses.backtest.scores import Score


def score_name(score: Score) -> str:
    """What predicted: a law, or Approach 1."""
    return score.law if score.approach == "approach3" else f"Approach 1, {score.approach}"


def split_text(score: Score) -> str:
    """What was held out: `leave-one-run-out`, `compute > 4.5e20`."""
    return score.split if score.cut is None else f"{score.split} > {format_quantity(score.cut, 2)}"


def score_line(score: Score) -> str:
    """A score in a terminal."""
    error = "no error" if score.error is None else with_interval(score.error, score.interval, "{:.2%}".format)
    return few_lines(
        f"Score {score.selection}, {split_text(score)}, {score.target} rows by {score_name(score)}: {error} over "
        f"{score.test_rows:,} rows of {score.test_runs:,} runs held out",
        labelled(("no error", [score.reason] if score.reason else []), ("caution", cautions(score.flags))),
    )


def backtest_html(backtest: Backtest) -> str:
    """A backtest in a notebook: every score."""
    several = len(backtest.tables) > 1
    return html_table(
        f"Backtests of {backtest.tables[0].dataset}, {', '.join(t.selection for t in backtest.tables)}",
        ("held out", "rows", "law", "error", "interval", "bias", "train error", "runs held out"),
        [
            (
                f"{score.selection}, {split_text(score)}" if several else split_text(score),
                score.target,
                score_name(score),
                *(
                    ("-", "-", "-", "-")
                    if score.error is None or score.bias is None or score.train_error is None
                    else (
                        f"{score.error:.2%}",
                        interval_text(score.interval, "{:.2%}".format),
                        f"{score.bias:+.2%}",
                        f"{score.train_error:.2%}",
                    )
                ),
                f"{score.test_runs:,}",
            )
            for score in backtest.scores
        ],
        backtest_notes(backtest),
    )


def backtest_notes(backtest: Backtest) -> list[str]:
    """How errors are defined, and what is missing or flagged."""
    resamples = backtest.resamples
    flagged = sum(bool(score.flags) for score in backtest.scores)
    return [
        "error: root mean square of log(predicted / measured loss), bias: its mean; every run weighted equally",
        f"{level_text(resamples.level)} intervals from {resamples.draws} resamples of what is held out, the laws as "
        "fitted"
        if resamples.draws
        else NO_DRAWS,
        f"frontier: held-out points of the lower hull of all rows; N counts {backtest.params_convention} parameters",
        *labelled(("caution", cautions(backtest.flags))),
        *([f"{flagged} of {len(backtest.scores)} rows have flags: see scores"] if flagged else []),
        *labelled(
            ("no error", dict.fromkeys(score.reason for score in backtest.scores if score.reason)),
            ("left out", [f"{skip.kind} of {name}: {skip.reason}" for name, skip in backtest.skipped]),
            ("note", backtest.notes),
            ("assumed", backtest.tables[0].assumptions),
        ),
    ]
