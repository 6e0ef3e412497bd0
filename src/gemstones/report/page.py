"""A study as a `Page`: what it found in plain words first, then everything that led there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gemstones.display import caution
from gemstones.errors import InvalidTable
from gemstones.figures.predicted import MOST_PANELS, predicted_figure
from gemstones.figures.style import RunColors
from gemstones.figures.table import Table
from gemstones.laws.published import LAW_NAMES, published
from gemstones.numbers import counted, flops_text
from gemstones.page.explorer import OURS, PUBLISHED, Explorer
from gemstones.page.page import Figure, Page, Section
from gemstones.page.rows import typed_frame
from gemstones.page.table import TableBlock
from gemstones.planning.result import Plan
from gemstones.planning.shown import near_spans, plan_answer
from gemstones.report.answers import (
    annealed_sentence,
    description,
    first_plan,
    headline,
    law_not_tried,
    same_budget,
)
from gemstones.report.findings import flatness, frontier_growth, misfit, tokens_per_param
from gemstones.report.result import Study
from gemstones.report.runs import runs_section
from gemstones.report.steps import planning_fits, selected, trusted_first
from gemstones.report.tables import (
    envelopes_table,
    fits_table,
    formula_words,
    near_optimal_table,
    plans_table,
)
from gemstones.runs.selections import dense_selection
from gemstones.runs.table import RunTable
from gemstones.timing.step_time import StepTime
from gemstones.words import (
    flops_words,
    intervals_words,
    law_words,
    models_words,
    selection_words,
)

CONVENTION_WORDS = {"flops": "FLOPs", "laws": "Laws", "envelopes": "Frontiers"}


def study_page(
    study: Study,
    runs: RunTable | None = None,
    *,
    step_time: StepTime | None = None,
    sections: Sequence[Section] = (),
) -> Page:
    """The page of a study, with the figures that it wrote; with the `runs` that it was made from, also of them.

    A `step_time` model lets the explorer plan for device hours. Sections that others prepared take their place in
    the order. Raises `MissingExtra` without the extra `report`.
    """
    every = [
        None if runs is None else runs_section(runs),
        _envelopes(study),
        _fits(study, runs),
        _plans(study),
        *(_beside_the_answer(section, study) for section in sections),
        _provenance(study),
    ]
    return Page(
        title=study.dataset,
        subtitle=_subtitle(study),
        headline=headline(study),
        summary=tuple(_summary(study)),
        sections=tuple(section for section in every if section is not None),
        description=description(study),
        picture=_picture(study),
        explorer=_explorer(study, runs, step_time),
    )


def _picture(study: Study) -> str:
    pictures = [path.relative_to(study.output).as_posix() for path in study.files if path.suffix == ".png"]
    return next((path for stem in ("approach3", "approach1") for path in pictures if stem in path), "")


def _subtitle(study: Study) -> str:
    known = study.provenance
    of = [f"{counted(known['rows'], 'checkpoint')} of {counted(known['runs'], 'run')}"]
    fitted = dict.fromkeys(selection_words(study.dataset, fit.selection) for fit in study.fits)
    if fitted:
        of.append(f"fitted to {' and '.join(one.removeprefix(f'{study.dataset}, ') for one in fitted)}")
    of.append(
        f"{counted(len(study.fits), 'fit')}, {counted(study.settings.bootstrap, 'resample')} each by run"
    )
    return "; ".join(of)


# ---- Summary


def _summary(study: Study) -> Iterable[str]:
    plan = first_plan(study)
    if plan is None:
        yield "No law could be fitted to these runs, so nothing is prescribed. The reasons are under Conventions."
        return
    how, caveat = intervals_words(plan)
    yield (
        f"For {flops_text(plan.budget_flops)} FLOPs, counted by {flops_words(plan.flops_convention)}, "
        f"{law_words(plan.law_name)} prescribes {plan_answer(plan)}; {how}{f' ({caveat})' if caveat else ''}. The "
        "explorer has any other budget."
    )
    if (annealed := annealed_sentence(study)) is not None:
        yield annealed
    yield f"How far that reaches: {plan.extrapolation.sentence()}."
    shaped = next((p for p in same_budget(study, plan) if p.shape is not None and p.near_optimal), None)
    if shaped is not None and (near := shaped.near_optimal) is not None and near.count > 1:
        cut = ", and more beyond the search" if near.truncated_by else ""
        yield (
            f"How much of a choice it leaves: by {law_words(shaped.law_name)}, {counted(near.count, 'shape')} come "
            f"within {100 * near.tolerance:.3g}% of the least loss, of {' and '.join(near_spans(near))}{cut}."
        )
    if (made := study.analyses.sensitivity) is not None:
        beside = law_not_tried(study)
        yield f"What it depends on: {made.sentence[:1].lower()}{made.sentence[1:]}" + (
            f" {beside}" if beside else ""
        )


# ---- Sections


def _envelopes(study: Study) -> Section | None:
    if not study.envelopes:
        return None
    caption = (
        "Above: every run's loss over what it cost, with the lower convex hull (crosses) and the least loss in each "
        "bin (dots). Below: tokens per parameter of those points, and the lines fitted to them."
    )
    return Section(
        "envelope",
        "Envelope",
        (
            "Approach 1 asks the runs themselves: which of them had the least loss for what had been spent, and how do "
            "the parameters and tokens of those grow with the budget? The exponents below are slopes of lines through "
            "them, in logarithms. A frontier is made of what was trained: if all runs end after as many tokens, or as "
            "many FLOPs, its tokens per parameter are the design's, and may go the other way than the laws'."
            + (" Backtests say which of the two predicts." if study.analyses.backtest is not None else ""),
        ),
        figures=_drawn(
            study,
            "approach1",
            "Approach 1: loss and tokens per parameter over the budget",
            caption,
            _of_selections(
                study,
                {e.selection: frontier_growth([e], "tokens_per_param") for e in reversed(study.envelopes)},
            ),
            "envelopes",
            {
                record["selection"]: _frontier_of(study, record["selection"])
                for record in study.provenance["selections"]
            },
        ),
        tables=(
            TableBlock(
                "envelopes",
                "Lines through the frontier",
                envelopes_table(study.envelopes),
                first=("quantity", "slope", "method", "resource"),
            ),
        ),
    )


def _of_selections(study: Study, findings: Mapping[str, str]) -> dict[str, str]:
    """Findings by the selections that were fitted, of those whose checkpoints their frontiers are read off."""
    names = [record["selection"] for record in study.provenance["selections"]]
    every = {name: _frontier_of(study, name) for name in names}
    return {name: findings[dense] for name, dense in every.items() if dense in findings}


def _frontier_of(study: Study, selection: str) -> str:
    """The selection whose checkpoints the frontiers of `selection` are read off; itself where it has no other."""
    dense = dense_selection(study.dataset, selection)
    return dense if any(one.selection == dense for one in study.envelopes) else selection


def _drawn(
    study: Study,
    stem: str,
    label: str,
    caption: str,
    findings: Mapping[str, str],
    data: str,
    rows_of: Mapping[str, str] | None = None,
) -> tuple[Figure, ...]:
    """The study's figures of a kind, as it wrote them: of its first selection, and of others with their name.

    Titles name the selection of the checkpoints that are drawn: `rows_of` a selection, where it is not that itself.
    """
    first = study.provenance["selections"][0]["selection"]
    paths = [
        path for path in study.files if path.suffix == ".svg" and (path.stem + "-").startswith(f"{stem}-")
    ]
    selections = [path.stem.removeprefix(stem).removeprefix("-") or first for path in paths]
    return tuple(
        Figure(
            f"{stem}-{i}",
            f"{label}; {drawn}",
            caption,
            path,
            findings.get(of, "") + (f"; {drawn}" if len(paths) > 1 else ""),
            data,
        )
        for i, (path, of) in enumerate(zip(paths, selections, strict=True), 1)
        for drawn in [selection_words(study.dataset, (rows_of or {}).get(of, of))]
    )


def _fits(study: Study, runs: RunTable | None) -> Section | None:
    if not study.fits:
        return None
    flags = [f"† {fit.law.name}: {caution(flag)}" for fit in study.fits for flag in fit.flags]
    table = fits_table(study.fits)
    notes = tuple(n for n in table.notes if ": caution: " not in n and not n.startswith("L = "))
    exponents = [
        n for n in table.frame.columns if n.startswith("exponent_") and not n.endswith(("_low", "_high"))
    ]
    return Section(
        "fits",
        "Fits",
        (
            f"Approach 3 fits the loss of every checkpoint at once: L is the {formula_words(study.fits)}, the "
            "irreducible loss. A doubtful fit says so here, and † marks every number that comes from it.",
        ),
        flags=tuple(flags),
        figures=() if runs is None else _predicted(study, runs),
        tables=(TableBlock("fits", "Fitted laws", replace(table, notes=notes), first=("law", *exponents)),),
    )


def _predicted(study: Study, runs: RunTable) -> tuple[Figure, ...]:
    """Predicted against measured losses of the first selection that was studied."""
    table = selected(runs, study.settings.select)[0].fitted
    fits = trusted_first([fit for fit in study.fits if fit.selection == study.fits[0].selection])[
        :MOST_PANELS
    ]
    try:
        chart = predicted_figure(fits, table, RunColors.of(runs))
    except InvalidTable:
        return ()
    return (
        Figure(
            "predicted",
            "Predicted against measured loss of every law",
            "A dot is a checkpoint, in the colour of its run; on the line the law is right, above it too high. "
            + (
                "What laws predict of runs that they were not fitted to is under Backtests."
                if study.analyses.backtest is not None
                else "How far laws are off for runs that they were not fitted to is in the intervals of their losses."
            ),
            chart,
            misfit(fits, table),
            "fits",
        ),
    )


def _plans(study: Study) -> Section | None:
    if not study.plans:
        return None
    table = plans_table(study.plans)
    notes = tuple(note for note in table.notes if ": caution: " not in note)
    first = first_plan(study) or study.plans[0]
    selections = {record["selection"] for record in study.provenance["selections"]}
    near = [plan for plan in study.plans if plan.near_optimal is not None]
    tables = [
        TableBlock(
            "plans",
            "Plans",
            replace(table, notes=notes),
            first=("budget", "law", "params", "tokens", "tokens_per_param", "loss", "shape"),
        )
    ]
    if near:
        tables.append(
            TableBlock("near-optimal", "Shapes about as good as the best", near_optimal_table(near))
        )
    return Section(
        "prescriptions",
        "Prescriptions",
        (
            "What each law says to train for a budget.",
            *(f"{said}." for said in [flatness(near)] if said),
        ),
        figures=_drawn(
            study,
            "approach3",
            "Approach 3: width over depth, and tokens per parameter, over the budget",
            "What the laws prescribe over the budget, with intervals, within the fitted runs and beyond.",
            {of: tokens_per_param(plan) for of in selections if (plan := _plan_of(study, of, first))},
            "plans",
        ),
        tables=tuple(tables),
    )


def _plan_of(study: Study, selection: str, first: Plan) -> Plan | None:
    """The plan of a selection's most trusted fit for the budget of the first."""
    laws = {fit.law.name for fit in study.fits if fit.selection == selection}
    return next((plan for plan in same_budget(study, first) if plan.law_name in laws), None)


def _provenance(study: Study) -> Section:
    known, settings = study.provenance, study.settings
    budgets = ", ".join(flops_text(b) for b in settings.budgets)
    facts = [
        (CONVENTION_WORDS.get(name, name.capitalize()), text) for name, text in study.conventions.items()
    ]
    if known["flops_convention"]:
        facts.append(("FLOPs of these runs", flops_words(known["flops_convention"])))
    facts += [("Shapes", sentence) for sentence in models_words(study.plans)]
    facts += [("Assumed", sentence) for sentence in known["assumptions"]]
    facts.append(
        (
            "Settings",
            f"budgets {budgets} FLOPs; Huber delta {settings.delta:g}; {counted(settings.bootstrap, 'resample')}; "
            f"seed {settings.seed}",
        )
    )
    facts.append(("Versions", ", ".join(f"{name} {version}" for name, version in known["versions"].items())))
    facts += [("Left out", note) for note in study.notes]
    return Section(
        "conventions",
        "Conventions and provenance",
        ("A number without its convention is a wrong number. These hold throughout.",),
        tables=(
            TableBlock(
                "sources", "Sources", _records(known["sources"], ("name", "location", "sha256", "licence"))
            ),
            TableBlock(
                "selections",
                "Selections",
                _records(known["selections"], ("selection", "rows", "runs", "fingerprint")),
            ),
        ),
        facts=tuple(facts),
    )


def _records(records: list[dict[str, Any]], names: tuple[str, ...]) -> Table:
    counts = {"rows", "runs"}
    rows = [{n: record[n] for n in names} for record in records]
    return Table(typed_frame(rows, {*names} - counts, counts))


def _beside_the_answer(section: Section, study: Study) -> Section:
    """The sensitivity to choices says where the law that answers is none of those that were tried."""
    said = law_not_tried(study) if section.name == "sensitivity" else None
    return section if said is None else replace(section, words=(*section.words, said))


# ---- Explorer


def _explorer(study: Study, runs: RunTable | None, step_time: StepTime | None) -> Explorer:
    """Of the study's fits first one that knows shapes, which is what an explorer is for, and has an answer."""
    selections = dict.fromkeys(fit.selection for fit in study.fits)
    planning = [
        fit for name in selections for fit in planning_fits([f for f in study.fits if f.selection == name])
    ]
    plan = first_plan(study)
    budgets = study.settings.budgets
    budget = budgets[min(1, len(budgets) - 1)] if plan is None else plan.budget_flops
    answered = {p.law_name for p in study.plans if p.budget_flops == budget}
    planning.sort(key=lambda fit: fit.law.name not in answered)
    return Explorer(
        {
            OURS: {fit.law.name: fit for fit in (*planning, *study.fits)},
            PUBLISHED: {name: published(name) for name in LAW_NAMES},
        },
        budget,
        step_time,
        None if runs is None else selected(runs, study.settings.select)[0].fitted,
        budgets,
    )
