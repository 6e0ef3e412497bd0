"""How forms are written: a list of columns is short for a formula, and every text has one canonical form.

N,T          E + A_N/N^a_N + A_T/T^a_T
(N,T)^p      E + (A_N/N^a_N + A_T/T^a_T)^p
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from gemstones.accounting.parameters import ParamsConvention
from gemstones.errors import InvalidRequest
from gemstones.laws.columns import column_symbol
from gemstones.laws.formula import parse_formula
from gemstones.laws.tree import SYMBOLS, Column, Expression, rebuilt, written

_NAME = re.compile(r"[^\W\d]\w*")
_LIST = re.compile(r"\s*\(([^()]*)\)\s*(?:\^|\*\*)\s*([^\W\d]\w*|[\d.eE+-]+)\s*")


def parse_terms(text: str, convention: ParamsConvention = "total") -> tuple[str, ...]:
    """Columns of a list like `w,d,N,T`; a column that has a symbol becomes it, so `width` is `w`."""
    terms = tuple(column_symbol(part.strip(), convention) for part in text.split(","))
    bad = next((t for t in terms if not _NAME.fullmatch(t)), None)
    if bad is not None or len(set(terms)) != len(terms):
        raise InvalidRequest(
            f"law {text!r} is not a list of different columns: write it like N,T or w,d,N,T or (w,d,N,T)^p, with "
            f"{', '.join(SYMBOLS)} or names of columns, or as a formula like E + A/N^a + B/T^b"
        )
    return terms


def canonical(text: str, convention: ParamsConvention) -> str:
    """The canonical text of a list or a formula; `InvalidRequest` if it is neither."""
    outer = _LIST.fullmatch(text)
    if outer is not None and ("," in outer[1] or _NAME.fullmatch(outer[1].strip())):
        terms = parse_terms(outer[1], convention)
        if len(terms) < 2:
            raise InvalidRequest(
                f"law {text!r} has one term: an exponent around it is an exponent of it, so write {terms[0]}"
            )
        if _NAME.fullmatch(outer[2]):
            return f"({','.join(terms)})^p"
        return canonical(f"E + ({_sum_of_powers(terms)})^{outer[2]}", convention)
    if re.fullmatch(r"[\w\s,]*", text):
        return ",".join(parse_terms(text, convention))
    tree = parse_formula(text.strip())
    return written(
        rebuilt(tree, lambda p: Column(column_symbol(p.name, convention)) if isinstance(p, Column) else p)
    )


def _sum_of_powers(terms: Sequence[str]) -> str:
    return " + ".join(f"A_{t}/{t}^a_{t}" for t in terms)


@lru_cache(maxsize=512)
def as_list(text: str) -> tuple[tuple[str, ...], bool] | None:
    """Columns of a canonical list, and whether there is an exponent around it."""
    outer = _LIST.fullmatch(text)
    if outer is not None and "/" not in text and "," in outer[1]:
        return tuple(outer[1].split(",")), True
    return (tuple(text.split(",")), False) if re.fullmatch(r"[\w,]+", text) else None


@lru_cache(maxsize=512)
def tree_of(text: str) -> Expression:
    """The tree of a canonical text, of a list written out."""
    listed = as_list(text)
    if listed is None:
        return parse_formula(text)
    terms, outer = listed
    powers = _sum_of_powers(terms)
    return parse_formula(f"E + ({powers})^p" if outer else f"E + {powers}")
