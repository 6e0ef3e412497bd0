"""The grammar of laws: what is read, what is written, and where errors point."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstones.errors import InvalidRequest
from gemstones.laws.formula import parse_formula
from gemstones.laws.parse_form import parse_form
from gemstones.laws.tree import Column, Constant, Number, Power, Product, Sum, columns, constants, written

SMALL = st.sampled_from("abcegkmpqr")
LARGE = st.sampled_from("ABCEGKQR")
COLUMNS = st.sampled_from(["N", "T", "w", "d", "F", "granularity", "batch size", "seq.len"])


def exponents() -> st.SearchStrategy[object]:
    """Trees of numbers of any sign, as they stand in exponents."""
    leaf = SMALL.map(Constant) | st.floats(0.01, 9).map(Number)
    logs = COLUMNS.map(lambda name: parse_formula(f"log({{{name}}})"))
    product = st.tuples(leaf, logs).map(lambda pair: Product(((1, pair[0]), (1, pair[1]))))
    parts = st.lists(st.tuples(st.sampled_from([1, -1]), leaf | product), min_size=2, max_size=3)
    return leaf | parts.map(lambda p: Sum(tuple(p)))


def terms() -> st.SearchStrategy[object]:
    """Products of powers with a coefficient."""
    power = st.tuples(COLUMNS.map(Column), exponents()).map(lambda pair: Power(*pair))
    factors = st.lists(st.tuples(st.sampled_from([1, -1]), power), min_size=1, max_size=3)
    return st.tuples(LARGE.map(Constant), factors).map(lambda pair: Product(((1, pair[0]), *pair[1])))


@given(st.lists(terms(), min_size=2, max_size=4))
def test_what_is_written_is_read_back(parts: list[object]) -> None:
    tree = Sum(tuple((1, part) for part in parts))
    text = written(tree)  # type: ignore[arg-type]
    again = parse_formula(text)
    assert again == tree and written(again) == text


@given(st.text(max_size=60) | st.text(alphabet="ABEabNTwd0123456789.+-*/^()[]{},_ e", max_size=60))
def test_any_text_is_a_form_or_an_error_of_one_line(text: str) -> None:
    try:
        form = parse_form(text)
    except InvalidRequest as error:
        assert str(error).startswith("law ") and "\n" not in str(error)
    else:
        assert parse_form(form.text) == form


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("E+A/N**a+B/T^b", "E + A/N^a + B/T^b"),
        ("E + A/params_total^a + B/tokens^b", "E + A/N^a + B/T^b"),
        ("E + (A/N^a) + B/(T^b)", "E + A/N^a + B/T^b"),
        ("E + A/N^a + B/T^b + C/(N^c*T^d)", "E + A/N^a + B/T^b + C/(N^c*T^d)"),
        ("E[recipe] + A[recipe]/N^a + B/T^b", "E[recipe] + A[recipe]/N^a + B/T^b"),
        ("(A/N^a + B/T^b)^p + E", "(A/N^a + B/T^b)^p + E"),
        ("E + α·N^−β", "E + α*N^(-β)"),
        ("E + A/{batch size}^a", "E + A/{batch size}^a"),
        ("E + A/granularity^a", "E + A/granularity^a"),
        (" w , depth,N, T ", "w,d,N,T"),
        ("( w,d , params_total,T ) ** q", "(w,d,N,T)^p"),
        ("(N,T)^0.5", "E + (A_N/N^a_N + A_T/T^a_T)^0.5"),
        ("flops", "flops"),
    ],
)
def test_one_canonical_text(text: str, canonical: str) -> None:
    assert parse_form(text).text == canonical == parse_form(canonical).text


def test_a_name_is_a_column_or_a_constant_by_its_place() -> None:
    assert columns(parse_formula("E + C/(N^c*T^d)")) == ("N", "T")
    with pytest.raises(InvalidRequest, match="character 14: d is a constant here and depth elsewhere"):
        parse_form("E + C/(N^c*T^d) + F/d^e")
    tree = parse_formula("E + A/F^a + F1/(d*w^2)^e + G*log(speed)^h")
    assert columns(tree) == ("F", "d", "w", "speed")
    assert [c.name for c in constants(tree)] == ["E", "A", "a", "F1", "e", "G", "h"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("E + A/N^", "character 9: the end stands where a number, a constant or a column is needed"),
        ("E + A/N^a)", "character 10: '\\)' follows a whole formula: remove it"),
        ("E + 2N", "character 6: 'N' follows a whole formula: put an operator before it"),
        ("E + A(N)", "character 5: A is no function"),
        ("E + A/(N^a", "character 11: the end stands where '\\)' is needed"),
        ("E + A[", r"character 7: A\[…\] needs the column"),
        ("E + A[x]/N^a + A/T^b", "character 5: A stands with and without"),
        ("E + A/N^a + §", "character 13: '§' is not of a formula"),
        ("E + min(N)/T^a", "character 5: min takes 2 arguments, not 1"),
        ("E + A/{}^a", "character 7: braces are empty"),
        ("E + A/N^a + 1e999/T^b", "character 13: 1e999 is no finite number"),
        ("(" * 20 + "N", "more than 16 parentheses"),
        ("A" * 1001 + "+B", "longer than 1,000"),
        ("E + A", "E and A standing alone"),
        ("E - A/N^a", "subtracts A/N\\^a"),
        ("E + 0/N^a", "only a positive number"),
        ("E + A*B/N^a", "A and B only together"),
        ("E + E/N^a", "E as the irreducible loss and in a term"),
        ("E + N", "the term N without a constant"),
        ("(A/N^a + B/T^b)^p + C/w^c", "has terms beside"),
        ("(A/N^a + B/T^b)^p + p/w^c", "has terms beside"),
        ("(A/N^a + B/T^b)^(p + q)", "exponent p \\+ q around its sum"),
        ("(N)^p", "one term"),
        ("E + 2", "E and 2 standing alone"),
        ("A*B + E*F", "has no column"),
    ],
)
def test_errors_point_at_the_character_and_say_what_to_do(text: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) as caught:
        parse_form(text)
    assert len(str(caught.value)) < 260 and re.search(r"\n", str(caught.value)) is None


def test_fixed_and_bounded_constants() -> None:
    assert parse_form("E + A/N^a + B/T^b", fix={"E": 1.69}).text == "1.69 + A/N^a + B/T^b"
    assert parse_form("N,T", fix={"E": 1.69, "a_N": 0.34}).text == "1.69 + A_N/N^0.34 + A_T/T^a_T"
    assert parse_form("E + A*N^a", fix={"a": -0.3}).text == "E + A*N^(-0.3)"
    assert parse_form("N,T", bounds={"a_N": (0.1, 0.6)}).text == "N,T"
    lower, upper = parse_form("N,T", bounds={"a_N": (0.1, 0.6), "E": (1.0, 2.0)}).limits()
    assert lower[0] == 0.1 and upper[0] == 0.6 and upper[4] == pytest.approx(0.6931472)
    for options, said in (
        ({"fix": {"F": 1.0}}, "fix F=1: law N,T has no F"),
        ({"fix": {"E": -1.0}}, "fix E=-1: E must be positive"),
        ({"bounds": {"a_N": (0.6, 0.1)}}, "least value must be below"),
        ({"bounds": {"E": (-1.0, 2.0)}}, "E is positive"),
        ({"bounds": {"z": (0.0, 2.0)}}, "has no z"),
    ):
        with pytest.raises(InvalidRequest, match=said):
            parse_form("N,T", **options)  # type: ignore[arg-type]
