"""The form of law that predicts: chosen among those that the runs can carry, by what each says of rows it never saw.

No form wins everywhere, so backtests choose. Every candidate is fitted to the rows up to two cuts by compute (1/30 and
1/10 of the largest FLOPs, higher where too few runs or rows lie below) and predicts those above (`error_beyond`), and
is fitted without each of up to ten groups of runs and predicts these (`error_left_out`). The score of a form is the
geometric mean of the two. Taken is the simplest among those whose score is within one standard error of the least: the
form with the fewest constants, of several the one that stands first among the candidates, N before the counts that
fewer people use. The standard error is of the difference of the two scores, over resampled runs, paired, so that what
is hard for both cancels. How well the rule does on compute that it never saw is in benchmarks/choice.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gemstones.accounting.parameters import ParamsConvention, params_convention
from gemstones.arguments import checked
from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.laws.chosen import Candidate, Choice
from gemstones.laws.columns import table_columns
from gemstones.laws.diagnostics import LEAST_RUNS
from gemstones.laws.form import Form
from gemstones.laws.held_out import Resamples
from gemstones.laws.parallel import Workers, run_chunks
from gemstones.laws.parse_form import law_text, parse_form
from gemstones.laws.rows import weighted_rows
from gemstones.laws.solver.objective import Objective
from gemstones.laws.trials import Held, Trial, trial
from gemstones.runs.given import Runs, selected_runs
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray

SIZES = ("N", "P", "params_no_embedding")
"""What may count a model's size in a law without its shape."""
SHAPE_SIZES = ("N", "P", "F", "b")
"""What may stand beside width and depth."""
LISTS = (
    *(f"{size},T" for size in SIZES),
    "w,d,T",
    "d,N,T",
    *(f"w,d,{size},T" for size in SHAPE_SIZES),
)
CANDIDATES = (*LISTS, *(f"({terms})^p" for terms in LISTS), "interaction", "varying")
"""Sizes alone, shapes alone, both; with and without an exponent around the sum; tokens whose term depends on size."""
DRAWS = 400
"""Resamples of runs that standard errors are from."""


@checked
def choose(
    runs: Runs,
    candidates: Sequence[str | Sequence[str]] = CANDIDATES,
    *,
    objective: Objective | None = None,
    params: ParamsConvention = "total",
    weights: str | None = None,
    workers: Workers = None,
    progress: Callable[[float], None] | None = None,
) -> Choice:
    """The form of law to fit to `runs` (as `fit` takes them): the simplest of those that predict best.

    `candidates` are written as `fit` takes laws. One whose columns the runs do not know, or whose terms they cannot
    tell apart, is left out with the reason. Raises `InvalidRequest` where none is left, and where the runs are too few
    to hold any back. The same for any number of `workers`; `progress` is told which share is done.

    >>> choose("pebbles", ["N,T", "(N,T)^p"]).law  # doctest: +SKIP
    'N,T'
    """
    table, objective = selected_runs(runs), objective or Objective()
    convention = params_convention(params)
    forms = {form.text: form for form in (parse_form(law_text(law), convention) for law in candidates)}
    if not forms:
        raise InvalidRequest("no candidate was given: name some, like N,T and (N,T)^p")
    counts = None
    if weights is not None:
        table, counts = weighted_rows(weights, table)
    held = Held.of(table)
    if held.nothing:
        raise InvalidRequest(
            f"{table.origin} has {table.runs} runs: {LEAST_RUNS + 1} are needed to hold some back; name a law, like N,T"
        )
    known, unknown = _known(forms, table, convention)

    def one(form: Form) -> Trial:
        return trial(form, table, held, objective, convention, counts)

    tell = None if progress is None else lambda done: progress(done / max(len(known), 1))
    tried = run_chunks(one, known, workers, tell)
    found = [t for t in tried if t.reason is None]
    if not found:
        reasons = dict.fromkeys([*unknown.values(), *(str(t.reason) for t in tried)])
        raise InvalidRequest(f"no candidate can be fitted to {table.origin}: {'; '.join([*reasons][:3])}")
    rows = _ranked(found)
    rows += [_without(t.form, t.constants, t.reason or "") for t in tried if t.reason is not None]
    rows += [_without(text, len(forms[text].entries), reason) for text, reason in unknown.items()]
    order = [*forms]
    taken = min((c for c in rows if c.near), key=lambda c: (c.constants, order.index(c.law)))
    return Choice(taken.law, tuple(rows), held.cuts, len(held.groups))


def _known(
    forms: dict[str, Form], table: RunTable, convention: ParamsConvention
) -> tuple[list[Form], dict[str, str]]:
    """Forms whose columns the table knows, and why the others are left out."""
    known, unknown = [], {}
    for text, form in forms.items():
        try:
            table_columns(form.columns, table, convention)
        except (InvalidTable, InvalidRequest) as error:
            unknown[text] = error.said
        else:
            known.append(form)
    return known, unknown


def _score(trial: Trial, weights: FloatArray | None = None) -> FloatArray:
    """Geometric mean of the errors that are known, (…) for weights (…, runs)."""
    errors = trial.errors(weights)
    known = np.isfinite(errors)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.exp(np.log(np.where(known, errors, 1.0)).sum(-1) / known.sum(-1)))


def _ranked(trials: Sequence[Trial]) -> list[Candidate]:
    """Candidates, the best first."""
    in_order = sorted(trials, key=lambda t: float(_score(t)))
    best = in_order[0]
    least, weights = float(_score(best)), Resamples(DRAWS, 0, 0.95).weights(best.logs.shape[1])
    rows = []
    for one in in_order:
        beyond, left_out = (float(x) if np.isfinite(x) else None for x in one.errors())
        score, spread = float(_score(one)), None
        if weights is not None:
            difference = _score(one, weights) - _score(best, weights)
            spread = float(np.std(difference[np.isfinite(difference)]))
        near = score <= least + (spread or 0.0)
        rows.append(Candidate(one.form, one.constants, beyond, left_out, score, spread, near))
    return rows


def _without(law: str, constants: int, reason: str) -> Candidate:
    return Candidate(law, constants, None, None, None, None, reason=reason)
