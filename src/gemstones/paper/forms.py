"""What the paper's form prescribes and what the form that predicts does, from the same runs and resamples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from gemstones.analyses.overtrain.paired import Paired, paired
from gemstones.analyses.sensitivity.prescribe import Prescribed, ends, prescribe_law
from gemstones.laws.fit import Fit
from gemstones.laws.interval import level_text
from gemstones.paper.approach3_curves import BUDGETS
from gemstones.paper.drawn import drawn
from gemstones.paper.figure import PaperFigure
from gemstones.paper.fits import PAPER_FORM, PREDICTS, SHAPED_SELECTIONS, FitKey
from gemstones.paper.rainbow import Curve, Panel, rainbow_panels, reference_curves, series_words
from gemstones.paper.rainbow_intervals import Prescription
from gemstones.shape import FloatArray
from gemstones.units import Interval

FORMS = ("N,T", PAPER_FORM, PREDICTS)
"""Of the rainbow: that of the paper's Figure 6, its Equation 2, and the one that predicts."""
TABLED = (1e19, 1e20, 1e21, 1e22, 1e23, 1e24)
"""Budgets of tables, in FLOPs."""
HEADLINE = 1e22
CURVED = tuple(budget for budget in BUDGETS if budget <= 1e25)
"""Budgets of the rainbow: beyond, optima of laws of shapes lie on the edge of the search."""
HEADINGS = {"N,T": "Equation 1", PAPER_FORM: "Equation 2", PREDICTS: "the form that predicts"}
VARIANT = "predicts"
"""Of figures that are made once more with the form that predicts."""
QUANTITIES = ("params", "tokens_per_param", "aspect_ratio")


@dataclass(frozen=True, eq=False)
class Forms:
    """Prescriptions by form, and of the rainbow by form and selection."""

    tabled: Mapping[str, Mapping[str, FloatArray]]
    """By form of a law of shapes and quantity, on `all`: (1 + draws, `TABLED`)."""
    rainbow: Mapping[tuple[str, str], FloatArray]
    """N* by form and selection, for `CURVED`; NaN where there is none."""
    headline: Mapping[tuple[str, str], FloatArray]
    """N* at `HEADLINE`, (1 + draws,), by form and selection."""
    fitted: Interval | None
    level: float

    def value(self, form: str, quantity: str, budget: float) -> tuple[float, Interval | None]:
        """What a form prescribes on `all`, with its interval."""
        values = self.tabled[form][quantity][:, TABLED.index(budget)]
        return float(values[0]), ends(values[1:], float(values[0]), discrete=True, level=self.level)

    def ratio(self, quantity: str, budget: float) -> Paired:
        """Log of what the form that predicts prescribes, less that of the paper's form, on the same resamples."""
        ours, theirs = (
            np.log(self.tabled[f][quantity][:, TABLED.index(budget)]) for f in (PREDICTS, PAPER_FORM)
        )
        return paired(ours[1:], theirs[1:], (float(ours[0]), float(theirs[0])), self.level)

    def spread(self, form: str) -> FloatArray:
        """Largest over least N* at `HEADLINE` over the selections, (1 + draws,).

        Draws of a selection go with those of the same number of the others, which are of the same runs where both have
        the same runs. The noise of the draws adds to the spread.
        """
        every = np.stack([self.headline[form, selection] for selection in SHAPED_SELECTIONS])
        return np.asarray(every.max(0) / every.min(0))


def prescribed_by_form(fits: Mapping[FitKey, Fit]) -> Forms:
    """Everything of the page on forms that is prescribed, from the fits that `paper_fits` makes."""
    tabled = {form: _quantities(_prescribed(fits[FitKey("all", form)], TABLED)) for form in FORMS[1:]}
    rainbow, headline = {}, {}
    for form in FORMS:
        for selection in SHAPED_SELECTIONS:
            fit = fits[FitKey(selection, form)]
            rainbow[form, selection] = _prescribed(msgspec.structs.replace(fit, drawn=()), CURVED).n_opt[0]
            headline[form, selection] = _prescribed(fit, (HEADLINE,)).n_opt[:, 0]
    of_all = fits[FitKey("all", PREDICTS)]
    return Forms(tabled, rainbow, headline, of_all.law.fitted.flops, of_all.level)


def _prescribed(fit: Fit, budgets: tuple[float, ...]) -> Prescribed:
    """FLOPs by Appendix G for laws of shapes, by 6·N·T for `N,T`."""
    (found,) = prescribe_law(fit, [("total", "6N_total" if fit.law.form == "N,T" else "gemstones")], budgets)
    return found


def _quantities(found: Prescribed) -> dict[str, FloatArray]:
    values = (found.n_opt, found.t_opt / found.n_opt, found.w_opt / found.d_opt)
    return dict(zip(QUANTITIES, values, strict=True))


def forms_rainbow(forms: Forms) -> PaperFigure:
    """Figure 6 once more: what every selection prescribes, by each form."""
    references = reference_curves(np.array(CURVED))
    panels = {}
    for name, form in zip(("size", "paper", VARIANT), FORMS, strict=True):
        flops = "6·N·T" if form == "N,T" else "Appendix G"
        curves = [
            Curve(
                series_words("gemstones", selection),
                "approach3",
                "total",
                flops,
                CURVED,
                forms.rainbow[form, selection],
            )
            for selection in SHAPED_SELECTIONS
        ]
        panels[name] = Panel(f"{form}: {HEADINGS[form]}", f"FLOPs budget ({flops})", [*references, *curves])
    chart = rainbow_panels(
        panels,
        forms.fitted,
        "How much of the rainbow is the form's: the parameters prescribed for a budget, by the runs fitted",
        [
            "Colour: the checkpoints that were fitted, named where their curve ends",
            "laws of shapes: the best feasible shape, no line where that lies on the edge of the search",
            f"below: {level_text(forms.level)} intervals from resamples by run",
        ],
        [
            Prescription(
                series_words("gemstones", selection),
                form,
                float(values[0]),
                ends(values[1:], float(values[0]), discrete=form != "N,T", level=forms.level),
            )
            for (form, selection), values in forms.headline.items()
        ],
    )
    caption = (
        "Prescribed parameters (total) over a budget of FLOPs, from five selections of the Gemstones, by the paper's "
        "two forms and by the one that predicts, δ 1e-4; FLOPs by Appendix G, of N,T by 6·N·T."
    )
    return PaperFigure(6, chart, drawn(chart.datasets), caption, VARIANT)
