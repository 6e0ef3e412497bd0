"""Rows of an evaluation ↔ a run table in a Parquet file: one row for each model, revision and set.

The file is written whole after every row, so that a killed evaluation goes on where it was. Its `loss` is in nats per
token of each model's own tokenizer, or in bits per byte; `bits_per_byte` is in the column of that name always.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemstones.accounting.flops import flops_per_token
from gemstones.errors import Failure, InvalidPath, InvalidRequest, InvalidTable
from gemstones.evaluation.facts import Facts
from gemstones.evaluation.losses import SetLoss
from gemstones.evaluation.targets import Target
from gemstones.lazy import pl
from gemstones.runs.building import build_table
from gemstones.runs.expressions import parse_expression
from gemstones.runs.loss_units import LossUnit
from gemstones.runs.mapping import apply_mapping, check_names
from gemstones.runs.one_line import listed, one_line
from gemstones.runs.provenance import Source
from gemstones.runs.readers import read_runs
from gemstones.runs.schema import SCHEMA
from gemstones.runs.table import RunTable
from gemstones.shape import Shape

FORMAT = "evaluation"
"""Of these tables, as `gemstones data show` says it."""
OWN: Mapping[str, str] = {
    "model": "String",
    "revision": "String",
    "commit": "String",
    "set": "String",
    "nats_per_token": "Float64",
    "bits_per_byte": "Float64",
    "standard_error": "Float64",
    "evaluated_tokens": "Int64",
    "evaluated_bytes": "Int64",
    "evaluated_documents": "Int64",
    "windows": "String",
    "window_tokens": "Int64",
    "window_stride": "Int64",
    "dtype": "String",
    "tokenizer": "String",
    "set_sha256": "String",
    "architecture": "String",
    "suite": "String",
    "vocabulary": "Int64",
    "head_size": "Int64",
    "queries_per_kv": "Int64",
    "mlp_expansion": "Int64",
    "context": "Int64",
}
"""Columns after those of the schema: hashes are SHA-256, the standard error is of the loss, in its unit."""
KNOWN_AFTER = (
    "width",
    "depth",
    "params_total",
    "params_no_embedding",
    "params_non_embedding",
    "vocabulary",
    "context",
)
"""What expressions may name and only a loaded model tells."""


@dataclass(frozen=True)
class Settings:
    """How losses are computed: rows of a table have them in common."""

    windows: str
    window_tokens: int
    window_stride: int
    dtype: str


@dataclass(frozen=True)
class Row:
    """A row, its values by column."""

    values: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str, str]:
        """Of what: model, revision, set."""
        return self.values["model"], self.values["revision"] or "", self.values["set"]


def described(target: Target, columns: Mapping[str, str], facts: Facts | None = None) -> dict[str, Any]:
    """What is known of a checkpoint by the names of the columns; `columns` go before all that.

    Raises `InvalidRequest` where its tokens are not known, or an expression cannot be.
    """
    known: dict[str, Any] = {
        "model": target.model, "revision": target.revision or None, "number": target.number,
        "family": target.family or None, "tokens": target.tokens, "step": target.step, "suite": target.suite or None,
        **dict.fromkeys(KNOWN_AFTER), **({} if facts is None else _of(facts)),
    }  # fmt: skip
    texts = {"model", "revision", "family", "suite", "architecture"}
    if columns:
        frame = pl.DataFrame(
            {n: pl.Series(n, [v], dtype=pl.String if n in texts else pl.Float64) for n, v in known.items()}
        )
        try:
            made = apply_mapping(frame, dict(columns), "--columns").frame
        except InvalidTable as error:
            raise InvalidRequest(str(error)) from None
        known |= {name: made[name][0] for name in columns}
    tokens = known["tokens"]
    if tokens is not None and not 0 < tokens < float("inf"):
        raise InvalidRequest(
            f"model {target.name}: training tokens {tokens:g} must be positive: give others with --columns"
        )
    if tokens is None:
        expression = columns.get("tokens")
        waits = (
            facts is None and expression and set(parse_expression(expression, known).names) & {*KNOWN_AFTER}
        )
        if not waits:
            raise InvalidRequest(
                f"model {target.name}: its training tokens are not told by its name"
                + (f", nor by tokens={one_line(expression, 60)}" if expression else "")
                + ": give them with --columns, over number, the last number of the revision's name, like "
                "'tokens=number*2048*512'"
            )
    return known


def _of(facts: Facts) -> dict[str, Any]:
    shape = facts.shape
    whole = shape or _valid(facts)
    return {
        "architecture": facts.architecture,
        "params_total": facts.params_total,
        "params_no_embedding": facts.params_no_embedding,
        "params_non_embedding": facts.params_non_embedding,
        "width": whole.width if whole else None,
        "depth": whole.depth if whole else None,
        "vocabulary": facts.vocabulary,
        "context": facts.context,
        "head_size": whole.head_size if whole else None,
        "queries_per_kv": whole.queries_per_kv if whole else None,
        "mlp_expansion": shape.mlp_expansion if shape else None,
        # Appendix G is of Gemma's blocks: of others, 6 for each parameter.
        "flops_per_token": flops_per_token(shape, "gemstones") if shape else 6.0 * facts.params_total,
    }


def _valid(facts: Facts) -> Shape | None:
    """Width and depth as a shape that can be, of an architecture that is not Gemma's."""
    if not (facts.width and facts.depth and facts.head_size and facts.queries_per_kv):
        return None
    try:
        return Shape(facts.width, facts.depth, head_size=facts.head_size, queries_per_kv=facts.queries_per_kv)
    except ValueError:
        return None


def row_of(
    description: Mapping[str, Any], commit: str, name: str, set_sha256: str, tokenizer: str, loss: SetLoss,
    settings: Settings,
) -> Row:  # fmt: skip
    """The row of an evaluation."""
    return Row(
        {
            **description,
            "commit": commit,
            "set": name,
            "set_sha256": set_sha256,
            "tokenizer": tokenizer,
            "nats_per_token": loss.loss,
            "bits_per_byte": loss.bits_per_byte,
            "standard_error": loss.standard_error,
            "evaluated_tokens": loss.tokens,
            "evaluated_bytes": loss.bytes,
            "evaluated_documents": loss.documents,
            **dataclasses.asdict(settings),
        }
    )


def table_of(rows: Sequence[Row], unit: LossUnit, notes: Iterable[str]) -> RunTable:
    """The run table of rows, in their order. Raises `InvalidTable` where they cannot be one."""
    several = len({row.values["set"] for row in rows}) > 1
    per_nat = [row.values["bits_per_byte"] / row.values["nats_per_token"] for row in rows]
    bits = unit == "bits_per_byte"
    written = [
        {
            **row.values,
            "run": (row.values.get("run") or row.values["model"])
            + (f" on {row.values['set']}" if several else ""),
            "loss": row.values["bits_per_byte" if bits else "nats_per_token"],
            "standard_error": _scaled(row.values["standard_error"], factor if bits else 1.0),
        }
        for row, factor in zip(rows, per_nat, strict=True)
    ]
    dtypes = {**{column.name: column.dtype for column in SCHEMA}, **OWN}
    others = {name: None for row in rows for name in row.values if name not in dtypes and name != "number"}
    frame = pl.DataFrame(
        {
            **{
                n: pl.Series(n, [row.get(n) for row in written], dtype=getattr(pl, t))
                for n, t in dtypes.items()
            },
            **{n: pl.Series(n, [row.get(n) for row in written], strict=False) for n in others},
        }
    )
    conventions = sorted({"6N_total" if row["mlp_expansion"] is None else "gemstones" for row in written})
    table = build_table(
        frame,
        dataset=FORMAT,
        file=FORMAT,
        assumptions=tuple(dict.fromkeys([*notes, *_notes(rows, unit)])),
        flops_convention="+".join(reversed(conventions)),
        sources=(
            *(
                Source(n, "", sha)
                for n, sha in dict.fromkeys((r.values["set"], r.values["set_sha256"]) for r in rows)
            ),
        ),
        units_declared=True,
    )
    return dataclasses.replace(table, loss_unit=unit, format=FORMAT)


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _notes(rows: Sequence[Row], unit: LossUnit) -> Iterable[str]:
    first = rows[0].values
    if first["windows"] == "document":
        how = "each document on its own, behind the token that begins a text"
    else:
        how = "documents as one stream, their ends predicted too, bytes in proportion to tokens"
    lengths = sorted({row.values["window_tokens"] for row in rows})
    windows = " and ".join(f"{n:,}" for n in lengths)
    strides = " and ".join(f"{n:,}" for n in sorted({row.values["window_stride"] for row in rows}))
    yield f"losses of {how}; windows of {windows} tokens, {strides} apart; {first['dtype']}"
    tokenizers = len({row.values["tokenizer"] for row in rows})
    if tokenizers > 1 and unit == "nats":
        yield (
            f"losses per token of {tokenizers} tokenizers do not compare: use bits per byte (--loss-unit "
            "bits_per_byte when evaluating, or --columns loss=bits_per_byte --loss-unit bits_per_byte)"
        )


def read_rows(path: Path) -> tuple[list[Row], LossUnit, list[str]]:
    """The rows of a file that `table_of` made, its unit of loss, and its notes.

    Raises `InvalidPath` for a file of another kind.
    """
    try:
        table = read_runs(path)
    except (InvalidTable, InvalidRequest):
        table = None
    if table is None or table.format != FORMAT or not {*OWN} <= {*table.frame.columns}:
        raise InvalidPath(
            f"output {one_line(path)} is there and is no table of an evaluation: name another file, or --force to "
            "replace it"
        )
    several = table.frame["set"].n_unique() > 1
    rows = []
    for values in table.frame.to_dicts():
        suffix = f" on {values['set']}" if several else ""
        values["run"] = values["run"].removesuffix(suffix)
        values["flops"] = None  # computed again
        if table.loss_unit == "bits_per_byte" and values["standard_error"] is not None:
            values["standard_error"] *= values["nats_per_token"] / values["bits_per_byte"]
        values.pop("loss")
        rows.append(Row(values))
    return rows, table.loss_unit, list(table.assumptions)


class Output:
    """The file that rows are added to; of another process's rows none are lost unseen."""

    def __init__(self, path: Path, unit: LossUnit) -> None:
        self.path, self.unit = path, unit
        self._last = self._stamp()

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def write(self, rows: Sequence[Row], notes: Iterable[str]) -> None:
        """Replace the file with the table of all `rows`."""
        if self._stamp() != self._last:
            raise Failure(
                f"output {one_line(self.path)} was changed by another process: give each evaluation a file of its own "
                "(gemstones fit takes several)"
            )
        table_of(rows, self.unit, notes).write_parquet(self.path)
        self._last = self._stamp()


MEASURED = (
    "loss", "set", "model", "revision", "commit", "number", "nats_per_token", "bits_per_byte", "standard_error",
    "evaluated_tokens", "evaluated_bytes", "evaluated_documents", "windows", "window_tokens", "window_stride", "dtype",
    "tokenizer", "set_sha256",
)  # fmt: skip


def check_columns(columns: Mapping[str, str]) -> None:
    """Refuse columns that are measured here."""
    if measured := [name for name in columns if name in MEASURED]:
        raise InvalidRequest(
            f"columns: {listed(measured)} is measured here: give what describes the models, like tokens=…"
        )
    check_names(columns)
