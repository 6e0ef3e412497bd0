"""The command line: which commands there are, and how each run of one ends.

Exit status 0 when done, 2 for a mistake of the user's (one line on standard error: what was given, the rule
it breaks, what to do), 1 for a failure that is not, 128 and its number for a signal. Commands are imported when they
are called, so `--help` loads nothing heavy.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor

from cyclopts import App, CycloptsError, Group

from gemstones.analyses import DESIGN, FIT, PLAN, QUESTIONS
from gemstones.cli.numbers import NUMBERS
from gemstones.cli.stopping import Stopped, stoppable
from gemstones.errors import GemstonesError, MissingExtra
from gemstones.remedies import of_options


def _questions(section: str) -> tuple[str, ...]:
    return tuple(question.command for question in QUESTIONS if question.section == section)


COMMANDS = {
    "count": "Parameters, FLOPs per token and memory of a shape.",
    "design": "Which runs to train for a question and a spend; feasible shapes near sizes.",
    "corpus": "Token shards to train on: build, import, show.",
    "suite": "Suites of runs: plan, run, status.",
    "train": "Train one run of a suite, or go on with it.",
    "export": "A trained run as a folder that transformers loads.",
    "data": "Known data sets: list, fetch, show.",
    "runs": "Tables of runs: collect one from the ledgers of a suite.",
    "evaluate": "Losses of any language model on any text, as a run table.",
    "fit": "Fit a scaling law to runs (Approach 3).",
    "envelope": "The frontier of least loss and its growth (Approach 1).",
    "plan": "What to train for a budget of FLOPs or device hours.",
    "study": "From runs to prescriptions: fits, frontiers, plans, tables, figures.",
    "paper": "Every figure and claim of the paper, made again from its runs.",
    **{question.command: question.about for question in QUESTIONS if question.command},
}

SECTIONS = {
    DESIGN: ("count", "design", *_questions(DESIGN), "corpus", "suite", "train", "export"),
    "Runs": ("data", "runs", "evaluate"),
    FIT: ("fit", "envelope", *_questions(FIT)),
    PLAN: ("plan", *_questions(PLAN)),
    "Report": ("study", "paper"),
}
"""The order of `--help`: that of the flow."""

GROUPS = ("data", "corpus", "suite", "runs")
"""Commands that have commands of their own."""

USAGE_STATUS = 2

DEBUG = "GEMSTONES_DEBUG"
"""Environment variable: a defect then ends with its traceback."""
GONE = "the current folder has been removed, change to another"
LESS_MEMORY = "call again with fewer --workers, or on fewer rows (--where)"

EXTRAS = {
    "torch": "train",
    "tokenizers": "train",
    "safetensors": "train",
    "transformers": "export",
    "huggingface_hub": "export",
    "lm_eval": "tasks",
    "submitit": "cluster",
    "tensorboard": "trackers",
    "wandb": "trackers",
    "dask": "dask",
    "distributed": "dask",
    "altair": "report",
    "vl_convert": "report",
}
"""Packages that are not installed with the package itself, and the extra that brings each."""


def build(called: str = "") -> App:
    """The application, its commands not yet imported; the one that is `called` says of itself what its docstring says.

    A list of commands has their summaries from here: they are not imported for it.
    """
    import gemstones

    app = App(
        name="gemstones",
        help="Scaling laws of width, depth and tokens: design, fit and plan, with honest intervals.",
        version=gemstones.__version__,
        version_flags=["--version"],
        suppress_keyboard_interrupt=False,
        default_parameter=NUMBERS,
    )
    for section, (title, names) in enumerate(SECTIONS.items()):
        group = Group(title, sort_key=section)
        for place, name in enumerate(names):
            target = "app" if name in GROUPS else name
            module = f"gemstones.cli.{name}:{target}"
            summary = None if name == called else COMMANDS[name]
            app.command(module, name=name, help=summary, group=group, sort_key=place)
    flags = Group("Options", sort_key=len(SECTIONS))
    for flag in ("--help", "--version"):
        app[flag].group = (flags,)
    return app


def _with_standard_input(arguments: Sequence[str]) -> list[str]:
    """A lone `-`, standard input, is no option to anybody but cyclopts: it goes behind `--`."""
    if "-" not in arguments or "--" in arguments:
        return list(arguments)
    return [word for word in arguments if word != "-"] + ["--", "-"]


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit status."""
    with of_options():
        return _run(arguments)


def _run(arguments: Sequence[str]) -> int:
    try:
        with stoppable(_say):
            build(next((word for word in arguments if word in COMMANDS), ""))(
                _with_standard_input(arguments) or ["--help"],
                exit_on_error=False,
                print_error=False,
                result_action="return_value",
            )
            if sys.stdout is not None:  # closed by the caller
                sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, less) has gone: not an error, and nothing is left to say it to.
        _drop_output()
    except SystemExit as error:
        # The same, of help: rich ends the process then.
        if not isinstance(error.__context__, BrokenPipeError):
            _drop_output()
            raise
    except Exception as error:
        message, status = _ending(error)
        _drop_output()
        _say(message)
        return status
    except KeyboardInterrupt as error:
        stopped = error if isinstance(error, Stopped) else Stopped(signal.SIGINT)
        _drop_output()
        _say(stopped.message)
        return stopped.exit_status
    return 0


def _ending(error: Exception) -> tuple[str, int]:
    """What is said of an error, and the exit status."""
    status = 1
    match error:
        case CycloptsError():
            message, status = str(error), USAGE_STATUS
        case GemstonesError():
            message, status = str(error), error.exit_status
        case ModuleNotFoundError(name=str(name)) if (package := name.partition(".")[0]) in EXTRAS:
            message = str(MissingExtra(EXTRAS[package], f"this command ({package} is not installed)"))
        case MemoryError():
            message = f"out of memory{f' ({error})' if str(error) else ''}: {LESS_MEMORY}"
        case BrokenExecutor():
            message = f"a worker process died, perhaps for want of memory: {LESS_MEMORY}"
        case OSError():
            from gemstones.runs.one_line import one_line

            full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
            where = one_line(error.filename or "") or (
                "output cannot be written" if full else "" if _folder_is_there() else GONE
            )
            message = f"{where}{': ' if where else ''}{error.strerror or error}"
            if error.errno in {errno.ENAMETOOLONG, errno.ELOOP}:  # whoever met it, the path is what was given
                status = USAGE_STATUS
        case _:
            if os.environ.get(DEBUG):
                raise error
            message = (
                f"a defect of gemstones, please report it: {type(error).__name__}: {error} "
                f"({DEBUG}=1 shows where it happened)"
            )
    return message, status


def _folder_is_there() -> bool:
    try:
        return bool(os.getcwd())  # noqa: PTH109 - what others do, and fail at
    except OSError:
        return False


def _drop_output() -> None:
    """Drop what was printed and cannot be written, so that Python does not try again as it ends."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _say(message: str) -> None:
    """One line on standard error, whatever there is to say; nothing where it cannot be written."""
    # Arguments hold bytes that the locale could not read as lone surrogates.
    known = message.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    line = "".join(c if c.isprintable() else " " for c in f"gemstones: {known}")
    try:
        print(" ".join(line.split()), file=sys.stderr, flush=True)
    except (OSError, ValueError):
        _drop_output()
