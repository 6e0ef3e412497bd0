"""How long a shape takes: device seconds per token of training, as a sum over features of the shape.

A step spends its time on products of matrices, at the device's rate, and on moving activations, of which every
block has `width` a token; then there may be a part for every block and one for every token. So

    device seconds per token = a·flops_matmul + b·width·depth + c·depth + e,   a, b, c, e ≥ 0.

As shapes widen, the rate rises to 1/a FLOPs per second and stays there; a power law would go on for ever.
`gemstones.timing.fit_step_time` fits it to measured step times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from gemstones.accounting.flops import flops_per_token
from gemstones.display import cautions, few_lines, labelled
from gemstones.errors import InvalidRequest, InvalidShape
from gemstones.files import read_bytes, trouble, write_text
from gemstones.laws.fit import Resampling
from gemstones.laws.interval import DEFAULT_LEVEL, interval
from gemstones.laws.law import Models
from gemstones.laws.new_run import quantile_by_run, widened
from gemstones.shape import FloatArray, Shapes
from gemstones.timing.shown import step_time_card, step_time_notes
from gemstones.units import Interval, format_quantity

FEATURES: Mapping[str, Callable[[Shapes], FloatArray]] = {
    "flops_matmul": lambda shapes: flops_per_token(shapes, "matmul"),
    "width_depth": lambda shapes: shapes.width * shapes.depth,
    "depth": lambda shapes: shapes.depth,
    "constant": lambda shapes: np.ones_like(shapes.width * shapes.depth),
}
"""What step times may grow with, per token."""


class Observation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one run took."""

    run: str
    width: int
    depth: int
    devices: int | None
    seconds_per_token: float
    """Of one device, measured."""
    left_out: float | None
    """The same, predicted from the runs of all other shapes; None where these are too few."""

    @property
    def error(self) -> float | None:
        """log(predicted / measured), predicted from the runs of all other shapes."""
        return None if self.left_out is None else float(np.log(self.left_out / self.seconds_per_token))


class Compared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A set of features, and how far it is off for shapes that were left out."""

    features: tuple[str, ...]
    rms: float
    """Root mean square of the log errors."""
    largest: float
    """Largest log error, without its sign."""


class StepTime(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A throughput model: seconds of one device per token of training, as a sum over features of the shape.

    >>> gemstones_step_time().held_out_error  # of log seconds per token
    0.104
    """

    features: tuple[str, ...]
    coefficients: tuple[float, ...]
    """Device seconds per token and unit of the feature; not negative."""
    draws: tuple[tuple[float, ...], ...] = ()
    """Coefficients of every resample by run."""
    observations: tuple[Observation, ...] = ()
    compared: tuple[Compared, ...] = ()
    """The sets of features that were tried, the best first."""
    dataset: str = ""
    selection: str = ""
    fingerprint: str = ""
    """SHA-256 of the rows of the table."""
    models: Models = Models()
    """With what the FLOPs of the shapes were counted."""
    assumptions: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    resampling: Resampling | None = None

    def device_hours_per_token(self, shapes: Shapes, coefficients: Any = None) -> FloatArray:
        """Hours of one device to train on one token; for other `coefficients` than the fitted, if given."""
        used = self.coefficients if coefficients is None else coefficients
        parts = (c * FEATURES[f](shapes) for f, c in zip(self.features, used, strict=True))
        return np.asarray(sum(parts, start=np.zeros_like(shapes.width * shapes.depth))) / 3600.0

    @property
    def held_out_error(self) -> float | None:
        """Root mean square of the log errors for shapes that were left out: 0.1 is 10%."""
        errors = self._errors()
        return float(np.sqrt(np.mean(np.square(errors)))) if errors else None

    @property
    def held_out_largest(self) -> float | None:
        """The largest of those errors, without its sign."""
        errors = self._errors()
        return float(np.abs(errors).max()) if errors else None

    @property
    def new_shape_error(self) -> float | None:
        """Quantile of those errors at the level of intervals, each shape counted once: what intervals of device hours
        include beside the spread of the coefficients. None where no shape was left out."""
        left_out = [o for o in self.observations if o.error is not None]
        if not left_out:
            return None
        shapes = np.array([(o.width, o.depth) for o in left_out])
        codes = np.unique(shapes, axis=0, return_inverse=True)[1].reshape(-1)
        return quantile_by_run(np.abs(np.array(self._errors())), codes, DEFAULT_LEVEL)

    def hours_interval(self, shape: Shapes, tokens: float, hours: float) -> Interval | None:
        """Interval of the device hours of training on `tokens`, with the error for a shape that was not measured; None
        without draws."""
        if not self.draws:
            return None
        drawn = np.array([float(self.device_hours_per_token(shape, draw)) for draw in self.draws])
        ends, error = interval(tokens * drawn, hours, level=DEFAULT_LEVEL), self.new_shape_error
        return ends if ends is None or error is None else widened(ends, hours, error)

    @property
    def peak_flops_per_second(self) -> float | None:
        """Matmul FLOPs per second of a device that shapes come near to as they widen; None where nothing bounds it."""
        (peaks,) = self._peaks([self.coefficients])
        return float(peaks) if np.isfinite(peaks) else None

    @property
    def peak_interval(self) -> Interval | None:
        """Interval of the peak from the draws that have one; None without draws, or with too few."""
        peaks = self._peaks(self.draws)
        peaks, peak = peaks[np.isfinite(peaks)], self.peak_flops_per_second
        return None if peak is None else interval(peaks, peak)

    @property
    def devices(self) -> tuple[int, int] | None:
        """Least and largest number of devices of a run; None where it is not known."""
        return _span(o.devices for o in self.observations)

    @property
    def widths(self) -> tuple[int, int] | None:
        """Least and largest width of a fitted run."""
        return _span(o.width for o in self.observations)

    @property
    def depths(self) -> tuple[int, int] | None:
        """Least and largest depth of a fitted run."""
        return _span(o.depth for o in self.observations)

    @property
    def source(self) -> str:
        """What it was fitted to, for people."""
        return f"{self.dataset} ({self.selection})" if self.selection else self.dataset or "unknown runs"

    def summary(self) -> dict[str, Any]:
        """The model as plain values, without its draws."""
        return {
            "features": list(self.features),
            "coefficients": list(self.coefficients),
            "unit": "device seconds per token and unit of the feature",
            "held_out_error": self.held_out_error,
            "held_out_largest": self.held_out_largest,
            "new_shape_error": self.new_shape_error,
            "peak_flops_per_second": self.peak_flops_per_second,
            "peak_interval": self.peak_interval,
            "source": self.source,
            "fingerprint": self.fingerprint,
            "runs": len(self.observations),
            "devices": self.devices,
            "widths": self.widths,
            "depths": self.depths,
            "resampling": None
            if self.resampling is None
            else {
                "unit": self.resampling.unit,
                "draws": len(self.draws),
                "seed": self.resampling.seed,
                "level": DEFAULT_LEVEL,
            },
            "compared": [msgspec.structs.asdict(one) for one in self.compared],
            "observations": [msgspec.structs.asdict(one) | {"error": one.error} for one in self.observations],
            "models": msgspec.structs.asdict(self.models),
            "flags": list(self.flags),
            "assumptions": list(self.assumptions),
        }

    def to_json(self) -> str:
        """The whole model as JSON; `StepTime.from_json` gives back an equal value."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1).decode()

    @classmethod
    def from_json(cls, text: str | bytes, name: str = "throughput model") -> StepTime:
        """Read and validate what `to_json` wrote; `name` is the file, for the error."""
        what = f"{name} is not a throughput model written by `gemstones throughput --output`"
        try:
            model = msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidRequest(f"{what}: {error}") from None
        if (problem := next(_inconsistencies(model), None)) is not None:
            raise InvalidRequest(f"{what}: {problem}")
        return model

    def save(self, path: str | Path) -> None:
        """Write to `path`, whole or not at all."""
        write_text(Path(path), self.to_json() + "\n")

    @classmethod
    def load(cls, path: str | Path) -> StepTime:
        """Read a file that `save` wrote."""
        try:
            text = read_bytes(Path(path))
        except OSError as error:
            raise trouble(error, f"{path} cannot be read") from None
        return cls.from_json(text, str(path))

    def _errors(self) -> list[float]:
        return [o.error for o in self.observations if o.error is not None]

    def _peaks(self, coefficients: Sequence[Sequence[float]]) -> FloatArray:
        """1/a for each; infinite where a is 0 or no feature."""
        if "flops_matmul" not in self.features:
            return np.full(len(coefficients), np.inf)
        rates = np.array([c[self.features.index("flops_matmul")] for c in coefficients], np.float64)
        return np.asarray(np.divide(1.0, rates, out=np.full(len(rates), np.inf), where=rates > 0))

    def __str__(self) -> str:
        """The equation, in seconds of one device per token."""
        parts = []
        for feature, coefficient in zip(self.features, self.coefficients, strict=True):
            if feature == "flops_matmul" and coefficient > 0:
                parts.append(f"flops_matmul / ({format_quantity(1 / coefficient)} per second)")
            else:
                name = {"width_depth": "·width·depth", "depth": "·depth", "constant": ""}.get(
                    feature, f"·{feature}"
                )
                parts.append(f"{coefficient:.3g} s{name}")
        return " + ".join(parts)

    def __repr__(self) -> str:
        off = "" if self.held_out_error is None else f", {self.held_out_error:.0%} off for shapes left out"
        return few_lines(
            f"StepTime: device seconds per token = {self}{off}",
            (*step_time_notes(self), *labelled(("caution", cautions(self.flags)))),
        )

    def _repr_html_(self) -> str:
        return step_time_card(self).html()


def _span(values: Iterable[int | None]) -> tuple[int, int] | None:
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else None


def is_step_time(content: bytes) -> bool:
    """Whether `StepTime.save` wrote it, of whatever release."""
    try:
        return {"features", "coefficients"} <= {*msgspec.json.decode(content, type=dict[str, msgspec.Raw])}
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _inconsistencies(model: StepTime) -> Iterator[str]:
    """What in a model read from a file cannot have been written by `StepTime.save`."""
    if unknown := next((f for f in model.features if f not in FEATURES), None):
        yield f"feature {unknown!r} is unknown: there are {', '.join(FEATURES)}"
    if not model.features or len(set(model.features)) != len(model.features):
        yield "features must be one or more, each once"
    for what, constants in (("coefficients", model.coefficients), *(("draws", draw) for draw in model.draws)):
        if len(constants) != len(model.features):
            yield f"{what} do not match the features"
        if not (np.isfinite(constants).all() and min(constants) >= 0 < max(constants)):
            yield f"{what} must be finite and not negative, and one of them positive"
    if bool(model.draws) != (model.resampling is not None):
        yield "draws do not match the resampling"
    for one in model.observations:
        numbers = (one.width, one.depth, one.devices, one.seconds_per_token, one.left_out)
        if not all(x is None or (np.isfinite(x) and x > 0) for x in numbers):
            yield f"run {one.run!r} has a number that is not positive"
    try:
        model.models.template()
    except InvalidShape as error:
        yield str(error)


STEP_TIME = "gemstones-step-time"
"""The model fitted to the published main runs: MI250X, of which each card is two devices (paper §3)."""
STEP_TIME_COMMAND = (
    "gemstones throughput gemstones --select all --bootstrap 400 --seed 0 --output gemstones-step-time.json"
)


@lru_cache(maxsize=1)
def gemstones_step_time() -> StepTime:
    """The throughput model that ships with the package, in device hours; `STEP_TIME_COMMAND` makes it again.

    >>> gemstones_step_time().devices
    (64, 512)
    """
    from importlib.resources import files

    return StepTime.from_json(files("gemstones.laws").joinpath(f"{STEP_TIME}.json").read_bytes(), STEP_TIME)
