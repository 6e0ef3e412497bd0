"""What figures, tables and text call things: conventions, laws and resources, each in one way everywhere."""

from __future__ import annotations

from collections.abc import Iterable

from gemstones.accounting.parameters import ParamsConvention
from gemstones.laws.envelope import OF_FRONTIER, Envelope, Resource
from gemstones.laws.interval import level_text
from gemstones.numbers import counted
from gemstones.planning.result import Plan
from gemstones.runs import DATASETS, selections_of

PARAMS_WORDS: dict[ParamsConvention, str] = {
    "total": "total",
    "no_embedding": "without the input embedding",
    "non_embedding": "non-embedding",
}
"""How a count of parameters is called by its convention."""

LAW_WORDS = {
    "chinchilla": "Chinchilla (Hoffmann et al. 2022)",
    "chinchilla-unrounded": "Chinchilla (Hoffmann et al. 2022, unrounded)",
    "chinchilla-epoch": "Chinchilla, Epoch AI's refit",
    "kaplan": "Kaplan et al. 2020",
    "gemstones": "Gemstones N,T (McLeish et al. 2025)",
    "gemstones-width-depth": "Gemstones w,d,N,T (McLeish et al. 2025)",
}
"""How published laws are called; a fit is called by its own name."""

RESOURCE_WORDS: dict[Resource, str] = {"flops": "FLOPs", "device_hours": "device hours"}

_FLOPS_WORDS = {"gemstones": "Appendix G", "given": "as given", "": "convention unknown"}


def law_words(name: str) -> str:
    """A law as a legend calls it."""
    return LAW_WORDS.get(name, name)


def flops_words(convention: str) -> str:
    """A table's or a plan's convention of FLOPs, as axes and sentences have it in brackets.

    >>> flops_words("gemstones"), flops_words("6N_total")
    ('Appendix G', '6·N·T, total N')
    """
    return " or ".join(
        f"6·N·T, {part.removeprefix('6N_').replace('_', '-')} N"
        if part.startswith("6N_")
        else _FLOPS_WORDS.get(part, part)
        for part in convention.split("+")
    )


def resource_title(resource: str, convention: str) -> str:
    """Title of a resource's axis: `FLOPs (Appendix G)`, `Device hours`."""
    return f"FLOPs ({flops_words(convention)})" if resource == "flops" else "Device hours"


def selection_words(dataset: str, selection: str) -> str:
    """A selection, one of published data with its rule: `gemstones, all-2B (main, every 2B tokens)`."""
    known = selections_of(dataset).get(selection) if dataset in DATASETS else None
    return f"{dataset}, {selection}" + (f" ({known.rule})" if known is not None else "")


def resampled_words(level: float, draws: int, unit: str) -> str:
    """How intervals of a fit or a frontier were made."""
    if not draws:
        return "no intervals: no resamples"
    return f"{level_text(level)} intervals from {counted(draws, 'resample')} by {unit}"


def frontier_resampled_words(envelope: Envelope) -> str:
    """How intervals of a frontier were made, and what they cover."""
    words = resampled_words(envelope.level, len(envelope.draws.get("params", ())), envelope.unit)
    return f"{words}, {OF_FRONTIER}" if envelope.draws else words


def intervals_words(plan: Plan) -> tuple[str, str]:
    """How a plan's intervals were made, and what is to be said against them; of the relaxed optimum nothing.

    Text and tables show feasible optima only, which have their intervals.
    """
    how, *caveats = plan.intervals_note.split("; ")
    return how, "; ".join(c for c in caveats if c != "the relaxed optimum has none")


def models_words(plans: Iterable[Plan]) -> list[str]:
    """What shapes are counted with: a sentence, or one for each kind of models and its laws."""
    laws: dict[str, list[str]] = {}
    for plan in plans:
        if plan.shape is not None or plan.near_optimal is not None:
            models = plan.models
            ratio = "1 query" if models.queries_per_kv == 1 else f"{models.queries_per_kv} queries"
            counting = (
                f"counted with vocabulary {models.vocabulary:,}, head size {models.head_size}, "
                f"context {models.context:,}, {ratio} per kv head, MLPs {models.mlp_expansion} times as wide"
            )
            laws.setdefault(counting, []).append(law_words(plan.law_name))
    if len(laws) == 1:
        return [f"shapes {counting}" for counting in laws]
    return [f"shapes of {listed(dict.fromkeys(names))} {counting}" for counting, names in laws.items()]


def capital(text: str) -> str:
    """A sentence's first letter as a capital, the rest as it is."""
    return text[:1].upper() + text[1:]


def listed(names: Iterable[str]) -> str:
    """`a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
