"""RUNS of `gemstones design`: a pilot (`--after`), and runs that exist (`--existing`)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gemstones.cli.law_option import form_of
from gemstones.cli.options import FLAG, Architecture, Reading
from gemstones.errors import InvalidRequest
from gemstones.laws.fit import is_fit
from gemstones.runs import DATASETS, RunTable

Elsewhere = Annotated[int | None, Parameter(parse=False)]


@Parameter(name="*")
@dataclass(frozen=True)
class PilotRuns(Reading):
    """How to read the RUNS of --after and of --existing; their models are those of the options of architecture."""

    vocabulary: Elsewhere = None
    head_size: Elsewhere = None
    context: Elsewhere = None
    queries_per_kv: Elsewhere = None
    force: Annotated[
        bool,
        FLAG,
        Parameter(
            help="Replace files that another program wrote; take RUNS that are refused as implausible or inseparable, "
            "flagged."
        ),
    ] = False

    def check(self, after: str | None, existing: str | None, law: str | None) -> None:
        """Refuse options of reading where there is nothing to read, and a form where there is nothing to fit."""
        if law is not None and after is not None:
            if _fitted(after):
                raise InvalidRequest(
                    f"--law {law} is fitted to RUNS, and --after {after} is a fit: leave --law out, or give the runs"
                )
            form_of(law)
        if self.given is None or existing is not None or (after is not None and not _fitted(after)):
            return
        if after is None:
            raise InvalidRequest(
                f"{self.given} is of RUNS, and there are none: name them with --after RUNS or --existing RUNS"
            )
        raise InvalidRequest(
            f"{self.given} is of RUNS, and --after {after} is a fit, which is read as it is: leave it out, or give "
            "--after the runs"
        )

    def table(self, runs: str, architecture: Architecture) -> RunTable:
        """The rows asked for of `runs`; files that do not describe their models have those of `architecture`."""
        if runs in DATASETS:
            return self.selected([runs])
        usual = asdict(Architecture())
        own = {name: value for name, value in asdict(architecture).items() if value != usual[name]}
        own.pop("mlp_expansion", None)
        return replace(self, **own).selected([runs])

    def pilot(self, after: str, architecture: Architecture) -> str | RunTable:
        """The file of a fit, as it is, or the runs of a pilot."""
        return after if _fitted(after) else self.table(after, architecture)


def _fitted(name: str) -> bool:
    path = Path(name)
    return path.is_file() and is_fit(path.read_bytes())
