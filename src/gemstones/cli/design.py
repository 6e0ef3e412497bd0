"""`gemstones design`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gemstones.accounting.parameters import params
from gemstones.bounds import SIZE
from gemstones.cli.options import FLAG, OUTPUT, Architecture, Json, Level, Ranges, Verbose
from gemstones.cli.output import print_json, print_table
from gemstones.cli.pilot_runs import PilotRuns
from gemstones.cli.throughput_option import Throughput, step_time_of
from gemstones.design.feasible import Constraints, feasible_shapes
from gemstones.errors import InvalidRequest
from gemstones.units import format_quantity

WANT, LEVEL = "n_opt", 0.95


def design(
    *,
    sizes: Annotated[str | None, Parameter(help="Target total parameters, like 50M,100M,2B.")] = None,
    tolerance: Annotated[float, Parameter(help="Largest distance from a size, as a fraction.")] = 0.05,
    budget: Annotated[
        str | None,
        Parameter(name="--for", help="FLOPs of the model that the runs are to prescribe, like 1e22."),
    ] = None,
    spend: Annotated[str | None, Parameter(help="FLOPs that the runs may cost in all, like 2e20.")] = None,
    device_hours: Annotated[
        str | None, Parameter(help="Device hours that they may cost, in the place of --spend.")
    ] = None,
    throughput: Throughput = None,
    want: Annotated[
        str,
        Parameter(
            help="What is to be known best: n_opt (best N), shape (best width and depth), loss (of the best model), or "
            "compare (which of two recipes is better)."
        ),
    ] = WANT,
    law: Annotated[
        str | None,
        Parameter(
            help="Reference law, by name or file (default: gemstones-refit); with --after RUNS the form that is fitted "
            "to them (default: N,T)."
        ),
    ] = None,
    after: Annotated[
        str | None,
        Parameter(
            help="A pilot: its RUNS, or a fit of them with draws (`gemstones fit --bootstrap 200 --output`), which are "
            "then the prior."
        ),
    ] = None,
    existing: Annotated[str | None, Parameter(help="RUNS that exist already, and cost nothing.")] = None,
    reading: PilotRuns = PilotRuns(),
    runs: Annotated[int | None, Parameter(help="Runs, at most (default: 35).", show_default=False)] = None,
    largest: Annotated[
        str | None,
        Parameter(
            help="FLOPs of the largest run (default: a quarter of the spend, or of fewer than four runs its share)."
        ),
    ] = None,
    annealed: Annotated[
        bool, FLAG, Parameter(help="Losses are of cooldowns, one branching off every checkpoint.")
    ] = False,
    seeds: Annotated[int, Parameter(help="Seeds with which each run is trained.")] = 1,
    level: Level = LEVEL,
    output: Annotated[
        Path | None,
        OUTPUT,
        Parameter(
            help="A suite file of the runs (NAME.toml), or a folder for suite.toml, design.json and the figure "
            "(runs.png, runs.svg)."
        ),
    ] = None,
    ranges: Ranges = Ranges(),
    architecture: Architecture = Architecture(),
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Which runs to train for a question and a spend (--for, --spend); or feasible shapes near sizes (--sizes).

    With --for: the runs, in the order in which to buy them, that leave the narrowest interval of what is wanted at that
    budget, each with what the interval becomes after it; the designs that people use at the same cost beside; what less
    and more money would buy; and with --output a suite file (docs/next-run.md). RUNS of --after and --existing are read
    alike, by --columns, --where and the like.

    With --sizes: every width and depth whose total parameters lie within the tolerance of a size: whole heads, kv heads
    that divide query heads, an even number of heads unless --no-even-heads. Widths up to 8192 and depths 2
    to 255 unless said otherwise.

    Example: gemstones design --for 1e22 --spend 2e20 --runs 24 --output suite.toml

    Example: gemstones design --for 1e22 --spend 1e20 --want shape

    Example: gemstones design --for 1e22 --spend 1e20 --after pilot.csv --columns loss=val_loss,tokens=_step*524288

    Example: gemstones design --sizes 50M,1B
    """
    if (sizes is None) == (budget is None):
        given = "neither is given" if sizes is None else "both are given"
        raise InvalidRequest(
            f"sizes, for: {given}: say which shapes to list (--sizes 50M,1B) or what the runs are for (--for 1e22 "
            "--spend 2e20)"
        )
    if sizes is not None:
        only = {
            "--spend": spend, "--device-hours": device_hours, "--throughput": throughput,
            "--want": None if want == WANT else want, "--seeds": None if seeds == 1 else seeds,
            "--level": None if level == LEVEL else level, "--verbose": verbose or None,
            "--law": law, "--after": after, "--existing": existing, "--runs": runs, "--largest": largest,
            "--annealed": annealed or None, "--output": output,
            str(reading.given): reading.given,
        }  # fmt: skip
        if stray := [name for name, value in only.items() if value is not None]:
            raise InvalidRequest(
                f"{stray[0]} is of designs of runs, and --sizes lists shapes: give --for instead, or leave it out"
            )
        _shapes(sizes, tolerance, ranges, architecture, json)
        return
    if throughput is not None and device_hours is None:
        raise InvalidRequest(
            f"--throughput {throughput} is of --device-hours: give them in the place of --spend"
        )
    from gemstones.analyses.next_run.design import RUNS
    from gemstones.cli.design_runs import print_design

    asked = {
        "budget": budget, "spend": spend, "device_hours": device_hours, "want": want,
        "runs": RUNS if runs is None else runs, "largest": largest, "annealed": annealed, "seeds": seeds,
        "level": level, "throughput": step_time_of(throughput),
    }  # fmt: skip
    print_design(asked, law, after, existing, reading, ranges, architecture, output, verbose, json)


def _shapes(sizes: str, tolerance: float, ranges: Ranges, architecture: Architecture, json: bool) -> None:
    """Lists the feasible shapes near sizes."""
    targets = SIZE.listed(sizes, "sizes", "50M,100M,2B")
    constraints = ranges.over(Constraints(template=architecture.template()))
    shapes = [
        {
            "shape": str(shape),
            "width": shape.width,
            "depth": shape.depth,
            "size": target,
            "params_total": params(shape),
            "aspect_ratio": shape.aspect_ratio,
        }
        for target in targets
        for shape in feasible_shapes(target, tolerance, constraints)
    ]
    if json:
        print_json({"tolerance": tolerance, "shapes": shapes})
        return
    for target in targets:
        near = [s for s in shapes if s["size"] == target]
        print_table(
            f"{len(near)} shapes within ±{tolerance:.1%} of {format_quantity(target)} total parameters",
            ("shape", "total parameters", "width / depth"),
            [(str(s["shape"]), f"{s['params_total']:,}", f"{s['aspect_ratio']:.1f}") for s in near],
        )
