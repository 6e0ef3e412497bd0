"""What the runs cannot determine is refused, and named."""

import numpy as np
import polars as pl
import pytest

from gemstones.errors import InvalidRequest
from gemstones.laws.columns import group_codes, group_levels, table_columns
from gemstones.laws.parse_form import parse_form
from gemstones.laws.separable import check_separable
from gemstones.runs import RunTable, load


def table_of(**columns: object) -> RunTable:
    frame = pl.DataFrame(columns)
    frame = frame.with_columns(run=pl.int_range(pl.len()).cast(pl.String), loss=pl.lit(3.0))
    return load(frame).select()


def refusal(text: str, table: RunTable) -> str:
    import msgspec

    form = parse_form(text)
    form = msgspec.structs.replace(form, levels=tuple((g, group_levels(g, table)) for g in form.groups))
    columns = table_columns(form.columns, table, "total")
    codes = {g: group_codes(g, levels, table) for g, levels in form.levels}
    try:
        assert check_separable(form, table, columns, codes, force=False) == []
    except InvalidRequest as error:
        [flag] = check_separable(form, table, columns, codes, force=True)
        assert "\n" not in str(error) and flag.partition(": ")[2] in str(error) and "force=True" in str(error)
        return flag
    return ""


def grid(*values: np.ndarray) -> list[np.ndarray]:
    return [x.ravel() for x in np.meshgrid(*values, indexing="ij")]


SIZES, TOKENS = np.geomspace(1e8, 1e10, 5), np.geomspace(1e9, 1e11, 5)


def test_good_runs_are_not_refused() -> None:
    n, t = grid(SIZES, TOKENS)
    table = table_of(params_total=n, tokens=t, family=["a", "b"] * 12 + ["a"])
    for text in (
        "N,T",
        "(N,T)^p",
        "E + A/N^a + B/T^b + C/(N^c*T^d)",
        "E[family] + A[family]/N^a + B/T^b",
        "varying",
        "gadre",
    ):
        assert refusal(text, table) == "", text


@pytest.mark.parametrize("text", ["N,T", "(N,T)^p", "E + A/N^a + B/T^b", "E + A/N^a + B/T^b + C/(N^c*T^d)"])
def test_a_term_needs_three_values_of_its_column(text: str) -> None:
    n, t = grid(np.array([1e8, 1e9, 1.004e9]), TOKENS)
    said = refusal(text, table_of(params_total=n, tokens=t))
    assert said.startswith("few_values: parameters has 2 different values, about 100M and 1B, too few")
    n, t = grid(SIZES, np.array([1e10, 2e10]))
    assert refusal(text, table_of(params_total=n, tokens=t)).startswith("few_values: tokens has 2")


def test_two_values_are_enough_where_another_column_has_the_exponent() -> None:
    n, t = grid(np.array([1e8, 1e9]), TOKENS)
    table = table_of(params_total=n, tokens=t)
    assert refusal("E + A/N^a + B/T^a", table) == "" == refusal("E + A/N^0.34 + B/T^b", table)


def test_a_range_that_is_noise() -> None:
    n, t = grid(1e9 * np.geomspace(1, 1.003 * 1.02, 5), TOKENS)
    said = refusal("N,T", table_of(params_total=n, tokens=t))
    assert (
        said == "narrow_range: parameters spans only 0.023 of its value, 1B to 1.023B, so its term is noise"
    )


def test_tokens_tied_to_parameters() -> None:
    n = np.repeat(SIZES, 3)
    said = refusal("N,T", table_of(params_total=n, tokens=20 * n))
    assert said.startswith("collinear_columns: tokens are 20 times the parameters in every row")
    assert refusal("(N,T)^p", table_of(params_total=n, tokens=20 * n * np.tile([1, 1.005, 0.997], 5)))
    said = refusal("N,T", table_of(params_total=n, tokens=1e4 * n**0.7))
    assert said.startswith("collinear_columns: parameters, tokens are powers of each other")


def test_columns_that_do_not_vary() -> None:
    n, t = grid(SIZES, np.array([1e10]))
    assert "tokens is the same in every row (1e+10)" in refusal("N,T", table_of(params_total=n, tokens=t))


def test_constants_that_do_nothing_or_the_same_are_named() -> None:
    n, t = grid(SIZES, TOKENS)
    table = table_of(params_total=n, tokens=t, lr=np.full(25, 1e-3), unique_tokens=np.full(25, 1e13))
    assert refusal("learning-rate", table).startswith(
        "collinear_columns: lr is the same in every row (0.001)"
    )
    # No run repeats its data.
    assert refusal("E + A/N^a + B/repeated(T, unique_tokens, R)^b", table) == (
        "collinear_columns: R changes no prediction, so it cannot be determined"
    )


def test_few_rows_for_a_formula() -> None:
    table = table_of(params_total=SIZES, tokens=TOKENS[[2, 0, 4, 1, 3]])
    assert "cannot be told apart" in refusal("E + A/N^a + B/T^b + C/(N^c*T^d)", table)
