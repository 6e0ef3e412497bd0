"""What a study found, as a value."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gemstones.analyses.analysis import Analyses, Settings
from gemstones.display import caution, few_lines, html_table, labelled
from gemstones.laws.envelope import BINS, Envelope
from gemstones.laws.fit import Fit
from gemstones.laws.interval import DEFAULT_LEVEL
from gemstones.numbers import counted
from gemstones.planning.plan import NEAR
from gemstones.planning.result import Plan
from gemstones.planning.shown import plans_header, plans_rows
from gemstones.runs.loss_units import WORDS, LossUnit
from gemstones.words import resampled_words

CONVENTIONS = {
    "parameters": "every count of parameters is in the convention named beside it; total counts everything",
    "flops": "gemstones: Appendix G of the Gemstones paper; 6N_x: 6 times parameters of convention x, times tokens",
    "laws": "L = (sum of exp(log_coefficient) * x^(-exponent) over the terms x)^p + exp(log_irreducible); p is the "
    "outer exponent of a law that has one, else 1",
    "envelopes": "log y = slope * log resource + intercept, natural logarithms",
    "intervals": "of resamples by run, unless a unit is named; null where there are none",
}


PAGE = "report.html"


@dataclass(frozen=True, eq=False, repr=False)
class Study:
    """What a study found (fits, plans in FLOPs, tokens and losses, analyses), and the files it wrote.

    >>> study("pebbles", "out", quick=True).plans[0]  # doctest: +SKIP
    """

    dataset: str
    settings: Settings
    provenance: dict[str, Any]
    """Sources with their SHA-256, assumptions, the selections' fingerprints, versions."""
    fits: tuple[Fit, ...]
    envelopes: tuple[Envelope, ...]
    plans: tuple[Plan, ...]
    analyses: Analyses
    notes: tuple[str, ...]
    """What was left out, and why."""
    output: Path
    files: tuple[Path, ...]
    loss_unit: LossUnit = "nats"

    def __repr__(self) -> str:
        found = f"{counted(len(self.fits), 'fit')}, {counted(len(self.plans), 'plan')}"
        return few_lines(f"Study of {self.dataset}: {found}", self._said())

    def _repr_html_(self) -> str:
        rows = plans_rows(self.plans)
        return html_table(
            f"Study of {self.dataset}: what it prescribes", plans_header(self.plans), rows, self._said()
        )

    def _said(self) -> list[str]:
        page = [f"to read: {self.output / PAGE}"] if self.output / PAGE in self.files else []
        how = resampled_words(DEFAULT_LEVEL, self.settings.bootstrap, "run")
        flags = {f"{made.law.name}: {caution(flag)}": None for made in self.fits for flag in made.flags}
        written = f"{counted(len(self.files), 'file')} in {self.output}"
        return [*page, written, how, *labelled(("caution", flags), ("note", self.notes))]

    @property
    def conventions(self) -> dict[str, str]:
        """What its numbers mean."""
        of = "on the runs' own held-out text, in their own tokens: losses of other texts or tokenizers do not compare"
        if self.loss_unit == "bits_per_byte":  # whatever the tokens
            of = "on the runs' own held-out text: losses of other texts do not compare"
        return {"loss": f"{WORDS[self.loss_unit]}, {of}", **CONVENTIONS}

    def summary(self) -> dict[str, Any]:
        """The study as plain values: what `study.json` holds."""
        return {
            "dataset": self.dataset,
            "settings": asdict(self.settings) | {"bins": BINS, "near": NEAR},
            "conventions": self.conventions,
            "provenance": self.provenance,
            "fits": [{"name": made.law.name, **made.summary()} for made in self.fits],
            "envelopes": [made.summary() for made in self.envelopes],
            "plans": [made.summary() for made in self.plans],
            **self.analyses.summary(),
            "notes": list(self.notes),
            "files": [path.relative_to(self.output).as_posix() for path in self.files],
        }
