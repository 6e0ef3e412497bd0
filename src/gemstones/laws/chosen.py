"""`Choice`: the form that backtests choose, with every candidate's errors, in plain values and in words."""

from __future__ import annotations

from typing import Any

import msgspec

from gemstones.display import Row, few_lines, html_table
from gemstones.laws.law import Law

AUTO = "auto"
"""What `law` is called where backtests are to choose it."""


class Candidate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One form and how it did: errors of a typical run, the geometric mean over runs of the root mean square of
    log L̂ − log L; 0.01 is about 1% of the loss."""

    law: str
    constants: int
    """How many it fits."""
    error_beyond: float | None
    """Of rows above the fitted FLOPs; None where no such row was held back, or there is no fit."""
    error_left_out: float | None
    """Of runs that were left out."""
    score: float | None
    """Geometric mean of the two errors that are known: what candidates are ranked by."""
    standard_error: float | None
    """Of its score less the least one, over resampled runs, paired; 0 for the best."""
    near: bool = False
    """Whether its score is within one standard error of the least."""
    reason: str | None = None
    """Why it has no errors."""

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return msgspec.structs.asdict(self)


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The form that is taken, and every candidate, the best first."""

    law: str
    candidates: tuple[Candidate, ...]
    cuts: tuple[float, ...]
    """In FLOPs: rows up to each were fitted, those above predicted."""
    groups: int
    """Of runs, that were left out in turn."""
    near_laws: tuple[Law, ...] = ()
    """The other forms within one standard error, fitted to every row: what they prescribe belongs to the answer. Empty
    until there is a fit."""

    @property
    def near(self) -> tuple[str, ...]:
        """The other forms within one standard error of the best."""
        return tuple(c.law for c in self.candidates if c.near and c.law != self.law)

    @property
    def taken(self) -> Candidate:
        """The candidate that is taken."""
        return next(c for c in self.candidates if c.law == self.law)

    @property
    def reason(self) -> str:
        """One sentence with the numbers."""
        taken, best = self.taken, self.candidates[0]
        said = f"{self.law} predicts held-out rows to {_percent(taken.score)} ({_parts(taken)})"
        others = [c for c in self.candidates if c.law != self.law and c.score is not None]
        named = set()
        if best.law != self.law:
            why = "has fewer constants" if taken.constants < best.constants else "stands before it"
            said += (
                f", within one standard error of the best, {best.law}, to {_percent(best.score)}, and {why}"
            )
            named = {best.law}
        elif others:
            said += f"; the next best, {others[0].law}, to {_percent(others[0].score)}"
            named = {others[0].law}
        plain = next((c for c in others if c.law == "N,T" and c.law not in named), None)
        return said if plain is None else said + f"; N,T to {_percent(plain.score)}"

    def summary(self) -> dict[str, Any]:
        """Plain values: `chosen` of a fit's JSON."""
        return {
            "law": self.law,
            "reason": self.reason,
            "near": list(self.near),
            "cuts": list(self.cuts),
            "groups": self.groups,
            "candidates": [candidate.summary() for candidate in self.candidates],
        }

    @property
    def notes(self) -> list[str]:
        """For people: why, which others are as good, and which could not be tried."""
        said = [f"chosen by backtests: {self.reason}"]
        if self.near:
            said.append(f"within one standard error of the best too: {', '.join(self.near)}")
        missing = [c.law for c in self.candidates if c.score is None]
        if missing:
            said.append(f"not tried, these runs do not determine them: {', '.join(missing)}")
        return said

    def __repr__(self) -> str:
        return few_lines(f"Choice {self.law} of {len(self.candidates)} forms", self.notes)

    def _repr_html_(self) -> str:
        return html_table(
            f"{self.law}, chosen of {len(self.candidates)} forms",
            CANDIDATE_HEADER,
            candidate_rows(self),
            self.notes,
        )


CANDIDATE_HEADER: Row = (
    "form",
    "constants",
    "above the fitted compute",
    "runs left out",
    "both",
    "standard error",
)
"""Of the rows below."""


def candidate_rows(choice: Choice) -> list[Row]:
    """Every candidate with errors, the best first; marked are the one that is taken and those as good."""
    return [
        (
            c.law + (" (taken)" if c.law == choice.law else " (as good)" if c.near else ""),
            str(c.constants),
            _percent(c.error_beyond),
            _percent(c.error_left_out),
            _percent(c.score),
            _percent(c.standard_error),
        )
        for c in choice.candidates
        if c.score is not None
    ]


def _percent(error: float | None) -> str:
    return "-" if error is None else f"{error:.2%}"


def _parts(candidate: Candidate) -> str:
    parts = (
        (candidate.error_beyond, "above the fitted compute"),
        (candidate.error_left_out, "of runs left out"),
    )
    return ", ".join(f"{_percent(error)} {what}" for error, what in parts if error is not None)
