"""A law's constants as rows of text: the same in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gemstones.display import Row, html_table, interval_text
from gemstones.runs.loss_units import SHORT
from gemstones.units import format_flops, format_number, format_quantity

if TYPE_CHECKING:
    from gemstones.laws.law import Law
    from gemstones.laws.published import FrontierLaw

NO_FIT = "no interval: these are constants alone; a fit has resamples"
HEADER = ("", "value", "interval")


def constant_rows(law: Law, intervals: Mapping[str, Any] | None = None) -> list[Row]:
    """Every constant of a law with its interval; `intervals` are those of a fit."""
    known = intervals or {}
    if law.formula is not None:
        ends = known.get("constants", {})
        return [_of_any_size(name, value, ends.get(name)) for name, value in law.constants.items()]
    rows = [
        constant_row(f"{what} of {term}", value, known.get(key, {}).get(term))
        for key, what, values in (
            ("exponents", "exponent", law.exponents),
            ("log_coefficients", "log coefficient", law.log_coefficients),
        )
        for term, value in zip(law.terms, values, strict=True)
    ]
    if law.outer_exponent is not None:
        rows.append(constant_row("outer exponent", law.outer_exponent, known.get("outer_exponent")))
    if law.irreducible_loss is not None:
        rows.append(
            constant_row(
                f"irreducible loss ({SHORT[law.loss_unit]})",
                law.irreducible_loss,
                known.get("irreducible_loss"),
            )
        )
    return rows


def law_notes(law: Law | FrontierLaw) -> list[str]:
    """Where a law comes from and how it counts, and that it has no interval."""
    ranges = [
        f"{name} {write(ends[0])} to {write(ends[1])}"
        for name, ends, write in (
            ("FLOPs", law.fitted.flops, format_flops),
            ("N", law.fitted.params, format_quantity),
            ("T", law.fitted.tokens, format_quantity),
            ("width", law.fitted.width, format_quantity),
            ("depth", law.fitted.depth, format_quantity),
        )
        if ends is not None
    ]
    counted = law.form == "C" or "N" in getattr(law, "symbols", ())
    counts = [f"N counts {law.params_convention} parameters"] if counted else []
    return [
        law.source,
        *counts,
        f"fitted to {', '.join(ranges)}" if ranges else "what it was fitted to is not known",
        NO_FIT,
    ]


def law_html(law: Law) -> str:
    """A law in a notebook."""
    return html_table(f"{law.name} [{law.form}]", HEADER, constant_rows(law), (str(law), *law_notes(law)))


def constant_row(name: str, value: float, ends: Any) -> Row:
    """One of them, to four decimals."""
    return name, f"{value:.4f}", interval_text(ends, "{:.4f}".format)


def _of_any_size(name: str, value: float, ends: Any) -> Row:
    """One of a formula, whose coefficients are not logarithms: to five digits."""

    def number(x: float) -> str:
        return f"{x:.4f}" if 1e-2 <= abs(value) < 1e4 or not value else format_number(x, 5)

    return name, number(value), interval_text(ends, number)
