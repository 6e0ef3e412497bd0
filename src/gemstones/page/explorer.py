"""What the page's explorer computes with: laws with their draws, a throughput model, and the ranges of a search.

Arrays are little-endian doubles in base64: exact, and half the size of digits.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from gemstones.design.feasible import Constraints
from gemstones.display import cautions
from gemstones.errors import InvalidRequest
from gemstones.figures.style import GREY, REFERENCES, law_colors
from gemstones.laws.diagnostics import doubts
from gemstones.laws.fit import Fit
from gemstones.laws.interval import DEFAULT_LEVEL
from gemstones.laws.law import Law
from gemstones.laws.linear import Polynomial
from gemstones.laws.published import FrontierLaw
from gemstones.laws.tree import Column
from gemstones.page.colours import variable
from gemstones.page.measured import measured_data
from gemstones.planning.defaults import default_constraints, default_throughput
from gemstones.planning.plan import NEAR
from gemstones.planning.sight import sight
from gemstones.runs.loss_units import WORDS
from gemstones.runs.table import RunTable
from gemstones.runs.trained_models import trained_points
from gemstones.shape import FloatArray
from gemstones.timing.step_time import StepTime
from gemstones.words import PARAMS_WORDS, law_words

AnyLaw = Fit | Law | FrontierLaw
OURS, PUBLISHED = "Fits of this study", "Published laws"


COMPARED = ("gemstones-width-depth", "chinchilla", "chinchilla-epoch", "kaplan")
"""Published laws that stand beside those of a study; the others can be chosen."""


@dataclass(frozen=True)
class Explorer:
    """What the explorer offers: laws by name, in groups, of which the first is chosen at first."""

    groups: Mapping[str, Mapping[str, AnyLaw]]
    budget: float
    """Shown at first, in FLOPs."""
    step_time: StepTime | None = None
    """Of the runs of the study's own fits; by default, and for all others, what `plan` takes."""
    measured: RunTable | None = None
    """The runs that the study's own fits were fitted to."""
    presets: tuple[float, ...] = ()
    """Budgets to choose from, in FLOPs."""


def explorer_data(explorer: Explorer) -> dict[str, Any]:
    """`explorer` as plain values; a law whose terms a shape does not determine cannot prescribe and is left out.

    Laws of one colour, as those of a form that was fitted to several selections, have marks of their own, from 0 on.
    """
    laws: list[dict[str, Any]] = []
    step_times = {}
    colors = law_colors_of(explorer)
    for group, members in explorer.groups.items():
        for name, law in members.items():
            if not prescribes(law):
                continue
            model = (explorer.step_time if group == OURS else None) or default_throughput(law)
            if model is not None:
                step_times[model.source] = step_time_data(model)
            source = None if model is None else model.source
            own = {
                "own": group == OURS,
                "compared": group == OURS or name in COMPARED,
                "color": variable(colors[name]),
                "mark": sum(law["compared"] and colors[law["id"]] == colors[name] for law in laws),
                "step_time": source,
            }
            laws.append({"group": group, **law_data(name, law), **own})
    return {
        "laws": laws,
        "step_times": step_times,
        "budget": explorer.budget,
        "presets": list(explorer.presets),
        "near": NEAR,
        "params_words": PARAMS_WORDS,
        "industry": trained_points(),
        "measured": [] if explorer.measured is None else measured_data(explorer.measured),
    }


def law_colors_of(explorer: Explorer) -> dict[str, str]:
    """Colours of the laws that are offered, as in figures; published ones that figures do not name are grey."""
    ours = [*explorer.groups.get(OURS, {})]
    published = [name for members in explorer.groups.values() for name in members if name not in ours]
    return dict(zip(ours, law_colors(ours), strict=True)) | {
        name: REFERENCES.get(name, GREY) for name in published
    }


def prescribes(law: AnyLaw) -> bool:
    """Whether a law can say what to train for a budget."""
    bare = law.law if isinstance(law, Fit) else law
    if isinstance(bare, FrontierLaw):
        return True
    try:
        sight(bare)
    except InvalidRequest:
        return False
    return form_data(bare) is not None


def law_data(name: str, law: AnyLaw) -> dict[str, Any]:
    """One law: its constants and draws, what it was fitted to, and the search that plans of it make."""
    fit = law if isinstance(law, Fit) else None
    bare = law.law if isinstance(law, Fit) else law
    constraints = default_constraints(bare)
    data: dict[str, Any] = {
        "id": name,
        "label": law_words(name),
        "form": bare.form,
        "source": bare.source,
        "convention": bare.params_convention,
        "lossUnit": WORDS[bare.loss_unit if isinstance(bare, Law) else "nats"],
        "fitted": msgspec.structs.asdict(bare.fitted),
        "models": constraints.template.architecture,
        "ranges": _ranges(constraints),
        "flags": [] if fit is None else cautions(doubts(fit.flags)),
        "assumptions": [] if fit is None else list(fit.plan_assumptions),
        "draws": "" if fit is None or not fit.has_intervals else packed(fit.theta_draws),
        "level": None if fit is None or not fit.has_intervals else fit.level,
        "newRunLevel": None if fit is None else fit.level,
        "newRun": [] if fit is None else [[one.decades, one.error] for one in fit.new_run_error],
        "flops": flops_data(bare),
        "interval_note": None if fit is None or not fit.drawn else fit.interval_note,
    }
    if isinstance(bare, FrontierLaw):
        return data | {
            "kind": "frontier",
            "n0": bare.n0,
            "c0": bare.c0,
            "exponent": bare.exponent,
            "terms": [],
        }
    seen, form = sight(bare), form_data(bare)
    assert form is not None
    kind = "params" if seen == "size" else "shape"
    return data | {"kind": kind, "sees": seen, "theta": packed(bare.theta)} | form


def flops_data(law: Law | FrontierLaw) -> dict[str, Any] | None:
    """FLOPs per token as the runs of a law gave them; None where they are counted by Appendix G, or as 6·N·T."""
    if not isinstance(law, Law) or law.flops is None:
        return None
    flops = law.flops
    return {
        "kind": flops.kind,
        "constants": list(flops.constants),
        "convention": flops.params_convention,
        "words": flops.convention,
    }


def form_data(law: Law) -> dict[str, Any] | None:
    """The form of a law as the page computes with it; None for one with parts that are not linear in its constants."""
    form, symbols = law.parsed_form, law.symbols
    structure = form.structure

    def polynomial(of: Polynomial) -> list[Any] | None:
        if not all(isinstance(atom, Column) for monomial in of for atom in monomial):
            return None
        return [[x, [symbols.index(atom.name) for atom in m]] for m, x in of.items()]  # type: ignore[union-attr]

    def constant(name: str | float | None) -> list[int] | float | None:
        return [form.index(name)] if isinstance(name, str) else name

    terms = []
    for term in structure.terms:
        parts = [(None, polynomial(term.offset)), *((form.index(n), polynomial(p)) for n, p in term.linear)]
        if term.rest or any(part is None for _, part in parts):
            return None
        terms.append([part for part in parts if part[1]])
    powers = None
    if set(symbols) == {"N", "T"} and form.power_terms is not None and len(terms) == 2:
        by_column = {column: (exponent, factor) for column, exponent, factor in form.power_terms}
        (alpha, log_a), (beta, log_b) = by_column["N"], by_column["T"]
        powers = [constant(one) for one in (alpha, beta, log_a, log_b)]
    return {
        "symbols": list(symbols),
        "columns": list(law.columns),
        "terms": terms,
        "outer": constant(structure.outer),
        "irreducible": constant(structure.constant),
        "powers": powers,
    }


def step_time_data(model: StepTime) -> dict[str, Any]:
    """A throughput model: its constants and draws, and what is to be said of it."""
    return {
        "features": model.features,
        "coefficients": model.coefficients,
        "draws": packed(np.array(model.draws)),
        "level": DEFAULT_LEVEL,
        "newShapeError": model.new_shape_error,
        "notes": _step_time_notes(model),
    }


def _step_time_notes(model: StepTime) -> list[str]:
    off = "how far they are off for other shapes is not known"
    if model.held_out_error is not None:
        off = f"{model.held_out_error:.0%} off (rms of log error) for shapes left out of the fit"
    return [f"Device hours from the step times of {model.source}: {off}."]


def packed(values: FloatArray | Sequence[float]) -> str:
    """Doubles in base64."""
    return base64.b64encode(np.asarray(values, "<f8").tobytes()).decode()


def _ranges(constraints: Constraints) -> dict[str, int]:
    return {
        "widthMin": constraints.width_min,
        "widthMax": constraints.width_max,
        "depthMin": constraints.depth_min,
        "depthMax": constraints.depth_max,
        "widthMultiple": constraints.width_multiple,
    }
