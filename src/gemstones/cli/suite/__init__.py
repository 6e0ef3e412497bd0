"""`gemstones suite plan | run | status`."""

from __future__ import annotations

from cyclopts import App

COMMANDS = {
    "plan": "What a suite trains, what it costs, and what is wrong with it, before anything is spent.",
    "run": "Train a suite, on local slots or on SLURM; call it again to go on.",
    "status": "How far the runs of a suite are.",
}

EXAMPLES = {
    "plan": "gemstones suite plan studies/tiny.toml --corpus corpus",
    "run": "gemstones suite run studies/tiny.toml --corpus corpus --output runs --slots 2",
    "status": "gemstones suite status runs",
}

app = App(name="suite", help="Suites of runs: plan, run, status.")
for _name, _summary in COMMANDS.items():
    _said = f"{_summary}\n\nExample: {EXAMPLES[_name]}"
    app.command(f"gemstones.cli.suite.{_name}:{_name}", name=_name, help=_said)
