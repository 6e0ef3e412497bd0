"""`gemstones.evaluate`: the losses of models on held-out text, as a run table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from gemstones.arguments import checked
from gemstones.errors import InvalidRequest
from gemstones.runs.mapping import parse_columns
from gemstones.runs.one_line import one_line
from gemstones.runs.table import RunTable
from gemstones.units import parse_quantity


@checked
def evaluate(
    models: str | Path | Sequence[str | Path],
    corpus: str | Path | Mapping[str, str | Path] | Sequence[str | Path],
    *,
    tasks: str | Sequence[str] = (),
    output: Path | None = None,
    revision: str | Sequence[str] = (),
    every: float | str | None = None,
    shapes: Sequence[str] = (),
    variant: Literal["main", "lr-ablation", "cooldown"] = "main",
    columns: Mapping[str, str] | str | None = None,
    context: int | None = None,
    stride: int | None = None,
    windows: Literal["document", "stream"] = "document",
    loss_unit: Literal["nats", "bits_per_byte"] = "nats",
    batch_tokens: int | None = None,
    memory: float | str | None = None,
    dtype: Literal["float32", "bfloat16", "float16"] = "float32",
    device: str = "",
    field: str = "text",
    keep_going: bool = False,
    force: bool = False,
) -> RunTable:
    """The losses of `models` on held-out sets, a row for each model, revision and set: what `fit` and `compare` take.

    A model is a folder that `from_pretrained` takes (or a folder of such folders, its revisions), a run or suite of
    ours, `OWNER/NAME` of the Hugging Face hub, or `gemstones`; weights are read from safetensors, and no code of a
    model's own is run. `corpus` is a text (files and folders as `gemstones corpus build` takes them, or a corpus, whose
    held-out part is taken), several, or texts by name; `tasks` are files of multiple-choice questions, or tasks of
    lm-evaluation-harness by name or in a YAML file.

    `revision` is a pattern or several, `every` thins them to multiples of so many training tokens, `shapes` and
    `variant` choose among released models. `columns` tells training tokens and the like where names do not, like
    `{"tokens": "number*2048*512"}`. `windows` are of each document on its own, or of all as one stream; they have
    `context` tokens, `stride` of them new. The table's loss is in nats per token, or in bits per byte (`loss_unit`). At
    once `batch_tokens` tokens are computed, or what fits into `memory` bytes; `dtype` is of weights and arithmetic,
    `device` cpu or cuda, `field` that of JSON with the text.

    With `output`, a Parquet file, every row is written as it is done, what is there is not computed again, and
    `force` makes it anew. With `keep_going` models that fail are left out, and the table's `warnings` name them.

    Raises `InvalidRequest`, `InvalidPath` and `InvalidCorpus` for what cannot be evaluated, `Failure` and
    `Unavailable` where the machine or the hub fails, `MissingExtra` without PyTorch or transformers.

    >>> from gemstones.evaluation.as_table import evaluate
    >>> table = evaluate("out/hf", {"wiki": "wiki.jsonl"}, columns="tokens=10B")  # doctest: +SKIP
    >>> table["loss"], table["standard_error"]  # doctest: +SKIP
    """
    from gemstones.evaluation.evaluate import evaluate as evaluate_models
    from gemstones.evaluation.options import Options
    from gemstones.evaluation.table import table_of
    from gemstones.evaluation.targets import Wanted
    from gemstones.evaluation.texts import named_sets

    if isinstance(corpus, Mapping):
        sets = {name: Path(path) for name, path in corpus.items()}
    else:
        sets = named_sets(_texts(corpus))
    if not sets:
        raise InvalidRequest("corpus: no text was given: name one, like {'wiki': 'wiki.jsonl'}")
    done = evaluate_models(
        _texts(models),
        sets,
        output=output,
        wanted=Wanted(
            _texts(revision),
            None if every is None else parse_quantity(every, "every"),
            tuple(dict.fromkeys(shapes)),
            variant,
        ),
        columns=parse_columns(columns) if isinstance(columns, str) else columns,
        options=Options(
            context=context,
            stride=stride,
            windows=windows,
            dtype=dtype,
            device=device,
            batch_tokens=batch_tokens,
            memory=None if memory is None else parse_quantity(memory, "memory"),
            loss_unit=loss_unit,
            field=field,
        ),
        tasks=_texts(tasks),
        keep_going=keep_going,
        force=force,
    )
    if not done.rows:
        raise done.failed[0].error
    table = table_of(done.rows, loss_unit, done.notes)
    failed = tuple(f"{one.name} failed: {one_line(one.error.said, 200)}" for one in done.failed)
    return replace(table, warnings=(*table.warnings, *failed))


def _texts(given: str | Path | Sequence[str | Path]) -> tuple[str, ...]:
    return tuple(map(str, [given] if isinstance(given, str | Path) else given))
