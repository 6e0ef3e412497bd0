"""A backtest as tables: errors of split by predictor for people, every score and every prediction for machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gemstones.analyses.backtest.backtest import CONVENTIONS, Backtest
from gemstones.analyses.backtest.scores import Comparison, Score, Target
from gemstones.analyses.backtest.splits import SplitKind
from gemstones.analyses.backtest.words import (
    TARGET_WORDS,
    error_of,
    name_of,
    percent_interval_text,
    percent_text,
    predictor_words,
    split_words,
)
from gemstones.figures.table import Table
from gemstones.numbers import counted
from gemstones.page.rows import typed_frame, with_ends

if TYPE_CHECKING:
    import polars as pl

BEST, TIED, DOUBTFUL = "*", "~", "!"
LEGEND = (
    f"{BEST} least error, all others worse beyond their paired intervals; {TIED} not to be told apart from the "
    f"least; {DOUBTFUL} a doubtful fit; no mark on an error without an interval or worse than the least"
)
SHORT_LEGEND = (
    f"{BEST} least, all others worse beyond their paired intervals; {TIED} not told apart from it; {DOUBTFUL} a "
    "doubtful fit"
)
LEAST_IN = "least error in"
HELD_OUT_FLAG = "too_few_held_out"


@dataclass(frozen=True)
class Grid:
    """Errors in percent of one selection on one target: a line a split, a column a predictor."""

    selection: str
    target: Target
    title: str
    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def grids(backtest: Backtest) -> list[Grid]:
    """A grid for every selection and target on which anything was predicted."""
    made = []
    for table in backtest.tables:
        for target in TARGET_WORDS:
            scores = [s for s in backtest.scores if (s.selection, s.target) == (table.selection, target)]
            if not scores:
                continue
            compared = {
                (c.split, c.cut, c.approach, c.law): c
                for c in backtest.comparison
                if (c.selection, c.target) == (table.selection, target)
            }
            names = list(dict.fromkeys(predictor_words(s.approach, s.law) for s in scores))
            lines = []
            for split, cut in dict.fromkeys((s.split, s.cut) for s in scores):
                of_split = [s for s in scores if (s.split, s.cut) == (split, cut)]
                rivals = [c for key, c in compared.items() if key[:2] == (split, cut)]
                rival_of = {(c.approach, c.law): c for c in rivals}
                cells = {
                    predictor_words(s.approach, s.law): _cell(s, rival_of.get((s.approach, s.law)), rivals)
                    for s in of_split
                }
                held = of_split[0]
                lines.append(
                    (
                        split_words(split, cut),
                        f"{held.test_rows} ({held.test_runs})",
                        *(cells.get(name, "") for name in names),
                    )
                )
            title = f"{table.dataset} ({table.selection}): error of {TARGET_WORDS[target]}"
            made.append(Grid(table.selection, target, title, ("split", "rows (runs)", *names), tuple(lines)))
    return made


def short_grids(backtest: Backtest) -> list[Grid]:
    """Of every selection a line a predictor of all held-out rows: the farthest cut in compute, and what is left out."""
    made = []
    for table in backtest.tables:
        scores = [s for s in backtest.scores if (s.selection, s.target) == (table.selection, "all")]
        scores = [s for s in scores if s.error is not None]
        splits = list(dict.fromkeys((s.split, s.cut) for s in scores))
        told = _telling(scores, splits)
        if not told:
            continue
        least = [min((s for s in scores if (s.split, s.cut) == of), key=error_of) for of in splits]
        runs: list[str] = []
        header, lines = ["predicted by"], {name_of(s): [name_of(s)] for s in scores}
        for of in told:
            here = {name_of(s): s for s in scores if (s.split, s.cut) == of}
            rivals = [
                c
                for c in backtest.comparison
                if (c.selection, c.target, c.split, c.cut) == (table.selection, "all", *of)
            ]
            rival_of = {name_of(c): c for c in rivals}
            header.append(split_words(*of))
            runs.append(f"{next(iter(here.values())).test_runs}")
            for name, line in lines.items():
                line.append(_cell(here[name], rival_of.get(name), rivals) if name in here else "-")
        if len(lines) > 1:
            header.append(LEAST_IN)
            for name, line in lines.items():
                line.append(f"{sum(name_of(s) == name for s in least)} of {counted(len(splits), 'split')}")
        title = f"{table.dataset} ({table.selection}): error of {TARGET_WORDS['all']}, of {' and '.join(runs)} runs"
        rows = tuple(tuple(line) for line in lines.values())
        made.append(Grid(table.selection, "all", title, tuple(header), rows))
    return _joined(made, backtest.tables[0].dataset)


def _joined(grids: list[Grid], dataset: str) -> list[Grid]:
    """Of several selections one grid, where the same is held out of each but for the cut."""
    held = [[name for name in grid.header[1:] if name != LEAST_IN] for grid in grids]
    names = {tuple("above the cut" if " > " in name else name for name in of) for of in held}
    if len(grids) < 2 or len(names) > 1:
        return grids
    cuts = [
        f"{name} of {grid.selection}"
        for grid, of in zip(grids, held, strict=True)
        for name in of
        if " > " in name
    ]
    lines = [
        (grid.selection if i == 0 else "", *line[: 1 + len(held[0])])
        for grid in grids
        for i, line in enumerate(grid.lines)
    ]
    title = f"{dataset}: error of {TARGET_WORDS['all']}" + (f"; cuts: {'; '.join(cuts)}" if cuts else "")
    return [Grid("", "all", title, ("selection", "predicted by", *names.pop()), tuple(lines))]


def _telling(
    scores: list[Score], splits: list[tuple[SplitKind, float | None]]
) -> list[tuple[SplitKind, float | None]]:
    """The farthest cut that most predictors have an error for with an interval, in compute if there is one, and the
    first kind that is left out."""

    def known(of: tuple[SplitKind, float | None]) -> tuple[int, int]:
        here = [s for s in scores if (s.split, s.cut) == of]
        return sum(s.interval is not None for s in here), len(here)

    cuts = [of for of in splits if of[1] is not None]
    cuts = [of for of in cuts if of[0] == "compute"] or cuts
    groups = [of for of in splits if of[1] is None]
    return [*([max(cuts, key=lambda of: (known(of), of[1]))] if cuts else []), *groups[:1]]


def trust_sentence(backtest: Backtest) -> str:
    """How many errors there are, and how many of them are of doubtful fits."""
    errors = [score for score in backtest.scores if score.error is not None]
    doubtful = sum(any(not flag.startswith(HELD_OUT_FLAG) for flag in score.flags) for score in errors)
    missing = len(backtest.scores) - len(errors)
    also = f", {missing} more could not be had" if missing else ""
    return f"{doubtful} of {counted(len(errors), 'error')} are of doubtful fits{also}"


def _cell(score: Score, against_best: Comparison | None, rivals: list[Comparison]) -> str:
    if score.error is None:
        return "-"
    ends = "" if score.interval is None else f" {percent_interval_text(score.interval)}"
    return f"{percent_text(score.error)}{ends} {_mark(score, against_best, rivals):<2}"


def _mark(score: Score, against_best: Comparison | None, rivals: list[Comparison]) -> str:
    doubt = DOUBTFUL if any(not flag.startswith(HELD_OUT_FLAG) for flag in score.flags) else ""
    verdicts = [c.worse for c in rivals]
    if not verdicts or None in verdicts:
        return doubt
    if against_best is None:
        return (BEST if all(verdicts) else TIED) + doubt
    return doubt if against_best.worse else TIED + doubt


def flag_lines(backtest: Backtest) -> list[str]:
    """Flags by code: how many errors have it, and one of them."""
    errors = [score for score in backtest.scores if score.error is not None]
    of_code: dict[str, list[tuple[Score, str]]] = {}
    for score in errors:
        for code, said in {flag.partition(": ")[0]: flag.partition(": ")[2] for flag in score.flags}.items():
            of_code.setdefault(code, []).append((score, said))
    return [
        *backtest.flags,
        *(
            f"{code}: {len(flagged)} of {counted(len(errors), 'error')}, as {_where(flagged[0][0])}: {flagged[0][1]}"
            for code, flagged in of_code.items()
        ),
    ]


def missing_lines(backtest: Backtest) -> list[str]:
    """Which laws are left out, and what has no error, and why, each reason once."""
    of_reason: dict[str, list[str]] = {}
    for selection, skip in backtest.skipped:
        what = skip.kind if skip.cut is None else split_words(skip.kind, skip.cut)
        of_reason.setdefault(skip.reason, []).append(f"{selection}, {what}")
    for score in backtest.scores:
        if score.reason is not None:
            of_reason.setdefault(score.reason, []).append(_where(score))
    distinct = {reason: list(dict.fromkeys(where)) for reason, where in of_reason.items()}
    return [
        *backtest.notes,
        *(f"{'; '.join(where[:3])}{_more(len(where) - 3)}: {reason}" for reason, where in distinct.items()),
    ]


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def _where(score: Score) -> str:
    of = predictor_words(score.approach, score.law)
    return f"{score.selection}, {split_words(score.split, score.cut)}, {of}"


def errors_table(backtest: Backtest) -> Table:
    """One row a predictor on a target of a split; errors and biases in log loss, with their ends."""
    rows = [
        {
            **{name: getattr(s, name) for name in ("selection", "target", "split", "cut", "approach", "law")},
            "held_out": split_words(s.split, s.cut),
            "error_of": TARGET_WORDS[s.target],
            "predicted_by": name_of(s),
            **with_ends("error", s.error, s.interval),
            **with_ends("bias", s.bias, s.bias_interval),
            **{
                name: getattr(s, name)
                for name in ("train_error", "train_rows", "train_runs", "test_rows", "test_runs", "folds")
            },
            "flags": "; ".join(s.flags),
            "reason": s.reason,
        }
        for s in backtest.scores
    ]
    worded = {"held_out", "error_of", "predicted_by"}
    keys = {"target", "split", "cut", "approach", "law"}  # what the words are of, for machines
    counts = {"train_rows", "train_runs", "test_rows", "test_runs", "folds"}
    conventions = (f"{name}: {meaning}" for name, meaning in CONVENTIONS.items() if name not in keys)
    texts = {"selection", "flags", "reason", *worded, *keys} - {"cut"}
    return Table(typed_frame(rows, texts, counts), frozenset({"flags", *keys}), tuple(conventions))


def predictions_frame(backtest: Backtest) -> pl.DataFrame:
    """One row a held-out row and predictor that has an error: of Approach 3 every one, of Approach 1 the frontier."""
    import polars as pl

    tables = {table.selection: table for table in backtest.tables}
    parts = []
    for score in backtest.scores:
        own: Target = "all" if score.approach == "approach3" else "frontier"
        if score.target == own and score.rows is not None and score.residuals is not None:
            held = tables[score.selection].frame[score.rows]
            parts.append(
                held.select("run", "params_total", "tokens", "flops", "loss").with_columns(
                    pl.lit(score.selection).alias("selection"),
                    pl.lit(score.split).alias("split"),
                    pl.lit(score.cut, pl.Float64).alias("cut"),
                    pl.lit(score.approach).alias("approach"),
                    pl.lit(score.law).alias("law"),
                    pl.Series("predicted_loss", held["loss"].to_numpy() * np.exp(score.residuals)),
                    pl.Series("log_residual", score.residuals),
                )
            )
    first = ("selection", "split", "cut", "approach", "law")
    return pl.concat(parts).select(*first, pl.exclude(first))
