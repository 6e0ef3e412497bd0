"""`gemstones envelope RUNS`."""

from __future__ import annotations

from typing import Annotated, Any, cast

from cyclopts import Parameter

from gemstones.accounting.parameters import params_convention
from gemstones.cli.options import Json, Params, Reading, Resampled, Runs, Verbose
from gemstones.cli.output import (
    ASK_FOR_INTERVALS,
    print_json,
    print_notes,
    print_table,
    progress_bar,
    rest_text,
    say,
)
from gemstones.display import cautions, interval_text
from gemstones.laws.diagnostics import LEAST_RUNS
from gemstones.laws.envelope import BINS, Envelope
from gemstones.laws.envelope import envelope as find_envelope
from gemstones.laws.interval import level_text
from gemstones.runs.loss_units import SHORT
from gemstones.units import format_quantity
from gemstones.words import flops_words


def envelope(
    runs: Runs,
    /,
    *,
    reading: Reading = Reading(),
    resource: Annotated[str, Parameter(help="flops or device_hours.")] = "flops",
    method: Annotated[str, Parameter(help="hull (convex hull of log-log losses) or bins.")] = "hull",
    bins: Annotated[int, Parameter(help="Number of bins, for --method bins.")] = BINS,
    params: Params = "total",
    resampled: Resampled = Resampled(),
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """The frontier of least loss and its growth (Approach 1).

    Finds the checkpoints that no mixture of others beats for their resource, and regresses the logs of
    parameters, tokens and tokens per parameter on the log of the resource over them.

    Example: gemstones envelope gemstones --method hull --bootstrap 400
    """
    table = reading.selected(runs)
    with progress_bar("resampling", resampled.bootstrap) as progress:
        found = find_envelope(
            table,
            resource=cast("Any", resource),
            method=cast("Any", method),
            bins=bins,
            params=params_convention(params),
            **resampled.arguments(progress),
        )
    if json:
        print_json(found.summary())
    else:
        _print(found, verbose)


def _print(found: Envelope, verbose: bool) -> None:
    bins = f" ({found.bins} bins)" if found.bins else ""
    unit = (
        "device hours"
        if found.resource == "device_hours"
        else f"FLOPs ({flops_words(found.resource_convention)})"
    )
    say(
        f"{found.dataset} ({found.selection}): {len(found.frontier)} of {found.rows:,} checkpoints on the frontier "
        f"by {found.method}{bins}; resource {unit}; N counts {found.params_convention} parameters"
    )
    _print_lines(found)
    if found.draws:
        say(found.interval_note)
    else:
        say("no intervals by run from so few runs" if found.runs < LEAST_RUNS else ASK_FOR_INTERVALS)
    if not verbose:
        print_notes(("assumed", found.assumptions))
        first, last = found.frontier[0], found.frontier[-1]
        say(
            f"from {first['resource']:.4g} {unit} at loss {first['loss']:.4f} to {last['resource']:.4g} at "
            f"{last['loss']:.4f} ({SHORT[found.loss_unit]}); {rest_text(len(found.flags))}"
        )
        return
    if found.method == "hull":
        print_table(
            "frontier",
            ("run", unit, "tokens", f"loss ({SHORT[found.loss_unit]})"),
            [
                (p["run"], f"{p['resource']:.4g}", format_quantity(p["tokens"]), f"{p['loss']:.4f}")
                for p in found.frontier
            ],
        )
    print_notes(("caution", cautions(found.flags)), ("assumed", found.assumptions))


def _print_lines(found: Envelope) -> None:
    """How each quantity grows over the frontier."""
    intervals = found.intervals or {}
    interval = f"{level_text(found.level)} interval" if found.draws else "interval"
    print_table(
        "log y = slope · log resource + intercept (natural logs)",
        ("y", "slope", interval, "intercept", interval),
        [
            (
                name,
                f"{line.slope:.4f}",
                interval_text(intervals.get(name, {}).get("slope"), "{:.4f}".format),
                f"{line.intercept:.3f}",
                interval_text(intervals.get(name, {}).get("intercept"), "{:.3f}".format),
            )
            for name, line in found.fits.items()
        ],
    )
