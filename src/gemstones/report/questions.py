"""The sections of what people ask of runs: isoFLOP profiles, recipes, tasks, the run that would teach most."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gemstones.analyses.compare.figure import compare_figure
from gemstones.analyses.compare.result import Comparison
from gemstones.analyses.compare.shown import compare_notes
from gemstones.analyses.compare.shown import sentence as compare_sentence
from gemstones.analyses.downstream.result import Downstream
from gemstones.analyses.downstream.shown import TASKS_WORDS, task_sentence
from gemstones.analyses.isoflop.figure import isoflop_figure
from gemstones.analyses.isoflop.result import IsoFlop
from gemstones.analyses.isoflop.shown import isoflop_heading, isoflop_lines, isoflop_notes
from gemstones.analyses.next_run.next_runs import NextRuns
from gemstones.analyses.next_run.shown import next_heading, next_notes
from gemstones.figures.table import Table
from gemstones.page.page import Figure, Section
from gemstones.page.rows import typed_frame, with_ends
from gemstones.page.table import TableBlock


def isoflop_section(made: IsoFlop) -> Section:
    """The best size of each budget by parabolas, with a law's beside."""
    rows = [
        {
            "budget": one.flops,
            "runs": one.points,
            "params": one.n_opt,
            "params_low": one.intervals["n_opt"][0] if "n_opt" in one.intervals else None,
            "params_high": one.intervals["n_opt"][1] if "n_opt" in one.intervals else None,
            "tokens": one.t_opt,
            "loss": one.loss,
            "law's N": one.law_n_opt,
            "bias of the parabola": one.bias,
            "status": one.reason or "minimum",
        }
        for one in made.budgets
    ]
    return Section(
        "isoflop",
        "IsoFLOP profiles",
        (isoflop_heading(made) + ".", *(f"{_capital(said)}." for said in isoflop_lines(made)[1:])),
        figures=(
            Figure(
                "isoflop",
                "Loss over size by budget, and the best size over FLOPs",
                "Approach 2: a parabola in log N through the runs of each budget (docs/isoflop.md).",
                isoflop_figure(made),
                _capital(next(iter(isoflop_lines(made)), isoflop_heading(made))),
                "isoflop",
            ),
        ),
        tables=(
            TableBlock(
                "isoflop", "Budgets", Table(typed_frame(rows, {"status"}, {"runs"}), loss_unit=made.loss_unit)
            ),
        ),
        notes=tuple(isoflop_notes(made)[len(isoflop_lines(made)) :]),
    )


def tasks_section(made: Sequence[Downstream]) -> Section:
    """What models score: the law of every task, how well it predicts, and the best model of the largest budget."""
    rows = []
    for one in made:
        last = next(b for b in one.baselines if b.form == "last value")
        rows.append(
            {
                "task": one.task,
                "law": one.form,
                "chance": one.chance,
                "error beyond": one.error_beyond,
                "error of runs left out": one.error_left_out,
                "last value's error beyond": last.error_beyond,
                "signal": one.signal,
                "noise": one.noise,
                **{
                    name: value
                    for at in one.predictions[:1]
                    for name, value in with_ends("accuracy", at.accuracy, at.interval).items()
                },
            }
        )
    return Section(
        "tasks",
        "Tasks",
        (*TASKS_WORDS, *(f"{task_sentence(one)}." for one in made[:1])),
        tables=(TableBlock("tasks", "Laws of tasks", Table(typed_frame(rows, {"task", "law"}))),),
        notes=tuple(dict.fromkeys(f"{one.task}: {flag}" for one in made for flag in one.flags)),
    )


def next_run_section(found: NextRuns) -> Section:
    """The run that would teach most, and others at other costs."""
    rows = [
        {
            "shape": str(one.shape),
            "params_total": one.params_total,
            "tokens": one.tokens,
            "flops": one.flops,
            "share of N*'s variance": one.variance_explained["n_opt"],
            "share of the loss's": one.variance_explained["loss"],
            "value for its cost": one.value,
        }
        for one in found.candidates
    ]
    return Section(
        "next",
        "The run that would teach most",
        (
            next_heading(found) + ".",
            "Shares of two runs do not add up: buy one, add it to the runs, and ask again (docs/next-run.md).",
        ),
        tables=(
            TableBlock(
                "candidates",
                "Candidates, by value for their cost",
                Table(typed_frame(rows, {"shape"})),
                first=("shape", "share of N*'s variance", "value for its cost"),
            ),
        ),
        notes=tuple(next_notes(found)),
    )


def compare_section(comparisons: Sequence[Comparison]) -> Section:
    """Which recipe is better at scale, and how surely."""
    rows = [
        {
            "recipe": one.names[1],
            "against": one.names[0],
            "budget": at.budget,
            **with_ends("difference", at.difference if at.interval else None, at.interval),
            "probability that its loss is lower": at.probability_lower,
            **with_ends("compute multiplier", _finite(at.multiplier), _both_finite(at.multiplier_interval)),
        }
        for one in comparisons
        for at in one.at
    ]
    drawn = [one for one in comparisons if not one.reason]
    figures: tuple[Figure, ...] = ()
    if drawn:
        figures = (
            Figure(
                "compare",
                "Difference of loss between recipes, by budget, with intervals",
                "Below 0 the recipe is better; what the largest pairs measured is grey (docs/compare.md).",
                compare_figure(drawn),
                compare_sentence(drawn[0].at[-1], drawn[0].level),
                "compare",
            ),
        )
    words = []
    for one in comparisons:
        about = f"{one.names[1]} (B) against {one.names[0]} (A)"
        titled = drawn and one is drawn[0]  # its sentence is the figure's title
        words.append(
            f"{about}." if titled else f"{about}: {one.reason or compare_sentence(one.at[-1], one.level)}."
        )
    return Section(
        "compare",
        "Recipes compared",
        tuple(words),
        figures=figures,
        tables=(
            TableBlock("compare", "Recipes at the budgets", Table(typed_frame(rows, {"recipe", "against"}))),
        ),
        notes=tuple(dict.fromkeys(note for one in comparisons for note in compare_notes(one))),
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _both_finite(ends: tuple[float, float] | None) -> tuple[float, float] | None:
    return ends if ends is not None and all(map(math.isfinite, ends)) else None
