"""What each held-out set prescribes, as a study asks it: planted laws whose optima are known."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from gemstones.analyses.analysis import Asked, Settings
from gemstones.analyses.sets.in_study import ANALYSIS
from gemstones.analyses.sets.shown import of_sets
from gemstones.laws.fitting import fit
from gemstones.report.steps import selected
from gemstones.runs import RunTable, load

A, B, ALPHA, BETA = 400.0, 400.0, 0.34, 0.28


def runs(**scales: float) -> RunTable:
    """Losses of a law of N and T, and on other sets those with B a multiple of its own."""
    rows = [
        {
            "run": f"r{n:.0e}",
            "params_total": n,
            "tokens": t,
            "loss": 1.7 + A / n**ALPHA + B / t**BETA,
            **{f"loss_{name}": 1.7 + A / n**ALPHA + b * B / t**BETA for name, b in scales.items()},
        }
        for n, t in itertools.product((1e7, 3e7, 1e8, 3e8, 1e9, 3e9), (1e9, 3e9, 1e10, 3e10))
    ]
    return load(rows)


def asked(table: RunTable) -> Asked:
    chosen = selected(table, None)
    law = fit(chosen[0].fitted, "N,T")
    settings = Settings(None, (1e21,), 40, 0, 1e-4)
    return Asked(table, chosen, [law], settings, Path("none"), 1, lambda done: None)


def test_sets_move_the_best_size_as_planted() -> None:
    of = asked(runs(same=1.0, data_hungry=2.0))
    assert ANALYSIS.applies(of)
    answer = ANALYSIS.ask(of)
    assert answer.notes == () and answer.found is not None
    own, same, hungry = of_sets(answer.found)
    assert own.ratio is None and same.ratio == pytest.approx(1, rel=1e-6)
    # N* = (αA/βB)^(1/(α+β)) (C/6)^(β/(α+β)): twice the B is a smaller model.
    assert hungry.ratio == pytest.approx(2 ** (-1 / (ALPHA + BETA)), rel=1e-3)
    (sentence,) = ANALYSIS.sentences(answer.found)
    assert "0.327 [0.327, 0.327] times on data_hungry" in sentence
    assert "1.00 [1.00, 1.00] times on same" in sentence
    section = ANALYSIS.section(answer.found, of.runs)
    assert section is not None and section.tables[0].table.frame["losses on"].to_list()[1:] == [
        "same",
        "data_hungry",
    ]
    assert ANALYSIS.summary(answer.found)["sets"][2]["ratio"] == hungry.ratio


def test_one_set_is_no_question() -> None:
    assert not ANALYSIS.applies(asked(runs()))
