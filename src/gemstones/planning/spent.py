"""What a plan of a shape spends, in FLOPs and in device hours, on training and on inference; and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from gemstones.laws.law import Models
from gemstones.planning.cost import flops_name, forward_flops, training_flops
from gemstones.planning.request import Request
from gemstones.shape import Shape, Shapes
from gemstones.timing.step_time import StepTime


def spent(request: Request, shape: Shape, tokens: float) -> dict[str, Any]:
    """The fields of a `Plan` about resources."""
    cost, budget = request.cost, request.budget
    one = Shapes.of(shape.width, shape.depth, shape)
    inference_flops = cost.inference_tokens * float(forward_flops(one, cost.flops))
    flops = tokens * float(training_flops(one, cost.flops))
    if cost.resource == "flops":
        flops = budget - inference_flops
    found = {
        "flops_convention": flops_name(cost.flops),
        "flops": flops,
        "inference_flops": inference_flops,
    }
    if request.throughput is None:
        return found
    in_hours = replace(cost, step_time=request.throughput)
    inference_hours = float(in_hours.inference(one))
    hours = tokens * float(in_hours.per_token(one))
    if cost.resource == "device_hours":
        hours = budget - inference_hours
    return {
        **found,
        "device_hours": hours,
        "device_hours_interval": request.throughput.hours_interval(one, tokens, hours),
        "inference_device_hours": inference_hours,
        "throughput": request.throughput,
        "notes": tuple(_notes(request, request.throughput, shape)),
    }


def _notes(request: Request, model: StepTime, shape: Shape) -> Iterator[str]:
    measured = f"device hours from the step times of {model.source}"
    if model.held_out_error is None or model.held_out_largest is None:
        yield f"{measured}; how far they are off for other shapes is not known"
    else:
        yield (
            f"{measured}: {model.held_out_error:.0%} off (rms of log error), {model.held_out_largest:.0%} at most, for "
            "shapes left out of the fit" + (", which their interval includes" if model.draws else "")
        )
    beyond = [
        f"{name} {value / span[1]:.3g}x the largest"
        if value > span[1]
        else f"{name} {value / span[0]:.3g}x the least"
        for name, value, span in (("width", shape.width, model.widths), ("depth", shape.depth, model.depths))
        if span is not None and not span[0] <= value <= span[1]
    ]
    if beyond:
        yield f"beyond the shapes whose step times were measured: {', '.join(beyond)}"
    if Models.of(request.constraints.template) != model.models:
        yield f"step times were measured on other models: {model.models}"
    if request.cost.inference_tokens:
        yield "inference is taken at the rate of training, in FLOPs per second"
