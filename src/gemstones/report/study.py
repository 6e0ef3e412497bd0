"""A study: from one table of runs to fits, frontiers and plans, with their tables, figures and `study.json`.

What cannot be done with the runs at hand is left out and noted, with the reason. The same runs, settings and
seed give the same `study.json`, byte for byte, for any number of workers: it has no times in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from gemstones.analyses.analysis import Analyses, Asked, Selected, Settings, asked_of_a_study
from gemstones.analyses.sensitivity.choices import check_plans
from gemstones.arguments import checked
from gemstones.bounds import FLOPS
from gemstones.errors import MissingExtra
from gemstones.figures.approach1 import approach1_figure
from gemstones.figures.approach3 import approach3_figure
from gemstones.figures.save import save_figure, write_table
from gemstones.figures.style import RunColors, need_altair
from gemstones.files import make_folder, write_json, write_text
from gemstones.laws.chosen import AUTO
from gemstones.laws.envelope import Envelope
from gemstones.laws.fit import Fit
from gemstones.laws.parallel import Workers
from gemstones.laws.solver.objective import Objective
from gemstones.laws.solver.resample import check_resampling
from gemstones.numbers import flops_text
from gemstones.output_folder import OutputFolder
from gemstones.page.page import Section, page_html
from gemstones.planning.defaults import default_throughput
from gemstones.planning.prescriptions import (
    PUBLISHED,
    AnyLaw,
    comparable,
    grid,
    prescriptions,
    references,
    usual_budgets,
)
from gemstones.planning.result import Plan
from gemstones.report import tables
from gemstones.report.analyses import analyse, write_analyses
from gemstones.report.page import study_page
from gemstones.report.progress import FIGURE_TIME, PLAN_TIME, StudyProgress
from gemstones.report.result import PAGE, Study
from gemstones.report.steps import (
    TIMES,
    fit_laws,
    frontiers,
    planning_fits,
    selected,
    trusted_first,
)
from gemstones.runs import RunTable
from gemstones.runs.given import Runs, given_runs
from gemstones.runs.loss_units import WORDS
from gemstones.runs.selections import ANNEALED, default_selection, selections_of
from gemstones.seeds import Seed, seed_number
from gemstones.timing.step_time import StepTime
from gemstones.units import Interval
from gemstones.version import __version__
from gemstones.words import selection_words

CLOSING = (PAGE, "study.json")
WITHOUT_PUBLISHED = (
    "published laws are not among the plans and their figures, but in the page's explorer alone"
)
"""Where they are not comparable."""
PATTERNS = (
    *CLOSING,
    *(
        f"tables/{name}.{kind}"
        for name in ("fits", "envelopes", "plans", "near_optimal")
        for kind in ("parquet", "md")
    ),
    *(f"figures/approach*.{kind}" for kind in ("png", "svg")),
    *(pattern for one in asked_of_a_study() for pattern in one.writes),
)
"""What a study may write, by its place in the folder."""


@checked
def study(
    runs: Runs,
    output: Path,
    *,
    select: str | None = None,
    budgets: Sequence[float | str] | None = None,
    bootstrap: int = 400,
    seed: Seed = 0,
    workers: Workers = None,
    delta: float = 1e-4,
    law: str = AUTO,
    by: str | None = None,
    quick: bool = False,
    force: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> Study:
    """Fit, find frontiers, plan for `budgets` (FLOPs), ask what the answer depends on, and write it all to `output`.

    `runs` are what `fit` takes. Selections are `all` and `le100B` of `gemstones`, else the default of the table, or
    `select`. `bootstrap` resamples by run give the intervals, the same for the same `seed` and any number of `workers`
    (processes); `delta` is Huber's. `law` is what plans first, by default the form that backtests choose; the usual
    ones are fitted too. Recipes are the values of column `by`, by default of `recipe`, or the families main and
    lr-ablation: they are compared at the budgets. Budgets are by default those that `usual_budgets` finds for the
    FLOPs of the first selection. `quick` leaves out the sensitivity analysis, the backtests and the comparison, which
    take most of the time. `progress` is told what is being done and which share of everything is done. Without the
    extra `report` there are tables but no figures and no page.

    An earlier study in `output` is replaced at the end, as a whole. Raises `InvalidPath` where somebody else's file
    is in the way, unless `force` is True.

    >>> study("pebbles", "out", quick=True)  # writes a folder  # doctest: +SKIP
    """
    runs = given_runs(runs)
    Objective(delta=delta)  # refused before anything is done
    if law != AUTO:
        check_plans(law)
    seed = seed_number(seed)
    check_resampling(bootstrap, "run", seed)
    given = None if budgets is None else set(FLOPS.each(tuple(budgets)))
    chosen = selected(runs, select)
    spanned = _flops_span(chosen[0].fitted)
    wanted = usual_budgets(spanned) if given is None else tuple(sorted(given))
    settings = Settings(select, wanted, bootstrap, seed, delta, law, by)
    folder = OutputFolder(
        output, "gemstones study", CLOSING, PATTERNS, tuple(Path(one.location) for one in runs.sources), force
    )
    folder.check()
    tell = StudyProgress(progress, len(chosen), quick)

    fits: list[Fit] = []
    envelopes: list[Envelope] = []
    notes: list[str] = []
    figures: list[Callable[[Path], list[Path]]] = []
    plans: list[Plan] = []
    for position, tables_of in enumerate(chosen):
        made, missing = fit_laws(
            tables_of.fitted, settings, workers, tell.of("fitting", tables_of.fitted, TIMES)
        )
        read, unread = frontiers(
            tables_of.frontier, settings, workers, tell.of("frontier", tables_of.frontier)
        )
        share = tell.step(f"plans from {tables_of.fitted.selection}", PLAN_TIME)
        planning = trusted_first(planning_fits(made))
        planned, edges = prescriptions({best.law.name: best for best in planning}, wanted)
        share(1.0)
        fits += made
        envelopes += read
        plans += planned
        notes += [*missing, *unread, *edges]
        figures.append(_figures(runs, tables_of, made, read, position, tell))
    if runs.loss_unit == "nats":
        plans += prescriptions(references(spanned), wanted)[0]
    else:
        notes.append(f"{WITHOUT_PUBLISHED}: they predict nats per token, these are {WORDS[runs.loss_unit]}")
    notes += _left_out(spanned, fits)
    planning = planning_fits([made for made in fits if made.selection == chosen[0].fitted.selection])
    asked = Asked(runs, chosen, planning, settings, output, workers, share=lambda done: None)
    found = analyse(asked, tell.step, quick=quick)
    notes += found.notes

    with folder.replacing() as filled:
        files, sections, undrawn = _fill(filled, runs, (fits, envelopes, plans), figures, found, workers)
        notes += undrawn
        result = Study(
            dataset=runs.dataset,
            settings=settings,
            provenance=_provenance(runs, chosen),
            fits=tuple(fits),
            envelopes=tuple(envelopes),
            plans=tuple(plans),
            analyses=found,
            notes=tuple(dict.fromkeys(notes)),
            output=filled,
            files=tuple(files),
            loss_unit=runs.loss_unit,
        )
        if filled / PAGE in files:
            write_text(filled / PAGE, study_html(result, runs, sections))
        write_json(filled / "study.json", result.summary())
    tell.finish()
    return replace(result, output=output, files=tuple(output / path.relative_to(filled) for path in files))


def _fill(
    folder: Path,
    runs: RunTable,
    found: tuple[Sequence[Fit], Sequence[Envelope], Sequence[Plan]],
    figures: Sequence[Callable[[Path], list[Path]]],
    analyses: Analyses,
    workers: Workers,
) -> tuple[list[Path], Sequence[Section], list[str]]:
    """Write tables and figures; returns the files, those that come last among them, what the page shows of the
    analyses, and notes on what is missing."""
    sections: Sequence[Section] = ()
    files, notes = _write_tables(make_folder(folder / "tables"), *found), []
    try:
        need_altair()
        written, drawn = write_analyses(
            analyses, runs, folder, lambda: [path for draw in figures for path in draw(folder)], workers
        )
        files += [*drawn, *written.files, folder / PAGE]
        sections = written.sections
    except MissingExtra as error:
        notes.append(f"no figures and no page: {error.said}")
    return [*files, folder / "study.json"], sections, notes


def _left_out(spanned: Interval | None, fits: Sequence[Fit]) -> Iterator[str]:
    if spanned is not None and not comparable(spanned):
        theirs, ours = (" to ".join(map(flops_text, span)) for span in (PUBLISHED, spanned))
        yield f"{WITHOUT_PUBLISHED}: they are of runs of {theirs} FLOPs, these are of {ours}"
    if not fits:
        yield "no plan from these runs: no law could be fitted to them"


def study_html(made: Study, runs: RunTable, sections: Sequence[Section]) -> str:
    """The study of `runs` as one HTML page that needs nothing else, with the `sections` of its analyses; raises
    `MissingExtra` without altair."""
    return page_html(study_page(made, runs, step_time=_throughput(made), sections=sections))


def _throughput(made: Study) -> StepTime | None:
    """For the explorer: of the runs' own step times, else the shipped one where it is of the same models."""
    own: StepTime | None = made.analyses.step_time
    return default_throughput(made.fits[0]) if own is None and made.fits else own


def _flops_span(runs: RunTable) -> Interval | None:
    known = runs.frame["flops"].drop_nulls().to_list()
    return (min(known), max(known)) if known else None


def _write_tables(
    folder: Path, fits: Sequence[Fit], envelopes: Sequence[Envelope], plans: Sequence[Plan]
) -> list[Path]:
    made = {
        "fits": tables.fits_table(fits),
        "envelopes": tables.envelopes_table(envelopes),
        "plans": tables.plans_table(plans),
        "near_optimal": tables.near_optimal_table(plans),
    }
    return [path for name, table in made.items() for path in write_table(table, folder / name, table.units)]


def _figures(
    runs: RunTable,
    chosen: Selected,
    fits: Sequence[Fit],
    envelopes: Sequence[Envelope],
    position: int,
    tell: StudyProgress,
) -> Callable[[Path], list[Path]]:
    """Draw and save the figures of one selection; those after the first carry its name."""
    suffix = "" if position == 0 else f"-{chosen.fitted.selection}"

    def draw(output: Path) -> list[Path]:
        files: list[Path] = []
        share = tell.step(f"figures of {chosen.fitted.selection}", FIGURE_TIME)
        if envelopes:
            figure = approach1_figure(chosen.frontier, envelopes, RunColors.of(runs))
            files += save_figure(figure, make_folder(output / "figures") / f"approach1{suffix}")
        share(0.5)
        # In one order whichever of them is flagged: a law keeps its colour from selection to selection.
        planning = planning_fits(fits)
        if planning:
            best = planning[0]
            fitted = best.law.fitted.flops
            laws: dict[str, AnyLaw] = {made.law.name: made for made in planning}
            others = references(fitted) if runs.loss_unit == "nats" else {}
            drawn, _ = prescriptions(laws | others, grid(fitted), curves=True)
            if drawn:
                title = f"Approach 3: {selection_words(best.dataset, best.selection)}"
                figure3 = approach3_figure(drawn, fitted, title)
                files += save_figure(figure3, make_folder(output / "figures") / f"approach3{suffix}")
        share(1.0)
        return files

    return draw


def _annealed(runs: RunTable, chosen: Sequence[Selected]) -> dict[str, int] | None:
    """Rows and runs of the annealed losses, where the study begins with the default selection, of others."""
    known = selections_of(runs.dataset)
    first = chosen[0].fitted.selection
    if runs.selection or ANNEALED not in known or first != default_selection(runs.dataset):
        return None
    rows = known[ANNEALED].rows(runs.frame)
    return {"rows": rows.height, "runs": rows["run"].n_unique()} if rows.height else None


def _provenance(runs: RunTable, chosen: Sequence[Selected]) -> dict[str, Any]:
    studied = {t.selection: t for one in chosen for t in (one.fitted, one.frontier)}
    return {
        "sources": [asdict(source) for source in runs.sources],
        "assumptions": list(runs.assumptions),
        "flops_convention": runs.flops_convention,
        "rows": runs.rows,
        "runs": runs.runs,
        "selections": [
            {"selection": name, "rows": t.rows, "runs": t.runs, "fingerprint": t.fingerprint}
            for name, t in studied.items()
        ],
        "annealed": _annealed(runs, chosen),
        "versions": {"gemstones": __version__, "numpy": np.__version__},
    }
