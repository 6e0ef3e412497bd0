"""How the law of a task is said, in a terminal and in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gemstones.analyses.predict.shown import at_text
from gemstones.display import Card, Row, cautions, columns, interval_text, labelled
from gemstones.laws.interval import level_text

if TYPE_CHECKING:
    from gemstones.analyses.downstream.result import Downstream

EQUATIONS = {
    "gadre": "error = epsilon - k*exp(-gamma*L)",
    "bhagia": "accuracy = a/(1 + exp(-k*(L - L0))) + b",
    "direct(N,T)": "accuracy = c + (1 - c)*exp(-(A_N/N^a_N + A_T/T^a_T + E))",
    "direct(w,d,N,T)": "accuracy = c + (1 - c)*exp(-(A_w/w^a_w + A_d/d^a_d + A_N/N^a_N + A_T/T^a_T + E))",
}
SOURCES = {
    "gadre": "Gadre et al. 2024",
    "bhagia": "Bhagia et al. 2024",
    "direct(N,T)": "in a single step, c the accuracy of guessing",
    "direct(w,d,N,T)": "in a single step, c the accuracy of guessing",
}


def points(error: float | None) -> str:
    """An error of accuracy as a share of 1 in points of a hundred."""
    return "-" if error is None else f"{100 * error:.2f}"


def downstream_card(made: Downstream) -> Card:
    """All of it, for a terminal and for a notebook."""
    ends = made.intervals or {}
    header = ("constant", "estimate", f"{level_text(made.level)} interval" if ends else "interval")
    rows = [
        (name, f"{value:.5g}", interval_text(ends.get(name), "{:.5g}".format))
        for name, value in made.constants.items()
    ]
    return Card(downstream_heading(made), header, rows, downstream_notes(made))


def downstream_heading(made: Downstream) -> str:
    """What was fitted to which runs."""
    which = f"{made.dataset}, {made.selection}" if made.selection else made.dataset
    against = f" on {made.loss_column}" if made.form in ("gadre", "bhagia") else ""
    return (
        f"Law of {made.about}{against}, {which}: {EQUATIONS[made.form]} ({SOURCES[made.form]}), {made.rows:,} rows of "
        f"{made.runs:,} runs"
    )


TRIED_HEADER: Row = (
    "held out: error in points of accuracy", "constants", "top fifth of compute", "runs left out", "",
)  # fmt: skip


def tried_rows(made: Downstream) -> list[Row]:
    """Every form that was tried, and the baselines."""
    rows: list[Row] = []
    for one in made.candidates:
        beyond, left_out = points(one.error_beyond), points(one.error_left_out)
        if one.error_beyond_given_loss is not None:
            beyond += f" ({points(one.error_beyond_given_loss)} given the loss)"
        if one.error_left_out_given_loss is not None:
            left_out += f" ({points(one.error_left_out_given_loss)})"
        said = one.reason or ("fitted" if one.form == made.form else "as good" if one.near else "")
        rows.append((one.form, str(one.constants), beyond, left_out, said))
    rows += [(c.form, "-", points(c.error_beyond), points(c.error_left_out), "") for c in made.baselines]
    return rows


def predicted_header(made: Downstream) -> Row:
    """Of the table of predictions."""
    level = level_text(made.level)
    return ("at", "loss", "accuracy", f"{level} of a new run", f"{level} of the fit", "decades beyond")


def predicted_rows(made: Downstream) -> list[Row]:
    """A row for each point."""
    return [
        (
            at_text(one.at),
            "-" if one.loss is None else f"{one.loss:.4f}",
            f"{one.accuracy:.4f}",
            interval_text(one.interval, "{:.4f}".format),
            interval_text(one.interval_of_fit, "{:.4f}".format),
            "-" if one.decades_beyond is None else f"{one.decades_beyond:.1f}",
        )
        for one in made.predictions
    ]


def _intervals(made: Downstream) -> str:
    return (
        f"{level_text(made.level)} intervals from {made.asked} resamples by run"
        if made.intervals
        else "no intervals: no resamples were asked for"
        if not made.asked
        else f"no intervals: {made.runs} runs are too few to resample"
    )


def downstream_short(made: Downstream) -> Card:
    """What was asked for, or the constants, and how far the law was off for what was held out."""
    card = downstream_card(made)
    header, rows = card.header, card.rows
    if made.predictions:
        losses = any(one.loss is not None for one in made.predictions)
        header, rows = columns(
            (0, 1, 2, 3) if losses else (0, 2, 3), predicted_header(made), predicted_rows(made)
        )
    off = ", ".join(f"{one.form} {points(one.error_beyond)}" for one in made.baselines)
    notes = [made.reason, f"without a law, for the top fifth of compute: {off} points"]
    return Card(card.heading, header, rows, [*notes, *labelled(("assumed", made.assumptions))])


def downstream_trust(made: Downstream) -> str:
    """How intervals were made, and how far the points are from the runs."""
    beyond = [one.decades_beyond for one in made.predictions if one.decades_beyond is not None]
    if not beyond:
        return _intervals(made)
    far = max(beyond)
    where = f"up to {far:.1f} decades of FLOPs beyond the runs" if far > 0 else "within the FLOPs of the runs"
    return f"{where}; {_intervals(made)}"


def downstream_notes(made: Downstream) -> list[str]:
    """Why this form, how large the noise is, how intervals were made, flags and assumptions."""
    chance = (
        "chance is not known, so nothing bounds the law from below: give it with --chance"
        if made.chance is None
        else f"chance is {made.chance:.4f}: no form predicts less"
    )
    noise = f"noise: {made.noise_is}"
    if made.noise is not None and made.signal is not None:
        noise = (
            f"the accuracies spread by {points(made.signal)} points beyond noise; noise is {points(made.noise)} points "
            f"({made.noise_is})"
        )
    if made.stated_error is not None:
        noise += f"; the stated standard error, over questions, is {points(made.stated_error)} points"
    said = [
        made.reason,
        f"least squares of accuracy: the sum of squares is {made.objective:.8g}, {points(made.root_mean_square)} "
        "points a row",
        chance,
        noise,
        _intervals(made),
    ]
    if made.predictions and any(one.interval for one in made.predictions):
        within, beyond = (points(e) for e in made.new_run_error)
        said.append(
            f"the interval of a new run includes what held-out accuracies were off by, {within} points for runs left "
            f"out, {beyond} beyond the cut"
        )
    return [*said, *labelled(("caution", cautions(made.flags)), ("assumed", made.assumptions))]


TASKS_WORDS = (
    "Accuracy from loss in two steps, or from size and tokens in one, whichever predicts held-out runs better "
    "(docs/tasks.md).",
    "Errors are root mean squares of accuracy, a share of 1, every run counted once: of the fifth of the checkpoints "
    "with the most compute, and of runs left out.",
)
"""What the table of every task is."""


def task_sentence(made: Downstream) -> str:
    """What the first prediction is, and how far the law was off; else how far alone."""
    off = f"held out, {made.form} was off by {points(made.error_beyond)} points for the top fifth of compute"
    if not made.predictions:
        return f"{made.about}: {off}"
    one = made.predictions[0]
    ends = "no interval" if one.interval is None else f"{level_text(made.level)} interval of a new run"
    return (
        f"{made.about} at {at_text(one.at)}: accuracy {one.accuracy:.4f} "
        f"{interval_text(one.interval, '{:.4f}'.format)} ({ends}); {off}"
    )
