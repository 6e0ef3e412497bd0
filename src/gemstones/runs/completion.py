"""Columns that follow from others, filled in where they are missing; what is given is never changed.

- params_no_embedding = params_total − V·w and params_non_embedding = params_total − 2·V·w (paper §3.2), from
  whichever is known, else from the closed form of the shape.
- flops_per_token: of the shape by Appendix G, else 6·N of the largest N that is known; flops = that x tokens.
- device_hours = seconds_per_step · step · devices / 3600.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gemstones.accounting.device_hours import device_hours
from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import params, params_by_group
from gemstones.lazy import pl
from gemstones.runs.architecture import Architecture
from gemstones.runs.cells import RowNumbers, cell_error
from gemstones.shape import FloatArray, Shapes

PARAMS_COLUMNS = ("params_total", "params_no_embedding", "params_non_embedding")
"""In the order of the V·w that each leaves out."""


@dataclass(frozen=True, eq=False)
class Completed:
    """A completed frame, with what was assumed and whose FLOPs it holds."""

    frame: pl.DataFrame
    assumptions: tuple[str, ...]
    flops_convention: str


def complete(
    frame: pl.DataFrame, architecture: Architecture, file: str, rows: RowNumbers | None = None
) -> Completed:
    """`frame` (all schema columns, numbers as Float64) with every number that the others determine."""
    known = {
        name: frame[name].fill_null(float("nan")).to_numpy()
        for name, dtype in frame.schema.items()
        if dtype == pl.Float64
    }
    shapes = architecture.shapes(frame)

    sizes, params_assumed = _complete_params(known, shapes, file, rows)
    flops, convention, flops_assumed = _complete_flops({**known, **sizes}, shapes)
    hours = _coalesce(
        known["device_hours"], device_hours(known["seconds_per_step"], known["step"], known["devices"])
    )
    completed = {**sizes, **flops, "device_hours": hours}
    assumptions = list(
        architecture.assumed_beside(frame).assumptions(params=params_assumed, flops=flops_assumed)
    )
    if "mlp_expansion" in architecture.open_fields(frame) and (params_assumed or flops_assumed):
        assumptions.append(
            "gated MLPs and an untied head assumed (give params_total and flops where they differ)"
        )
    rule_of_thumb = [part for part in convention.split("+") if part.startswith("6N_")]
    if rule_of_thumb:
        columns = " or ".join(part.replace("6N_", "params_") for part in rule_of_thumb)
        assumptions.append(
            f"FLOPs per token taken as 6 x {columns}, for want of width and depth (give flops to set them)"
        )
    series = [pl.Series(name, values, dtype=pl.Float64).fill_nan(None) for name, values in completed.items()]
    return Completed(frame.with_columns(series), tuple(assumptions), convention)


def _complete_params(
    known: dict[str, FloatArray], shapes: Shapes, file: str, rows: RowNumbers | None
) -> tuple[dict[str, FloatArray], bool]:
    embedding = params_by_group(shapes)["embedding"] * np.where(np.isnan(shapes.depth), np.nan, 1.0)
    total = known["params_total"]
    for left_out, name in enumerate(PARAMS_COLUMNS):
        total = _coalesce(total, known[name] + left_out * embedding)
    total = _coalesce(total, params(shapes, "total"))
    sizes = {
        name: _coalesce(known[name], total - left_out * embedding)
        for left_out, name in enumerate(PARAMS_COLUMNS)
    }
    for name, values in sizes.items():
        wrong = np.flatnonzero(values <= 0)
        vocabulary = np.broadcast_to(shapes.vocabulary, values.shape)
        if wrong.size:
            problem = (
                f"{values[wrong[0]]:.0f} is not positive: {total[wrong[0]]:.0f} parameters in all are fewer "
                f"than the embeddings of width {shapes.width[wrong[0]]:.0f}, vocabulary {vocabulary[wrong[0]]:.0f}"
                ": set --vocabulary, or give this column"
            )
            raise cell_error(problem, file, int(wrong[0]), rows, name)
    return sizes, any(bool(np.any(np.isnan(known[name]) & ~np.isnan(sizes[name]))) for name in PARAMS_COLUMNS)


def _complete_flops(known: dict[str, FloatArray], shapes: Shapes) -> tuple[dict[str, FloatArray], str, bool]:
    candidates = {
        "given": _coalesce(known["flops_per_token"], known["flops"] / known["tokens"]),
        "gemstones": flops_per_token(shapes, "gemstones"),
        **{name.replace("params_", "6N_"): 6.0 * known[name] for name in PARAMS_COLUMNS},
    }
    per_token = np.full_like(known["tokens"], np.nan)
    used = []
    for convention, values in candidates.items():
        if bool(np.any(np.isnan(per_token) & ~np.isnan(values))):
            used.append(convention)
        per_token = _coalesce(per_token, values)
    flops = {"flops_per_token": per_token, "flops": _coalesce(known["flops"], per_token * known["tokens"])}
    return flops, "+".join(used), "gemstones" in used


def _coalesce(first: FloatArray, second: FloatArray) -> FloatArray:
    return np.where(np.isnan(first), second, first)
