"""Which column of a table is which expression over the columns of a source: the user's, the format's, or guessed.

    --columns  >  what the format defines  >  a column of the schema's own name  >  known names of known tools

Every mapping that is not simply there is in `Mapped.expressions`, and every guess is said. Nothing is computed twice:
a name that is a bare column stays as the source has it, for `cells.py` to type and to name the row of what is wrong.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.lazy import pl
from gemstones.remedies import split_outside
from gemstones.runs.expressions import parse_expression
from gemstones.runs.known_names import KNOWN, SHAPE_FIELDS
from gemstones.runs.nearest import nearest
from gemstones.runs.one_line import listed, one_line
from gemstones.runs.schema import COLUMNS

SHAPE_COLUMNS = ("vocabulary", "head_size", "context", "queries_per_kv", "mlp_expansion")
"""Fields of the shape that a table may have a row at a time."""

NAMED = (*COLUMNS, *SHAPE_COLUMNS)
"""Names that mean something to a run table; any other is a column of the user's own."""

_NEAR = 0.8
"""Of `difflib`: a name this like one of ours was meant to be it."""
_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")


def parse_columns(text: str) -> dict[str, str]:
    """`text` as name → expression over the columns of the file, split at commas outside () and quotes.

    >>> parse_columns("loss=val_loss, tokens=_step*524288, flops=max(a,b)*1e9, run='x,y'")
    {'loss': 'val_loss', 'tokens': '_step*524288', 'flops': 'max(a,b)*1e9', 'run': "'x,y'"}
    """
    columns: dict[str, str] = {}
    for part in split_outside(text):
        name, equals, source = (piece.strip() for piece in part.partition("="))
        if not (name and equals and source):
            raise InvalidRequest(
                f"columns {one_line(text)!r}: {one_line(part)!r} is not NAME=EXPRESSION: write them like "
                'loss=val_loss,tokens=_step*524288, and names that hold a comma in double quotes like loss="a,b"'
            )
        if name in columns:
            raise InvalidRequest(f"columns {one_line(text)!r}: {one_line(name)} is given twice")
        columns[name] = source
    return columns


def check_names(columns: Iterable[str], found: Iterable[str] = ()) -> None:
    """Refuse what is nearly a name of ours: any other is a column of the user's own, one of these a slip."""
    known = {*NAMED, *found, *(name for names in (*KNOWN.values(), *SHAPE_FIELDS.values()) for name in names)}
    for name in columns:
        near = difflib.get_close_matches(name.lower(), NAMED, n=1, cutoff=_NEAR)
        if near and name not in known:
            raise InvalidRequest(
                f"columns: {one_line(name)!r} is no column of a run table: {near[0]} is (any name that is not so "
                "near to one of ours is a column of your own)"
            )


def quoted(name: str) -> str:
    """A column's name as expressions have it.

    >>> quoted("eval/loss"), quoted("Model Size"), quoted('a"b')
    ('eval/loss', '"Model Size"', '"a""b"')
    """
    if _BARE.fullmatch(name):
        return name
    return '"' + name.replace('"', '""') + '"'


def scaled(expression: str, factor: float) -> str:
    """`expression` times a number of units.

    >>> scaled("tokens_B", 1e9), scaled("a+b", 1e6)
    ('tokens_B*1e9', '(a+b)*1e6')
    """
    simple = _BARE.fullmatch(expression) or re.fullmatch(r'"(?:[^"]|"")*"', expression)
    power = re.sub(r"e\+0*", "e", f"{factor:g}")
    return f"{expression if simple else f'({expression})'}*{power}"


def option(columns: Mapping[str, str]) -> str:
    """`--columns …` as a shell takes it.

    >>> option({"tokens": "tokens_B*1e9", "loss": "ln(ppl)"}), option({"loss": "eval/loss"})
    ("--columns 'tokens=tokens_B*1e9,loss=ln(ppl)'", '--columns loss=eval/loss')
    """
    return f"--columns {shlex.quote(','.join(f'{name}={text}' for name, text in columns.items()))}"


@dataclass(frozen=True, eq=False)
class Mapped:
    """A source's columns under the names of the table, and how they came to have them."""

    frame: pl.DataFrame
    """Mapped columns, then those of the source; one whose name is taken is `source_…`."""
    expressions: Mapping[str, str] = field(default_factory=dict)
    """Name → expression, of all that is not a column of its own name."""
    computed: frozenset[str] = frozenset()
    """Names whose expressions are more than a bare column: already numbers."""


def apply_mapping(
    frame: pl.DataFrame, definitions: Mapping[str, str], file: str, *, decimal_comma: bool = False
) -> Mapped:
    """`frame` with the columns that `definitions` (name → expression) define.

    A name in an expression is the definition of that name if there is another one, else the source's column; in the
    definition of a name itself it is the source's column, so that `tokens=tokens*1e9` is what it says.
    """
    work = _Definitions(frame, definitions, file, decimal_comma)
    made = {name: work.value(name) for name in definitions}
    rest = []
    for series in frame.get_columns():
        if series.name not in definitions:
            rest.append(series)
        elif not work.is_itself(series.name):
            rest.append(series.alias(_free_name(f"source_{series.name}", {*frame.columns, *definitions})))
    return Mapped(
        pl.DataFrame([*(series.alias(name) for name, series in made.items()), *rest]),
        {name: text for name, text in definitions.items() if not work.is_itself(name)},
        frozenset(name for name in definitions if work.bare(name) is None),
    )


class _Definitions:
    """Expressions that are evaluated when they are asked for, each once."""

    def __init__(
        self, frame: pl.DataFrame, definitions: Mapping[str, str], file: str, decimal_comma: bool
    ) -> None:
        self._frame, self._file, self._decimal_comma = frame, file, decimal_comma
        self._definitions = definitions
        names = {*frame.columns, *definitions}
        self._parsed = {}
        for name, text in definitions.items():
            known = names if name in frame.columns else names - {name}
            self._check_bare_name(name, text, known)
            self._parsed[name] = parse_expression(text, known)
        self._values: dict[str, pl.Series] = {}
        self._open: list[str] = []

    def _check_bare_name(self, name: str, text: str, known: set[str]) -> None:
        """Of what is written like a name and is none, say what there is."""
        if text in known or not _BARE.fullmatch(text) or any(text.startswith(other) for other in known):
            return
        near = nearest(text, self._frame.columns) or nearest(name, self._frame.columns)
        meant = f"; {option({name: quoted(near)})} takes the nearest" if near else ""
        raise InvalidTable(
            f"is missing, and {one_line(name)} is mapped to it; found are {listed(self._frame.columns)}{meant}",
            file=self._file,
            column=one_line(text),
        )

    def bare(self, name: str) -> str | None:
        """The column that a definition is no more than the name of."""
        text = self._definitions[name].strip()
        parsed = self._parsed[name]
        names = parsed.names
        alone = len(names) == 1 and text in (names[0], quoted(names[0]), f'"{names[0]}"', f"`{names[0]}`")
        return names[0] if alone else None

    def is_itself(self, name: str) -> bool:
        """Whether a definition changes nothing."""
        return self.bare(name) == name

    def value(self, name: str) -> pl.Series:
        """The column of that name, as it is defined."""
        if name in self._values:
            return self._values[name]
        if name in self._open:
            ring = " and ".join(dict.fromkeys(self._open[self._open.index(name) :]))
            raise InvalidRequest(
                f"columns: {one_line(ring)} are defined by each other: name columns of the file"
            )
        self._open.append(name)
        parsed = self._parsed[name]
        inputs = {
            used: self._frame[used] if used == name or used not in self._definitions else self.value(used)
            for used in parsed.names
        }
        alone = self.bare(name)
        if alone is not None:
            made = inputs[alone]
        elif inputs:
            frame = pl.DataFrame([series.alias(used) for used, series in inputs.items()])
            made = parsed.evaluate(frame, decimal_comma=self._decimal_comma)
        else:
            made = parsed.evaluate(self._frame.select(pl.int_range(pl.len()).alias("row")))
        self._open.pop()
        self._values[name] = made
        return made


def _free_name(name: str, taken: Iterable[str]) -> str:
    taken = set(taken)
    while name in taken:
        name += "_"
    return name
