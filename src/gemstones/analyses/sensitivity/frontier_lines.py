"""Approach 1 for many conventions at once: a frontier is found once, its lines are drawn for every count of N.

The same frontier, lines and resamples as `gemstones.laws.envelope`, with one difference: a resample without a line
keeps its place, as NaN, so that draw b of one study stays the counterpart of draw b of another.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from gemstones.accounting.parameters import PARAMS_CONVENTIONS
from gemstones.errors import InvalidRequest
from gemstones.laws.diagnostics import LEAST_RUNS, run_flags
from gemstones.laws.envelope import BINS, Method, bin_points, check_frontier, hull_points
from gemstones.laws.solver.resample import CHUNK, draw_weights
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray

Index = NDArray[np.intp]
Pair = tuple[float | None, float | None]


class FrontierLines(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """log y = slope·log FLOPs + intercept over a frontier, for every y that is known, with draws."""

    dataset: str
    selection: str
    fingerprint: str
    """Of the rows, with their FLOPs as they were counted."""
    method: Method
    points: int
    """On the frontier of all runs."""
    rows: int
    runs: int
    quantities: tuple[str, ...]
    """`tokens`, and `params_total`, `params_no_embedding`, `params_non_embedding` as far as they are known."""
    lines: tuple[tuple[Pair, ...], ...]
    """By quantity: (slope, intercept) of all runs, then of every resample; None where it has no line."""
    flags: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()

    def of(self, quantity: str) -> FloatArray:
        """(1 + draws, 2); NaN where a resample has no line."""
        return np.array(self.lines[self.quantities.index(quantity)], np.float64)

    @classmethod
    def from_json(cls, text: bytes) -> FrontierLines:
        """Read and validate; raises `InvalidRequest` for what cannot have been written."""
        try:
            lines = msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidRequest(f"not the lines of a frontier: {error}") from None
        draws = {len(of_quantity) for of_quantity in lines.lines}
        if len(lines.lines) != len(lines.quantities) or len(draws) != 1 or 0 in draws:
            raise InvalidRequest("not the lines of a frontier: quantities and lines do not match")
        return lines


def frontier_lines(table: RunTable, method: Method, bootstrap: int, seed: int) -> FrontierLines:
    """The frontier over the FLOPs of `table`, whose rows all have them; see `gemstones.laws.envelope.envelope`.

    Raises `InvalidRequest` where the frontier has fewer than two points, or all models are of one size.
    """
    used, log_loss = table.numbers("flops"), np.log(table.numbers("loss"))
    log_used = np.log(used)
    counts = [f"params_{c}" for c in PARAMS_CONVENTIONS]
    quantities = ("tokens", *(c for c in counts if table.frame[c].null_count() == 0))
    log_y = np.log(np.stack([table.numbers(quantity) for quantity in quantities]))

    def frontier(rows: Index) -> Index:
        found = (
            hull_points(log_used[rows], log_loss[rows])
            if method == "hull"
            else bin_points(used[rows], log_loss[rows], BINS)
        )
        return rows[found]

    def lines(points: Index) -> FloatArray:
        """(slope, intercept) of each quantity, (q, 2); NaN for fewer than two points."""
        if len(points) < 2:
            return np.full((len(quantities), 2), np.nan)
        centred = log_used[points] - log_used[points].mean()
        y = log_y[:, points]
        slope = y @ centred / (centred @ centred)
        return np.column_stack([slope, y.mean(1) - slope * log_used[points].mean()])

    points = frontier(np.arange(table.rows))
    sizes = np.exp(log_y[1]) if len(quantities) > 1 else None
    check_frontier(table, method, len(points), sizes)
    runs = table.runs
    found = [lines(points)]
    if bootstrap and runs >= LEAST_RUNS:
        chunks = range(-(-bootstrap // CHUNK))
        weights = np.concatenate([draw_weights(table.run_codes, "run", seed, chunk) for chunk in chunks])
        found += [lines(frontier(np.flatnonzero(w))) for w in weights[:bootstrap]]
    stacked = np.stack(found, axis=1)
    return FrontierLines(
        dataset=table.dataset,
        selection=table.selection,
        fingerprint=table.fingerprint,
        method=method,
        points=len(points),
        rows=table.rows,
        runs=runs,
        quantities=quantities,
        lines=tuple(tuple(_pair(pair) for pair in of_quantity) for of_quantity in stacked),
        flags=tuple(run_flags(runs)),
        assumptions=tuple(table.assumptions),
    )


def _pair(line: FloatArray) -> Pair:
    if not np.isfinite(line).all():
        return None, None
    return float(line[0]), float(line[1])
