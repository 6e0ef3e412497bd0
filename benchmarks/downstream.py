"""Laws of nine tasks, held out by compute and by run, beside what knowing less predicts → benchmarks/downstream.md.

    python benchmarks/downstream.py

Every form is fitted to the rows below the top fifth of FLOPs and predicts that fifth, and is fitted without each of ten
groups of runs and predicts these; forms that take a loss are given the one that a loss law fitted to the same rows
predicts. All tasks are forced: a weak one is shown, and flagged.
"""

from __future__ import annotations

from pathlib import Path

import gemstones as gs
from gemstones.analyses.downstream.forms import NAMES
from gemstones.analyses.downstream.trials import BASELINES
from gemstones.runs.benchmarks import TASKS


def main() -> None:
    runs = gs.load("gemstones-benchmarks").select()
    tables: dict[str, list[str]] = {"error_beyond": [], "error_left_out": []}
    about = []
    for task in (*TASKS, "mean"):
        made = gs.downstream(runs, task, bootstrap=0, force=True)
        by_name = {c.form: c for c in (*made.candidates, *made.baselines)}
        for error, lines in tables.items():
            known = {name: getattr(by_name[name], error) for name in (*NAMES, *BASELINES)}
            least = min(known.values())
            cells = [f"**{100 * e:.2f}**" if e == least else f"{100 * e:.2f}" for e in known.values()]
            given = [getattr(by_name[name], f"{error}_given_loss") for name in NAMES[:2]]
            lines.append(f"| {task} | {' | '.join(cells)} | {' | '.join(f'{100 * g:.2f}' for g in given)} |")
        flags = ", ".join(flag.partition(":")[0] for flag in made.flags) or "-"
        about.append(
            f"| {task} | {made.form} | {100 * made.root_mean_square:.2f} | {100 * made.signal:.2f} | "
            f"{100 * made.noise:.2f} | {100 * made.stated_error:.2f} | {flags} |"
        )
    header = "| task | " + " | ".join(f"`{n}`" for n in NAMES) + " | " + " | ".join(BASELINES)
    header += " | `gadre`, loss measured | `bhagia`, loss measured |"
    rule = "|" + "---|" * (header.count("|") - 1)
    text = [
        "# Laws of tasks, held out",
        "",
        "`python benchmarks/downstream.py`: `gemstones-benchmarks`, 770 checkpoints of 22 runs. Root mean square error",
        "in points of accuracy (a hundredth), every run counted once; bold is the least.",
        "",
        "## The fifth of the rows with the most FLOPs, by fits to the others",
        "",
        header,
        rule,
        *tables["error_beyond"],
        "",
        "## Runs left out",
        "",
        header,
        rule,
        *tables["error_left_out"],
        "",
        "## What is chosen",
        "",
        "Signal is the spread of the accuracies without noise, noise from checkpoint to checkpoint, all in points.",
        "",
        "| task | chosen | misfit of all rows | signal | noise | stated standard error | flags |",
        "|---|---|---|---|---|---|---|",
        *about,
        "",
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(text), "utf-8")


if __name__ == "__main__":
    main()
