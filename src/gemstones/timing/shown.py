"""How a throughput model is written: its rows and notes, in a notebook and in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gemstones.display import Row, cautions, html_table, interval_text, labelled
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
            f"device seconds per token and unit of {feature}",
            f"{value:.4g}",
            interval_text(interval(draws[:, i], value) if len(draws) else None),
        )
        for i, (feature, value) in enumerate(zip(model.features, model.coefficients, strict=True))
    ]
    if model.peak_flops_per_second is not None:
        rows.append(
            (
                "matmul FLOPs per second of a device, as shapes widen",
                format_quantity(model.peak_flops_per_second),
                interval_text(model.peak_interval, format_quantity),
            )
        )
    for name, error in (
        ("error for shapes left out, rms of log", model.held_out_error),
        ("largest of these errors", model.held_out_largest),
        ("what intervals of device hours include of them", model.new_shape_error),
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


def step_time_html(model: StepTime) -> str:
    """A throughput model in a notebook."""
    return html_table(
        "Device seconds per token of training",
        HEADER,
        step_time_rows(model),
        (
            f"device seconds per token = {model}",
            *step_time_notes(model),
            *labelled(("caution", cautions(model.flags)), ("assumed", model.assumptions)),
        ),
    )
