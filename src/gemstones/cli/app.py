"""The command line: which commands there are, and how each run of one ends.

Exit status 0 when done, 2 for a mistake of the user's (one line on standard error: what was given, the rule
it breaks, what to do), 1 for a failure that is not. Commands are imported when they are called, so `--help`
loads nothing heavy.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from gemstones.cli.numbers import NUMBERS
from gemstones.errors import GemstonesError, MissingExtra

COMMANDS = {
    "count": "Parameters, FLOPs per token and memory of a shape.",
    "design": "Feasible shapes near target sizes.",
    "data": "Known data sets: list, fetch, show.",
    "corpus": "Token shards to train on: build, show.",
    "suite": "Suites of runs: plan, run, status.",
    "train": "Train one run of a suite, or go on with it.",
    "runs": "Tables of runs: collect one from the ledgers of a suite.",
    "export": "A trained run as a folder that transformers loads.",
    "fit": "Fit a scaling law to runs (Approach 3).",
    "envelope": "The frontier of least loss and its growth (Approach 1).",
    "backtest": "How well laws predict runs that they were not fitted to.",
    "plan": "What to train for a budget of FLOPs or device hours.",
    "throughput": "Fit step times: what a shape takes in device hours.",
    "overspend": "What each run spent beyond the frontier for its loss.",
    "overtrain": "What more tokens than optimal cost, and save.",
    "paper": "Every figure and claim of the paper, made again from its runs.",
    "sensitivity": "What the same runs prescribe under every choice of an analyst's.",
    "study": "From runs to prescriptions: fits, frontiers, plans, tables, figures.",
}

GROUPS = ("data", "corpus", "suite", "runs")
"""Commands that have commands of their own."""

USAGE_STATUS = 2

EXTRAS = {
    "torch": "train",
    "tokenizers": "train",
    "safetensors": "train",
    "transformers": "export",
    "submitit": "cluster",
    "tensorboard": "trackers",
    "wandb": "trackers",
    "altair": "report",
    "vl_convert": "report",
}
"""Packages that are not installed with the package itself, and the extra that brings each."""


def build() -> App:
    """The application, its commands not yet imported."""
    import gemstones

    app = App(
        name="gemstones",
        help="Scaling laws of width, depth and tokens: design, fit and plan, with honest intervals.",
        version=gemstones.__version__,
        version_flags=["--version"],
        suppress_keyboard_interrupt=False,
        default_parameter=NUMBERS,
    )
    for name, summary in COMMANDS.items():
        target = "app" if name in GROUPS else name
        app.command(f"gemstones.cli.{name}:{target}", name=name, help=summary)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit status."""
    try:
        build()(
            list(arguments) or ["--help"],
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
        if sys.stdout is not None:  # closed by the caller
            sys.stdout.flush()
    except CycloptsError as error:
        return _say(" ".join(str(error).split()), USAGE_STATUS)
    except GemstonesError as error:
        return _say(" ".join(str(error).split()), error.exit_status)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        return _say(str(MissingExtra(EXTRAS[package], f"this command ({package} is not installed)")), 1)
    except KeyboardInterrupt:
        return _say("interrupted", 130)
    except BrokenPipeError:
        # The reader (head, less) has gone: not an error, and nothing is left to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _say(f"{where}{error.strerror or error}", 1)
    return 0


def _say(message: str, status: int) -> int:
    print(f"gemstones: {message}", file=sys.stderr)
    return status
