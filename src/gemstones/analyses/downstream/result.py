"""What `downstream` found: the law of a task, how well it predicts, and what it predicts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from gemstones.analyses.downstream.drawn import Line
from gemstones.analyses.downstream.forms import Name
from gemstones.analyses.downstream.shown import downstream_card
from gemstones.analyses.downstream.trials import Candidate
from gemstones.laws.fit import Fit
from gemstones.laws.interval import DEFAULT_LEVEL
from gemstones.runs.loss_units import LossUnit
from gemstones.units import Interval

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class TaskPrediction:
    """The predicted accuracy of one model."""

    at: dict[str, float | str]
    """What was asked for; of a budget also the shape, or N, and the tokens that the loss law would train."""
    loss: float | None
    """Predicted by the loss law, or given; None of a form in a single step."""
    accuracy: float
    interval: Interval | None
    """Of a new run's accuracy: with the spread of both steps, and the error that backtests showed."""
    interval_of_fit: Interval | None
    """The narrower one of both steps' draws, if their forms are right."""
    decades_beyond: float | None
    """log10 of its FLOPs over the nearest end of the fitted range, 0 within; None where FLOPs are not known."""

    @property
    def error(self) -> float:
        """1 − accuracy."""
        return 1 - self.accuracy

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        flipped = None if self.interval is None else (1 - self.interval[1], 1 - self.interval[0])
        return {**vars(self), "error": self.error, "error_interval": flipped}


@dataclass(frozen=True, eq=False, repr=False)
class Downstream:
    """The law of one task's accuracy, a share of 1, with intervals by run; what `downstream` returns.

    >>> from gemstones.analyses.downstream.downstream import downstream
    >>> downstream("gemstones-benchmarks", "hellaswag").constants  # doctest: +SKIP
    """

    dataset: str
    selection: str
    rows: int
    runs: int
    task: str
    tasks: tuple[str, ...]
    """Of which the accuracy is the mean."""
    chance: float | None
    """Accuracy of guessing, below which no form predicts; None where it is not known."""
    loss_column: str
    loss_unit: LossUnit
    form: Name
    constants: dict[str, float]
    intervals: dict[str, Interval] | None
    """Of the constants, by resampled runs; None without."""
    objective: float
    """Sum of squares of predicted less measured accuracy over the rows."""
    signal: float | None
    """Spread (standard deviation) of the accuracies beyond noise."""
    noise: float | None
    noise_is: str
    stated_error: float | None
    """Root mean square of the standard errors that the table states, over questions."""
    candidates: tuple[Candidate, ...]
    """Every form that was tried, the best first."""
    baselines: tuple[Candidate, ...]
    """Chance, the mean, the last value, on the same rows."""
    reason: str
    """Why this form."""
    cut: float | None
    """FLOPs (tokens, where these are not known) above which rows were held back."""
    loss_law: str | None
    """The form of the loss law of the first step."""
    loss_fit: Fit | None = None
    """It, where it was needed for predictions."""
    predictions: tuple[TaskPrediction, ...] = ()
    level: float = DEFAULT_LEVEL
    seed: int = 0
    asked: int = 0
    """Resamples that were asked for."""
    new_run_error: tuple[float | None, float | None] = (None, None)
    """Quantile, at the level, of |predicted − measured| of runs left out, and beyond the cut."""
    line: Line | None = field(default=None, compare=False)
    """The law over the fitted losses, of a form that takes a loss."""
    checkpoints: pl.DataFrame | None = field(default=None, compare=False)
    """Loss, accuracy (shares of 1) and predictions of every fitted row, held out ones too; see `checkpoints_of`."""
    flags: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        """The task, or of how many the mean is meant."""
        return f"the mean of {len(self.tasks)} tasks" if len(self.tasks) > 1 else self.task

    @property
    def chosen(self) -> Candidate:
        """The form that is fitted, with its errors."""
        return next(c for c in self.candidates if c.form == self.form)

    @property
    def error_beyond(self) -> float | None:
        """In accuracy, root mean square over the fifth of the rows with the most FLOPs, by a fit to the others.

        Each run counts once. A form that takes the loss is given the one that a loss law fitted to the same rows
        predicts."""
        return self.chosen.error_beyond

    @property
    def error_left_out(self) -> float | None:
        """The same of runs that were left out in turn."""
        return self.chosen.error_left_out

    @property
    def root_mean_square(self) -> float:
        """Of predicted less measured accuracy over the fitted rows."""
        return float((self.objective / self.rows) ** 0.5)

    def summary(self) -> dict[str, Any]:
        """Plain values: what `gemstones downstream --json` prints."""
        return {
            "dataset": self.dataset,
            "selection": self.selection,
            "rows": self.rows,
            "runs": self.runs,
            "task": self.task,
            "tasks": list(self.tasks),
            "chance": self.chance,
            "loss": self.loss_column,
            "loss_unit": self.loss_unit,
            "chosen": self.form,
            "reason": self.reason,
            "constants": self.constants,
            "intervals": None if self.intervals is None else {k: list(v) for k, v in self.intervals.items()},
            "objective": self.objective,
            "root_mean_square": self.root_mean_square,
            "error_beyond": self.error_beyond,
            "error_left_out": self.error_left_out,
            "error_beyond_given_loss": self.chosen.error_beyond_given_loss,
            "error_left_out_given_loss": self.chosen.error_left_out_given_loss,
            "candidates": [asdict(c) for c in self.candidates],
            "baselines": [
                {"name": c.form, "error_beyond": c.error_beyond, "error_left_out": c.error_left_out}
                for c in self.baselines
            ],
            "cut": self.cut,
            "signal": self.signal,
            "noise": self.noise,
            "noise_is": self.noise_is,
            "stated_error": self.stated_error,
            "loss_law": self.loss_law,
            "loss_constants": None if self.loss_fit is None else self.loss_fit.constants,
            "predictions": [one.summary() for one in self.predictions],
            "new_run_error": {"left_out": self.new_run_error[0], "beyond": self.new_run_error[1]},
            "level": self.level if self.intervals else None,
            "resampling": {"unit": "run", "draws": self.asked, "seed": self.seed} if self.intervals else None,
            "flags": list(self.flags),
            "assumptions": list(self.assumptions),
        }

    def __repr__(self) -> str:
        return downstream_card(self).text()

    def _repr_html_(self) -> str:
        return downstream_card(self).html()
