"""The section of a study's page: isoFLOP profiles."""

from __future__ import annotations

from gemstones.analyses.isoflop.figure import isoflop_figure
from gemstones.analyses.isoflop.result import IsoFlop
from gemstones.analyses.isoflop.shown import isoflop_heading, isoflop_lines, isoflop_notes
from gemstones.figures.table import Table
from gemstones.page.page import Figure, Section
from gemstones.page.rows import typed_frame, with_ends
from gemstones.page.table import TableBlock
from gemstones.words import capital


def isoflop_section(made: IsoFlop) -> Section:
    """The best size of each budget by parabolas, with a law's beside."""
    rows = [
        {
            "budget": one.flops,
            "runs": one.points,
            **with_ends("params", one.n_opt, one.intervals.get("n_opt")),
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
        tuple(f"{capital(said)}." for said in isoflop_lines(made)[1:]),
        figures=(
            Figure(
                "isoflop",
                "Loss over size by budget, and the best size over FLOPs",
                "Approach 2: a parabola in log N through the runs of each budget (docs/isoflop.md).",
                isoflop_figure(made),
                capital(next(iter(isoflop_lines(made)), isoflop_heading(made))),
                "isoflop-budgets",
            ),
        ),
        tables=(
            TableBlock(
                "isoflop-budgets",
                "Budgets",
                Table(typed_frame(rows, {"status"}, {"runs"}), loss_unit=made.loss_unit),
            ),
        ),
        notes=tuple(isoflop_notes(made)[len(isoflop_lines(made)) :]),
    )
