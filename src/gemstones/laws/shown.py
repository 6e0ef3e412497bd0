"""Fits, throughput models and backtests as rows of text: the same in a terminal and in a notebook."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gemstones.display import Row, cautions, few_lines, html_table, labelled, with_interval
from gemstones.laws.constants import HEADER, constant_row, constant_rows
from gemstones.laws.diagnostics import LEAST_RUNS
from gemstones.laws.interval import NO_DRAWS

if TYPE_CHECKING:
    from gemstones.laws.fit import Fit


def fit_rows(fit: Fit) -> list[Row]:
    """Those of its law, and for a law in N and T the exponents of the optimum."""
    intervals = fit.intervals or {}
    return [
        *constant_rows(fit.law, intervals),
        *(
            constant_row(f"exponent of {'N*' if name == 'params' else 'T*'} in C=6NT", value, of_optimal)
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
            *labelled(("caution", cautions(fit.flags))),
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
            *labelled(("caution", cautions(fit.flags)), ("assumed", fit.assumptions)),
        ),
    )
