"""Errors of required columns that a file does not have, with what to write in `--columns` to have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gemstones.errors import InvalidTable
from gemstones.lazy import pl
from gemstones.runs.known_names import (
    BATCH_SEQUENCES,
    BATCH_TOKENS,
    KNOWN,
    SHAPE_FIELDS,
    TOKENS_PER_PARAM,
    names_of,
    plain,
)
from gemstones.runs.mapping import option, quoted
from gemstones.runs.nearest import nearest
from gemstones.runs.one_line import listed
from gemstones.runs.schema import COLUMNS

STEP_TOKENS = 524_288
"""Tokens of a step in examples: of nanoGPT's and many others' batches."""


def check_required(
    frame: pl.DataFrame,
    found: Sequence[str],
    definitions: Mapping[str, str],
    remedies: Mapping[str, str],
    file: str,
) -> None:
    """Refuse a mapped frame without the columns that nothing can stand in for; `found` are those of the source."""
    if "tokens" not in frame.columns:
        raise missing_tokens(found, definitions, remedies, file)
    if "loss" not in frame.columns:
        raise missing_loss(found, (), (), file)


def missing_loss(
    columns: Sequence[str], training: Sequence[str], perplexity: Sequence[str], file: str
) -> InvalidTable:
    """No column is the loss of an evaluation."""
    if perplexity:
        remedy = f"{listed(perplexity)} can be it: {option({'loss': f'ln({quoted(perplexity[0])})'})}"
    elif training:
        remedy = f"{listed(training)} is of training; to take it: {option({'loss': quoted(training[0])})}"
    else:
        remedy = _nearest("loss", columns)
    return _missing("loss", columns, remedy, file)


def missing_tokens(
    columns: Sequence[str], known: Mapping[str, str], remedies: Mapping[str, str], file: str
) -> InvalidTable:
    """No column is the training tokens; `known` are the definitions of other names, `remedies` the format's."""
    numbers = {name: known.get(name, name) for name in COLUMNS if name in known or name in columns}
    step = numbers.get("step") or next(iter(map(quoted, names_of(list(columns), KNOWN["step"]))), None)
    batch = next(iter(names_of(list(columns), BATCH_TOKENS)), None)
    sequences = next(iter(names_of(list(columns), BATCH_SEQUENCES)), None)
    context = next(iter(names_of(list(columns), SHAPE_FIELDS["context"])), None)
    ratio = next((name for name in columns if plain(name) in TOKENS_PER_PARAM), None)
    size, flops = numbers.get("params_total"), numbers.get("flops")
    if "tokens" in remedies:
        text = remedies["tokens"]
        placeholder = next((word for word in ("BATCH_TOKENS", "TOKENS_PER_STEP") if word in text), None)
        written = text if placeholder is None else text.replace(placeholder, str(STEP_TOKENS))
        remedy = option({"tokens": written}) + (
            "" if placeholder is None else f", if a step is {STEP_TOKENS:,} tokens"
        )
    elif ratio and size:
        remedy = option({"tokens": f"{quoted(ratio)}*{size}"})
    elif step and batch:
        remedy = option({"tokens": f"{step}*{quoted(batch)}"})
    elif step and sequences and context:
        remedy = option({"tokens": f"{step}*{quoted(sequences)}*{quoted(context)}"})
    elif step:
        remedy = f"{option({'tokens': f'{step}*{STEP_TOKENS}'})}, if a step is {STEP_TOKENS:,} tokens"
    elif flops and size:
        remedy = f"{option({'tokens': f'{flops}/(6*{size})'})}, if FLOPs are 6·N·T"
    else:
        remedy = _nearest("tokens", columns)
    return _missing("tokens", columns, remedy, file)


def _missing(name: str, columns: Sequence[str], remedy: str, file: str) -> InvalidTable:
    return InvalidTable(
        f"is missing; required are tokens and loss, and run or width and depth; found are {listed(columns)}; {remedy}",
        file=file,
        column=name,
    )


def _nearest(name: str, columns: Sequence[str]) -> str:
    near = nearest(name, (column for column in columns if column not in COLUMNS))
    return f"map it with {option({name: quoted(near)}) if near else f'--columns {name}=ITS_NAME'}"
