"""How isoFLOP profiles are said, in a terminal and in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gemstones.display import Card, Row, cautions, interval_text, labelled, with_interval
from gemstones.laws.interval import level_text
from gemstones.runs.loss_units import SHORT
from gemstones.units import format_flops, format_quantity
from gemstones.words import flops_words, listed

if TYPE_CHECKING:
    from gemstones.analyses.isoflop.result import IsoFlop

SYMBOLS = {"params": "N*", "tokens": "T*"}


def isoflop_card(made: IsoFlop) -> Card:
    """All of it, for a terminal and for a notebook."""
    level = f"{level_text(made.level)} interval" if made.has_intervals or _of_minima(made) else "interval"
    beside = ("law's N*", "parabola's bias") if made.law is not None else ()
    header = ("budget", "runs", "N*", level, "T*", f"loss ({SHORT[made.loss_unit]})", *beside)
    return Card(isoflop_heading(made), header, isoflop_rows(made), isoflop_notes(made))


def isoflop_heading(made: IsoFlop) -> str:
    """What was found in which runs."""
    found = sum(one.status == "minimum" for one in made.budgets)
    which = f"{made.dataset}, {made.selection}" if made.selection else made.dataset
    return (
        f"IsoFLOP profiles (Approach 2) of {which}: {found} of {len(made.budgets)} budgets have a minimum; "
        f"{made.rows:,} losses of {made.runs:,} runs, N counts {made.params_convention} parameters, "
        f"FLOPs: {flops_words(made.flops_convention)}"
    )


def isoflop_rows(made: IsoFlop) -> list[Row]:
    """A row for each budget."""
    rows: list[Row] = []
    for one in made.budgets:
        cells = [format_flops(one.flops), f"{one.points}"]
        if one.n_opt is None or one.t_opt is None:
            cells += ["-", "-", "-", "-"]
        else:
            ends = interval_text(one.intervals.get("n_opt"), format_quantity)
            cells += [format_quantity(one.n_opt), ends, format_quantity(one.t_opt), f"{one.loss:.4f}"]
        if made.law is not None:
            cells.append("-" if one.law_n_opt is None else format_quantity(one.law_n_opt))
            cells.append("-" if one.bias is None else f"{one.bias:+.1%}")
        rows.append(tuple(cells))
    return rows


def isoflop_without(made: IsoFlop) -> list[str]:
    """The budgets that have no minimum, and why."""
    reasons = dict.fromkeys(one.reason for one in made.budgets if one.reason)
    return [
        f"{listed(format_flops(one.flops) for one in made.budgets if one.reason == reason)} FLOPs: {reason}"
        for reason in reasons
    ]


def isoflop_lines(made: IsoFlop) -> list[str]:
    """The power laws in words: of the profiles first, then of the other approaches on the same rows."""
    said = []
    for one in sorted(made.approaches, key=lambda one: one.number != 2):
        lines = [
            f"{SYMBOLS[name]} ~ FLOPs^{with_interval(line.slope, one.intervals.get(name), '{:.3f}'.format)}"
            for name, line in one.fits.items()
        ]
        said.append(f"{', '.join(lines)} (Approach {one.number}, {one.how})")
    if made.bias is not None:
        said.append(
            f"the parabolas would be {made.bias:+.3f} off the exponent of N* if that law were true: bowls are "
            "steeper on one side"
        )
    return [*said, *_disagreement(made)]


def _disagreement(made: IsoFlop) -> list[str]:
    """Which exponent of N* the losses themselves speak for, where the law's is not that of the profiles."""
    of_law = next((one for one in made.approaches if one.number == 3), None)
    ends = made.interval("params") if "params" in made.fits else None
    if of_law is None or made.bias is None or ends is None or "params" not in of_law.fits:
        return []
    seen = of_law.fits["params"].slope + made.bias
    if ends[0] <= seen <= ends[1]:
        return []
    return [
        f"if that law were true the parabolas would give {seen:.3f}, which their interval excludes: the law misses how "
        "losses of a budget lie, so within these budgets believe the parabolas"
    ]


def isoflop_answer(made: IsoFlop) -> list[str]:
    """Budgets without a minimum, the power laws, how intervals were made."""
    level, few = level_text(made.level), "too few draws have a minimum at enough budgets"
    how = (
        f"{level} intervals of the profiles from {made.asked} draws by run (wild bootstrap of the residuals)"
    )
    if not made.has_intervals:
        how = f"{how}; none of the exponents: {few}" if _of_minima(made) else f"no intervals: {few}"
    if not made.asked:
        how = "no intervals: no draws were asked for"
    return [*isoflop_without(made), *isoflop_lines(made), how]


def _of_minima(made: IsoFlop) -> bool:
    """Whether a budget's N* has an interval."""
    return any(one.intervals.get("n_opt") is not None for one in made.budgets)


def isoflop_notes(made: IsoFlop) -> list[str]:
    """The answer in words, what the budgets are, flags and assumptions."""
    return [
        *isoflop_answer(made),
        made.budgets_are,
        *labelled(("caution", cautions(made.flags)), ("assumed", made.assumptions)),
    ]
