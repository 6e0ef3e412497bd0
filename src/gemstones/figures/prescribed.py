"""Figure 5 of laws, in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gemstones.arguments import checked
from gemstones.bounds import FLOPS
from gemstones.errors import InvalidRequest
from gemstones.figures.approach3 import approach3_figure as figure_of_plans
from gemstones.laws.fit import Fit
from gemstones.laws.published import given_law
from gemstones.planning.prescriptions import AnyLaw, grid, prescriptions, references

if TYPE_CHECKING:
    import altair as alt


@checked
def approach3_figure(
    laws: AnyLaw | str | Sequence[AnyLaw | str] | Mapping[str, AnyLaw],
    budgets: Sequence[float | str] | None = None,
    *,
    compare: bool = True,
    title: str = "Approach 3",
) -> alt.HConcatChart:
    """Figure 5 for one of `laws` or several, or for laws by the names that the legend is to have.

    `budgets` (FLOPs) are by default a grid from the runs of the first law to a thousand times beyond; `compare` adds
    published laws, where their runs are of such budgets; `title` stands above. Raises `InvalidRequest` where no law
    has a plan, or two have one name, and `MissingExtra` without altair.

    >>> chart = approach3_figure("chinchilla", [1e20, 1e22])  # shows itself in a notebook
    >>> chart.save("figure.html")  # doctest: +SKIP
    """
    named = {k: given_law(v) for k, v in laws.items()} if isinstance(laws, Mapping) else _by_name(laws)
    first = next(iter(named.values()), None)
    if first is None:
        raise InvalidRequest("Approach 3 needs a law to draw: none was given")
    fitted = (first.law if isinstance(first, Fit) else first).fitted.flops
    wanted = grid(fitted) if budgets is None else FLOPS.each(budgets)
    if not wanted:
        raise InvalidRequest("Approach 3 needs a budget to draw a law at: none was given")
    plans, missing = prescriptions(named | references(fitted) if compare else named, wanted, curves=True)
    if not any(plan.law_name in named for plan in plans):
        raise InvalidRequest(f"no law has a plan to draw: {missing[0]}")
    return figure_of_plans(plans, fitted, title)


def _by_name(laws: AnyLaw | str | Sequence[AnyLaw | str]) -> dict[str, AnyLaw]:
    several = [laws] if isinstance(laws, AnyLaw | str) else laws
    every = [given_law(law) for law in several]
    names = [_name(law) for law in every]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidRequest(
            f"two laws are called {twice!r}: give names, as {{'mine': law, 'theirs': other}}"
        )
    return dict(zip(names, every, strict=True))


def _name(law: AnyLaw) -> str:
    return f"{law.law.form} fitted to {law.selection}" if isinstance(law, Fit) else law.name
