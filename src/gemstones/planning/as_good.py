"""What the forms that predict as well as the chosen one would train for the same budget.

Their spread belongs to the answer: resamples of runs know nothing of the form's error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gemstones.errors import UserError
from gemstones.laws.law import Law
from gemstones.units import Interval, format_quantity

if TYPE_CHECKING:
    from gemstones.planning.result import Plan


@dataclass(frozen=True)
class Form:
    """One of them, with its plan; the numbers are None where it has none for this budget."""

    law: str
    shape: str | None
    """None for a law that does not know shapes."""
    params: float | None
    """In the convention of the plan."""
    params_total: float | None
    tokens: float | None
    tokens_per_param: float | None
    loss: float | None
    reason: str | None = None
    """Why there is no plan."""

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return dict(vars(self))

    @property
    def sentence(self) -> str:
        """For people."""
        if self.params is None or self.tokens is None:
            return f"{self.law} has no plan ({self.reason})"
        shape = "" if self.shape is None else f"{self.shape}, "
        return f"{self.law} {shape}{format_quantity(self.params)} on {format_quantity(self.tokens)} tokens"


@dataclass(frozen=True)
class AsGood:
    """The other forms within one standard error of the best, and what all of them, the plan's own included, span."""

    tried: int
    """Candidates that backtests chose among."""
    reason: str
    """Why the plan's form was chosen."""
    forms: tuple[Form, ...]
    params: Interval
    params_total: Interval | None
    tokens: Interval
    tokens_per_param: Interval

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "tried": self.tried,
            "reason": self.reason,
            "forms": [form.summary() for form in self.forms],
            "params": list(self.params),
            "params_total": None if self.params_total is None else list(self.params_total),
            "tokens": list(self.tokens),
            "tokens_per_param": list(self.tokens_per_param),
        }

    @property
    def notes(self) -> list[str]:
        """For people."""
        said = [f"form chosen by backtests: {self.reason}"]
        if not self.forms:
            return [*said, f"none of the other {self.tried - 1} forms predicts as well"]
        low, high = (format_quantity(x) for x in self.params)
        least, most = (f"{x:.3g}" for x in self.tokens_per_param)
        return [
            *said,
            f"forms that predict as well would train: {'; '.join(form.sentence for form in self.forms)}",
            f"forms that predict as well, this one included: N {low} to {high}, T/N {least} to {most}",
        ]


def as_good(made: Plan, laws: Sequence[Law], tried: int, reason: str, plan: Callable[[Law], Plan]) -> AsGood:
    """Beside the plan `made`, those that `plan` gives of the other forms."""
    forms, plans = [], [made]
    for law in laws:
        try:
            other = plan(law)
        except UserError as error:
            forms.append(Form(law.form, None, None, None, None, None, None, error.said))
            continue
        plans.append(other)
        forms.append(
            Form(
                law.form,
                None if other.shape is None else str(other.shape),
                other.params,
                other.params_total,
                other.tokens,
                other.tokens_per_param,
                other.loss,
            )
        )
    totals = [p.params_total for p in plans if p.params_total is not None]
    return AsGood(
        tried,
        reason,
        tuple(forms),
        _span([p.params for p in plans]),
        _span(totals) if totals else None,
        _span([p.tokens for p in plans]),
        _span([p.tokens_per_param for p in plans]),
    )


def _span(values: Sequence[float]) -> Interval:
    return min(values), max(values)
