"""A sensitivity analysis as tables: one row per study, and what people read of them."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from gemstones.analyses.sensitivity.choices import CHOICES, NO_LAW
from gemstones.analyses.sensitivity.decomposition import INTERACTIONS
from gemstones.analyses.sensitivity.findings import Share, Shift
from gemstones.analyses.sensitivity.prescribe import QUANTITIES, Quantity
from gemstones.analyses.sensitivity.sensitivity import Sensitivity, plain
from gemstones.analyses.sensitivity.sweep import Sweep
from gemstones.display import interval_text
from gemstones.numbers import flops_text, number_text
from gemstones.page.rows import with_ends
from gemstones.planning.prescriptions import usual_budgets
from gemstones.runs.losses import OWN
from gemstones.units import Interval, format_quantity

if TYPE_CHECKING:
    import polars as pl


QUANTITY_WORDS: dict[Quantity, str] = {
    "n_opt": "Parameters N*",
    "t_opt": "Tokens T*",
    "w_opt": "Width w*",
    "d_opt": "Depth d*",
}


CHOICE_TITLES = {
    "selection": "Selection",
    "approach": "Approach",
    "law": "Law",
    "params_convention": "N counts",
    "flops_convention": "FLOPs count",
    "delta": "Huber δ",
    "loss": "Loss on",
    INTERACTIONS: "Interactions",
}
"""Choices as figures and tables head them."""


_LEVEL_WORDS = {
    "approach": {"approach3": "Approach 3", "hull": "Approach 1, hull", "bins": "Approach 1, bins"},
    "law": {NO_LAW: "no law"},
    "params_convention": {
        "total": "all parameters",
        "no_embedding": "no input embedding",
        "non_embedding": "neither embedding nor head",
    },
    "flops_convention": {
        "gemstones": "Appendix G",
        "matmul": "matmuls alone",
        "6N": "6·N·T",
        "given": "as given",
    },
}


def level_words(choice: str, level: Any) -> str:
    """A level as figures and tables call it."""
    if choice == "delta":
        return "none" if level is None else f"{level:g}"
    if choice == "loss":
        return "the table's own" if level == OWN else level.removeprefix("loss_")
    return _LEVEL_WORDS.get(choice, {}).get(level, str(level))


def sweep_budgets(sweep: Sweep) -> tuple[float, ...]:
    """Budgets for a sweep: those that are usual for the FLOPs of its first selection's runs."""
    first = next(iter(sweep.tables.values())).fitted.frame["flops"].drop_nulls().to_list()
    return usual_budgets((min(first), max(first)) if first else None)


def studies_frame(made: Sensitivity) -> pl.DataFrame:
    """One row per study and budget: its choices, what it prescribes, `x_low` and `x_high` of each x, and its flags."""
    import polars as pl

    rows = [
        {
            **study.choices.summary(),
            "budget": budget,
            **{
                name: value
                for quantity in QUANTITIES
                for name, value in with_ends(
                    quantity,
                    plain(study.prescribed.of(quantity)[0])[position],
                    study.prescribed.interval(quantity, position, made.level),
                ).items()
            },
            "params_total": plain(study.prescribed.params_total[0])[position],
            "base": study is made.base,
            "flags": "; ".join(study.flags),
        }
        for study in made.studies
        for position, budget in enumerate(made.budgets)
    ]
    text = {"selection", "approach", "law", "params_convention", "flops_convention", "loss", "flags"}
    schema = {
        name: pl.String if name in text else pl.Boolean if name == "base" else pl.Float64 for name in rows[0]
    }
    return pl.DataFrame(rows, schema=schema)


@dataclass(frozen=True)
class LevelRow:
    """One level of one choice: what its studies prescribe at the headline budget, what it does to the base."""

    choice: str
    level: str
    studies: int
    """With a prescription."""
    median: float | None
    least: float | None
    most: float | None
    base: bool
    """Whether it is the base study's."""
    shift: float | None
    """N* of a study with it over that of one that differs in this alone."""
    interval: Interval | None
    against: str
    """In which other choices that one differs from the base study; empty for the base study itself."""
    share_without: float | None
    """The choice's share of the variance without the studies of this level."""


def level_rows(made: Sensitivity) -> list[LevelRow]:
    """Every level of every choice, of N* at the headline budget."""
    shifts = {(shift.choice, shift.level): shift for shift in made.shifts}
    without = {(one.choice, one.level): one.decomposition[one.choice] for one in made.without}
    rows = []
    for choice in made.choices:
        for level in dict.fromkeys(getattr(study.choices, choice) for study in made.studies):
            if level in {NO_LAW, None}:
                continue
            of_level = [study for study in made.studies if getattr(study.choices, choice) == level]
            values = sorted(
                n for study in of_level if (n := plain(study.prescribed.n_opt[0])[made.headline]) is not None
            )
            shift = shifts.get((choice, level))
            rows.append(
                LevelRow(
                    CHOICE_TITLES[choice],
                    level_words(choice, level),
                    len(values),
                    median(values) if values else None,
                    values[0] if values else None,
                    values[-1] if values else None,
                    getattr(made.base.choices, choice) == level,
                    None if shift is None else shift.ratio["n_opt"][made.headline],
                    None if shift is None else shift.interval["n_opt"][made.headline],
                    "" if shift is None else _differences(made, shift),
                    without.get((choice, level)),
                )
            )
    return rows


def _differences(made: Sensitivity, shift: Shift) -> str:
    base, against = made.base.choices, shift.against
    return ", ".join(
        f"{CHOICE_TITLES[name]} {level_words(name, getattr(against, name))}"
        for name in CHOICES
        if getattr(against, name) != getattr(base, name)
    )


def share_rows(made: Sensitivity) -> tuple[list[str], list[list[str]]]:
    """Shares at the headline budget with their intervals, as text: the quantities, and a row for each choice."""
    at = {
        (share.quantity, share.choice): share
        for share in made.decompositions
        if share.budget == made.headline_budget
    }
    quantities = [quantity for quantity in QUANTITIES if any(key[0] == quantity for key in at)]
    rows = [
        [CHOICE_TITLES[choice], *(_share_text(at[quantity, choice]) for quantity in quantities)]
        for choice in (*made.choices, INTERACTIONS)
        if quantities
    ]
    return [QUANTITY_WORDS[quantity] for quantity in quantities], rows


SHORT_HEADER = ("choice", "levels", "median N* by level", "share of the variance of log N*")


def short_rows(made: Sensitivity) -> list[tuple[str, ...]]:
    """Of every choice with two levels or more what these prescribe, and its share, at the headline budget."""
    of_choice: dict[str, list[LevelRow]] = {}
    for row in level_rows(made):
        of_choice.setdefault(row.choice, []).append(row)
    shares = {
        CHOICE_TITLES[one.choice]: _share_text(one)
        for one in made.decompositions
        if (one.quantity, one.budget) == ("n_opt", made.headline_budget)
    }
    rows = []
    for choice, levels in of_choice.items():
        share = shares.pop(choice, "-")
        if len(levels) == 1:
            continue
        medians = sorted(row.median for row in levels if row.median is not None)
        ends = [format_quantity(n) for n in (*medians[:1], *medians[-1:])]
        rows.append((choice, f"{len(levels)}", " to ".join(dict.fromkeys(ends)) or "-", share))
    return [*rows, *((choice, "", "", share) for choice, share in shares.items())]


def _share_text(share: Share) -> str:
    if share.interval is None:
        return f"{share.share:.1%}"
    return f"{share.share:.1%} {interval_text(share.interval, '{:.0%}'.format)}"


def spread_rows(made: Sensitivity) -> list[list[str]]:
    """The spread by quantity and budget, as text."""
    return [
        [
            QUANTITY_WORDS[spread.quantity].split()[-1],
            flops_text(spread.budget),
            f"{spread.studies:,}",
            *(
                number_text(value)
                for value in (spread.least, spread.low, spread.median, spread.high, spread.most)
            ),
            number_text(spread.most / spread.least),
            "-" if spread.sampling_factor is None else number_text(spread.sampling_factor),
        ]
        for spread in made.spread
    ]
