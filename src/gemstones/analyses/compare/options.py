"""The options of `compare`, which `compare_by` hands on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from gemstones.accounting.parameters import ParamsConvention
from gemstones.laws.parallel import Workers
from gemstones.seeds import Seed


class CompareOptions(TypedDict, total=False):
    """See `gemstones.analyses.compare.compare.compare`."""

    budgets: Sequence[float | str] | float | str
    at: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    law: str | None
    params: ParamsConvention
    delta: float
    bootstrap: int
    seed: Seed
    level: float
    workers: Workers
    force: bool
