"""How a throughput model is written: its rows and notes, in a notebook and in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gemstones.display import Card, Row, cautions, interval_text, labelled
from gemstones.laws.constants import HEADER
from gemstones.laws.interval import DEFAULT_LEVEL, NO_DRAWS, interval, interval_note
from gemstones.units import format_quantity

if TYPE_CHECKING:
    from gemstones.timing.step_time import StepTime


def step_time_rows(model: StepTime) -> list[Row]:
    """Coefficients and what they say of large models, with intervals, and the errors for shapes left out."""
    draws = np.array(model.draws)
    rows: list[Row] = [
        (
            f"seconds per unit of {feature}",
            f"{value:.4g}",
            interval_text(interval(draws[:, i], value) if len(draws) else None),
        )
        for i, (feature, value) in enumerate(zip(model.features, model.coefficients, strict=True))
    ]
    if model.peak_flops_per_second is not None:
        rows.append(
            (
                "matmul FLOPs/s of a device, wide shapes",
                format_quantity(model.peak_flops_per_second),
                interval_text(model.peak_interval, format_quantity),
            )
        )
    for name, error in (
        ("error for shapes left out, rms of log", model.held_out_error),
        ("largest of these errors", model.held_out_largest),
        ("error that intervals of hours include", model.new_shape_error),
    ):
        rows.append((name, "-" if error is None else f"{error:.1%}", "-"))
    return rows


def step_time_notes(model: StepTime) -> list[str]:
    """What it was fitted to, and how its intervals were made."""
    devices = ""
    if model.devices is not None:
        counts = sorted({*model.devices})
        devices = f" on {' to '.join(map(str, counts))} {'device' if counts == [1] else 'devices'}"
    return [
        f"{model.source}: {len(model.observations)} runs{devices}",
        interval_note(len(model.draws), "run", DEFAULT_LEVEL) if model.draws else NO_DRAWS,
    ]


def step_time_card(model: StepTime) -> Card:
    """All of it but the runs and the other features, for a terminal and for a notebook."""
    return Card(
        "Device seconds per token of training",
        HEADER,
        step_time_rows(model),
        [
            f"device seconds per token = {model}",
            *step_time_notes(model),
            *labelled(("caution", cautions(model.flags)), ("assumed", model.assumptions)),
        ],
    )


def step_time_short(model: StepTime) -> Card:
    """The coefficients, what they say of wide shapes, and what other features would predict."""
    source, intervals = step_time_notes(model)
    rows = [row for row in step_time_rows(model) if not row[1].endswith("%") and row[1] != "-"]
    notes = [intervals]
    best = next(iter(model.compared), None)
    if best is not None and set(best.features) != set(model.features):
        said = f"least error of {len(model.compared)} sets of features: {', '.join(best.features)}, {best.rms:.1%}"
        notes.append(said)
    notes += labelled(("assumed", model.assumptions))
    return Card(f"{source}; device seconds per token of training = {model}", HEADER, rows, notes)


def step_time_trust(model: StepTime) -> str:
    """How far it is off for shapes that it was not fitted to."""
    if model.held_out_error is None or model.held_out_largest is None:
        return "too few shapes to leave one out"
    within = (
        ""
        if model.new_shape_error is None
        else f"; intervals of device hours include {model.new_shape_error:.1%}"
    )
    return (
        f"shapes left out of the fit are off by {model.held_out_error:.1%} (rms of log), "
        f"{model.held_out_largest:.1%} at most{within}"
    )
