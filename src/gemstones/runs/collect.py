"""Folders of runs → one run table, a row for each evaluation: in the suite's order, then by step.

Times are of the steps that stand; what an interruption or a rollback threw away is not in them. A run that
branched off counts its parent's steps up to the fork, at the parent's own times (at its own where the parent
is not beside it), so that device_hours = seconds_per_step x step x devices / 3600 holds for it too; where the
number of devices changed, device_hours is the sum over the steps, and devices that of the last of them.

After the columns of `gemstones.runs.schema` come those of `COLUMNS`:

    parent … precision      as in the run's `RunSpec`; learning_rate is lr_eff
    mixture                 what was trained on in the place of the corpus, like 0.5*code+0.5*prose
    recipe                  initialisation, rates and optimizer, by name (`gemstones.design.recipes`)
    cooldown                whether the run is a branch whose rate falls from the fork on
    annealed                whether the rate has fallen to its floor: the last row of a run with a cooldown
    bits_per_byte           loss / ln 2 x tokens per byte of the held-out text, ends of documents included
    train_loss              mean training loss since the last evaluation, or the run's first step, nats/token
    epochs                  how often the whole run reads the corpus: above 1, text is seen again
    rollbacks               from which the run went on, before this row
    host … torch_version    of the session that did the step; layout is data x tensor parallel
    sessions, state         of the run as it was collected

and for each held-out set beside the corpus's own loss_NAME (nats/token) and bits_per_byte_NAME.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import PARAMS_CONVENTIONS, params
from gemstones.design.corpora import VALIDATION
from gemstones.design.spec import RunSpec
from gemstones.errors import InvalidTable
from gemstones.files import unreadable
from gemstones.lazy import pl
from gemstones.runs.architecture import Architecture
from gemstones.runs.building import build_table
from gemstones.runs.folders import RUN, SUITE, ledger_of, read_run, read_suite
from gemstones.runs.ledger import LEDGER, Evaluation, Ledger, Rollback, Start, Step
from gemstones.runs.one_line import listed, one_line
from gemstones.runs.provenance import Source
from gemstones.runs.schema import SCHEMA
from gemstones.runs.table import RunTable

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "parent": "String",
        "fork_tokens": "Int64",
        "seed": "Int64",
        "lr_base": "Float64",
        "learning_rate": "Float64",
        "batch_sequences": "Int64",
        "head_size": "Int64",
        "queries_per_kv": "Int64",
        "vocabulary": "Int64",
        "context": "Int64",
        "mlp_expansion": "Int64",
        "precision": "String",
        "document_mask": "Boolean",
        "corpus_fingerprint": "String",
        "mixture": "String",
        "recipe": "String",
        "cooldown": "Boolean",
        "annealed": "Boolean",
        "bits_per_byte": "Float64",
        "train_loss": "Float64",
        "epochs": "Float64",
        "rollbacks": "Int64",
        "host": "String",
        "device": "String",
        "threads": "Int64",
        "layout": "String",
        "gemstones_version": "String",
        "torch_version": "String",
        "sessions": "Int64",
        "state": "String",
    }
)
"""Columns after those of the schema, and their types."""


@dataclass(frozen=True, eq=False)
class Collected:
    """A table, and how far the runs are that it was collected from."""

    table: RunTable
    suite_runs: int
    """Runs of the suite, those without a row included."""
    finished: int
    """Of the runs of the suite."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the table should know; the table has them as its assumptions."""
        return self.table.assumptions

    def span(self, column: str) -> tuple[float, float]:
        """Least and greatest value of a numeric column."""
        values = self.table.numbers(column)
        return float(values.min()), float(values.max())

    @property
    def families(self) -> dict[str, dict[str, int]]:
        """Runs and rows by family, in the order of the table."""
        frame = self.table.frame
        rows = Counter(frame["family"].to_list())
        runs = Counter(frame.unique("run", maintain_order=True)["family"].to_list())
        return {family: {"runs": runs[family], "rows": rows[family]} for family in rows}


@dataclass(frozen=True)
class Run:
    """What is in a run's folder."""

    spec: RunSpec
    ledger: Ledger

    @property
    def finished(self) -> bool:
        """Whether all of its steps are done."""
        return self.ledger.state == "finished"


def collect(folder: Path, finished_only: bool = False) -> Collected:
    """The evaluations of all runs in `folder`: a suite's, a folder of runs' folders (by name), or a run's own.

    Where `finished_only`, unfinished runs are left out. Raises `InvalidTable` for a ledger that is broken or
    not of its run, and where no evaluation is found.
    """
    names = _names(folder)
    beside = folder.resolve().parent if names is None else folder
    found: dict[str, Run] = {}
    missing: list[str] = []
    for name in [folder.resolve().name] if names is None else names:
        run = _read(beside / name)
        if run is None:
            missing.append(name)
        else:
            found[name] = run
    runs = [run for run in found.values() if run.finished or not finished_only]
    rows = [row for run in runs for row in _rows(run, _spent(run, beside, found))]
    if not rows:
        raise InvalidTable(_nothing(len(found) + len(missing), finished_only), file=one_line(folder))
    architecture = _in_common([run.spec for run in runs if run.ledger.evaluations])
    table = build_table(
        _frame(rows),
        dataset=f"{one_line(folder.resolve().name)}/",  # a name that no known data set has
        file=one_line(folder),
        architecture=architecture,
        assumptions=tuple(_notes(found, missing, finished_only, architecture)),
        flops_convention="gemstones",
        sources=(Source(f"{one_line(folder.resolve().name)}/", str(folder), _digest(found)),),
        units_declared=True,
    )
    return Collected(table, len(found) + len(missing), sum(run.finished for run in found.values()))


def _names(folder: Path) -> list[str] | None:
    """Names of the runs' folders in `folder`, None if it is a run's folder itself."""
    if (folder / SUITE).exists():
        return list(read_suite(folder).runs)
    if (folder / RUN).exists():
        return None
    try:
        names = sorted(path.name for path in folder.iterdir() if (path / RUN).is_file())
    except OSError as error:
        raise unreadable(error, InvalidTable, file=one_line(folder)) from None
    if not names:
        raise InvalidTable(
            f"is a folder without {SUITE}, {RUN}, or runs' folders: give one of `gemstones suite run`, or a file",
            file=one_line(folder),
        )
    return names


def _read(folder: Path) -> Run | None:
    """The run in `folder`, checked against its ledger; None where there is neither."""
    if not (folder / RUN).exists() and not (folder / LEDGER).exists():
        return None
    spec, ledger, file = read_run(folder).spec, ledger_of(folder), one_line(folder / LEDGER)
    if spec.id != folder.name:
        raise InvalidTable(
            f"is of run {spec.id}, the folder's name is another run's: give each run its own folder back",
            file=one_line(folder / RUN),
        )
    if ledger.starts and not spec.fork_step == ledger.starts[0].step <= ledger.last_step <= spec.steps:
        raise InvalidTable(
            f"has steps {ledger.starts[0].step} to {ledger.last_step}, the run {spec.fork_step} to {spec.steps}: "
            f"it is another run's",
            file=file,
        )
    counted: tuple[Step | Evaluation, ...] = (*ledger.steps, *ledger.evaluations)
    for event in counted:
        if event.tokens != event.step * spec.batch_tokens:
            raise InvalidTable(
                f"counts {event.tokens} tokens after step {event.step}, the run {event.step * spec.batch_tokens}: "
                f"it is another run's",
                file=file,
            )
    return Run(spec, ledger)


@dataclass(frozen=True)
class Spent:
    """Time spent on a run, accumulated: after the steps before its own first one, and after each of its own."""

    seconds: tuple[float, ...]
    device_seconds: tuple[float, ...]


def _spent(run: Run, beside: Path, found: dict[str, Run]) -> Spent:
    """Of a run whose parent is in `found`, or in a folder of its name in `beside`."""
    spec, ledger = run.spec, run.ledger
    seconds = [step.seconds for step in ledger.steps]
    device_seconds = [
        step.seconds * session.devices for step, session in zip(ledger.steps, ledger.sessions, strict=True)
    ]
    before = _spent_on_parent(spec, beside, found)
    if before is None:
        own = max(len(seconds), 1)
        before = (math.fsum(seconds) / own * spec.fork_step, math.fsum(device_seconds) / own * spec.fork_step)
    return Spent(
        tuple(accumulate(seconds, initial=before[0])), tuple(accumulate(device_seconds, initial=before[1]))
    )


def _spent_on_parent(spec: RunSpec, beside: Path, found: dict[str, Run]) -> tuple[float, float] | None:
    """Seconds and device seconds up to the fork; None where the parent's steps are not known."""
    if not spec.parent:
        return 0.0, 0.0
    parent = found.get(spec.parent) or _read(beside / spec.parent)
    if parent is None or not parent.spec.fork_step < spec.fork_step <= parent.ledger.last_step:
        return None
    spent, own = _spent(parent, beside, found), spec.fork_step - parent.spec.fork_step
    return spent.seconds[own], spent.device_seconds[own]


def _rows(run: Run, spent: Spent) -> Iterator[dict[str, Any]]:
    """A row for each evaluation, by the names of the columns."""
    spec, ledger = run.spec, run.ledger
    shape = spec.shape
    per_token = flops_per_token(shape, "gemstones")
    of_run = {
        "run": spec.id,
        "family": spec.family,
        "width": spec.width,
        "depth": spec.depth,
        **{f"params_{convention}": params(shape, convention) for convention in PARAMS_CONVENTIONS},
        "flops_per_token": per_token,
        "parent": spec.parent or None,
        **{
            name: getattr(spec, name)
            for name in COLUMNS
            if name in spec.__struct_fields__ and name not in {"parent", "mixture"}
        },
        "corpus_fingerprint": spec.corpus_fingerprint or None,
        "mixture": "+".join(f"{s.weight:g}*{s.name}" for s in spec.mixture) or None,
        "sessions": len(ledger.starts),
        "state": ledger.state,
    }
    rollbacks = [event.to_step for event in ledger.events if isinstance(event, Rollback)]
    before = spec.fork_step
    for evaluation in ledger.evaluations:
        step = evaluation.step
        own = step - spec.fork_step
        session = ledger.sessions[own - 1] if own else ledger.starts[0]
        losses = [done.loss for done in ledger.steps[before - spec.fork_step : own]]
        yield {
            **of_run,
            "tokens": evaluation.tokens,
            "step": step,
            "loss": evaluation.loss,
            "annealed": spec.falls and step == spec.steps,
            **_by_set(evaluation, session),
            "flops": per_token * evaluation.tokens,
            # A clock that did not move measured nothing.
            "seconds_per_step": spent.seconds[own] / step or None,
            "devices": session.devices,
            "device_hours": spent.device_seconds[own] / 3600,
            "train_loss": math.fsum(losses) / len(losses) if losses else None,
            "epochs": session.epochs,
            "rollbacks": sum(to_step < step for to_step in rollbacks),
            "host": session.host or None,
            "device": session.device,
            "threads": session.threads,
            "layout": f"{session.data_parallel}x{session.tensor_parallel}",
            "gemstones_version": session.versions.get("gemstones"),
            "torch_version": session.versions.get("torch"),
        }
        before = step


def _by_set(evaluation: Evaluation, session: Start) -> dict[str, float]:
    """Losses of the other held-out sets, and bits per byte of all, by the names of the columns."""
    losses = {VALIDATION: evaluation.loss, **evaluation.losses}
    found = {f"loss_{name}": loss for name, loss in evaluation.losses.items()}
    for name, loss in losses.items():
        if bytes_per_token := session.bytes_per_token.get(name):
            column = "bits_per_byte" if name == VALIDATION else f"bits_per_byte_{name}"
            found[column] = loss / math.log(2) / bytes_per_token
    return found


def _sets(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Columns of the other held-out sets, and their type."""
    names = sorted(
        {column.removeprefix("loss_") for row in rows for column in row if column.startswith("loss_")}
    )
    return {f"{column}_{name}": "Float64" for name in names for column in ("loss", "bits_per_byte")}


def _frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    dtypes = {**{column.name: column.dtype for column in SCHEMA}, **COLUMNS, **_sets(rows)}
    return pl.DataFrame(
        {
            name: pl.Series(name, [row.get(name) for row in rows], dtype=getattr(pl, dtype))
            for name, dtype in dtypes.items()
        }
    )


def _in_common(specs: Sequence[RunSpec]) -> Architecture:
    """What the models share beside width and depth; open where they differ."""
    values = {field.name: {getattr(spec, field.name) for spec in specs} for field in fields(Architecture)}
    return Architecture(**{name: next(iter(found)) for name, found in values.items() if len(found) == 1})


def _notes(
    found: Mapping[str, Run], missing: Sequence[str], finished_only: bool, architecture: Architecture
) -> Iterator[str]:
    unfinished = [name for name, run in found.items() if not run.finished] + list(missing)
    count = len(found) + len(missing)
    if unfinished:
        how = "left out" if finished_only else "taken as far as they are"
        yield f"{count - len(unfinished)} of {count} runs finished, the others {how}: {listed(unfinished)}"
    if missing:
        yield f"runs of {SUITE} without a folder: {listed(missing)}"
    if diverged := [name for name, run in found.items() if run.ledger.state == "diverged"]:
        yield f"runs that diverged and were given up: {listed(diverged)}"
    for name, run in found.items():
        done = {evaluation.step for evaluation in run.ledger.evaluations}
        # That of the last step may be in the making.
        last = run.ledger.last_step - (not run.finished)
        if holes := [step for step in run.spec.evaluation_steps if step <= last and step not in done]:
            yield f"run {name} lacks the evaluation after step {listed(holes)}"
    if differ := [name for name, value in asdict(architecture).items() if value is None]:
        yield f"runs differ in {listed(differ)}: their rows tell it, a plan from their fit has to assume it"


def _nothing(count: int, finished_only: bool) -> str:
    if finished_only:
        return f"has no evaluation of a finished run, of {count}: let `gemstones suite run` go on, or take all runs"
    return f"has no evaluation of any run, of {count}: let `gemstones suite run` go on"


def _digest(found: Mapping[str, Run]) -> str:
    """SHA-256 (hex) of what the runs are and of everything that their ledgers tell."""
    digest = hashlib.sha256()
    for run in found.values():
        digest.update(run.spec.to_json().encode() + b"\n")
        for event in run.ledger.events:
            digest.update(msgspec.json.encode(event) + b"\n")
    return digest.hexdigest()
