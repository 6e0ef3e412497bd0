"""Named selections of a data set: the facets of *Gemstones*, Figure 6, the Chinchilla extraction's, and Pebbles'.

    gemstones                       rows   runs    chinchilla          rows
    all (the default)                770     22    epoch (default)      240
    all-2B                         3,850     22    all                  245
    le100B                           220     22    hoffmann-reduced      28
    le100B-2B                      1,100     22
    gt120B                           528     22
    gt120B-2B                      2,552     22
    lr-ablation                      200     20
    lr-ablation-2B                 1,000     20
    cooldown                         199     20
    width512                         175      5
    chinchilla-reduced                24      5

    gemstones-fineweb-edu, gemstones-dclm, gemstones-benchmarks (the main runs every 10B tokens): all (the default),
    le100B, gt120B and width512, which are the rows of those of `gemstones`

    pebbles                         rows   runs
    all (the default)                390     13
    lr-ablation                      270      9
    cooldown                          15      5

    pebbles-2                       rows   runs
    all (the default)                120     20
    cooldown                          89     28
    fitted                            83     25
    held-back                          6      3
    lr-half                           10      5
    muon                              12      6
    seed                               6      6

Any other table has `all` (the family `main`, and rows without a family), `lr-ablation` and `cooldown` (the ends). Where
its families are not those of a suite (`FAMILIES`), `all` is every row: the column is one like any other.
Steps of `gemstones` are optimizer steps of 2048 sequences of 2048 tokens: 477 are 2B tokens, 2385 are 10B.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.lazy import pl
from gemstones.runs.expressions import parse_condition
from gemstones.runs.one_line import listed, one_line

if TYPE_CHECKING:
    from gemstones.runs.table import RunTable

STEPS_2B, STEPS_10B = 477, 2385
LAST_STEP_100B, FIRST_STEP_120B = 23_850, 28_620
LAST_STEP_LR_ABLATION = 23_840
"""The halved-rate runs end ten steps before the tenth multiple of 2385."""

CHINCHILLA_REDUCED_SHAPES = ("384x13", "512x11", "512x13", "1280x15", "1792x18", "2048x27")
CHINCHILLA_REDUCED_TOKENS_B: Mapping[float, tuple[float, ...]] = MappingProxyType(
    {
        7e7: (3.15, 6.53, 11.9, 13.0, 25.1),
        1e8: (3.24, 7.47, 13.0, 13.7),
        5e8: (5.76, 12.5, 24.0, 47.1),
        1e9: (1.57, 4.73, 7.73, 8.78, 15.8, 16.4, 32.7),
        2e9: (0.812, 8.05, 16.3, 24.3, 32.7, 48.8, 81.2, 124.0),
    }
)
"""Size class → tokens (10^9) of the Chinchilla runs of that class, those of `hoffmann-reduced`, to the three digits
that the published selection has: 13.0 is half-way between two checkpoints, of which it takes the even multiple.

A class is a number of parameters to one significant digit. 512x11 is of the class 9e7, for which there is no
Chinchilla run, so five shapes are left.
"""

FAMILIES = ("main", "lr-ablation", "cooldown")
"""Kinds of runs of a suite."""

DENSE_SUFFIX = "-2B"
"""Of the selections that have every checkpoint of the same runs, 2B tokens apart: the paper reads frontiers off
these, and fits laws to every fifth."""

HOFFMANN_REDUCED_SIZES = ((60e6, 80e6), (90e6, 110e6), (450e6, 505e6), (0.9e9, 1.1e9), (1.8e9, 2.2e9))


@dataclass(frozen=True)
class Selection:
    """A named choice of rows, and its rule in words."""

    name: str
    rule: str
    rows: Callable[[pl.DataFrame], pl.DataFrame]
    rival_of: str = ""
    """The selection of the same data set that it is another recipe for: a study compares the two."""
    recipe: str = ""
    """What it is called in such a comparison, where not by its name."""


def _main(frame: pl.DataFrame, every: int, first: int = 0, last: int | None = None) -> pl.DataFrame:
    kept = (pl.col("family") == "main") & (pl.col("step") % every == 0) & (pl.col("step") >= first)
    return frame.filter(kept if last is None else kept & (pl.col("step") <= last))


def _lr_ablation(frame: pl.DataFrame) -> pl.DataFrame:
    steps = [*(STEPS_10B * tenth for tenth in range(1, 10)), LAST_STEP_LR_ABLATION]
    return _family(frame, "lr-ablation").filter(pl.col("step").is_in(steps))


def _family(frame: pl.DataFrame, *families: str) -> pl.DataFrame:
    return frame.filter(pl.col("family").is_in(families))


def _width512(frame: pl.DataFrame) -> pl.DataFrame:
    return _main(frame, STEPS_10B).filter(pl.col("width") == 512)


def _chinchilla_reduced(frame: pl.DataFrame) -> pl.DataFrame:
    # Checkpoints are 2B tokens apart: a Chinchilla run goes to the nearest multiple of that (half-way, as Python's
    # `round` has it, to the even multiple), and those that meet there are one row. The fit uses the rounded tokens,
    # and the FLOPs have to be theirs.
    shape = pl.format("{}x{}", "width", "depth")
    wanted = [
        (pl.col("params_total").round_sig_figs(1).round() == size)
        & tokens.is_in([2e9 * round(t / 2) for t in targets])
        for tokens in [(pl.col("tokens") / 1e9).round() * 1e9]
        for size, targets in CHINCHILLA_REDUCED_TOKENS_B.items()
    ]
    kept = _main(frame, STEPS_2B).filter(shape.is_in(CHINCHILLA_REDUCED_SHAPES) & pl.any_horizontal(wanted))
    rounded = kept.with_columns((pl.col("tokens") / 1e9).round() * 1e9)
    return rounded.with_columns((pl.col("flops_per_token") * pl.col("tokens")).alias("flops"))


def _epoch(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("loss") < pl.col("loss").top_k(5).min())


def _hoffmann_reduced(frame: pl.DataFrame) -> pl.DataFrame:
    size = pl.col("params_total")
    return frame.filter(pl.any_horizontal(size.is_between(low, high) for low, high in HOFFMANN_REDUCED_SIZES))


def _cooldown_ends(frame: pl.DataFrame, *families: str) -> pl.DataFrame:
    # On the way the rate is not 0 yet. Those of one parent are branches of one run, and are resampled as one.
    cooled = _family(frame, *families)
    ends = cooled.filter(pl.col("tokens") == pl.col("tokens").max().over("run"))
    if "parent" not in frame.columns:  # a table that was not collected from ledgers
        return ends
    return ends.with_columns(pl.coalesce(pl.col("parent").cast(pl.String), "run").alias("run"))


def _main_or_no_family(frame: pl.DataFrame) -> pl.DataFrame:
    families = set(frame["family"].drop_nulls().unique())
    of_a_suite = families <= set(FAMILIES) or ("main" in families and "fork_tokens" in frame.columns)
    if not of_a_suite:  # a column of the user's own: Pythia, Llama
        return frame
    return frame.filter(pl.col("family").is_null() | (pl.col("family") == "main"))


def _by_name(*selections: Selection) -> Mapping[str, Selection]:
    return MappingProxyType({selection.name: selection for selection in selections})


GEMSTONES = _by_name(
    Selection("all", "main, every 10B tokens", lambda frame: _main(frame, STEPS_10B), recipe="main"),
    Selection("all-2B", "main, every 2B tokens", lambda frame: _main(frame, STEPS_2B)),
    Selection(
        "le100B", "main, every 10B tokens to 100B", lambda frame: _main(frame, STEPS_10B, last=LAST_STEP_100B)
    ),
    Selection(
        "le100B-2B",
        "main, every 2B tokens to 100B",
        lambda frame: _main(frame, STEPS_2B, last=LAST_STEP_100B),
    ),
    Selection(
        "gt120B",
        "main, every 10B tokens from 120B",
        lambda frame: _main(frame, STEPS_10B, first=FIRST_STEP_120B),
    ),
    Selection(
        "gt120B-2B",
        "main, every 2B tokens from 120B",
        lambda frame: _main(frame, STEPS_2B, first=FIRST_STEP_120B),
    ),
    Selection("lr-ablation", "half the learning rate, every 10B tokens", _lr_ablation, rival_of="all"),
    Selection(
        "lr-ablation-2B",
        "half the learning rate, every 2B tokens",
        lambda frame: _family(frame, "lr-ablation"),
    ),
    Selection("cooldown", "ends of the cooldowns", lambda frame: _family(frame, "cooldown")),
    Selection("width512", "main, width 512, every 10B tokens", _width512),
    Selection("chinchilla-reduced", "main, sizes and tokens nearest to Chinchilla runs", _chinchilla_reduced),
)
"""Selections of the data set `gemstones`; the first is the default."""

GEMSTONES_LOSSES = _by_name(*(GEMSTONES[name] for name in ("all", "le100B", "gt120B", "width512")))
"""Selections of `gemstones-fineweb-edu`, `-dclm` and `-benchmarks`, which have the main runs every 10B tokens."""

CHINCHILLA = _by_name(
    Selection("epoch", "losses below the fifth highest: Epoch AI's outlier rule", _epoch),
    Selection("all", "every run", lambda frame: frame),
    Selection("hoffmann-reduced", "sizes near 70M, 100M, 500M, 1B and 2B", _hoffmann_reduced),
)
"""Selections of the data set `chinchilla`; the first is the default."""

ANNEALED = "cooldown"
"""The selection of losses whose learning rate was cooled down."""
_COOLDOWN = Selection(
    "cooldown",
    "ends of the cooldowns, those from one run as one run",
    lambda frame: _cooldown_ends(frame, "cooldown"),
)

PEBBLES = _by_name(
    Selection("all", "main, every 0.2M tokens", lambda frame: _family(frame, "main"), recipe="main"),
    Selection(
        "lr-ablation",
        "half the learning rate, every 0.2M tokens",
        lambda frame: _family(frame, "lr-ablation"),
        rival_of="all",
    ),
    _COOLDOWN,
)
"""Selections of the data set `pebbles`; the first is the default."""

PEBBLES_2_COOLED = ("cooldown", "long-cooldown", "again-cooldown")
"""Families of `pebbles-2` that end at equal FLOPs: of the main runs, four longer ones, and the smallest again."""
PEBBLES_2_HELD_BACK = 1.5e6
"""Parameters beyond which runs of `pebbles-2` are those that laws are tried on: the three largest."""


def _ends_by_size(*, largest: bool) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Ends of the cooldowns of the three largest shapes, or of the others."""

    def rows(frame: pl.DataFrame) -> pl.DataFrame:
        of_size = (pl.col("params_total") > PEBBLES_2_HELD_BACK) == largest
        return _cooldown_ends(frame.filter(of_size), *PEBBLES_2_COOLED)

    return rows


def _ends_of(*families: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda frame: _cooldown_ends(frame, *families)


PEBBLES_2 = _by_name(
    Selection("all", "main, at a constant rate, every evaluation", lambda frame: _family(frame, "main")),
    replace(_COOLDOWN, rows=_ends_of(*PEBBLES_2_COOLED)),
    Selection("fitted", "cooldown, without the three largest shapes", _ends_by_size(largest=False)),
    Selection("held-back", "cooldown, the three largest shapes", _ends_by_size(largest=True)),
    Selection("lr-half", "cooldown, at half the learning rate", _ends_of("lr-half-cooldown"), "cooldown"),
    Selection("muon", "cooldown, trained by Muon", _ends_of("muon-cooldown"), "cooldown"),
    Selection("seed", "cooldown, from another seed", _ends_of("seed-cooldown")),
)
"""Selections of the data set `pebbles-2`; the first is the default."""

OTHER = _by_name(
    Selection(
        "all",
        "every row of the family main or without one; every row, where families are the table's own",
        _main_or_no_family,
        recipe="main",
    ),
    Selection(
        "lr-ablation", "every row of the family", lambda frame: _family(frame, "lr-ablation"), rival_of="all"
    ),
    _COOLDOWN,
)
"""Selections of any other table."""

_BY_DATASET: Mapping[str, Mapping[str, Selection]] = MappingProxyType(
    {
        "gemstones": GEMSTONES,
        "gemstones-fineweb-edu": GEMSTONES_LOSSES,
        "gemstones-dclm": GEMSTONES_LOSSES,
        "gemstones-benchmarks": GEMSTONES_LOSSES,
        "chinchilla": CHINCHILLA,
        "pebbles": PEBBLES,
        "pebbles-2": PEBBLES_2,
    }
)


def selections_of(dataset: str) -> Mapping[str, Selection]:
    """The selections that a table of this data set has, the default first."""
    return _BY_DATASET.get(dataset, OTHER)


def rivals_of(table: RunTable) -> tuple[tuple[Selection, Selection], ...]:
    """Selections of a whole data set that differ in their recipe, each pair with rows of both: the usual, the other."""
    known = selections_of(table.dataset)
    pairs = ((known[one.rival_of], one) for one in known.values() if one.rival_of)
    return tuple(pair for pair in pairs if all(one.rows(table.frame).height for one in pair))


def default_selection(dataset: str) -> str:
    """The name of the selection that is used where none is asked for."""
    return next(iter(selections_of(dataset)))


def dense_selection(dataset: str, name: str | None = None) -> str:
    """The selection with every checkpoint of the runs of `name` (by default the default one); itself if it has none.

    >>> dense_selection("gemstones"), dense_selection("gemstones", "width512"), dense_selection("pebbles")
    ('all-2B', 'width512', 'all')
    """
    chosen = default_selection(dataset) if name is None else name
    dense = chosen + DENSE_SUFFIX
    return dense if dense in selections_of(dataset) else chosen


def select(table: RunTable, name: str | None, where: str | None) -> RunTable:
    """See `RunTable.select`."""
    selections = selections_of(table.dataset)
    if name is not None and name not in selections:
        raise InvalidRequest(
            f"selection {one_line(name)!r} is unknown for {table.dataset}: choose from {listed(selections)}, "
            "or give a condition with --where"
        )
    frame, selection = table.frame, table.selection
    if not selection:
        selection = name or default_selection(table.dataset)
        if table.where:
            selection += f" where {table.where}"
        frame = selections[name or default_selection(table.dataset)].rows(frame)
    elif name is not None and name != selection:
        # Rows that an earlier selection dropped cannot come back, so the name would not mean what it says.
        raise InvalidRequest(
            f"selection {name!r} of a table that is the selection {one_line(selection)!r} already: "
            "select from the whole data set"
        )
    if where is not None and one_line(where) != table.where:  # else it holds for every row already
        frame, selection = _where(frame, where), f"{selection} where {one_line(where)}"
    if frame.height == 0:
        families = table.frame["family"].drop_nulls().unique(maintain_order=True).to_list()
        remedy = "widen it"
        if families and set(families) <= set(selections) - {"all"}:  # of a suite, but not its main runs
            of = f"family is {families[0]}" if len(families) == 1 else f"families are {listed(families)}"
            remedy = f"its {of}, so take --select {families[0]}"
        raise InvalidTable(
            f"selection {selection!r} has no rows of {table.rows:,}: {remedy}", file=table.origin
        )
    return replace(table, frame=frame, selection=selection)


def _where(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    return frame.filter(parse_condition(where, frame.columns).evaluate(frame))
