"""How values show themselves: few lines, escaped, with intervals or the statement that there are none."""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gemstones as gs
from gemstones.display import (
    LONGEST,
    MOST_ROWS,
    caution,
    few_lines,
    html_table,
    interval_text,
    labelled,
    with_interval,
)
from gemstones.runs import RunTable
from gemstones.timing.step_time import gemstones_step_time

EVIL = "<script>alert('x')</script>"


class Text(HTMLParser):
    """The tags of a fragment, and the texts of its cells and of the rest."""

    def __init__(self, fragment: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.cells: list[str] = []
        self.all = ""
        self.feed(fragment)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        if tag in {"td", "th"}:
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        self.all += data
        if self.lasttag in {"td", "th"} and self.cells:
            self.cells[-1] += data


# ---------------------------------------------------------------- the pieces

WORDS = st.text(st.sampled_from("<>&'\"/=;#! abt1"), min_size=1) | st.text(
    st.characters(codec="utf-8", exclude_characters="\r\x00"), min_size=1
)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5), WORDS)
def test_a_table_holds_its_texts_and_no_other_tags(rows: list[tuple[str, str]], note: str) -> None:
    read = Text(html_table(note, ("a", "b"), rows, (note,)))
    assert read.tags == {"div", "b", "table", "thead", "tr", "th", "tbody", "td", "small"}
    assert read.cells == ["a", "b", *(cell for row in rows for cell in row)]
    assert read.all == note + "".join(read.cells) + note


def test_long_tables_are_cut_and_say_so() -> None:
    fragment = html_table("many", ("n",), [(str(i),) for i in range(MOST_ROWS + 5)])
    assert fragment.count("<td") == MOST_ROWS and f"the first {MOST_ROWS} of {MOST_ROWS + 5} rows" in fragment


def test_few_lines() -> None:
    assert few_lines("Fit", ["one\ntwo", "x" * 1000]) == f"<Fit\n  one two\n  {'x' * (LONGEST - 1)}…>"
    assert few_lines("Fit") == "<Fit>"


def test_intervals() -> None:
    assert interval_text(None) == "-" and interval_text((0.12345, 2.0)) == "[0.1235, 2]"
    assert with_interval(0.5, (0.4, 0.6), "{:.1%}".format) == "50.0% [40.0%, 60.0%]"
    assert with_interval(0.5, None) == "0.5"
    assert labelled(("flag", ["a", "b"]), ("assumed", ())) == ["flag: a", "flag: b"]


# ---------------------------------------------------------------- the values


@pytest.fixture(scope="module")
def runs(pebbles: RunTable) -> RunTable:
    """Runs of a stranger: the names of the data set and of every run are scripts."""
    named = pebbles.frame.filter(pl.col("family") == "main").with_columns(run=pl.format(EVIL + " {}", "run"))
    return dataclasses.replace(pebbles, frame=named, dataset=EVIL, selection="all")


@pytest.fixture(scope="module")
def fitted(runs: RunTable) -> gs.Fit:
    return gs.fit(runs, "N,T", bootstrap=40)


def resampled(runs: RunTable, fitted: gs.Fit) -> dict[str, Any]:
    """Values with intervals, and draws that must not be shown."""
    return {
        "fit": fitted,
        "envelope": gs.envelope(runs, bootstrap=40),
        "plan": fitted.plan(1e14),
        "throughput": gs.fit_step_time(runs, bootstrap=40),
        "overtraining": gs.overtrain(1e14, fitted, [0.5, 1, 2]),
        "backtest": gs.backtest(runs, laws=["N,T"], splits=["compute=1e13"], draws=40),
        "sensitivity": gs.sensitivity(
            runs,
            [1e14],
            levels=gs.Levels(laws=("N,T",), params=("total",), flops=("6N",)),
            bootstrap=40,
        ),
    }


def without(runs: RunTable) -> dict[str, Any]:
    """The same without resamples, and what never has any."""
    bare = gs.fit(runs, "N,T")
    return {
        "fit": bare,
        "law": bare.law,
        "published": gs.published("chinchilla"),
        "frontier law": gs.published("kaplan"),
        "envelope": gs.envelope(runs),
        "plan": bare.plan(1e14),
        "plan of a frontier law": gs.published("kaplan").plan(1e22),
        "throughput": gs.fit_step_time(runs, bootstrap=0),
        "overspend": gs.overspend(runs, 6e6),
        "overtraining": gs.overtrain(1e14, bare, [0.5, 1, 2]),
        "backtest": gs.backtest(runs, laws=["N,T"], splits=["compute=1e13"], draws=0),
        "sensitivity": gs.sensitivity(
            runs,
            [1e14],
            levels=gs.Levels(laws=("N,T",), params=("total",), flops=("6N",)),
            bootstrap=0,
        ),
    }


def check_short(name: str, value: Any, shown: str) -> None:
    assert len(shown) < 3500, name
    assert "array(" not in shown and "Struct" not in shown and "draws=" not in shown, name
    # Few lines, none of them a wall.
    if not shown.startswith("<div>"):
        assert shown.startswith("<") and shown.endswith(">") and shown.count("\n") < 16, name
        assert max(map(len, shown.splitlines())) <= LONGEST + 2, name


def test_values_with_intervals_show_them_and_no_draws(runs: RunTable, fitted: gs.Fit) -> None:
    for name, value in resampled(runs, fitted).items():
        terminal, notebook = repr(value), value._repr_html_()
        check_short(name, value, terminal)
        for shown in (terminal, notebook):
            assert "resamples" in shown and "no interval" not in shown.lower(), name
            assert str(fitted.drawn[0][0])[:8] not in shown, name
        assert re.search(r"\[-?[\d.,]+[KMBT%]?(e-?\d+)?, -?[\d.]", html.unescape(notebook)), name


def test_values_without_intervals_say_so(runs: RunTable) -> None:
    for name, value in without(runs).items():
        check_short(name, value, repr(value))
        for shown in (value._repr_html_(), repr(value)):
            assert "no interval" in shown.lower(), (name, shown)


@pytest.mark.long
def test_names_of_others_are_escaped(runs: RunTable, fitted: gs.Fit) -> None:
    every = {"runs": runs, "near": fitted.plan(1e14).near_optimal, **resampled(runs, fitted), **without(runs)}
    named = msgspec.structs.replace(fitted.law, name=EVIL, source=EVIL)
    every |= {"law": named, "its plan": named.plan(1e14)}
    shown = {name: value._repr_html_() for name, value in every.items()}
    for name, fragment in shown.items():
        assert "<script" not in fragment, name
        assert "script" not in Text(fragment).tags, name
    assert sum(html.escape(EVIL) in fragment for fragment in shown.values()) >= 10


def test_conventions_are_in_every_table(runs: RunTable, fitted: gs.Fit) -> None:
    assert "N counts total parameters" in fitted._repr_html_() and "N counts total" in repr(fitted)
    assert "6·N·T, N_total" in fitted.plan(1e14)._repr_html_() and "total parameters" in repr(
        fitted.plan(1e14)
    )
    assert "FLOPs: gemstones" in runs._repr_html_()
    assert "FLOPs (Appendix G)" in gs.overspend(runs, 6e6)._repr_html_()
    assert "N counts non_embedding parameters" in gs.published("kaplan")._repr_html_()  # type: ignore[union-attr]


def test_flags_are_shown(runs: RunTable) -> None:
    flagged = gs.fit(runs, "w,d,N,T")
    assert flagged.flags
    for shown in (repr(flagged), html.unescape(flagged._repr_html_())):
        assert all(f"caution: {caution(flag)}" in shown for flag in flagged.flags)
    assert "[devices_vary]" in gemstones_step_time()._repr_html_()


def test_what_the_shipped_fit_shows() -> None:
    shown = repr(gs.published("gemstones-refit"))
    assert "w 0.046 [0.000, 4.000], d 1.560 [0.789, 2.107]" in shown and "around the sum 0.242 [" in shown
    assert "95% intervals from 400 resamples by run" in shown and "unstable_exponent" in shown
    assert "chosen by backtests: (w,d,N,T)^p predicts held-out rows to 0.28%" in shown
    made = gs.published("gemstones-refit").plan(1e22)
    assert "3072x50, 7.39B [6.74B, 10.6B] total parameters, 214B [150B, 230B] tokens" in repr(made)
    assert "forms that predict as well, this one included: N 7.39B to 9.4B" in repr(made)
    cells = Text(made._repr_html_()).cells
    assert cells[:6] == ["", "optimum", "interval", "width", "3072", "[1792, 3840]"]
    assert "729 shapes" in repr(made.near_optimal) and "Member(" not in repr(made.near_optimal)


# ---------------------------------------------------------------- figures


@pytest.fixture(scope="module")
def many() -> RunTable:
    """More rows than altair lets a chart of its own data have."""
    tokens = pl.DataFrame({"tokens": [1e8 * (i + 1) for i in range(3000)]})
    sizes = pl.DataFrame({"run": ["a", "b"], "params_total": [1e7, 4e7]})
    loss = 1.7 + 400 / pl.col("params_total") ** 0.34 + 410 / pl.col("tokens") ** 0.28
    return gs.load(sizes.join(tokens, how="cross").with_columns(loss=loss))


@pytest.mark.parametrize("renderer", ["default", "mimetype", "png", "svg"])
@pytest.mark.long
def test_large_figures_show_themselves(many: RunTable, renderer: str) -> None:
    import altair as alt

    chart = gs.approach1_figure(many, gs.envelope(many))
    with alt.renderers.enable(renderer):
        bundle = chart._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    expected = {"default": "text/html", "png": "image/png", "svg": "image/svg+xml"}
    kind = expected.get(renderer) or next(k for k in data if k.startswith("application/vnd.vegalite"))
    assert len(data[kind]) > 5 if renderer == "mimetype" else len(data[kind]) > 10_000


@pytest.mark.long
def test_a_figure_takes_one_value_or_several(runs: RunTable, fitted: gs.Fit) -> None:
    spent, trained = gs.overspend(runs, 6e6), gs.overtrain(1e14, fitted, [0.5, 1, 2])
    pairs: list[tuple[Callable[[], Any], Callable[[], Any]]] = [
        (lambda: gs.overspend_figure(spent), lambda: gs.overspend_figure([spent])),
        (lambda: gs.overtrain_figure(trained), lambda: gs.overtrain_figure([trained])),
        (
            lambda: gs.approach3_figure(fitted, [1e13, 1e14], compare=False),
            lambda: gs.approach3_figure([fitted], ["1e13", "1e14"], compare=False),
        ),
    ]
    for one, several in pairs:
        assert one().to_dict() == several().to_dict()


def test_laws_in_a_figure_have_names_of_their_own(fitted: gs.Fit) -> None:
    with pytest.raises(gs.UserError, match="two laws are called"):
        gs.approach3_figure([fitted, fitted])
    with pytest.raises(gs.UserError, match="none was given"):
        gs.approach3_figure([])
    drawn = gs.approach3_figure({"mine": fitted, "theirs": fitted}, [1e13, 1e14], compare=False)
    named = {str(row.get("series", row.get("law", ""))) for rows in drawn.datasets.values() for row in rows}
    for name in ("mine (total N", "theirs (total N"):  # a flag may stand beside it
        assert any(series.startswith(name) for series in named), named
