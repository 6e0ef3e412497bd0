"""The form of law that predicts: chosen among those that the runs can carry, by what each says of rows it never saw.

No form wins everywhere, so backtests choose. Every candidate is fitted to the rows up to 1/30, and up to 1/10, of the
largest FLOPs and predicts those above (`error_beyond`), and is fitted without each of up to ten groups of runs and
predicts these (`error_left_out`). Errors are root mean squares of log L̂ − log L, every run counted once in every fit,
as in `gemstones.laws.held_out`. The score of a form is the root mean square of the two. Chosen is the form with the
fewest constants among those whose score is within one standard error of the least: the standard error is of the
difference of the two scores, over resampled runs, paired, so that what is hard for both cancels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from gemstones.accounting.parameters import ParamsConvention, params_convention
from gemstones.arguments import checked
from gemstones.display import few_lines
from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.laws.columns import table_columns
from gemstones.laws.diagnostics import LEAST_RUNS
from gemstones.laws.form import law_text, parse_form
from gemstones.laws.held_out import Resamples
from gemstones.laws.objective import Objective
from gemstones.laws.parallel import run_chunks
from gemstones.laws.predictor import Predicted, Predictor, fit_and_predict
from gemstones.runs.given import Runs, selected_runs
from gemstones.runs.table import RunTable
from gemstones.shape import BoolArray, FloatArray, IntArray

AUTO = "auto"
"""What `law` is called where backtests are to choose it."""
CANDIDATES = (
    "N,T", "(N,T)^p", "E + A/N^a + B/T^b + C/(N^c*T^d)", "w,d,T", "(w,d,T)^p", "d,N,T", "(d,N,T)^p",
    "w,d,N,T", "(w,d,N,T)^p", "(w,d,P,T)^p", "(w,d,F,T)^p", "(w,d,b,T)^p",
)  # fmt: skip
"""Of laws.md: sizes alone, shapes alone, both; with and without an exponent around the sum; N in other counts."""
CUTS = (1 / 30, 1 / 10)
"""Of the largest FLOPs: up to these rows are fitted. Where the runs allow neither, 1/3 and 1/2 are tried."""
OTHER_CUTS = (1 / 3, 1 / 2)
MOST_GROUPS = 10
"""Of runs that are left out in turn: every group is a fit of every candidate."""
DRAWS = 400
"""Resamples of runs that standard errors are from."""


class Candidate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One form and how it did."""

    law: str
    constants: int
    """How many it fits."""
    error_beyond: float | None
    """Of rows above the fitted FLOPs: root mean square of log L̂ − log L; None where there is no fit."""
    error_left_out: float | None
    """Of runs that were left out."""
    standard_error: float | None
    """Of the difference between its score and the least, over resampled runs."""
    score: float | None
    """Root mean square of the two errors that are known."""
    reason: str | None = None
    """Why there is none."""

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return msgspec.structs.asdict(self)


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The form that is taken, and every candidate, the best first."""

    law: str
    candidates: tuple[Candidate, ...]
    cuts: tuple[float, ...]
    """In FLOPs: rows up to each were fitted, those above predicted."""
    groups: int
    """Of runs that were left out in turn."""

    @property
    def near_equals(self) -> tuple[str, ...]:
        """The other forms within one standard error of the best."""
        return tuple(c.law for c in self.candidates if c.law != self.law and _within(c, self.candidates[0]))

    @property
    def reason(self) -> str:
        """One sentence with the numbers."""
        taken = next(c for c in self.candidates if c.law == self.law)
        best = self.candidates[0]
        said = f"{self.law} predicts held-out rows to {_percent(taken.score)} ({_parts(taken)})"
        others = [c for c in self.candidates if c.law != self.law and c.score is not None]
        if best.law != self.law:
            said += f"; {best.law} is the best with {_percent(best.score)}, but within one standard error"
        elif others:
            said += f"; the next best, {others[0].law}, to {_percent(others[0].score)}"
        plain = next((c for c in others if c.law == "N,T"), None)
        if plain is not None and plain is not (others[0] if best.law == self.law and others else None):
            said += f"; N,T to {_percent(plain.score)}"
        return said

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "law": self.law,
            "reason": self.reason,
            "near_equals": list(self.near_equals),
            "cuts": list(self.cuts),
            "groups": self.groups,
            "candidates": [candidate.summary() for candidate in self.candidates],
        }

    def __repr__(self) -> str:
        return few_lines(f"Choice {self.law}: {self.reason}", [f"{len(self.candidates)} candidates"])


@checked
def choose(
    runs: Runs,
    candidates: Sequence[str | Sequence[str]] = CANDIDATES,
    *,
    objective: Objective | None = None,
    params: ParamsConvention = "total",
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Choice:
    """The form of law to fit to `runs` (as `fit` takes them): the simplest of those that predict best.

    A candidate whose columns the runs do not know, or whose terms they cannot tell apart, is left out with the reason.
    Raises `InvalidRequest` where none is left, and where the runs are too few to hold any back.

    >>> choose("pebbles", ["N,T", "(N,T)^p"])  # doctest: +SKIP
    """
    table, objective = selected_runs(runs), objective or Objective()
    convention = params_convention(params)
    forms = list(dict.fromkeys(parse_form(law_text(law), convention).text for law in candidates))
    if not forms:
        raise InvalidRequest("no candidate was given: name some, like N,T and (N,T)^p")
    known, unknown = _known(forms, table, convention)
    beyond, cuts = _beyond(table)
    groups = _groups(table)
    parts = [*beyond, *(~test for test in groups)]
    if not parts:
        raise InvalidRequest(
            f"{table.origin} has {table.runs} runs: {2 * LEAST_RUNS} are needed to hold some back; name a law, like N,T"
        )
    jobs = [(form, part) for form in known for part in range(len(parts))]

    def one(job: tuple[str, int]) -> Predicted:
        form, part = job
        return fit_and_predict(Predictor("approach3", form), table, parts[part], objective, convention)

    tell = None if progress is None else lambda done: progress(done / len(jobs))
    predicted = dict(zip(jobs, run_chunks(one, jobs, workers, tell), strict=True))
    tested = [~part for part in beyond] + groups
    scored = {
        form: _Scored.of(table, tested, len(beyond), [predicted[form, part] for part in range(len(parts))])
        for form in known
    }
    found = {form: s for form, s in scored.items() if s.reason is None}
    if not found:
        reasons = dict.fromkeys([*unknown.values(), *(str(s.reason) for s in scored.values())])
        raise InvalidRequest(f"no candidate can be fitted to {table.origin}: {'; '.join([*reasons][:3])}")
    best = min(found.values(), key=lambda s: s.score)
    weights = Resamples(DRAWS, 0, 0.95).weights(best.squares.shape[1])
    rows = [_candidate(form, scored[form], best, weights, convention) for form in known]
    rows += [
        Candidate(form, _constants(form, convention), None, None, None, None, r)
        for form, r in unknown.items()
    ]
    rows.sort(key=lambda c: (c.score is None, c.score or 0.0))
    within = [c for c in rows if _within(c, rows[0])]
    taken = min(within, key=lambda c: (c.constants, c.score or 0.0))
    return Choice(taken.law, tuple(rows), cuts, len(groups))


def _within(candidate: Candidate, best: Candidate) -> bool:
    if candidate.score is None or best.score is None:
        return False
    return candidate.score <= best.score + (candidate.standard_error or 0.0)


def _constants(form: str, convention: ParamsConvention) -> int:
    return len(parse_form(form, convention).entries)


def _known(
    forms: Sequence[str], table: RunTable, convention: ParamsConvention
) -> tuple[list[str], dict[str, str]]:
    """Forms whose columns the table knows, and why the others are left out."""
    known, unknown = [], {}
    for form in forms:
        try:
            table_columns(parse_form(form, convention).columns, table, convention)
        except (InvalidTable, InvalidRequest) as error:
            unknown[form] = str(error)
        else:
            known.append(form)
    return known, unknown


def _beyond(table: RunTable) -> tuple[list[BoolArray], tuple[float, ...]]:
    """Rows to fit, for each cut by FLOPs that leaves enough runs on both sides, and the cuts."""
    if table.frame["flops"].null_count():
        return [], ()
    flops, codes = table.numbers("flops"), table.run_codes
    for shares in (CUTS, OTHER_CUTS):
        cuts = [share * float(flops.max()) for share in shares]
        enough = [
            cut
            for cut in cuts
            if len(np.unique(codes[flops <= cut])) >= LEAST_RUNS and len(np.unique(codes[flops > cut])) >= 2
        ]
        if enough:
            return [flops <= cut for cut in enough], tuple(enough)
    return [], ()


def _groups(table: RunTable) -> list[BoolArray]:
    """Rows of runs that are left out together: the runs in order of size, dealt out in turn."""
    codes = table.run_codes
    count = int(codes.max()) + 1
    if count < LEAST_RUNS + 1:
        return []
    size = table.frame["flops"] if table.frame["flops"].null_count() == 0 else table.frame["tokens"]
    largest = np.zeros(count)
    np.maximum.at(largest, codes, size.to_numpy().astype(np.float64))
    group = np.empty(count, np.int64)
    group[np.argsort(largest, kind="stable")] = np.arange(count) % min(count, MOST_GROUPS)
    return [group[codes] == g for g in range(int(group.max()) + 1)]


@dataclass(frozen=True, eq=False)
class _Scored:
    """Mean squared residuals of one form by target (beyond, left out) and run; zero where a run is not tested."""

    squares: FloatArray
    """(2, runs)"""
    tested: FloatArray
    """(2, runs): in how many fits of the target each run was predicted."""
    reason: str | None = None

    @classmethod
    def of(cls, table: RunTable, tests: Sequence[BoolArray], cuts: int, fits: Sequence[Predicted]) -> _Scored:
        codes = table.run_codes
        runs = int(codes.max()) + 1
        squares, tested = np.zeros((2, runs)), np.zeros((2, runs))
        reason = next((fitted.reason for fitted in fits if fitted.reason is not None), None)
        if reason is None:
            for i, (test, fitted) in enumerate(zip(tests, fits, strict=True)):
                which: IntArray = codes[test]
                rows = np.bincount(which, minlength=runs)
                total = np.bincount(which, fitted.residuals[test] ** 2, minlength=runs)
                target = 0 if i < cuts else 1
                squares[target] += np.divide(total, rows, out=np.zeros(runs), where=rows > 0)
                tested[target] += rows > 0
        return cls(squares, tested, reason)

    def errors(self, weights: FloatArray) -> FloatArray:
        """Root mean square of each target over weighted runs, (…, 2); NaN without any."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.sqrt((weights @ self.squares.T) / (weights @ self.tested.T))

    def scores(self, weights: FloatArray) -> FloatArray:
        """(…,) for weights (…, runs)."""
        errors = self.errors(weights)
        known = np.isfinite(errors)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.sqrt(np.square(np.where(known, errors, 0.0)).sum(-1) / known.sum(-1)))

    @property
    def score(self) -> float:
        return float(self.scores(np.ones(self.squares.shape[1])))


def _candidate(
    form: str, scored: _Scored, best: _Scored, weights: FloatArray | None, convention: ParamsConvention
) -> Candidate:
    constants = _constants(form, convention)
    if scored.reason is not None:
        return Candidate(form, constants, None, None, None, None, scored.reason)
    beyond, left_out = (
        float(x) if np.isfinite(x) else None for x in scored.errors(np.ones(scored.squares.shape[1]))
    )
    spread = None
    if weights is not None:
        difference = scored.scores(weights) - best.scores(weights)
        spread = float(np.std(difference[np.isfinite(difference)]))
    return Candidate(form, constants, beyond, left_out, spread, scored.score)


def _percent(error: float | None) -> str:
    return "-" if error is None else f"{error:.2%}"


def _parts(candidate: Candidate) -> str:
    parts = [
        f"{_percent(error)} {what}"
        for error, what in (
            (candidate.error_beyond, "above the fitted compute"),
            (candidate.error_left_out, "of runs left out"),
        )
        if error is not None
    ]
    return ", ".join(parts)
