"""The reference of the Python interface: pages of the public names, by the step of the flow that they belong to."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import gemstones
from docs.site.sources import write_if_new

FOLDER = "reference/python"

STEPS = {
    "shape": ("Shapes", "What a model is: width, depth, heads, vocabulary, context."),
    "accounting": ("Counting", "Parameters, FLOPs per token and memory of a shape, each by its convention."),
    "design": ("Design", "Which shapes can be built."),
    "runs": ("Runs", "Tables of runs: known data sets, files and frames of yours."),
    "laws": ("Laws", "Fits (Approach 3), frontiers (Approach 1), published laws."),
    "evaluation": ("Evaluation", "Losses of any causal language model on any text, as a table of runs."),
    "timing": ("Device hours", "Step times, and what a shape takes in device hours."),
    "planning": ("Plans", "What to train for a budget."),
    "analyses": (
        "Analyses",
        "A question each, and its figure: predict, compare, isoFLOP, tasks, sensitivity, backtests, overspend, "
        "overtraining, which run next.",
    ),
    "figures": ("Figures", "Both approaches as altair charts."),
    "report": ("Study", "Everything asked of the runs at once, as a page, tables and figures."),
    "paper": ("The paper again", "Its figures and claims, made from the published runs."),
    "errors": ("Errors", "What is raised: one line with the value, the rule and the remedy."),
}
"""Package → the title of its page and what is there, in the order of the flow."""


def step_of(name: str) -> str:
    """The package, or the module, that a public name comes from."""
    return gemstones._HOME[name].split(".")[1]


def by_step() -> dict[str, list[str]]:
    """The public names of every step: functions first, then classes."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in sorted(gemstones.__all__, key=lambda one: (isinstance(getattr(gemstones, one), type), one)):
        found[step_of(name)].append(name)
    return {step: found.pop(step) for step in STEPS} | dict(found)


def page(step: str, names: list[str]) -> str:
    """One page: a section for each name."""
    title, said = STEPS[step]
    parts = [f"{title}\n{'=' * len(title)}", said, ".. py:currentmodule:: gemstones"]
    for name in names:
        kind = "autoclass" if isinstance(getattr(gemstones, name), type) else "autofunction"
        heading = f"``{name}``"
        parts.append(f"{heading}\n{'-' * len(heading)}\n\n.. {kind}:: gemstones.{name}")
    return "\n\n".join(parts) + "\n"


def index() -> str:
    """The page that lists every name."""
    title = "Python"
    parts = [
        f"{title}\n{'=' * len(title)}",
        "``import gemstones as gs`` offers these names and loads what is behind one when it is first used. The texts "
        "are those of ``help(gs.fit)``: their examples are run as tests. :doc:`/python` shows them together.",
    ]
    for step, names in by_step().items():
        head, said = STEPS[step]
        links = ", ".join(f":py:obj:`~gemstones.{name}`" for name in names)
        parts.append(f":doc:`{head} <{step}>`\n   {said} {links}.")
    steps = "\n".join(f"   {step}" for step in by_step())
    parts.append(f".. toctree::\n   :hidden:\n   :maxdepth: 2\n\n{steps}")
    return "\n\n".join(parts) + "\n"


def write(folder: Path) -> None:
    """Write the pages below the folder of sources."""
    write_if_new(folder / FOLDER / "index.rst", index())
    for step, names in by_step().items():
        write_if_new(folder / FOLDER / f"{step}.rst", page(step, names))
