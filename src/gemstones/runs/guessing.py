"""What the columns of a source are taken for, where nobody has said: by the names of `known_names.py`.

A guess that could be wrong without a trace is refused with the `--columns` that settle it: several losses, several
counts of tokens, a unit in a name. An optional column is taken only if its values can be what its name says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from gemstones.errors import InvalidTable
from gemstones.lazy import pl
from gemstones.runs.cells import read_numbers
from gemstones.runs.guessing_shape import guess_shape
from gemstones.runs.known_names import ACTIVE, BUDGET, KNOWN, names_of, plain, unit_in_name
from gemstones.runs.loss_names import loss_kind, unit_in_loss_name
from gemstones.runs.mapping import NAMED, option, quoted, scaled
from gemstones.runs.missing import missing_loss
from gemstones.runs.one_line import listed, one_line
from gemstones.runs.schema import COLUMNS
from gemstones.runs.source_columns import SourceColumns
from gemstones.shape import FloatArray

RUN_ORDER = ("run", "run_name", "runname", "run_id", "wandb_name", "name", "experiment", "experiment_name")
"""Of several names for a run the first of these, then as the file has them."""


@dataclass(frozen=True)
class Guessed:
    """Definitions that were guessed, and what is to be said about them."""

    definitions: Mapping[str, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    units: Mapping[str, float] = field(default_factory=dict)
    """Name → units that the name of its column speaks of: proposed where the values need them, never applied."""


def guess(frame: pl.DataFrame, defined: Mapping[str, str], file: str, *, decimal_comma: bool) -> Guessed:
    """What to take the columns of `frame` for, beside what is `defined` (name → expression).

    Raises `InvalidTable` where a required column may be any of several.
    """
    work = _Guesses(frame, defined, file, decimal_comma)
    work.loss()
    work.required_tokens()
    work.sizes()
    shaped = guess_shape(work.source, work.known, work.values_of)
    work.definitions |= shaped.definitions
    work.said += shaped.said
    work.optional("step", least=0)
    work.optional("flops_per_token")
    work.flops()
    for name in ("seconds_per_step", "devices"):
        work.optional(name)
    work.optional("device_hours", least=0)
    work.run()
    return Guessed(work.definitions, tuple(work.said), work.units)


class _Guesses:
    def __init__(
        self, frame: pl.DataFrame, defined: Mapping[str, str], file: str, decimal_comma: bool
    ) -> None:
        self.frame, self.file, self.decimal_comma = frame, file, decimal_comma
        self.defined = dict(defined)
        # A column that is one thing by the caller's or the format's word is not guessed to be another too.
        taken = {text for name, text in self.defined.items() if name in NAMED and text != name}
        free = [name for name in frame.columns if not {name, quoted(name)} & taken]
        self.source = SourceColumns(frame, free, decimal_comma=decimal_comma)
        self.definitions: dict[str, str] = {}
        self.said: list[str] = []
        self.units: dict[str, float] = {}

    # ---------------------------------------------------------------- what is there

    def known(self, name: str) -> bool:
        """Whether the table has a column of that name without another guess."""
        return name in self.frame.columns or name in self.defined or name in self.definitions

    def values_of(self, name: str) -> FloatArray | None:
        """Of a name of the schema, where it is a bare column."""
        text = self.definitions.get(name) or self.defined.get(name) or name
        column = next((c for c in self.frame.columns if text in (c, quoted(c))), None)
        return None if column is None else self.source.numbers(column)

    def take(self, name: str, expression: str, why: str) -> None:
        """Define a name, and say so."""
        self.definitions[name] = expression
        self.said.append(why)

    def take_column(self, name: str, column: str, words: str, then: str = "to change") -> None:
        """Define a name as a column, and say so."""
        why = f"{one_line(column, 60)} taken for {words} (--columns {name}=… {then})"
        self.take(name, quoted(column), why)

    # ---------------------------------------------------------------- required

    def loss(self) -> None:
        """The loss of an evaluation; `InvalidTable` where several may be it, or none."""
        if "loss" in self.defined:
            return

        def present(column: str) -> bool:
            series = self.frame[column]
            if series.dtype == pl.String:
                return bool(
                    read_numbers(series, thousands=False, decimal_comma=self.decimal_comma)
                    .values.is_not_null()
                    .any()
                )
            return series.dtype.is_numeric() and bool(series.is_not_null().any())

        kinds: dict[str, list[str]] = {}
        for column in self.frame.columns:
            kind = loss_kind(column)
            if kind and column != "loss" and present(column):
                kinds.setdefault(kind, []).append(column)
        evaluations = kinds.get("evaluation", [])
        own = "loss" in self.frame.columns
        if len(evaluations) > 1:
            raise several("loss", [*evaluations, *(["loss"] if own else [])], self.file)
        if evaluations:
            (column,) = evaluations
            beside = " and the file's loss for that of training; --columns loss=loss takes it" if own else ""
            self.take(
                "loss",
                quoted(column),
                f"{one_line(column, 60)} taken for the loss{beside}{_stated_unit(column)}"
                + ("" if own else " (--columns loss=… takes another)"),
            )
            return
        if own:
            return
        others = kinds.get("other", [])
        if len(others) > 1:
            raise several("loss", others, self.file)
        if not others:
            raise missing_loss(
                self.frame.columns, kinds.get("training", []), kinds.get("perplexity", []), self.file
            )
        self.take_column("loss", others[0], f"the loss{_stated_unit(others[0])}", "takes another")

    def required_tokens(self) -> None:
        """Training tokens; `InvalidTable` where several columns may be them."""
        if self.known("tokens"):
            return
        found = self.source.candidates(KNOWN["tokens"])
        if len(found) > 1:
            raise several("tokens", found, self.file)
        if found:
            self.take_column("tokens", found[0], "the training tokens", "takes others")
            return
        self.take_with_unit("tokens", "training tokens")

    def take_with_unit(self, name: str, words: str) -> bool:
        """The one column whose name is `name` with a unit, as it is: `plausibility.py` tells whether it can be so."""
        found = {
            column: factor
            for column in self.frame.columns
            if (factor := unit_in_name(column, KNOWN[name])) and self.source.numbers(column) is not None
        }
        if len(found) != 1:
            return False
        ((column, factor),) = found.items()
        self.units[name] = factor
        self.take_column(name, column, f"the {words}")
        return True

    # ---------------------------------------------------------------- sizes

    def sizes(self) -> None:
        """Parameters, in each convention; of a mixture of experts all of them, and FLOPs of the active ones."""
        for name, words in (
            ("params_non_embedding", "parameters without embedding and head"),
            ("params_no_embedding", "parameters without the input embedding"),
        ):
            self.one(name, words)
        active = self.source.candidates(ACTIVE)
        if not self.known("params_total"):
            found = self.source.candidates(KNOWN["params_total"])
            if len(found) == 1 or (not found and len(active) == 1):
                column = (found or active)[0]
                counted = "all parameters" if found else "the parameters, though it counts the active ones"
                other = (
                    "; if it leaves out embeddings: " + option({"params_non_embedding": quoted(column)})
                    if found
                    and plain(column) in {"N", "params", "n_params", "num_params", "model_size", "size"}
                    else "; --columns params_total=… takes others"
                )
                self.take(
                    "params_total", quoted(column), f"{one_line(column, 60)} taken for {counted}{other}"
                )
            elif found:
                self.said.append(
                    f"N is not taken from any of {listed(found)}: {_choices('params_total', found)}"
                )
            elif not any(self.known(n) for n in ("params_no_embedding", "params_non_embedding")):
                self.take_with_unit("params_total", "parameters")
        has_flops = any(
            self.known(n) or self.source.candidates(KNOWN[n]) for n in ("flops", "flops_per_token")
        )
        of_active = {**self.definitions, **self.defined}.get("params_total") in (
            *active,
            *map(quoted, active),
        )
        if len(active) == 1 and not has_flops and not of_active:
            expression = f"6*{quoted(active[0])}"
            self.take(
                "flops_per_token",
                expression,
                f"FLOPs per token taken as 6 x {one_line(active[0], 60)}, the parameters that a token uses "
                "(--columns flops=… sets them)",
            )

    def one(self, name: str, words: str) -> None:
        """The one column that is called so, if it is positive."""
        if self.known(name):
            return
        found = self.source.candidates(KNOWN[name])
        if len(found) == 1 and self.source.fits(found[0], whole=False, least=np.nextafter(0, 1)):
            self.take_column(name, found[0], f"the {words}")

    def optional(self, name: str, *, least: float = float(np.nextafter(0, 1))) -> None:
        """The one column that is called so, if its values can be what it says."""
        if self.known(name):
            return
        found = self.source.candidates(KNOWN[name])
        if len(found) == 1 and self.source.fits(found[0], whole=COLUMNS[name].dtype == "Int64", least=least):
            self.take_column(name, found[0], name)

    def flops(self) -> None:
        """Training FLOPs; of a table without them the budgets of its runs, if they come near 6·N·T."""
        if self.known("flops"):
            return
        found = self.source.candidates(KNOWN["flops"])
        if len(found) > 1:
            self.said.append(f"FLOPs are not taken from any of {listed(found)}: {_choices('flops', found)}")
            return
        if found:
            self.take_column("flops", found[0], "the training FLOPs")
            return
        budgets = self.source.candidates(BUDGET)
        if len(budgets) == 1 and self._near_six_n_t(budgets[0]):
            self.take_column("flops", budgets[0], "the training FLOPs of every run")
            return
        for column in self.frame.columns:
            factor = unit_in_name(column, KNOWN["flops"])
            if factor and self.source.numbers(column) is not None:
                self.said.append(
                    f"{one_line(column, 60)} is not used; if it holds FLOPs in units of {factor:g}: "
                    + option({"flops": scaled(quoted(column), factor)})
                )

    def _near_six_n_t(self, column: str) -> bool:
        sizes, tokens, flops = (
            self.values_of("params_total"),
            self.values_of("tokens"),
            self.source.numbers(column),
        )
        if sizes is None or tokens is None or flops is None:
            return False
        with np.errstate(all="ignore"):
            off = np.abs(np.log(flops / (6 * sizes * tokens)))
        return bool(np.nanmedian(off) < np.log(5)) if np.isfinite(off).any() else False

    def run(self) -> None:
        """The column that names the runs: text or whole numbers in every row, and one size in every run."""
        if self.known("run"):
            return
        found = names_of(self.frame.columns, KNOWN["run"])
        found.sort(key=lambda c: RUN_ORDER.index(plain(c)) if plain(c) in RUN_ORDER else len(RUN_ORDER))
        sizes = self.values_of("params_total")
        for column in found:
            series = self.frame[column]
            if not (series.dtype == pl.String or series.dtype.is_integer()) or series.null_count():
                continue
            if sizes is not None:
                of_run = pl.DataFrame([series.alias("run"), pl.Series("size", sizes).fill_nan(None)])
                if bool(
                    (of_run.group_by("run").agg(pl.col("size").drop_nulls().n_unique())["size"] > 1).any()
                ):
                    continue
            self.take_column("run", column, "the names of the runs")
            return


def several(name: str, columns: Sequence[str], file: str) -> InvalidTable:
    """The refusal of a required column that may be any of several."""
    return InvalidTable(
        f"may be any of {len(columns)} columns: {_choices(name, columns)}", file=file, column=name
    )


def _choices(name: str, columns: Sequence[str]) -> str:
    shown = [option({name: quoted(column)}) for column in columns[:8]]
    more = f" (and {len(columns) - 8} more)" if len(columns) > 8 else ""
    return f"take one with {' or '.join(shown)}{more}"


def _stated_unit(column: str) -> str:
    unit = unit_in_loss_name(column)
    return f", in {unit.replace('_', ' ')}" if unit else ""
