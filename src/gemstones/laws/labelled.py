"""A fit's constants by name: as frames of estimates, intervals and draws, and as arviz takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gemstones.errors import InvalidRequest, extra
from gemstones.laws.form import Form
from gemstones.laws.interval import check_level, enough, interval, interval_note
from gemstones.lazy import pl
from gemstones.shape import FloatArray

if TYPE_CHECKING:
    from gemstones.laws.fit import Fit


_ELSEWHERE = {
    "coef_": "exponents",
    "coef": "exponents",
    "intercept_": "law.irreducible_loss",
    "params": "constants",
    "bse": "conf_int(level)",
    "pvalues": "conf_int(level)",
    "resid": "residuals",
    "resid_": "residuals",
    "fittedvalues": "predict(runs)",
    "score": "residuals",
    "rsquared": "residuals",
    "posterior": "draws",
    "samples": "draws",
    "bootstrap": "draws",
    "to_dict": "summary()",
    "to_dataframe": "to_frame()",
    "to_pandas": "to_frame().to_pandas()",
    "to_polars": "to_frame()",
    "params_": "constants",
    "theta": "law.theta",
    "fit": "law",
}
"""What other libraries call it → what it is called here."""


def missing_attribute(name: str) -> AttributeError:
    """That a fit has no such attribute, with what it is called here.

    >>> missing_attribute("coef_")
    AttributeError("a fit has no attribute 'coef_': see fit.exponents")
    """
    here = _ELSEWHERE.get(name)
    return AttributeError(f"a fit has no attribute {name!r}" + (f": see fit.{here}" if here else ""))


def values_of(form: Form, theta: FloatArray) -> FloatArray:
    """Constants as the formula has them, of θ (…, m): a coefficient and not its logarithm."""
    positive = np.array([entry.parameter.positive for entry in form.entries])
    with np.errstate(over="ignore"):
        return np.where(positive, np.exp(theta), theta)


def constants_of(fit: Fit) -> dict[str, float]:
    """Every constant by name."""
    form = fit.law.parsed_form
    values = values_of(form, fit.law.theta)
    return {entry.name: float(x) for entry, x in zip(form.entries, values, strict=True)}


def exponents_of(fit: Fit) -> dict[str, float]:
    """Exponents by column; `InvalidRequest` where the law is no sum of powers of one column each."""
    powers = fit.law.parsed_form.powers(fit.law.theta)
    if powers is None:
        raise InvalidRequest(
            f"law {fit.law.form} is no sum of powers of one column each, so columns have no exponents: "
            f"its constants are {', '.join(constants_of(fit))}, in `fit.constants`"
        )
    return dict(zip(powers[0], powers[1].tolist(), strict=True))


def draws_frame(fit: Fit) -> pl.DataFrame:
    """A row a draw, a column a constant."""
    form = fit.law.parsed_form
    values = values_of(form, fit.theta_draws)
    return pl.DataFrame({entry.name: values[:, i] for i, entry in enumerate(form.entries)})


def intervals_frame(fit: Fit, level: float) -> pl.DataFrame:
    """A row a constant, with the ends of its interval at `level`; `InvalidRequest` where there is none."""
    check_level(level)
    if not fit.drawn:
        raise InvalidRequest("the fit has no resamples, so no intervals: fit with --bootstrap 1000")
    if not enough(len(fit.drawn), level):
        unit = fit.resampling.unit if fit.resampling else "run"
        raise InvalidRequest(f"{interval_note(len(fit.drawn), unit, level)}: fit with a larger --bootstrap")
    return constants_frame(fit, level).select("constant", "low", "high")


def constants_frame(fit: Fit, level: float) -> pl.DataFrame:
    """A row a constant: its name, what it is, the estimate, and the ends of its interval, null where there is none."""
    form = fit.law.parsed_form
    estimates, draws = values_of(form, fit.law.theta), values_of(form, fit.theta_draws)
    ends = [interval(draws[:, i], float(x), level=level) or (None, None) for i, x in enumerate(estimates)]
    return pl.DataFrame(
        {
            "constant": [entry.name for entry in form.entries],
            "meaning": [entry.label for entry in form.entries],
            "estimate": estimates,
            "low": pl.Series([low for low, _ in ends], dtype=pl.Float64),
            "high": pl.Series([high for _, high in ends], dtype=pl.Float64),
        }
    )


def inference_data(fit: Fit) -> Any:
    """The draws as arviz has them: one chain, a variable a constant.

    They stand in arviz's group `posterior`, where its tables and plots look; they are resamples, not a posterior.
    """
    if not fit.drawn:
        raise InvalidRequest("the fit has no resamples to hand to arviz: fit with --bootstrap 1000")
    with extra("arviz", "an arviz InferenceData"):
        import arviz  # type: ignore[import-not-found, unused-ignore]
    unit = fit.resampling.unit if fit.resampling else "run"
    said = {"inference_library": "gemstones", "draws": f"bootstrap resamples by {unit}, not a posterior"}
    chain = {column.name: column.to_numpy()[None] for column in draws_frame(fit)}
    if hasattr(arviz, "InferenceData"):
        return arviz.from_dict(posterior=chain, posterior_attrs=said)
    return arviz.from_dict({"posterior": chain}, attrs={"posterior": said})  # arviz 1
