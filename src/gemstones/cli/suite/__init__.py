"""`gemstones suite plan | run | status`."""

from __future__ import annotations

from cyclopts import App

COMMANDS = {
    "plan": "What a suite trains, what it costs, and what is wrong with it, before anything is spent.",
    "run": "Train a suite, on local slots or on SLURM; call it again to go on.",
    "status": "How far the runs of a suite are.",
}

app = App(name="suite", help="Suites of runs: plan, run, status.")
for _name, _summary in COMMANDS.items():
    app.command(f"gemstones.cli.suite.{_name}:{_name}", name=_name, help=_summary)
