"""`gemstones evaluate MODELS --corpus NAME=TEXT --output RUNS`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from gemstones.cli.options import FLAG, OUTPUT, Device, Json, count_of
from gemstones.cli.output import print_json, print_notes, print_table, report, say
from gemstones.errors import InvalidRequest
from gemstones.printable import printable
from gemstones.runs.families import RELEASED
from gemstones.runs.mapping import parse_columns
from gemstones.units import format_quantity, parse_quantity

if TYPE_CHECKING:
    from gemstones.evaluation.evaluate import Evaluated
    from gemstones.evaluation.targets import Wanted


def evaluate(
    *models: Annotated[
        str,
        Parameter(
            help="Folders that `from_pretrained` takes (or of such folders, its revisions), runs and suites of "
            "`gemstones`, models of the Hugging Face hub, MODEL@REVISION, or `gemstones` for the released ones."
        ),
    ],
    corpus: Annotated[
        tuple[str, ...],
        FLAG,
        Parameter(
            help="NAME=TEXT: a held-out set, files and folders of text as `corpus build` takes them, or a corpus, "
            "whose held-out part is taken; may be repeated. Without one, models and revisions are named."
        ),
    ] = (),
    tasks: Annotated[
        tuple[str, ...],
        FLAG,
        Parameter(
            help="FILE or NAME=FILE: multiple-choice questions, a line of JSON each; or a task of "
            "lm-evaluation-harness, by name or in a YAML file; may be repeated."
        ),
    ] = (),
    output: Annotated[
        Path | None,
        OUTPUT,
        Parameter(help="Parquet file of the run table; what it has is not computed again."),
    ] = None,
    revision: Annotated[
        tuple[str, ...],
        FLAG,
        Parameter(
            help="Pattern of revisions, like 'step_*'; may be repeated (default: main, or a run's newest)."
        ),
    ] = (),
    every: Annotated[
        str | None, Parameter(help="Of the revisions, those nearest to multiples of so many training tokens.")
    ] = None,
    shapes: Annotated[
        str | None, Parameter(help="Of `gemstones`, these shapes, like 256x23,512x12 (default: all).")
    ] = None,
    variant: Annotated[
        Literal["main", "lr-ablation", "cooldown"], Parameter(help="Of `gemstones`, these runs.")
    ] = "main",
    columns: Annotated[
        str | None,
        Parameter(
            help="What names do not tell, over `number` (the last of the revision's name) and columns of the model, "
            "like 'tokens=number*2048*512'."
        ),
    ] = None,
    context: Annotated[
        str | None,
        Parameter(help="Tokens of a window (default: 2048, or what the model states if that is less)."),
    ] = None,
    stride: Annotated[
        str | None, Parameter(help="Tokens from window to window (default: the context: no overlap).")
    ] = None,
    windows: Annotated[
        Literal["document", "stream"],
        Parameter(
            help="Each document on its own, or all as one stream of whole windows, ends predicted too, as "
            "`gemstones train` evaluates."
        ),
    ] = "document",
    loss_unit: Annotated[
        Literal["nats", "bits_per_byte"],
        Parameter(help="Of the table's loss: per token, or per byte, which compares across tokenizers."),
    ] = "nats",
    batch_tokens: Annotated[
        str | None, Parameter(help="Tokens at once (default: by the memory that is free).")
    ] = None,
    memory: Annotated[str | None, Parameter(help="Bytes that a batch may take, like 8G, instead.")] = None,
    dtype: Annotated[
        Literal["float32", "bfloat16", "float16"], Parameter(help="Of weights and arithmetic.")
    ] = "float32",
    device: Device = "",
    field: Annotated[str, Parameter(help="Field of JSON, or column of Parquet, with the text.")] = "text",
    keep_going: Annotated[
        bool,
        FLAG,
        Parameter(
            help="Go on without models that cannot be found, loaded or computed; each is named at the end, and the "
            "exit status is 2, or 1 where only the machine or the hub failed."
        ),
    ] = False,
    force: Annotated[bool, FLAG, Parameter(help="Replace the output, whatever it holds.")] = False,
    json: Json = False,
) -> None:
    """Losses of any causal language model on any text, as rows of a run table.

    Nats per token, bits per byte, tokens, bytes, and a standard error by document; a row for each model, revision and
    set, written as it is done, so that the same call goes on after an interruption. Shape and parameters come from the
    model, training tokens from its revision's name where the family is known (docs/evaluate.md), else from --columns.
    Weights are read from safetensors, and no code of a model's own is run.

    Example: gemstones evaluate out/hf --corpus wiki=wiki.jsonl --output runs.parquet --columns tokens=10B
    """
    from gemstones.evaluation.targets import Wanted

    wanted = Wanted(
        revision, None if every is None else parse_quantity(every, "every"), _shapes(shapes), variant
    )
    if variant != "main" and not any(model in RELEASED for model in models):
        raise InvalidRequest(
            f"variant {variant} is one of released models: name them, like gemstones, or leave it out"
        )
    if not corpus and not tasks:
        _name(models, wanted, output, json=json)
        return
    from gemstones.evaluation.evaluate import evaluate as evaluate_models
    from gemstones.evaluation.options import Options
    from gemstones.evaluation.texts import named_sets

    done = evaluate_models(
        models,
        named_sets(corpus),
        output=output,
        wanted=wanted,
        columns=None if columns is None else parse_columns(columns),
        options=Options(
            context=count_of(context, "context"),
            stride=count_of(stride, "stride"),
            windows=windows,
            dtype=dtype,
            device=device,
            batch_tokens=count_of(batch_tokens, "batch tokens"),
            memory=None if memory is None else parse_quantity(memory, "memory"),
            loss_unit=loss_unit,
            field=field,
        ),
        tasks=tasks,
        keep_going=keep_going,
        force=force,
        say=_say,
    )

    def words() -> None:
        if json:
            print_json(_summary(done, output))
        else:
            _print(done, output)
        for one in done.failed:
            print(printable(f"gemstones: {one.name} failed: {one.error}"), file=sys.stderr, flush=True)

    status = max((one.error.exit_status for one in done.failed), default=0)
    report(words, status)
    if status:
        sys.exit(status)


def _name(models: Sequence[str], wanted: Wanted, output: Path | None, *, json: bool) -> None:
    """The models and revisions that would be evaluated."""
    from gemstones.evaluation.targets import find_targets

    if output is not None:
        raise InvalidRequest("output: there is nothing to write without a text: name one with --corpus")
    targets = find_targets(models, wanted, pinned=False)
    if json:
        print_json(
            {
                "models": [
                    {
                        "model": target.model,
                        "revision": target.revision,
                        "commit": target.commit or None,
                        "training_tokens": target.tokens,
                        "step": target.step,
                    }
                    for target in targets
                ],
                "rows": [],
            }
        )
        return
    rows = [
        (
            target.model,
            target.revision or "-",
            "-" if target.tokens is None else format_quantity(target.tokens),
        )
        for target in targets
    ]
    print_table("", ("model", "revision", "training tokens"), rows, left=(0, 1))
    said = dict.fromkeys(target.said for target in targets if target.said)
    print_notes(("note", tuple(said)))
    say(f"{len(targets):,} checkpoints; evaluate them on a text with --corpus NAME=TEXT")


def _summary(done: Evaluated, output: Path | None) -> Mapping[str, Any]:
    bits = done.loss_unit == "bits_per_byte"
    rows = []
    for row in done.rows:
        values = row.values
        factor = values["bits_per_byte"] / values["nats_per_token"] if bits else 1.0
        error = values["standard_error"]
        rows.append(
            {
                "model": values["model"],
                "revision": values["revision"] or "",
                "commit": values["commit"],
                "set": values["set"],
                "loss": values["nats_per_token"] * factor,
                "loss_unit": done.loss_unit,
                "bits_per_byte": values["bits_per_byte"],
                "tokens": values["evaluated_tokens"],
                "bytes": values["evaluated_bytes"],
                "standard_error": None if error is None else error * factor,
                "documents": values["evaluated_documents"],
                "training_tokens": values["tokens"],
                "params_total": values["params_total"],
            }
        )
    return {
        "rows": rows,
        "tasks": [_task(one) for one in done.scores],
        "resumed": done.resumed,
        "tokens_per_second": done.tokens_per_second,
        "notes": list(done.notes),
        "failed": [{"model": one.name, "error": one.error.said} for one in done.failed],
        "output": None if output is None else str(output),
    }


def _task(scores: Mapping[str, Any]) -> dict[str, Any]:
    """A task's scores by their names alone."""
    prefix = f"{scores['task']}_"
    return {
        (name if name in ("model", "revision", "task") else name.removeprefix(prefix)): value
        for name, value in scores.items()
    }


def _print(done: Evaluated, output: Path | None) -> None:
    rows = []
    for row in done.rows:
        values, error = row.values, row.values["standard_error"]
        rows.append(
            (
                values["model"],
                values["revision"] or "-",
                values["set"],
                f"{values['nats_per_token']:.4f}",
                "-" if error is None else f"{error:.4f}",
                f"{values['bits_per_byte']:.4f}",
                f"{values['evaluated_tokens']:,}",
                format_quantity(values["tokens"]),
            )
        )
    header = ("model", "revision", "set", "nats/token", "± (document)", "bits/byte", "tokens", "trained on")
    if rows:
        print_table("", header, rows, left=(0, 1, 2))
    for scores in done.scores:
        shown = ", ".join(
            f"{name.removeprefix(scores['task'] + '_')} {value:.4g}"
            for name, value in scores.items()
            if isinstance(value, int | float)
        )
        model = f"{scores['model']}{'@' if scores['revision'] else ''}{scores['revision']}"
        say(printable(f"{model}, {scores['task']}: {shown}"))
    print_notes(("note", done.notes))
    again = f", {done.resumed:,} of them there before" if done.resumed else ""
    pace = "" if done.tokens_per_second is None else f"; {done.tokens_per_second:,.0f} tokens per second"
    where = "" if output is None else f"; written to {printable(output)}"
    say(f"{len(done.rows):,} rows{again}{pace}{where}")


def _say(message: str) -> None:
    """Progress, to a terminal."""
    if sys.stderr.isatty():
        print(printable(message), file=sys.stderr, flush=True)


def _shapes(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    shapes = tuple(part.strip() for part in text.split(","))
    if not all(shapes):
        raise InvalidRequest(f"shapes {text!r} must be WIDTHxDEPTH between commas, like 256x23,512x12")
    return tuple(dict.fromkeys(shapes))
