import io
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gemstones.analyses.backtest.backtest import Backtest, backtest, standard_selections
from gemstones.analyses.backtest.predictor import Predictor, fit_and_predict, frontier_rows
from gemstones.analyses.backtest.scores import Comparison, Score
from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.laws.envelope import hull_points
from gemstones.laws.solver.objective import Objective
from gemstones.runs import RunTable, load

NOISE = 0.004
SHAPES = [(w, d) for w in (256, 512, 1024, 2048) for d in (4, 8, 16, 32)]


def planted(
    depth_effect: float = 0.0, noise: float = NOISE, shapes: list[tuple[int, int]] = SHAPES
) -> RunTable:
    """Runs with losses of a planted law of N and T, times one of depth, and noise of every row."""
    rng = np.random.default_rng(0)
    tokens = np.geomspace(2e9, 4e11, 12)
    rows = []
    for w, d in shapes:
        params = 2 * 50304 * w + 12 * w**2 * d
        for t in tokens:
            loss = 1.6 + 300 * params**-0.33 + 1200 * t**-0.33 + depth_effect / d
            rows.append(
                {
                    "run": f"{w}x{d}", "width": w, "depth": d, "params_total": params, "tokens": t,
                    "loss": loss * np.exp(rng.normal(0, noise)),
                }
            )  # fmt: skip
    return load(pl.DataFrame(rows), vocabulary=50_304, head_size=128, context=2048).select()


def one(made: Backtest, split: str, law: str, target: str = "all") -> Score:
    (score,) = [s for s in made.scores if (s.split, s.law, s.target) == (split, law, target)]
    return score


def compared(made: Backtest, split: str, law: str) -> Comparison:
    (found,) = [c for c in made.comparison if (c.split, c.law, c.target) == (split, law, "all")]
    return found


@pytest.mark.long
def test_a_planted_law_is_recovered_to_its_noise() -> None:
    made = backtest(
        planted(), laws=["N,T"], splits=["compute=5e20", "tokens=1e11", "size=400M", "leave-one-run-out"]
    )
    for score in made.scores:
        if score.target == "all":
            assert score.error is not None and score.interval is not None and score.reason is None
            assert score.error == pytest.approx(NOISE, rel=0.25)
            assert score.interval[0] < score.error < score.interval[1]
    whole = one(made, "leave-one-run-out", "N,T")
    assert whole.interval is not None and whole.interval[0] < NOISE < whole.interval[1]
    assert (whole.folds, whole.test_rows, whole.test_runs) == (16, 16 * 12, 16)
    assert whole.error == pytest.approx(NOISE, rel=0.1) and whole.train_error == pytest.approx(NOISE, rel=0.1)
    assert whole.residuals is not None and abs(whole.residuals.mean()) < NOISE / 5


def test_a_wrong_law_is_told_from_the_right_one() -> None:
    made = backtest(
        planted(depth_effect=0.6), laws=["N,T", "d,N,T"], splits=["compute=5e20", "leave-one-size-out"]
    )
    for split in ("compute", "leave-one-size-out"):
        right, wrong, told = one(made, split, "d,N,T"), one(made, split, "N,T"), compared(made, split, "N,T")
        assert right.error is not None and wrong.error is not None and told.interval is not None
        assert right.error < 1.5 * NOISE < 3 * NOISE < wrong.error
        assert (told.best_law, told.worse) == ("d,N,T", True)
        assert told.difference == pytest.approx(wrong.error - right.error)
        assert 0 < told.interval[0] < told.difference < told.interval[1]


@pytest.mark.long
def test_laws_that_are_equally_right_cannot_be_told_apart() -> None:
    # A law with a useless term is the law itself, with a little more freedom.
    made = backtest(planted(), laws=["N,T", "d,N,T"], splits=["leave-one-size-out"])
    (told,) = [c for c in made.comparison if c.target == "all"]
    assert told.worse is False and told.difference < 0.2 * NOISE


def test_predictions_do_not_see_what_they_predict() -> None:
    table = planted()
    part = table.numbers("tokens") < 1e11
    spoilt = table.frame.with_columns(
        pl.when(pl.Series(part)).then("loss").otherwise(pl.col("loss") * 3).alias("loss")
    )
    for predictor in (Predictor("approach3", "N,T"), Predictor("hull", "flops"), Predictor("bins", "flops")):
        clean, of_spoilt = (
            fit_and_predict(predictor, t, part, Objective(), "total")
            for t in (
                table,
                RunTable(spoilt, table.dataset, table.selection, architecture=table.architecture),
            )
        )
        assert clean.rows.tolist() == of_spoilt.rows.tolist() and part[clean.rows].all()
        assert np.allclose(clean.residuals[~part] - np.log(3), of_spoilt.residuals[~part])
        assert np.allclose(clean.residuals[part], of_spoilt.residuals[part])


@pytest.mark.long
def test_the_frontier_is_that_of_all_rows() -> None:
    table = planted()
    made = backtest(table, laws=["N,T"], splits=["compute=1e20", "leave-one-run-out"])
    flops, loss = table.numbers("flops"), table.numbers("loss")
    hull = hull_points(np.log(flops), np.log(loss))
    for approach in ("approach3", "hull", "bins"):
        by_cut, by_run = [s for s in made.scores if (s.approach, s.target) == (approach, "frontier")]
        assert by_cut.rows is not None and sorted(by_cut.rows) == sorted(i for i in hull if flops[i] > 1e20)
        assert by_run.rows is not None and sorted(by_run.rows) == sorted(hull)
    below = flops <= 1e20
    assert np.flatnonzero(frontier_rows(table, below)).tolist() == sorted(
        np.flatnonzero(below)[hull_points(np.log(flops[below]), np.log(loss[below]))]
    )


@pytest.mark.long
def test_results_do_not_depend_on_the_workers() -> None:
    table = planted()
    alone, together = (
        backtest(
            table, laws=["N,T"], splits=["compute=5e20", "leave-one-size-out"], workers=workers
        ).summary()
        for workers in (1, 2)
    )
    assert alone == together


def test_what_cannot_be_determined_is_a_row_with_its_reason() -> None:
    ladder = planted(shapes=[(256, 4), (384, 6), (512, 8), (1024, 16), (1536, 24), (2048, 32)])
    made = backtest(ladder, laws=["N,T", "w,d,T"], splits=["compute=1e20", "leave-one-run-out"])
    for split in ("compute", "leave-one-run-out"):
        score = one(made, split, "w,d,T")
        assert (score.error, score.interval, score.residuals) == (None, None, None)
        assert score.reason is not None and "depth is a function of width" in score.reason
        assert one(made, split, "N,T").error is not None
    assert "6 of 6 folds have no fit; 256x4: " in str(one(made, "leave-one-run-out", "w,d,T").reason)
    few = fit_and_predict(
        Predictor("approach3", "N,T"), ladder, np.arange(ladder.rows) < 9, Objective(), "total"
    )
    assert few.reason == "9 rows for a law of 5 parameters; it needs at least 10"


@pytest.mark.long
def test_three_columns_are_enough(tmp_path) -> None:  # type: ignore[no-untyped-def]
    rows = io.StringIO()
    pl.DataFrame(
        [
            {"params_total": n, "tokens": t, "loss": 1.7 + 400 / n**0.34 + 410 / t**0.28}
            for n in (1e6, 3e6, 1e7, 3e7, 1e8)
            for t in (1e8, 3e8, 1e9, 3e9)
        ]
    ).write_csv(rows)
    (tmp_path / "mine.csv").write_text(rows.getvalue())
    made = backtest(load(tmp_path / "mine.csv"))
    assert {s.law for s in made.scores} == {"N,T", "flops"}
    assert len(made.notes) == 1 and made.notes[0].startswith("w,d,T; w,d,N,T left out: ")
    assert "column width: is needed but not known" in made.notes[0]
    assert ("all", "leave-one-width-out") in {(selection, skip.kind) for selection, skip in made.skipped}
    # Without noise the law is exact, wherever it is asked.
    assert all(s.error < 1e-4 for s in made.scores if s.law == "N,T" and s.error is not None)


def test_gemstones_below_100b_tokens(gemstones: RunTable) -> None:
    """Made once by an independent fit (scipy's L-BFGS-B from 12 random starts, then Nelder-Mead), to 1e-7."""
    table = gemstones.select("le100B")
    made = backtest(table, laws=["N,T", "w,d,N,T"], splits=["compute=4.3e20"])
    expected = {"N,T": (0.018679507, 0.015964761), "w,d,N,T": (0.011586825, 0.010349493)}
    for law, (error, bias) in expected.items():
        score = one(made, "compute", law)
        assert (score.train_rows, score.test_rows, score.train_runs, score.test_runs) == (188, 32, 22, 6)
        assert (score.error, score.bias) == pytest.approx((error, bias), rel=1e-6)
    ((told, *_),) = ([c for c in made.comparison if c.target == "all"],)
    assert (told.best_law, told.law, told.worse) == ("w,d,N,T", "N,T", True)


@pytest.mark.long
def test_what_the_documentation_says_of_gemstones(gemstones: RunTable) -> None:
    splits = ["compute=4.5e19", "compute=4.5e20", "leave-one-run-out"]
    made = backtest(gemstones.select("all"), splits=splits, workers=2)
    page = " ".join((Path(__file__).parents[2] / "docs" / "backtests.md").read_text("utf-8").split())
    whole = one(made, "leave-one-run-out", "w,d,N,T")
    assert whole.error is not None and whole.interval is not None
    assert f"{100 * whole.error:.2f}% [{100 * whole.interval[0]:.2f}, {100 * whole.interval[1]:.2f}]" in page
    for law, unit in (("N,T", " points"), ("w,d,T", "")):
        told = compared(made, "leave-one-run-out", law)
        assert told.interval is not None and told.worse
        low, high = (100 * end for end in told.interval)
        assert f"{100 * told.difference:.2f}{unit} [{low:.2f}, {high:.2f}]" in page
    by_cut = {s.cut: s for s in made.scores if (s.split, s.law, s.target) == ("compute", "w,d,N,T", "all")}
    far, near = by_cut[4.5e19], by_cut[4.5e20]
    assert far.error is not None and far.train_error is not None and near.error is not None
    assert near.train_error is not None
    assert f"fits to {100 * far.train_error:.2f}% and predicts to {100 * far.error:.2f}%" in page
    assert f"to 1/10, {100 * near.train_error:.2f}% and {100 * near.error:.2f}%" in page
    (frontier,) = [s for s in made.scores if (s.cut, s.law, s.target) == (4.5e20, "N,T", "frontier")]
    assert (frontier.test_rows, frontier.test_runs, frontier.interval) == (10, 1, None)


def test_flags_of_folds_are_counted(gemstones: RunTable) -> None:
    score = one(
        backtest(gemstones.select("le100B"), laws=["w,d,T"], splits=["leave-one-size-out"]),
        "leave-one-size-out",
        "w,d,T",
    )
    flags = {flag.partition(":")[0]: flag for flag in score.flags}
    assert re.search(r"in \d of 5 folds, as the irreducible loss is", flags["term_at_zero"])
    assert "5 folds give a rough interval" in flags["too_few_held_out"]
    assert "too_few_runs" not in flags


def test_selections(gemstones: RunTable, chinchilla: RunTable) -> None:
    assert [t.selection for t in standard_selections(gemstones)] == [
        "all",
        "le100B",
        "lr-ablation",
        "cooldown",
    ]
    assert [t.selection for t in standard_selections(chinchilla)] == ["epoch"]
    table = gemstones.select("le100B")
    assert standard_selections(table) == [table]
    for tables in ([table, table], [table, chinchilla.select()]):
        with pytest.raises(InvalidRequest, match="different ones of one data set"):
            backtest(tables)
    with pytest.raises(InvalidTable, match="is empty"):  # records without a row
        backtest([])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"splits": ["compute=1e30"]}, "nothing to backtest in le100B: compute: 0 runs to predict"),
        (
            {"laws": ["batch,T"]},
            "nothing to backtest in le100B: batch,T left out: .* batch: is needed but not",
        ),
        ({"laws": ["N,,T"]}, "not a list of different columns"),
        ({"draws": -1}, "must be a number of resamples"),
        ({"level": 2.0}, "level 2"),
    ],
)
def test_requests_without_meaning(gemstones: RunTable, arguments: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        backtest(gemstones.select("le100B"), **arguments)  # type: ignore[arg-type]
