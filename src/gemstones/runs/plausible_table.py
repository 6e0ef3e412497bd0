"""A table's columns held against `plausibility.py`, and what is found as one line with the `--columns` that mend it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gemstones.accounting.parameters import params
from gemstones.lazy import pl
from gemstones.runs.architecture import Architecture
from gemstones.runs.known_names import KNOWN, names_of
from gemstones.runs.loss_names import loss_kind
from gemstones.runs.mapping import option, quoted, scaled
from gemstones.runs.missing import STEP_TOKENS
from gemstones.runs.one_line import one_line
from gemstones.runs.plausibility import UNIT_WORDS, Columns, TooHigh, counts_steps, too_high, units
from gemstones.shape import FloatArray

if TYPE_CHECKING:
    from gemstones.runs.guessing import Guessed
    from gemstones.runs.loss_units import LossUnit
    from gemstones.runs.mapping import Mapped
    from gemstones.runs.reading import Request

SIZES = ("params_total", "params_no_embedding", "params_non_embedding")


def implausible(
    frame: pl.DataFrame,
    mapped: Mapped,
    guessed: Guessed,
    architecture: Architecture,
    unit: LossUnit,
    request: Request,
) -> str | None:
    """Why columns are in another unit than their own, with the remedy; None where they can be in it."""
    size = next((name for name in SIZES if frame[name].null_count() < frame.height), None)
    columns = _columns(frame, size, architecture, unit)
    if (steps := _steps(frame, columns, mapped, request)) is not None:
        return steps
    if (found := _perplexity(columns, mapped)) is not None:
        expression = mapped.expressions.get("loss", "loss")
        remedy = _remedy({"loss": f"ln({expression})"}, request)
        bits = ", --loss-unit bits takes it for bits" if found.may_be_bits else ""
        return f"column loss: {found.reason}: {remedy} takes the logarithm of a perplexity{bits}"
    names = {"params": size or "params_total", "tokens": "tokens", "flops": _flops_name(frame)}
    hints = {short: guessed.units[name] for short, name in names.items() if name in guessed.units}
    with np.errstate(all="ignore"):
        finding = units(columns, hints)
    if finding is None:
        return None
    if not finding.factors:
        return f"{finding.reason}: no unit of a column mends that: look at {', '.join(names.values())}"
    changed = {
        names[short]: scaled(mapped.expressions.get(names[short], quoted(names[short])), factor)
        for short, factor in finding.factors.items()
    }
    words = ", ".join(
        f"{names[short]} in {UNIT_WORDS.get(factor, f'{factor:g}')}"
        for short, factor in finding.factors.items()
    )
    return f"{finding.reason}: {_remedy(changed, request)} reads {words}"


def _remedy(changed: Mapping[str, str], request: Request) -> str:
    """The caller's mappings with what was changed in them: to be written instead."""
    return option({**request.columns, **changed})


def _flops_name(frame: pl.DataFrame) -> str:
    return "flops" if frame["flops"].null_count() < frame.height else "flops_per_token"


def _columns(frame: pl.DataFrame, size: str | None, architecture: Architecture, unit: LossUnit) -> Columns:
    def floats(name: str) -> FloatArray | None:
        series = frame[name].cast(pl.Float64)
        return None if series.null_count() == frame.height else series.fill_null(float("nan")).to_numpy()

    tokens, loss = floats("tokens"), floats("loss")
    assert tokens is not None
    assert loss is not None
    flops, per_token = floats("flops"), floats("flops_per_token")
    shaped = floats("width") is not None and floats("depth") is not None
    vocabulary = architecture.vocabulary
    return Columns(
        tokens=tokens,
        loss=loss,
        params=None if size is None else floats(size),
        flops=flops if flops is not None or per_token is None else per_token * tokens,
        closed_form=params(architecture.shapes(frame), "total")
        if shaped and size == "params_total"
        else None,
        run=frame["run"].rank("dense").cast(pl.Float64).to_numpy(),
        loss_unit=unit,
        vocabulary=None if vocabulary is None else float(vocabulary),
    )


def _perplexity(columns: Columns, mapped: Mapped) -> TooHigh | None:
    expression = mapped.expressions.get("loss", "")
    if "loss" not in mapped.computed and loss_kind(expression) == "perplexity":
        return TooHigh(f"{one_line(expression, 60)} is a perplexity", may_be_bits=False)
    return too_high(columns)


def _steps(frame: pl.DataFrame, columns: Columns, mapped: Mapped, request: Request) -> str | None:
    """Why `tokens` are steps, and how many tokens a step may be."""
    if "tokens" in mapped.computed:
        return None
    named = [name for name in names_of(frame.columns, KNOWN["step"]) if frame[name].dtype.is_numeric()]
    steps = {name: frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in named}
    assert columns.run is not None
    if not counts_steps(columns.tokens, columns.run, list(steps.values())):
        return None
    expression = mapped.expressions.get("tokens", "tokens")
    per_step, known = STEP_TOKENS, False
    own = next(
        (name for name in ("source_tokens", "tokens") if name in frame.columns and name != expression), None
    )
    if own is not None and "tokens" in mapped.expressions and frame[own].dtype.is_numeric():
        ratio = frame[own].cast(pl.Float64).to_numpy() / columns.tokens
        if np.isfinite(ratio).all() and np.ptp(ratio) < 1e-6 * ratio[0] and ratio[0] > 1:
            per_step, known = round(float(ratio[0])), True
    remedy = _remedy({"tokens": scaled_exactly(expression, per_step)}, request)
    written = one_line(expression, 60)
    counts = f"column tokens: {written} counts steps, not tokens: {remedy}"
    if known:
        return f"{counts} makes tokens of them, or leave tokens={written} out: the file has them itself"
    return f"{counts}, if a step is {per_step:,} tokens"


def scaled_exactly(expression: str, factor: int) -> str:
    """`expression` times a whole number, every digit of it.

    >>> scaled_exactly("_step", 524288)
    '_step*524288'
    """
    return scaled(expression, 1.0).removesuffix("1") + str(factor)
