"""What a fit is: a law with the evidence for it, the intervals of whatever follows from it, and its file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from gemstones.arguments import accepted
from gemstones.errors import InvalidRequest
from gemstones.files import read_bytes, trouble, write_text
from gemstones.laws.chosen import Choice
from gemstones.laws.fit_problems import problems
from gemstones.laws.interval import DEFAULT_LEVEL, check_level, enough, interval, interval_note
from gemstones.laws.labelled import (
    constants_frame,
    constants_of,
    draws_frame,
    exponents_of,
    inference_data,
    intervals_frame,
    missing_attribute,
    values_of,
)
from gemstones.laws.law import Law
from gemstones.laws.new_run import NewRunError, error_at, widened
from gemstones.laws.optimum import Optimum, best_columns, held
from gemstones.laws.predicted_losses import PredictedLosses, points_of, predict_at
from gemstones.laws.prescribes import Prescribes
from gemstones.laws.shown import fit_html, fit_lines
from gemstones.laws.solver.objective import ObjectiveKind
from gemstones.laws.solver.resample import Unit
from gemstones.laws.summarised import fit_summary
from gemstones.lazy import pl
from gemstones.runs.given import Runs, selected_runs
from gemstones.runs.table import RunTable
from gemstones.shape import Column, FloatArray
from gemstones.units import Interval

Status = Literal["converged", "not_converged"]


class Resampling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the draws were made."""

    unit: Unit
    seed: int


class Fit(Prescribes, msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A law with the evidence for it: objective, data, diagnostics and bootstrap draws.

    What `gemstones.fit` returns. Each loss is in `law.loss_unit`, N counted by `law.params_convention`.

    >>> from gemstones.laws.fitting import fit
    >>> made = fit("pebbles", "N,T", bootstrap=40)
    >>> made.exponents["T"], made.conf_int(0.9).filter(constant="a_T").row(0)
    (0.233, ('a_T', 0.195, 0.299))
    """

    law: Law
    objective_kind: ObjectiveKind
    delta: float
    objective: float
    """Its value at the minimum, summed over rows."""
    dataset: str
    selection: str
    fingerprint: str
    """SHA-256 of the rows that were fitted, in the columns that every run table has and those that the law uses."""
    rows: int
    runs: int
    status: Status
    stationarity: float
    """See `gemstones.laws.solver.Solution`."""
    conditioning: float
    flags: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    """What the run table assumed."""
    models_assumed: tuple[str, ...] = ()
    """What a plan assumes beyond that when it counts shapes like the fitted ones."""
    resampling: Resampling | None = None
    drawn: tuple[tuple[float, ...], ...] = msgspec.field(default=(), name="draws")
    """θ of every resample, in the order of `Law.theta`; `draws` has them by name."""
    level: float = DEFAULT_LEVEL
    """Of the intervals, e.g. 0.95."""
    above: float = 1.0
    """How much a loss above the law counted against one below."""
    weights: str = ""
    """Column of the weights of rows; empty where every row counts once."""
    best_of: tuple[str, ...] = ()
    """Columns over which the least loss was taken, of each size and tokens."""
    new_run_error: tuple[NewRunError, ...] = ()
    """How far the law is off for runs that it was not fitted to, by distance; empty where that was not backtested."""
    chosen: Choice | None = None
    """How the form was chosen, where backtests chose it."""

    @property
    def exponents(self) -> dict[str, float]:
        """Exponents by column, as the law is written: loss falls as N^−a.

        Raises `InvalidRequest` where the law is no sum of powers of one column each: its `constants` say all.

        >>> from gemstones.laws.published import published
        >>> published("gemstones-refit-plain").exponents
        {'w': 0.208, 'd': 0.484, 'N': 0.368, 'T': 0.536}
        """
        return exponents_of(self)

    @property
    def constants(self) -> dict[str, float]:
        """Every constant by name, coefficients and not their logarithms; of a list of columns `a_N`, `A_N`, `E`, `p`.

        >>> from gemstones.laws.published import published
        >>> [*published("gemstones-refit").constants]
        ['a_w', 'a_d', 'a_N', 'a_T', 'A_w', 'A_d', 'A_N', 'A_T', 'E', 'p']
        """
        return constants_of(self)

    @property
    def draws(self) -> pl.DataFrame:
        """The bootstrap draws, a polars frame: a row a resample, a column a constant, named as in `constants`.

        Without resamples it has no rows. `theta_draws` has them as the solver does.

        >>> from gemstones.laws.published import published
        >>> published("gemstones-refit").draws.shape
        (400, 10)
        """
        return draws_frame(self)

    def conf_int(self, level: float | None = None) -> pl.DataFrame:
        """Intervals of the constants at `level`, a probability (by default the fit's): columns constant, low, high.

        They are those of `intervals`, of resamples; see docs/intervals.md. Raises `InvalidRequest` without draws, or
        with too few for the level.

        >>> from gemstones.laws.published import published
        >>> published("gemstones-refit").conf_int(0.8).row(2)
        ('a_N', 0.516, 0.595)
        """
        return intervals_frame(self, self.level if level is None else accepted("level", level, float))

    def to_frame(self, level: float | None = None) -> pl.DataFrame:
        """The constants as a polars frame: constant, meaning, estimate, low, high, a row each.

        Ends are null where there are no draws, or too few for `level`, a probability (by default the fit's).

        >>> from gemstones.laws.published import published
        >>> published("gemstones-refit").to_frame().columns
        ['constant', 'meaning', 'estimate', 'low', 'high']
        """
        level = self.level if level is None else accepted("level", level, float)
        check_level(level)
        return constants_frame(self, level)

    def to_inference_data(self) -> Any:
        """The draws as arviz's `InferenceData`, one chain, in its group `posterior`: they are resamples, no posterior.

        Raises `MissingExtra` without arviz, and `InvalidRequest` without draws.

        >>> import arviz  # doctest: +SKIP
        >>> arviz.plot_pair(published("gemstones-refit").to_inference_data())  # doctest: +SKIP
        """
        return inference_data(self)

    @property
    def theta_draws(self) -> FloatArray:
        """(draws, m); empty without resampling."""
        return np.array(self.drawn).reshape(len(self.drawn), len(self.law.theta))

    @property
    def optimal_exponents(self) -> dict[str, float] | None:
        """Exponents of N*(C) and T*(C) under 6·N·T (Hoffmann et al. 2022, Equation 4), for laws in N and T.

        An exponent around the sum does not move the optimum.
        """
        of_law = self._optimal(self.law.theta[None])
        return None if of_law is None else {name: float(x[0]) for name, x in of_law.items()}

    @property
    def plan_assumptions(self) -> tuple[str, ...]:
        """Everything that a plan from this fit assumes, each thing once."""

        def subject(sentence: str) -> str:
            return sentence.partition(" assumed")[0]

        said = {subject(sentence) for sentence in self.assumptions}
        return (*self.assumptions, *(s for s in self.models_assumed if subject(s) not in said))

    @property
    def interval_note(self) -> str:
        """How the intervals were made, for people."""
        return interval_note(len(self.drawn), self.resampling.unit if self.resampling else "run", self.level)

    @property
    def has_intervals(self) -> bool:
        """Whether there are draws, and enough of them for the level."""
        return enough(len(self.drawn), self.level)

    @property
    def intervals(self) -> dict[str, Any] | None:
        """Intervals of every constant and of what follows from them alone; None without draws, or with too few."""
        if not self.has_intervals:
            return None
        law, theta, draws = self.law, self.law.theta, self.theta_draws
        form = law.parsed_form
        intervals: dict[str, Any] = {"exponents": None, "log_coefficients": None}
        powers, of_draws = form.powers(theta), form.powers(draws)
        if powers is not None and of_draws is not None:
            for name, estimates, drawn in zip(
                ("exponents", "log_coefficients"), powers[1:], of_draws[1:], strict=True
            ):
                intervals[name] = {
                    symbol: self._interval(drawn[:, i], estimates[i]) for i, symbol in enumerate(powers[0])
                }
        if (constant := form.structure.constant) is not None and law.log_irreducible_loss is not None:
            i = None if isinstance(constant, float) else form.index(constant)
            logs = np.full(len(draws), law.log_irreducible_loss) if i is None else draws[:, i]
            intervals["log_irreducible"] = self._interval(logs, law.log_irreducible_loss)
            intervals["irreducible_loss"] = self._interval(np.exp(logs), np.exp(law.log_irreducible_loss))
        if isinstance(outer := form.structure.outer, str):
            i = form.index(outer)
            intervals["outer_exponent"] = self._interval(np.exp(draws[:, i]), float(np.exp(theta[i])))
        if (optimal := self.optimal_exponents) is not None:
            drawn_optimal = self._optimal(draws)
            assert drawn_optimal is not None
            intervals["optimal_exponents"] = {
                name: self._interval(drawn_optimal[name], estimate) for name, estimate in optimal.items()
            }
        if law.formula is not None:
            values = values_of(form, draws)
            intervals["constants"] = {
                name: self._interval(values[:, i], value)
                for i, (name, value) in enumerate(law.constants.items())
            }
        return intervals

    def summary(self) -> dict[str, Any]:
        """The fit as plain values, without its draws: what `gemstones fit --json` prints."""
        return fit_summary(self)

    def loss(self, columns: FloatArray | None = None, /, **named: Column) -> FloatArray:
        """Predicted loss; see `Law.loss`.

        >>> fit("gemstones").loss(N="1B", T="100B")  # doctest: +SKIP
        """
        return self.law.loss(columns, **named)

    def predict(self, at: Any = None, /, **named: Column) -> PredictedLosses:
        """Predicted loss at columns by name, with its interval of a new run and the narrower one of the fit.

        Columns are numbers, quantities like "7B" or arrays that broadcast; instead of names, `at` may be a frame, a
        list of dicts or a `RunTable` that has them, under their symbols or names (`N` or `params_total`). Losses are in
        `law.loss_unit`. Raises `InvalidRequest` for columns that are missing, unknown or not positive.

        >>> from gemstones.laws.published import published
        >>> made = published("gemstones-refit").predict(w=2048, d=24, N="1.5B", T=["30B", "300B"])
        >>> made.to_frame()["high"].to_list()
        [2.791, 2.560]
        """
        return predict_at(self, named if at is None else points_of(self.law, at) | named)

    @property
    def residuals(self) -> FloatArray:
        """log(measured) − log(predicted loss) of every fitted row, (rows,): 0.01 is a loss 1% above the law.

        Raises `InvalidRequest` for a fit that was read from a file, or changed: it has no rows, `residuals_of` has.

        >>> from gemstones.laws.fitting import fit
        >>> float(abs(fit("pebbles", "N,T").residuals).max())
        0.079
        """
        table = self.__dict__.get("_table")
        if table is None:
            raise InvalidRequest(
                "this fit was read from a file, or changed, and has no rows: give them, fit.residuals_of(runs)"
            )
        return self.residuals_of(table)

    def residuals_of(self, runs: Runs) -> FloatArray:
        """log(measured) − log(predicted loss) of every row of `runs`, (rows,); runs are what `gemstones.fit` takes.

        Raises `InvalidTable` where a column of the law is missing.

        >>> from gemstones.laws.published import published
        >>> published("gemstones-refit").residuals_of("pebbles").shape  # of a law of another suite
        (390,)
        """
        table = selected_runs(runs)
        return np.log(table.numbers("loss")) - np.log(self.law.losses(table))

    def of_table(self, table: RunTable) -> Fit:
        """The fit, holding the rows that it was fitted to, for `residuals`. They are not part of its value or file."""
        self.__dict__["_table"] = table
        return self

    def new_run_interval(self, ends: Interval | None, loss: float, decades: float | None) -> Interval | None:
        """The interval of a new run, `decades` of FLOPs beyond the fitted runs (None: unknown), from `ends` of the fit.

        None without backtests, or without `ends`.
        """
        if ends is None or not self.new_run_error:
            return None
        return widened(ends, loss, float(error_at(self.new_run_error, decades)))

    def optimum(self, *of: str, **at: float | str) -> Optimum:
        """The columns `of` at the least predicted loss, the others held `at` values, with intervals from the draws.

        >>> fit("sweep.csv", "step-law", bootstrap=200).optimum("lr", "batch", N="1B", T="100B")  # doctest: +SKIP
        """
        law, symbols, given = held(self.law, of, at)
        theta = np.vstack([law.theta, self.draws_of(at)])
        found = np.exp(best_columns(law.parsed_form, theta, symbols, given))
        if not np.isfinite(found[0]).all():
            raise InvalidRequest(
                f"law {law.form} has no least loss over {' and '.join(symbols)} there: it falls or rises throughout"
            )
        usable = found[1:][np.isfinite(found[1:]).all(1)]
        ends = {s: self._interval(usable[:, i], found[0, i]) for i, s in enumerate(symbols)}
        intervals = {s: x for s, x in ends.items() if x is not None} or None
        return Optimum(
            dict(zip(symbols, found[0].tolist(), strict=True)),
            intervals,
            given,
            1 - len(usable) / len(self.drawn) if self.drawn else 0.0,
        )

    def draws_of(self, named: Mapping[str, Any]) -> FloatArray:
        """θ of every draw, of the law of the groups' values in `named`."""
        groups = self.law.parsed_form.groups
        if not groups:
            return self.theta_draws
        return self.theta_draws[:, self.law.of_group(**{g: str(named[g]) for g in groups})[1]]

    def to_json(self) -> str:
        """The whole fit as JSON; `Fit.from_json` gives back an equal value."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1).decode()

    @classmethod
    def from_json(cls, text: str | bytes, name: str = "fit") -> Fit:
        """Read and validate what `to_json` wrote; `name` is the file, for the error."""
        try:
            fit = msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidRequest(
                f"{name} is not a fit written by `gemstones fit --output`: {error}"
            ) from None
        if (problem := next(problems(fit), None)) is not None:
            raise InvalidRequest(f"{name} is not a fit written by `gemstones fit --output`: {problem}")
        return fit

    def save(self, path: str | Path) -> None:
        """Write to `path`, whole or not at all."""
        write_text(Path(path), self.to_json() + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Fit:
        """Read a file that `save` wrote."""
        try:
            text = read_bytes(Path(path))
        except OSError as error:
            raise trouble(error, f"{path} cannot be read") from None
        return cls.from_json(text, str(path))

    def _interval(self, draws: FloatArray, estimate: float) -> Interval | None:
        return interval(draws, float(estimate), level=self.level)

    def _optimal(self, theta: FloatArray) -> dict[str, FloatArray] | None:
        powers = self.law.parsed_form.powers(theta)
        if powers is None or set(powers[0]) != {"N", "T"}:
            return None
        alpha, beta = (powers[1][:, powers[0].index(symbol)] for symbol in ("N", "T"))
        return {"params": beta / (alpha + beta), "tokens": alpha / (alpha + beta)}

    if not TYPE_CHECKING:  # type checkers know what there is

        def __getattr__(self, name: str) -> object:
            raise missing_attribute(name)

    def __repr__(self) -> str:
        return fit_lines(self)

    def _repr_html_(self) -> str:
        return fit_html(self)


def is_fit(content: bytes) -> bool:
    """Whether `Fit.save` wrote it, of whatever release."""
    try:
        return {"law", "objective_kind", "fingerprint"} <= {
            *msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        }
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
