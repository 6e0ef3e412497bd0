"""What a study answers at one budget: the plan that a page begins with, in a few numbers and in a sentence."""

from __future__ import annotations

from gemstones.analyses.sensitivity.choices import NO_LAW
from gemstones.display import caution
from gemstones.laws.diagnostics import doubts
from gemstones.numbers import counted, flops_text, interval_text, quantity_text
from gemstones.page.page import Headline, Stat
from gemstones.planning.prescriptions import by_law
from gemstones.planning.result import Plan
from gemstones.report.result import Study
from gemstones.runs.loss_units import WORDS
from gemstones.runs.selections import ANNEALED
from gemstones.words import PARAMS_WORDS, law_words, listed, selection_words


def first_plan(study: Study) -> Plan | None:
    """The plan that a page begins with: by the most trusted fit that plans at all, for the budget nearest to the end of
    the runs.
    """
    ours = {fit.law.name for fit in study.fits}
    plans = next((plans for name, plans in by_law(study.plans).items() if name in ours), [])
    budgets = study.settings.budgets
    wanted = budgets[min(1, len(budgets) - 1)] if budgets else 0.0
    return min(plans, key=lambda plan: (abs(plan.budget_flops - wanted), plan.budget_flops), default=None)


def same_budget(study: Study, plan: Plan) -> list[Plan]:
    """Plans of all laws for the budget of `plan`, which comes first."""
    return [plan, *(p for p in study.plans if p.budget_flops == plan.budget_flops and p is not plan)]


def annealed_sentence(study: Study, way: str = f"a study of the selection {ANNEALED}") -> str | None:
    """That the runs have annealed losses which the study does not plan from, and the `way` in which it would."""
    other = study.provenance["annealed"]
    if other is None:
        return None
    of = selection_words(study.dataset, study.provenance["selections"][0]["selection"])
    of = of.removeprefix(f"{study.dataset}, ")
    return (
        f"Planned from {of}. There are annealed losses too, {counted(other['rows'], 'end')} of cooldowns: {way} "
        "plans from those, which is what a finished run reaches."
    )


def law_not_tried(study: Study) -> str | None:
    """That the law which answers is none of those whose prescriptions the sensitivity spans; None where it is."""
    made, plan = study.analyses.sensitivity, first_plan(study)
    if made is None or plan is None:
        return None
    tried = [law for law in dict.fromkeys(one.choices.law for one in made.studies) if law != NO_LAW]
    if not tried or plan.law_form in tried:
        return None
    return (
        f"The laws tried are {listed(tried)}, without {plan.law_form}, which answers here with "
        f"{quantity_text('params', plan.params)} parameters."
    )


def headline(study: Study) -> Headline | None:
    """The first plan in a few numbers."""
    plan = first_plan(study)
    if plan is None:
        return None
    stats, ends = [], plan.intervals or {}
    new_run = " (of a new run)" if "loss" in ends else ""
    shape = plan.shape
    for name, label, value in (
        ("width", "width", None if shape is None else shape.width),
        ("depth", "depth", None if shape is None else shape.depth),
        ("params", f"parameters ({PARAMS_WORDS[plan.params_convention]})", plan.params),
        ("tokens", "tokens", plan.tokens),
        ("tokens_per_param", "tokens per parameter", plan.tokens_per_param),
        ("loss", f"predicted loss, {WORDS[plan.loss_unit]}{new_run}", plan.loss),
    ):
        if value is not None:
            text = str(value) if name in ("width", "depth") else quantity_text(name, value)
            interval = interval_text(ends[name], name) if name in ends else ""
            stats.append(Stat(label, text, interval, bool(doubts(plan.flags))))
    return Headline(
        f"{flops_text(plan.budget_flops)} FLOPs are best spent on",
        tuple(stats),
        tuple(f"{law_words(plan.law_name)}: {caution(flag)}" for flag in plan.flags),
    )


def description(study: Study) -> str:
    """The first plan in a sentence, for previews of links."""
    made = headline(study)
    if made is None:
        return f"Scaling laws of {study.dataset}: no law could be fitted to these runs."
    said = [
        f"{stat.label} {stat.value}" + (f" {stat.interval}" if stat.interval else "") for stat in made.stats
    ]
    return f"{made.lead}: {', '.join(said)}."
