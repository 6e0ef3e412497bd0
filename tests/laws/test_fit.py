import dataclasses

import msgspec
import numpy as np
import polars as pl
import pytest

from gemstones.errors import InvalidPath, InvalidRequest, InvalidTable
from gemstones.laws.fit import Fit
from gemstones.laws.fitting import fit
from gemstones.laws.law import Law
from gemstones.runs import RunTable, load


def runs_of(shapes: list[tuple[int, int]], checkpoints: int = 6, seed: int = 0) -> RunTable:
    """Runs of given shapes with losses of a planted width-depth law."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "run": f"{i}",
            "width": w,
            "depth": d,
            "tokens": t,
            "loss": (2 * w**-0.3 + d**-0.4 + 400 * t**-0.3 + 1.5) * float(np.exp(rng.normal(0, 1e-3))),
        }
        for i, (w, d) in enumerate(shapes)
        for t in np.geomspace(1e9, 1e11, checkpoints)
    ]
    return load(pl.DataFrame(rows), vocabulary=50_304, head_size=128, context=2048).select()


SHAPES = [(w, d) for w in (256, 512, 1024, 2048) for d in (6, 12, 24)]


def test_json_round_trip(gemstones: RunTable, tmp_path) -> None:  # type: ignore[no-untyped-def]
    fitted = fit(gemstones.select("le100B"), bootstrap=40)
    assert Fit.from_json(fitted.to_json()) == fitted
    fitted.save(tmp_path / "fit.json")
    assert Fit.load(tmp_path / "fit.json") == fitted
    assert [p.name for p in tmp_path.iterdir()] == ["fit.json"]


def test_a_damaged_fit_is_refused(gemstones: RunTable, tmp_path) -> None:  # type: ignore[no-untyped-def]
    text = fit(gemstones.select("le100B"), bootstrap=40).to_json()
    whole = msgspec.json.decode(text)
    short = {**whole, "draws": [draw[:-1] for draw in whole["draws"]]}
    for damaged in (
        text[:-30],
        "[]",
        text.replace('"delta"', '"dleta"'),
        msgspec.json.encode(short),
        b"\xff",
    ):
        with pytest.raises(InvalidRequest, match="not a fit") as caught:
            Fit.from_json(damaged, "mine.json")
        assert "mine.json" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(InvalidPath, match="cannot be read"):
        Fit.load(tmp_path / "none.json")


def test_what_a_fit_says(gemstones: RunTable) -> None:
    table = gemstones.select("le100B")
    summary = fit(table, bootstrap=40, params="non_embedding").summary()
    assert summary["params_convention"] == "non_embedding"
    assert (summary["rows"], summary["runs"], summary["selection"]) == (220, 22, "le100B")
    alpha, beta = summary["exponents"]["N"], summary["exponents"]["T"]
    assert summary["optimal_exponents"] == pytest.approx(
        {"params": beta / (alpha + beta), "tokens": alpha / (alpha + beta)}
    )
    assert summary["irreducible_loss"] == pytest.approx(np.exp(summary["log_irreducible"]))
    for name in ("exponents", "log_coefficients", "optimal_exponents"):
        for key, (low, high) in summary["intervals"][name].items():
            assert low <= summary[name][key] <= high
    assert fit(table, "w,d,N,T").optimal_exponents is None
    assert fit(table).intervals is None


def test_depth_as_a_function_of_width_is_refused() -> None:
    ladder = runs_of([(256, 4), (512, 8), (1024, 16), (2048, 24), (4096, 40)])
    with pytest.raises(InvalidRequest, match="depth is a function of width") as caught:
        fit(ladder, "w,d,T")
    assert caught.value.exit_status == 2 and "\n" not in str(caught.value)
    forced = fit(ladder, "w,d,T", force=True)
    assert any(flag.startswith("collinear_columns: depth is a function of width") for flag in forced.flags)
    assert fit(ladder, "N,T").law.exponents  # the classical law needs no width
    assert fit(runs_of(SHAPES), "w,d,T").flags == ()


def test_a_column_that_does_not_vary_is_refused(gemstones: RunTable) -> None:
    with pytest.raises(InvalidRequest, match="width is the same in every row"):
        fit(gemstones.select("width512"), "w,d,T")
    one = fit(runs_of([(512, 12)]), "N,T", force=True, bootstrap=40)
    assert {flag.partition(":")[0] for flag in one.flags} >= {"collinear_columns", "too_few_runs"}
    assert one.intervals is None  # one run, resampled by run, would always be itself


def test_columns_that_are_powers_of_each_other_are_refused() -> None:
    rows = runs_of(SHAPES)
    table = dataclasses.replace(rows, frame=rows.frame.with_columns(batch=pl.col("tokens") ** 0.5))
    with pytest.raises(InvalidRequest, match="powers of each other"):
        fit(table, "N,T,batch")


def test_flags(gemstones: RunTable) -> None:
    def codes(fitted: Fit) -> set[str]:
        return {flag.partition(":")[0] for flag in fitted.flags}

    assert codes(fit(gemstones.select("all"))) == set()
    assert codes(fit(gemstones.select("all"), "w,d,T")) == {"term_at_zero"}
    narrow = fit(gemstones.select("width512"))
    assert codes(narrow) == {"exponent_out_of_range", "too_few_runs", "ill_conditioned"}
    bounded = fit(gemstones.select("width512"), bounds={"a_N": (0.0, 4.0)})
    assert "bound_active: exponent of N is at its bound, 4; the objective falls beyond it" in bounded.flags
    assert "too_few_rows" in codes(fit(runs_of(SHAPES[:3], checkpoints=3)))


def test_a_law_in_a_column_of_ones_own() -> None:
    rows = runs_of(SHAPES)
    batch = pl.Series("batch", np.tile([64.0, 128.0, 256.0], rows.rows // 3))
    loss = rows.frame["loss"] + 3 * batch**-0.5
    table = dataclasses.replace(rows, frame=rows.frame.with_columns(batch, loss))
    fitted = fit(table, "w,d,T,batch").law
    assert fitted.terms == ("w", "d", "T", "batch")
    assert fitted.exponents[3] == pytest.approx(0.5, abs=0.1)


def test_laws_are_read_strictly(gemstones: RunTable, chinchilla: RunTable) -> None:
    for law in ("", "N,,T", "N,N", "N T", "N,2T"):
        with pytest.raises(InvalidRequest, match="law"):
            fit(gemstones.select("le100B"), law)
    with pytest.raises(InvalidTable, match="colour"):
        fit(gemstones.select("le100B"), "N,T,colour")
    with pytest.raises(InvalidTable, match="width"):
        fit(chinchilla.select(), "w,d,T")
    with pytest.raises(InvalidRequest, match="bootstrap"):
        fit(chinchilla.select(), bootstrap=-1)


def test_columns_by_symbol_or_by_name(gemstones: RunTable) -> None:
    table = gemstones.select("le100B")
    assert fit(table, "params_total,tokens") == fit(table, "N,T")
    with pytest.raises(InvalidRequest, match="different columns"):
        fit(table, "w,width,T")
    ladder = runs_of([(256, 4), (512, 8), (1024, 16), (2048, 24)])
    with pytest.raises(InvalidRequest, match="depth is a function of width"):
        fit(ladder, "width,depth,tokens")


def test_what_a_plan_will_assume_is_said() -> None:
    rows = runs_of(SHAPES).frame
    counted = load(rows.drop("family"), head_size=64, queries_per_kv=1).select()
    fitted = fit(counted, "w,d,T")
    assert fitted.law.models.head_size == 64 and not any("head size" in a for a in fitted.plan_assumptions)
    assert sum("vocabulary" in a for a in fitted.plan_assumptions) == 1
    # The table's counts are those of heads of 128, two queries per kv head.
    assert any(flag.startswith("counts_differ: params_total of the table is up to") for flag in fitted.flags)


def test_laws_are_written_for_constants_of_any_size() -> None:
    law = Law(("N", "T"), (0.3, -2.5), (5000.0, 12.0), -900.0)
    assert str(law) == "L = 2.968e2171·N^-0.3 + 1.628e5·T^2.5 + 1.364e-391"
