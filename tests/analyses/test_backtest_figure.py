"""The figures and tables of a backtest say what its scores say."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from gemstones.analyses.backtest.backtest import Backtest, backtest
from gemstones.analyses.backtest.figure import backtest_figure, residuals_figure
from gemstones.analyses.backtest.files import write_backtest
from gemstones.analyses.backtest.section import backtest_section, least_error
from gemstones.analyses.backtest.tables import (
    BEST,
    DOUBTFUL,
    TIED,
    errors_table,
    flag_lines,
    grids,
    missing_lines,
    predictions_frame,
)
from gemstones.analyses.backtest.words import predictor_words, sentence, split_words
from gemstones.errors import InvalidPath, InvalidRequest
from gemstones.page.table import shown
from gemstones.runs import RunTable


@pytest.fixture(scope="module")
def made(gemstones: RunTable) -> Backtest:
    splits = ["compute=1.3e19", "compute=4.3e20", "size=80M", "leave-one-size-out"]
    return backtest(gemstones.select("le100B"), laws=["N,T", "w,d,T"], splits=splits)


def test_marks_are_given_only_where_intervals_tell(made: Backtest) -> None:
    for grid in grids(made):
        for line in grid.lines:
            (split, cut), = {
                (s.split, s.cut) for s in made.scores if split_words(s.split, s.cut) == line[0]
            }  # fmt: skip
            key = (split, cut, grid.target)
            rivals = [c for c in made.comparison if (c.split, c.cut, c.target) == key]
            for name, cell in zip(grid.header[2:], line[2:], strict=True):
                (score,) = [
                    s
                    for s in made.scores
                    if (s.split, s.cut, s.target, predictor_words(s.approach, s.law)) == (*key, name)
                ]
                if score.error is None:
                    assert cell == "-"
                    continue
                own = [c for c in rivals if (c.approach, c.law) == (score.approach, score.law)]
                told = bool(rivals) and all(c.worse is not None for c in rivals)
                best = told and not own and all(c.worse for c in rivals)
                tied = told and not best and (not own or not own[0].worse)
                assert cell.startswith(f"{100 * score.error:.2f}%")
                assert ((BEST in cell), (TIED in cell)) == (best, tied)
                assert (score.interval is None) == ("[" not in cell)
                doubtful = any(not flag.startswith("too_few_held_out") for flag in score.flags)
                assert (DOUBTFUL in cell) == doubtful
    cells = "".join(cell for grid in grids(made) for line in grid.lines for cell in line[2:])
    assert BEST in cells and TIED in cells


def test_sentences_have_the_numbers(made: Backtest) -> None:
    said = sentence(made, "le100B", "all")
    assert said is not None and "of 3 splits, w,d,T has the least error in 3" in said
    (best,) = [s for s in made.scores if (s.split, s.law, s.target) == ("leave-one-size-out", "w,d,T", "all")]
    assert best.error is not None
    assert f"a size class left out is predicted best by w,d,T, to {100 * best.error:.2f}%" in said
    (told,) = [c for c in made.comparison if (c.split, c.target) == ("leave-one-size-out", "all")]
    words = "worse beyond their intervals" if told.worse else "not to be told apart from it"
    assert f"{words}: N,T by {100 * told.difference:.2f} points [" in said
    assert sentence(made, "another", "all") is None


def test_laws_that_win_as_often_are_named_in_the_order_of_their_splits(made: Backtest) -> None:
    # By a set they would change places from one process to the next.
    laws = ["N,T", "w,d,T", "w,d,N,T", "(N,T)^p", "b,T", "w,d,F,T"]
    (one, *_) = [s for s in made.scores if s.error is not None and s.target == "all"]
    scores = [
        replace(one, law=law, cut=float(cut), error=0.1 if cut == number else 0.2)
        for cut in range(len(laws))
        for number, law in enumerate(laws)
    ]
    said = sentence(replace(made, scores=tuple(scores)), "le100B", "all")
    assert said is not None
    named = said.partition("of 6 splits, ")[2].partition(";")[0]
    places = [named.index(f"{law} {'has' if law == laws[0] else 'in'}") for law in laws]
    assert places == sorted(places)


def test_what_is_missing_is_said_once(made: Backtest) -> None:
    missing = missing_lines(made)
    assert "le100B, N > 80M: 3 runs to fit; at least 4 are needed" in missing
    assert (
        "le100B, FLOPs > 1.3e19, Approach 1 by hull: 5 rows for a law of 3 parameters; it needs at least 6"
        in missing
    )
    assert len(missing) == len(set(missing))
    assert any(line.startswith("term_at_zero: ") for line in flag_lines(made))


def test_predictions_give_the_errors_back(made: Backtest) -> None:
    frame = predictions_frame(made)
    for score in made.scores:
        if score.error is None or (score.approach == "approach3") != (score.target == "all"):
            continue
        of = frame.filter(
            (pl.col("split") == score.split)
            & pl.col("cut").eq_missing(pl.lit(score.cut, pl.Float64))
            & (pl.col("approach") == score.approach)
            & (pl.col("law") == score.law)
        )
        off = np.log(of["predicted_loss"].to_numpy() / of["loss"].to_numpy())
        assert off == pytest.approx(score.residuals)
        by_run = of.with_columns(pl.Series("square", off**2)).group_by("run").agg(pl.col("square").mean())
        assert np.sqrt(by_run["square"].to_numpy().mean()) == pytest.approx(score.error)
    errors = errors_table(made).frame
    assert errors["error"].to_list() == [s.error for s in made.scores]


def test_nobody_is_called_best_of_one(made: Backtest) -> None:
    assert re.fullmatch(r"\S+ predicts every held-out row best in \d of \d splits", least_error(made))
    alone = replace(made, scores=tuple(s for s in made.scores if s.law != "w,d,T"))
    assert "predicts held-out points of the frontier best in" in least_error(alone)


def test_the_table_of_errors_says_what_was_held_out_in_words(made: Backtest) -> None:
    (block,) = backtest_section(made, made.tables[0]).tables
    page = shown(block)
    said = {cell.text for row in page.rows for cell in row}
    assert {"FLOPs > 4.3e20", "every held-out row"} <= said
    assert not said & {"compute", "size", "tokens", "all", "frontier", "leave-one-run-out"}
    # A phone shows the first columns: who, by how much, of what.
    assert [column.title for column in page.columns][:3] == ["predicted by", "error", "held out"]
    assert {"split", "cut", "target"} <= set(block.table.frame.columns)  # of the download


@pytest.mark.long
def test_files(made: Backtest, gemstones: RunTable, tmp_path: Path) -> None:
    paths = write_backtest(made, gemstones, tmp_path / "new" / "out")
    assert {p.name for p in paths} == {
        "errors.parquet", "errors.md", "errors.png", "errors.svg", "predictions.parquet",
        "residuals-le100B.png", "residuals-le100B.svg", "backtest.json",
    }  # fmt: skip
    assert {p.name for p in (tmp_path / "new" / "out").iterdir()} == {p.name for p in paths}
    folder = tmp_path / "new" / "out"
    summary = msgspec.json.decode((folder / "backtest.json").read_bytes())
    assert len(summary["rows"]) == len(made.scores)

    def texts(name: str) -> str:
        return html.unescape(" ".join(re.findall(r"<text[^>]*>(.*?)</text>", (folder / name).read_text())))

    drawn = texts("errors.svg")
    for text in (
        "FLOPs > 4.3e20",
        "a size class left out",
        "Error (% of the loss)",
        "Approach 1 by bins",
        "w,d,T",
    ):
        assert text in drawn
    drawn = texts("residuals-le100B.svg")
    for text in ("N,T, FLOPs > 1.3e19", "w,d,T, FLOPs > 4.3e20", "Residual (%)", "FLOPs (Appendix G)"):
        assert text in drawn
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidPath, match="is a file: name a folder"):
        write_backtest(made, gemstones, tmp_path / "file")


def test_figures_have_every_number(made: Backtest) -> None:
    errors = [row for rows in backtest_figure(made).datasets.values() for row in rows]
    expected = sorted(100 * s.error for s in made.scores if s.error is not None)
    assert sorted(row["error"] for row in errors) == pytest.approx(expected)
    # Whiskers stay on the axis, and a dot without an interval has none.
    for row in errors:
        assert (row["low"] is None) == (row["from"] is None or row["beyond"] is not None)
    residuals = residuals_figure(made, "le100B").datasets
    assert len(residuals.pop("once")) == 1 and len(residuals) == 4  # a rule is drawn once, not once a row
    for rows in residuals.values():
        assert len(rows) == 220 and len({row["run"] for row in rows}) == 22
    with pytest.raises(InvalidRequest, match="nothing was predicted above a cut by tokens of le100B"):
        residuals_figure(made, "le100B", "tokens")
