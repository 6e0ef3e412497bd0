"""The throughput model with which a command counts device hours: the shipped one, a file, or runs to fit it to."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from gemstones.timing.step_time import STEP_TIME, StepTime, gemstones_step_time

Throughput = Annotated[
    str | None,
    Parameter(
        help="Step times that device hours are from: a file of `gemstones throughput --output`, or runs to fit "
        f"(default: {STEP_TIME}, MI250X).",
        show_default=False,
    ),
]


def step_time_of(name: str | None) -> StepTime | None:
    """The model that `name` says; None where nothing was said."""
    if name is None or name == STEP_TIME:
        return None if name is None else gemstones_step_time()
    if name.endswith(".json"):
        return StepTime.load(name)
    from gemstones.runs import load
    from gemstones.timing.fit_step_time import fit_step_time

    return fit_step_time(load(name).select())
