"""Backtests: laws are fitted to a part of the runs and compared by what they predict of the rest.

Every predictor of `predictor.py` is fitted to the training part of every split of `splits.py` and scored,
by the error of `laws/held_out.py`, on two targets:

- `all`: every held-out row. Approach 3 only.
- `frontier`: the held-out ones among the points of the lower hull of *all* rows of the selection, training part
  included, in log FLOPs and log loss. (A hull of the held-out rows alone would begin with its cheapest rows, which
  are on no frontier.) Approaches 1 and 3.

Intervals say how much an error depends on which runs, or folds, are held out, with the fitted laws as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gemstones.accounting.parameters import ParamsConvention, params_convention
from gemstones.analyses.backtest.predictor import (
    Predicted,
    Predictor,
    fit_and_predict,
    frontier_rows,
    predictors_of,
)
from gemstones.analyses.backtest.scores import Comparison, Score, Target, compare, score
from gemstones.analyses.backtest.shown import backtest_html, backtest_notes, score_name
from gemstones.analyses.backtest.splits import SPLITS, Skipped, Split, splits_of
from gemstones.arguments import checked
from gemstones.display import few_lines
from gemstones.errors import InvalidRequest
from gemstones.laws.diagnostics import LEAST_RUNS, few_draws_flags
from gemstones.laws.envelope import BINS
from gemstones.laws.held_out import Resamples
from gemstones.laws.interval import DEFAULT_LEVEL
from gemstones.laws.parallel import Workers, check_workers, run_chunks
from gemstones.laws.parse_form import law_text, parse_form
from gemstones.laws.solver.objective import Objective
from gemstones.laws.solver.resample import check_resampling
from gemstones.runs.given import Runs, several_runs
from gemstones.runs.table import RunTable
from gemstones.seeds import Seed, seed_number
from gemstones.shape import BoolArray

LAWS = ("N,T", "w,d,T", "w,d,N,T")
DRAWS = 1000
STANDARD = {"gemstones": ("all", "le100B", "lr-ablation", "cooldown")}
"""Selections of a data set that are backtested; of any other its default."""

CONVENTIONS = {
    "error": "root mean square of log(predicted loss / measured loss) over the held-out rows, every run weighted "
    "equally; 0.01 is about 1% of the loss",
    "bias": "mean of log(predicted / measured), every run weighted equally; positive where predicted too high",
    "row_error": "as error, every held-out row counted once, and row_bias as bias: long runs count for more",
    "train_error": "as error, over the rows that the law was fitted to; of several folds the root mean square",
    "interval": "resamples of held-out runs, for leave-one-out of folds, with the fitted laws as they are; "
    f"null under {LEAST_RUNS} of them",
    "target": "all: every held-out row; frontier: the held-out points of the lower hull of all rows of the "
    "selection, in log FLOPs and log loss",
    "approach": "approach3: the law fitted to every training row; hull, bins: Approach 1, the law flops fitted to "
    f"the frontier of the training rows (lower hull; least loss in each of {BINS} bins)",
    "cut": "rows up to it are fitted, those above are predicted; compute: FLOPs; size: params_total; tokens: tokens; "
    "null for leave-one-out",
    "train_rows": "rows that the law was fitted to, in the smallest fold",
    "difference": "error less the least error on the same rows, with the interval of paired resamples; worse where "
    "that lies above 0. The least of several errors is somewhat lucky, and intervals are not corrected for the "
    "number of comparisons",
}


@dataclass(frozen=True, eq=False, repr=False)
class Backtest:
    """Errors of predictors on held-out rows, and what was left out; what `backtest` returns.

    A score's `error` is the root mean square of log(predicted / measured loss): 0.01 is 1%.

    >>> made = backtest("pebbles", laws=["N,T"], splits=["size"], draws=0)
    >>> made.scores[0].error
    0.041
    """

    tables: tuple[RunTable, ...]
    """The selections."""
    scores: tuple[Score, ...]
    comparison: tuple[Comparison, ...]
    skipped: tuple[tuple[str, Skipped], ...]
    """Selections with a split that they do not allow."""
    notes: tuple[str, ...]
    """Laws and targets that were left out, and why."""
    objective: Objective
    params_convention: ParamsConvention
    resamples: Resamples

    @property
    def flags(self) -> tuple[str, ...]:
        """What is to be said of all its intervals; what is to be said of an error is with that error."""
        return tuple(few_draws_flags(self.resamples.draws))

    def summary(self) -> dict[str, Any]:
        """The backtest as plain values: what `gemstones backtest --json` prints."""
        return {
            "dataset": self.tables[0].dataset,
            "selections": [
                {"selection": t.selection, "rows": t.rows, "runs": t.runs, "fingerprint": t.fingerprint}
                for t in self.tables
            ],
            "params_convention": self.params_convention,
            "flops_convention": self.tables[0].flops_convention,
            "loss_unit": self.tables[0].loss_unit,
            "objective_kind": self.objective.kind,
            "delta": self.objective.delta if self.objective.kind == "huber" else None,
            "level": self.resamples.level,
            "resampling": {"draws": self.resamples.draws, "seed": self.resamples.seed},
            "conventions": CONVENTIONS,
            "rows": [row.summary() for row in self.scores],
            "comparison": [asdict(comparison) for comparison in self.comparison],
            "skipped": [
                {"selection": selection, "split": skip.kind, "cut": skip.cut, "reason": skip.reason}
                for selection, skip in self.skipped
            ],
            "flags": list(self.flags),
            "notes": list(self.notes),
            "assumptions": list(self.tables[0].assumptions),
        }

    def __repr__(self) -> str:
        selections = ", ".join(t.selection for t in self.tables)
        splits = len({(row.selection, row.split, row.cut) for row in self.scores})
        laws = "; ".join(dict.fromkeys(score_name(row) for row in self.scores))
        return few_lines(
            f"Backtest {self.tables[0].dataset} ({selections}): {splits} splits, {laws}", backtest_notes(self)
        )

    def _repr_html_(self) -> str:
        return backtest_html(self)


@dataclass(frozen=True, eq=False)
class _Case:
    """One selection and what is to be done with it."""

    table: RunTable
    splits: list[Split]
    predictors: list[Predictor]
    targets: dict[Target, BoolArray]
    """(rows,) each; no `frontier` where FLOPs are not known."""

    def scored(self, predictor: Predictor) -> list[Target]:
        """What a predictor is scored on."""
        return [t for t in self.targets if t == "frontier" or predictor.approach == "approach3"]


def standard_selections(table: RunTable) -> list[RunTable]:
    """The selections of a whole data set that are backtested; a table that is a selection stays as it is."""
    if table.selection:
        return [table]
    return [table.select(name) for name in STANDARD.get(table.dataset, (None,))]


@checked
def backtest(
    runs: Runs,
    *,
    laws: str | Sequence[str | Sequence[str]] = LAWS,
    splits: Sequence[str] = SPLITS,
    objective: Objective | None = None,
    params: ParamsConvention = "total",
    draws: int = DRAWS,
    seed: Seed = 0,
    level: float = DEFAULT_LEVEL,
    workers: Workers = None,
    progress: Callable[[float], None] | None = None,
) -> Backtest:
    """Fit `laws`, and the frontiers of Approach 1, to the training part of every split, and predict the rest.

    `runs` are what `fit` takes, or several selections of one data set: a whole data set for its standard selections,
    a table that is a selection for that one. `splits` are written as for `laws.splits.parse_split`; `objective` and
    `params` are those of `fit`. `draws` resamples of what is held out give the intervals at `level` (a probability);
    the same `seed` gives the same for any number of `workers` (processes). `progress` is told which share is done.
    Errors are root mean squares of log(predicted / measured loss). What a table does not know is left out and noted;
    what the rows of a training part cannot determine is a row without an error, with the reason. Raises
    `InvalidRequest` where nothing at all is left.

    >>> made = backtest("pebbles", laws=["N,T", "w,d,T"], splits=["size"], draws=40)
    >>> [(score.law, score.cut, score.error) for score in made.scores[:2]]
    [('N,T', 300000.0, 0.041), ('w,d,T', 300000.0, 0.026)]
    """
    objective = objective or Objective()
    convention = params_convention(params)
    seed = seed_number(seed)
    check_resampling(draws, "run", seed, level, "draws")
    check_workers(workers)
    resamples = Resamples(draws, seed, level)
    written = [laws] if isinstance(laws, str) else laws
    forms = list(dict.fromkeys(parse_form(law_text(law), convention).text for law in written))
    selections = [selection for table in several_runs(runs) for selection in standard_selections(table)]
    names = [selection.selection for selection in selections]
    if not names or len(set(names)) < len(names) or len({s.dataset for s in selections}) > 1:
        raise InvalidRequest(
            f"selections {', '.join(names) or 'none'} must be different ones of one data set"
        )

    skipped: list[tuple[str, Skipped]] = []
    notes: list[str] = []
    cases = []
    for table in selections:
        possible, impossible = splits_of(table, splits)
        predictors, unknown = predictors_of(table, forms, convention)
        targets: dict[Target, BoolArray] = {"all": np.ones(table.rows, np.bool_)}
        if table.frame["flops"].null_count() == 0:
            targets["frontier"] = frontier_rows(table)
        skipped += [(table.selection, skip) for skip in impossible]
        notes += unknown
        cases.append(_Case(table, possible, predictors, targets))

    jobs = [
        (c, p, s, f)
        for c, case in enumerate(cases)
        for p, predictor in enumerate(case.predictors)
        for s, split in enumerate(case.splits)
        for f, fold in enumerate(split.folds)
        if any((fold.test & case.targets[target]).any() for target in case.scored(predictor))
    ]
    if not jobs or not any(p.approach == "approach3" for case in cases for p in case.predictors):
        reasons = dict.fromkeys([*notes, *(f"{skip.kind}: {skip.reason}" for _, skip in skipped)])
        more = f"; and {len(reasons) - 3} more" if len(reasons) > 3 else ""
        raise InvalidRequest(f"nothing to backtest in {', '.join(names)}: {'; '.join([*reasons][:3])}{more}")

    def one(job: tuple[int, int, int, int]) -> Predicted:
        c, p, s, f = job
        case = cases[c]
        part = case.splits[s].folds[f].train
        return fit_and_predict(case.predictors[p], case.table, part, objective, convention)

    tell = None if progress is None else lambda done: progress(done / len(jobs))
    made = dict(zip(jobs, run_chunks(one, jobs, workers, tell), strict=True))

    scores: list[Score] = []
    comparison: list[Comparison] = []
    for c, case in enumerate(cases):
        for s, split in enumerate(case.splits):
            for target in case.targets:
                of_target = [
                    score(
                        case.table,
                        predictor,
                        split,
                        target,
                        case.targets[target],
                        {f: made[c, p, s, f] for f in range(len(split.folds)) if (c, p, s, f) in made},
                        resamples,
                    )
                    for p, predictor in enumerate(case.predictors)
                    if target in case.scored(predictor)
                ]
                scores += [row for row, _ in of_target]
                comparison += compare(of_target, resamples)
    return Backtest(
        tuple(selections),
        tuple(scores),
        tuple(comparison),
        tuple(skipped),
        tuple(dict.fromkeys(notes)),
        objective,
        convention,
        resamples,
    )
