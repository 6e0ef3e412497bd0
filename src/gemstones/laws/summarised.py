"""A fit as plain values, without its draws: what `gemstones fit --json` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from gemstones.laws.fit import Fit


def fit_summary(fit: Fit) -> dict[str, Any]:
    """Plain values: numbers, texts, lists and dicts of them, None where there is none."""
    law = fit.law
    powers = law.parsed_form.powers(law.theta)
    return {
        "law": law.form,
        "dataset": fit.dataset,
        "selection": fit.selection,
        "rows": fit.rows,
        "runs": fit.runs,
        "params_convention": law.params_convention,
        "flops_learned": None if law.flops is None else law.flops.convention,
        "objective_kind": fit.objective_kind,
        "delta": fit.delta if fit.objective_kind == "huber" else None,
        "above": fit.above,
        "weights": fit.weights or None,
        "best_of": list(fit.best_of) or None,
        "objective": fit.objective,
        "exponents": None if powers is None else dict(zip(powers[0], powers[1].tolist(), strict=True)),
        "log_coefficients": None if powers is None else dict(zip(powers[0], powers[2].tolist(), strict=True)),
        "log_irreducible": law.log_irreducible_loss,
        "irreducible_loss": law.irreducible_loss,
        "loss_unit": law.loss_unit,
        "outer_exponent": law.parsed_form.outer_exponent(law.theta),
        **({} if law.formula is None else {"constants": law.constants}),
        "optimal_exponents": fit.optimal_exponents,
        "intervals": fit.intervals,
        "new_run_error": [msgspec.structs.asdict(one) for one in fit.new_run_error] or None,
        "level": fit.level if fit.has_intervals else None,
        "resampling": None
        if fit.resampling is None
        else {"unit": fit.resampling.unit, "draws": len(fit.drawn), "seed": fit.resampling.seed},
        "status": fit.status,
        "stationarity": fit.stationarity,
        "conditioning": fit.conditioning,
        "flags": list(fit.flags),
        "assumptions": list(fit.assumptions),
        "fingerprint": fit.fingerprint,
        **({} if fit.chosen is None else {"chosen": fit.chosen.summary()}),
    }
