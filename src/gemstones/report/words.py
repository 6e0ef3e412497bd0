"""What figures, tables and text call things: conventions, laws and resources, each in one way everywhere."""

from __future__ import annotations

from collections.abc import Iterable

from gemstones.accounting.parameters import ParamsConvention
from gemstones.errors import MissingExtra
from gemstones.laws.law import Interval
from gemstones.units import format_quantity

PARAMS_WORDS: dict[ParamsConvention, str] = {
    "total": "total",
    "no_embedding": "without the input embedding",
    "non_embedding": "non-embedding",
}
"""How a count of parameters is called by its convention."""

LAW_WORDS = {
    "chinchilla": "Chinchilla (Hoffmann et al. 2022)",
    "chinchilla-unrounded": "Chinchilla (Hoffmann et al. 2022, unrounded)",
    "chinchilla-epoch": "Chinchilla, Epoch AI's refit",
    "kaplan": "Kaplan et al. 2020",
    "gemstones": "Gemstones N,T (McLeish et al. 2025)",
    "gemstones-width-depth": "Gemstones w,d,N,T (McLeish et al. 2025)",
}
"""How published laws are called; a fit is called by its own name."""

RESOURCE_WORDS = {"flops": "FLOPs", "device_hours": "device hours"}

_FLOPS_WORDS = {"gemstones": "Appendix G", "given": "as given", "": "convention unknown"}


def law_words(name: str) -> str:
    """A law as a legend calls it."""
    return LAW_WORDS.get(name, name)


def flops_words(convention: str) -> str:
    """A table's or a plan's convention of FLOPs, as axes and sentences have it in brackets.

    >>> flops_words("gemstones"), flops_words("6N_total")
    ('Appendix G', '6·N·T, total N')
    """
    return " or ".join(
        f"6·N·T, {part.removeprefix('6N_').replace('_', '-')} N"
        if part.startswith("6N_")
        else _FLOPS_WORDS.get(part, part)
        for part in convention.split("+")
    )


def resource_title(resource: str, convention: str) -> str:
    """Title of a resource's axis: `FLOPs (Appendix G)`, `Device hours`."""
    return f"FLOPs ({flops_words(convention)})" if resource == "flops" else "Device hours"


def flops_text(value: float) -> str:
    """FLOPs as people write them.

    >>> flops_text(1e22), flops_text(3.417e18)
    ('1e22', '3.42e18')
    """
    return f"{value:.3g}".replace("e+", "e")


def number_text(value: float) -> str:
    """A number to three digits, a large one with its SI suffix.

    >>> number_text(0.59), number_text(2.4), number_text(1536.0), number_text(22.8e9), number_text(3e-15)
    ('0.590', '2.40', '1536', '22.8B', '3e-15')
    """
    size = abs(value)
    if value == 0 or size >= 1e4:
        return format_quantity(value)
    if size < 1e-3:
        return f"{value:.3g}"
    return f"{value:#.3g}".rstrip(".") if size < 999.5 else f"{value:.0f}"


def interval_text(ends: Interval) -> str:
    """`low–high`; in words where an end is negative, since a dash would read as a sign."""
    low, high = (number_text(x) for x in ends)
    return f"{low} to {high}" if ends[0] < 0 or ends[1] < 0 else f"{low}–{high}"


def listed(names: Iterable[str]) -> str:
    """`a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def need_altair() -> None:
    """Raise `MissingExtra` unless figures can be drawn and saved."""
    try:
        import altair  # noqa: F401
        import vl_convert  # noqa: F401
    except ImportError:
        raise MissingExtra("report", "drawing figures") from None
