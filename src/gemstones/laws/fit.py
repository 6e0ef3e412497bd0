"""What a fit is: a law with the evidence for it, the intervals of whatever follows from it, and its file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from gemstones.errors import InvalidRequest, InvalidShape
from gemstones.files import read_bytes, trouble, write_text
from gemstones.laws.chosen import Choice
from gemstones.laws.interval import DEFAULT_LEVEL, check_level, enough, interval, interval_note
from gemstones.laws.law import Interval, Law, law_problem
from gemstones.laws.new_run import (
    NewRunError,
    decades_beyond,
    error_at,
    law_flops,
    widened,
)
from gemstones.laws.optimum import Optimum, best_columns, held
from gemstones.laws.shown import fit_html, fit_lines
from gemstones.laws.solver.objective import ObjectiveKind
from gemstones.laws.solver.resample import Unit
from gemstones.runs.loss_units import LossUnit
from gemstones.shape import FloatArray

if TYPE_CHECKING:
    from gemstones.planning.plan import Plan

MOST, MOST_LOG = 500.0, 1e5
"""Bounds on exponents and E, and on log coefficients, that no fit comes near."""

Status = Literal["converged", "not_converged"]


class Resampling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the draws were made."""

    unit: Unit
    seed: int


@dataclass(frozen=True, eq=False)
class Predicted:
    """Predicted losses."""

    loss: FloatArray
    """(…), in `loss_unit`."""
    interval: FloatArray | None
    """(…, 2), of a new run: it includes the form's error (`Fit.new_run_error`). None without backtests or draws."""
    loss_unit: LossUnit
    interval_of_fit: FloatArray | None = None
    """(…, 2), of the fit, if its form is right: narrower. None without draws."""


class Fit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A law with the evidence for it: objective, data, diagnostics and bootstrap draws."""

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
    draws: tuple[tuple[float, ...], ...] = ()
    """θ of every resample, in the order of `Law.theta`."""
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
    def theta_draws(self) -> FloatArray:
        """(draws, m); empty without resampling."""
        return np.array(self.draws).reshape(len(self.draws), len(self.law.theta))

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
        return interval_note(len(self.draws), self.resampling.unit if self.resampling else "run", self.level)

    @property
    def has_intervals(self) -> bool:
        """Whether there are draws, and enough of them for the level."""
        return enough(len(self.draws), self.level)

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
            natural = np.array([entry.parameter.positive for entry in form.entries])
            with np.errstate(over="ignore"):
                values = np.where(natural, np.exp(draws), draws)
            intervals["constants"] = {
                name: self._interval(values[:, i], value)
                for i, (name, value) in enumerate(law.constants.items())
            }
        return intervals

    def summary(self) -> dict[str, Any]:
        """The fit as plain values, without its draws: what `gemstones fit --json` prints."""
        law = self.law
        powers = law.parsed_form.powers(law.theta)
        return {
            "law": law.form,
            "dataset": self.dataset,
            "selection": self.selection,
            "rows": self.rows,
            "runs": self.runs,
            "params_convention": law.params_convention,
            "flops_learned": None if law.flops is None else law.flops.convention,
            "objective_kind": self.objective_kind,
            "delta": self.delta if self.objective_kind == "huber" else None,
            "above": self.above,
            "weights": self.weights or None,
            "best_of": list(self.best_of) or None,
            "objective": self.objective,
            "exponents": None if powers is None else dict(zip(powers[0], powers[1].tolist(), strict=True)),
            "log_coefficients": None
            if powers is None
            else dict(zip(powers[0], powers[2].tolist(), strict=True)),
            "log_irreducible": law.log_irreducible_loss,
            "irreducible_loss": law.irreducible_loss,
            "loss_unit": law.loss_unit,
            "outer_exponent": law.parsed_form.outer_exponent(law.theta),
            **({} if law.formula is None else {"constants": law.constants}),
            "optimal_exponents": self.optimal_exponents,
            "intervals": self.intervals,
            "new_run_error": [msgspec.structs.asdict(one) for one in self.new_run_error] or None,
            "level": self.level if self.has_intervals else None,
            "resampling": None
            if self.resampling is None
            else {"unit": self.resampling.unit, "draws": len(self.draws), "seed": self.resampling.seed},
            "status": self.status,
            "stationarity": self.stationarity,
            "conditioning": self.conditioning,
            "flags": list(self.flags),
            "assumptions": list(self.assumptions),
            "fingerprint": self.fingerprint,
            **({} if self.chosen is None else {"chosen": self.chosen.summary()}),
        }

    def loss(self, columns: FloatArray | None = None, /, **named: Any) -> FloatArray:
        """Predicted loss; see `Law.loss`.

        >>> fit("gemstones").loss(N="1B", T="100B")  # doctest: +SKIP
        """
        return self.law.loss(columns, **named)

    def predict(self, **named: Any) -> Predicted:
        """Predicted loss at columns by name, with its interval of a new run and the narrower one of the fit."""
        law, values = self.law.with_columns(named)
        logs = [np.log(values[symbol]) for symbol in law.symbols]
        loss = np.exp(law.log_loss(logs))
        if not self.has_intervals:
            return Predicted(loss, None, self.law.loss_unit)
        with np.errstate(over="ignore"):
            drawn = np.exp(law.log_loss(logs, self._draws_of(named)))
        pairs = zip(drawn.reshape(len(drawn), -1).T, loss.ravel(), strict=True)
        flat = [interval(d, float(x), level=self.level) or (np.nan, np.nan) for d, x in pairs]
        of_fit = np.array(flat).reshape(*loss.shape, 2)
        if not self.new_run_error:
            return Predicted(loss, None, self.law.loss_unit, of_fit)
        errors = error_at(self.new_run_error, decades_beyond(law, law_flops(law, values)))
        errors = np.broadcast_to(errors, loss.shape).ravel()
        wide = [
            widened(ends, float(x), float(e)) for ends, x, e in zip(flat, loss.ravel(), errors, strict=True)
        ]
        return Predicted(loss, np.array(wide).reshape(*loss.shape, 2), self.law.loss_unit, of_fit)

    def new_run_interval(self, ends: Interval | None, loss: float, decades: float | None) -> Interval | None:
        """The interval of a new run, `decades` of FLOPs beyond the fitted runs (None: unknown), from `ends` of the fit.

        None without backtests, or without `ends`.
        """
        if ends is None or not self.new_run_error:
            return None
        return widened(ends, loss, float(error_at(self.new_run_error, decades)))

    def optimum(self, *of: str, **at: Any) -> Optimum:
        """The columns `of` at the least predicted loss, the others held `at` values, with intervals from the draws.

        >>> fit("sweep.csv", "step-law", bootstrap=200).optimum("lr", "batch", N="1B", T="100B")  # doctest: +SKIP
        """
        law, symbols, given = held(self.law, of, at)
        theta = np.vstack([law.theta, self._draws_of(at)])
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
            1 - len(usable) / len(self.draws) if self.draws else 0.0,
        )

    def _draws_of(self, named: Mapping[str, Any]) -> FloatArray:
        """θ of every draw, of the law of the groups' values in `named`."""
        groups = self.law.parsed_form.groups
        if not groups:
            return self.theta_draws
        return self.theta_draws[:, self.law.of_group(**{g: str(named[g]) for g in groups})[1]]

    def plan(self, budget: float | str, **options: Any) -> Plan:
        """What to train for `budget` FLOPs under this fit, with intervals; see `gemstones.planning.plan.plan`."""
        from gemstones.planning.plan import plan

        return plan(budget, self, **options)

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
        if (problem := next(_inconsistencies(fit), None)) is not None:
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


def _inconsistencies(fit: Fit) -> Iterator[str]:
    """What in a fit read from a file cannot have been written by `Fit.save`; each check relies on those before."""
    law = fit.law
    if (problem := law_problem(law)) is not None:
        yield problem
    if any(len(draw) != len(law.theta) for draw in fit.draws) or bool(fit.draws) != (
        fit.resampling is not None
    ):
        yield "draws do not match the law"
    if not (np.isfinite(law.theta).all() and np.isfinite(fit.theta_draws).all()):
        yield "constants are not finite"
    for entry, value in zip(law.parsed_form.entries, law.theta, strict=True):
        if abs(value) > (MOST_LOG if entry.kind == "coefficient" else MOST):
            yield "constants are out of all bounds"
    if law.flops is not None and (problem := law.flops.problem) is not None:
        yield problem
    errors = [(one.decades, one.error) for one in fit.new_run_error]
    if any(not (0 <= d < np.inf and 0 <= e < np.inf) for d, e in errors) or errors != sorted(errors):
        yield "new_run_error is not of ascending distances and errors"
    for span in msgspec.structs.astuple(law.fitted):
        if span is not None and not 0 < span[0] <= span[1]:
            yield f"fitted range {list(span)} is not a range of positive numbers"
    try:
        check_level(fit.level)
        law.models.template()
    except (InvalidRequest, InvalidShape) as error:
        yield str(error)
