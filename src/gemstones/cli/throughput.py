"""`gemstones throughput RUNS`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gemstones.cli.options import OUTPUT, Json, Reading, Runs, Seed, Verbose, files_of
from gemstones.cli.output import print_card, print_json, print_table, say, say_trust, say_written
from gemstones.files import check_output
from gemstones.lists import listed
from gemstones.printable import printable
from gemstones.timing.fit_step_time import DEFAULT_FEATURES, DRAWS, fit_step_time
from gemstones.timing.shown import step_time_card, step_time_short, step_time_trust
from gemstones.timing.step_time import FEATURES, StepTime, is_step_time


def throughput(
    runs: Runs,
    /,
    *,
    features: Annotated[
        str, Parameter(help=f"What device seconds per token are a sum of: {', '.join(FEATURES)}.")
    ] = ",".join(DEFAULT_FEATURES),
    reading: Reading = Reading(),
    bootstrap: Annotated[int, Parameter(help="Resamples by run for intervals; 0 for none.")] = DRAWS,
    seed: Seed = 0,
    output: Annotated[
        Path | None,
        OUTPUT,
        Parameter(help="Write the model, with its draws, as JSON for `plan --throughput`."),
    ] = None,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Fit the step times of runs: what a shape takes in device hours, and how far that is off for other shapes.

    Device seconds per token as a sum over features of the shape, by nonnegative least squares in relative error,
    one observation per run. Errors are of shapes left out of the fit.

    Example: gemstones throughput gemstones --output step-time.json
    """
    if output is not None:
        check_output(
            output, inputs=files_of(runs), ours=is_step_time, what="a throughput model", force=reading.force
        )
    model = fit_step_time(
        reading.selected(runs),
        features=listed(features, "features", ",".join(DEFAULT_FEATURES)),
        bootstrap=bootstrap,
        seed=seed,
    )
    if output is not None:
        model.save(output)
    if json:
        print_json(model.summary())
        return
    if verbose:
        _print_whole(model)
    else:
        print_card(step_time_short(model))
        say_trust(step_time_trust(model), len(model.flags))
    say_written([] if output is None else [output])


def _print_whole(model: StepTime) -> None:
    card = step_time_card(model)
    print_card(card._replace(notes=card.notes[:3]))
    print_table(
        "log(predicted / measured) of shapes left out of the fit, by features; * is this model",
        ("features", "rms", "largest"),
        [
            (
                ", ".join(one.features) + (" *" if set(one.features) == set(model.features) else ""),
                f"{one.rms:.3f}",
                f"{one.largest:.3f}",
            )
            for one in model.compared
        ],
    )
    print_table(
        "device microseconds per token of training, predicted with the run's shape left out of the fit",
        ("run", "devices", "measured", "predicted", "predicted / measured"),
        [
            (
                one.run,
                "-" if one.devices is None else f"{one.devices}",
                f"{1e6 * one.seconds_per_token:.4g}",
                "-" if one.left_out is None else f"{1e6 * one.left_out:.4g}",
                "-" if one.left_out is None else f"{one.left_out / one.seconds_per_token:.2f}",
            )
            for one in model.observations
        ],
    )
    for note in card.notes[3:]:
        say(printable(note))
