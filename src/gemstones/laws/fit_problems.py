"""What in a fit read from a file cannot have been written by `Fit.save`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from gemstones.errors import InvalidRequest, InvalidShape
from gemstones.laws.interval import check_level
from gemstones.laws.law import law_problem

if TYPE_CHECKING:
    from gemstones.laws.fit import Fit

MOST, MOST_LOG = 500.0, 1e5
"""Bounds on exponents and E, and on log coefficients, that no fit comes near."""


def problems(fit: Fit) -> Iterator[str]:
    """All that is wrong; each check relies on those before."""
    law = fit.law
    if (problem := law_problem(law)) is not None:
        yield problem
    if any(len(draw) != len(law.theta) for draw in fit.drawn) or bool(fit.drawn) != (
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
