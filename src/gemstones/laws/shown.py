"""Fits, throughput models and backtests as rows of text: the same in a terminal and in a notebook."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gemstones.display import Row, few_lines, html_table, interval_text, labelled, with_interval
from gemstones.laws.constants import HEADER, constant_row, constant_rows
from gemstones.laws.diagnostics import LEAST_RUNS
from gemstones.laws.interval import NO_DRAWS, level_text
from gemstones.units import format_quantity

if TYPE_CHECKING:
    from gemstones.laws.backtest import Backtest
    from gemstones.laws.fit import Fit
    from gemstones.laws.scores import Score


def fit_rows(fit: Fit) -> list[Row]:
    """Those of its law, and for a law in N and T the exponents of the optimum."""
    intervals = fit.intervals or {}
    return [
        *constant_rows(fit.law, intervals),
        *(
            constant_row(f"{'N*' if name == 'params' else 'T*'} ~ C^ (6NT)", value, of_optimal)
            for name, value in (fit.optimal_exponents or {}).items()
            for of_optimal in [(intervals.get("optimal_exponents") or {}).get(name)]
        ),
    ]


def fit_evidence(fit: Fit) -> str:
    """What a fit was made of, and by which objective."""
    kind = f"huber, δ {fit.delta:g}" if fit.objective_kind == "huber" else fit.objective_kind
    counts = f"; N counts {fit.law.params_convention} parameters" if "N" in fit.law.symbols else ""
    return (
        f"{fit.rows:,} rows of {fit.runs:,} runs; objective {fit.objective:.6g} ({kind}, summed), "
        f"{fit.status.replace('_', ' ')}{counts}"
    )


def fit_intervals(fit: Fit) -> str:
    """How its intervals were made, or that there are none."""
    if fit.drawn:
        return fit.interval_note
    return NO_DRAWS if fit.runs >= LEAST_RUNS else f"no intervals by run from {fit.runs} runs"


def fit_lines(fit: Fit) -> str:
    """A fit in a terminal."""
    constants = "; ".join(
        f"{name} {value} {ends}".removesuffix(" -")
        for name, value, ends in constant_rows(fit.law, fit.intervals)
    )
    return few_lines(
        f"Fit {fit.law.form} to {fit.dataset}, {fit.selection}: {fit.law}",
        (
            fit_evidence(fit),
            constants if fit.law.formula is not None else _exponents(fit),
            fit_intervals(fit),
            *([] if fit.chosen is None else fit.chosen.notes),
            *labelled(("flag", fit.flags)),
        ),
    )


def _exponents(fit: Fit) -> str:
    intervals = fit.intervals or {}
    exponents = ", ".join(
        f"{term} {with_interval(value, intervals.get('exponents', {}).get(term), '{:.3f}'.format)}"
        for term, value in zip(fit.law.terms, fit.law.exponents, strict=True)
    )
    outer = ""
    if (p := fit.law.outer_exponent) is not None:
        outer = f"around the sum {with_interval(p, intervals.get('outer_exponent'), '{:.3f}'.format)}; "
    loss = with_interval(
        math.exp(fit.law.log_irreducible or 0), intervals.get("irreducible_loss"), "{:.3f}".format
    )
    return f"exponents: {exponents}; {outer}irreducible loss {loss}"


def fit_html(fit: Fit) -> str:
    """A fit in a notebook."""
    return html_table(
        f"Approach 3: {fit.law.form} fitted to {fit.dataset}, {fit.selection}",
        HEADER,
        fit_rows(fit),
        (
            str(fit.law),
            fit_evidence(fit),
            fit_intervals(fit),
            *([] if fit.chosen is None else fit.chosen.notes),
            *labelled(("flag", fit.flags), ("assumed", fit.assumptions)),
        ),
    )


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
        labelled(("no error", [score.reason] if score.reason else []), ("flag", score.flags)),
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
        *labelled(("flag", backtest.flags)),
        *([f"{flagged} of {len(backtest.scores)} rows have flags: see scores"] if flagged else []),
        *labelled(
            ("no error", dict.fromkeys(score.reason for score in backtest.scores if score.reason)),
            ("left out", [f"{skip.kind} of {name}: {skip.reason}" for name, skip in backtest.skipped]),
            ("note", backtest.notes),
            ("assumed", backtest.tables[0].assumptions),
        ),
    ]
