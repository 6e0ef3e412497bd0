"""`gemstones corpus build | show`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from gemstones.cli.options import FLAG, OUTPUT, Json, core_count, count_of
from gemstones.cli.output import print_json, print_notes, print_table, say
from gemstones.printable import printable
from gemstones.units import format_bytes, parse_count

if TYPE_CHECKING:
    from gemstones.train.corpus import Corpus

app = App(name="corpus", help="Token shards to train on: build, import, show.")

MOST_SOURCES = 5
"""Shown by name, one a line."""
MOST_SKIPPED = 5
MUCH_SKIPPED = 0.1
"""Of the input: said on the last line."""

Output = Annotated[Path, OUTPUT, Parameter(help="Folder for shards, tokenizer.json and manifest.json.")]
ValidationTokens = Annotated[
    str | None, Parameter(help="Hold out so many tokens instead of a fraction of the documents.")
]
Multiple = Annotated[int, Parameter(help="Rows of a model's embedding.")]
ShardTokens = Annotated[str, Parameter(help="Most tokens in a shard.")]
ReplaceCorpus = Annotated[bool, FLAG, Parameter(help="Replace another corpus in the folder.")]


@app.command
def build(
    *paths: Annotated[
        Path,
        Parameter(
            help="Files and folders of text: JSON lines (by content), HTML, Parquet, any UTF-8; also packed with "
            "gzip, Zstandard, bzip2 or xz."
        ),
    ],
    output: Output,
    vocabulary: Annotated[
        str | None, Parameter(help="Train a byte-level BPE of that many ids on the text.")
    ] = None,
    tokenizer: Annotated[Path | None, Parameter(help="A tokenizer.json to use instead.")] = None,
    validation: Annotated[
        float | None,
        Parameter(
            help="Fraction of the documents to hold out, by their hash (default: 0.01); more of a small corpus."
        ),
    ] = None,
    validation_tokens: ValidationTokens = None,
    field: Annotated[
        str,
        Parameter(help="Field of JSON, or column of Parquet, with the text; meta.text goes into objects."),
    ] = "text",
    bad_lines: Annotated[
        Literal["skip", "refuse"],
        Parameter(
            help="Lines of JSON that cannot be read (no JSON, not UTF-8, a lone surrogate, no text in the field): "
            "refuse the file, or skip and count them."
        ),
    ] = "refuse",
    end_of_document: Annotated[
        str | None, Parameter(help="Token of the given tokenizer to end documents with.")
    ] = None,
    pad_vocabulary_to_multiple: Multiple = 64,
    shard_tokens: ShardTokens = "50M",
    workers: Annotated[
        int | None, Parameter(help="Processes (default: all cores). The corpus does not depend on it.")
    ] = None,
    force: ReplaceCorpus = False,
    json: Json = False,
) -> None:
    """Documents → token shards and a manifest.

    Call it again after an interruption: it continues, and the corpus is the same, byte for byte.

    Example: gemstones corpus build texts/ --output corpus --vocabulary 4096
    """
    from gemstones.train.corpus import Options
    from gemstones.train.corpus import build as build_corpus

    options = Options(
        vocabulary=count_of(vocabulary, "vocabulary"),
        validation=validation,
        validation_tokens=count_of(validation_tokens, "validation-tokens"),
        field=field,
        bad_lines=bad_lines,
        end_of_document=end_of_document,
        pad_vocabulary_to_multiple=pad_vocabulary_to_multiple,
        shard_tokens=parse_count(shard_tokens, "shard-tokens"),
    )
    step = ""

    def progress(what: str, done: float) -> None:
        nonlocal step
        # A line for each step, the last one in motion.
        end = "\n" if step and what != step else ""
        print(f"{end}\r\033[K{done:4.0%} {what}", end="", file=sys.stderr, flush=True)
        step = what

    try:
        built = build_corpus(
            paths,
            output,
            options,
            tokenizer=tokenizer,
            workers=core_count() if workers is None else workers,
            force=force,
            progress=progress if sys.stderr.isatty() else None,
        )
    finally:
        if step:
            print(file=sys.stderr, flush=True)
    _print(built.corpus, json=json, made=built.made)


@app.command(name="import")
def import_(
    *paths: Annotated[
        Path,
        Parameter(
            help="Files and folders of tokens: nanoGPT or llm.c .bin, Megatron .bin with .idx, OLMo or NumPy .npy, "
            "Parquet or Arrow with a column of ids, a folder of datasets.save_to_disk."
        ),
    ],
    output: Output,
    tokenizer: Annotated[Path, Parameter(help="The tokenizer.json that the tokens were made with.")],
    validation_from: Annotated[
        tuple[Path, ...],
        FLAG,
        Parameter(
            consume_multiple=True,
            help="Files and folders that are held out, like val.bin, instead of documents by their hash.",
        ),
    ] = (),
    validation: Annotated[
        float | None, Parameter(help="Fraction of the documents to hold out, by their hash (default: 0.01).")
    ] = None,
    validation_tokens: ValidationTokens = None,
    dtype: Annotated[
        Literal["uint16", "uint32", "int32", "int64"] | None,
        Parameter(help="Of ids without a header (default: uint16, or uint32 for a vocabulary above 65,536)."),
    ] = None,
    field: Annotated[
        str | None,
        Parameter(help="Column of Parquet and Arrow (default: input_ids, tokens, token_ids or ids)."),
    ] = None,
    end_of_document: Annotated[
        str | None, Parameter(help="Token of the tokenizer that ends documents.")
    ] = None,
    pad_vocabulary_to_multiple: Multiple = 64,
    shard_tokens: ShardTokens = "50M",
    force: ReplaceCorpus = False,
    json: Json = False,
) -> None:
    """Tokens that others made → token shards and a manifest.

    The same corpus as `build` makes of text. Ids are held against the tokenizer; what is held out is decoded, to know
    its bytes per token.

    Example: gemstones corpus import train.bin --tokenizer tokenizer.json --output corpus
    """
    from gemstones.train.corpus import Options, import_tokens

    options = Options(
        validation=validation,
        validation_tokens=count_of(validation_tokens, "validation-tokens"),
        field=Options().field if field is None else field,
        end_of_document=end_of_document,
        pad_vocabulary_to_multiple=pad_vocabulary_to_multiple,
        shard_tokens=parse_count(shard_tokens, "shard-tokens"),
    )
    built = import_tokens(
        paths,
        output,
        options,
        tokenizer=tokenizer,
        validation_paths=validation_from,
        dtype=dtype,
        force=force,
    )
    _print(built.corpus, json=json, made=built.made)


@app.command
def show(
    corpus: Annotated[Path, Parameter(help="Folder of a finished corpus.")],
    /,
    *,
    verify: Annotated[bool, FLAG, Parameter(help="Read every shard and check its hash.")] = False,
    json: Json = False,
) -> None:
    """What a corpus holds: documents, tokens by split, vocabulary, sources, fingerprint.

    Example: gemstones corpus show corpus --verify
    """
    from gemstones.train.corpus import Corpus

    _print(Corpus.open(corpus, verify=verify), json=json)


def _print(corpus: Corpus, *, json: bool, made: bool | None = None) -> None:
    summary: dict[str, Any] = {"folder": str(corpus.folder), **corpus.manifest.summary()}
    if made is not None:
        summary["made"] = made
    if json:
        print_json(summary)
        return
    if made is False:
        say("nothing to do: the corpus is finished, its text and options are the same")
    skipped = ", ".join(f"{count:,} {what}" for what, count in summary["skipped"].items())
    say(f"{corpus.folder}: {summary['documents']:,} documents; {summary['duplicates']:,} duplicates dropped")
    lines = f", {summary['bad_lines']:,} bad lines" if summary["bad_lines"] else ""
    say(f"skipped: {skipped}{lines}")
    for file in summary["skipped_files"][:MOST_SKIPPED]:
        say(f"skipped: {file['path']}, {format_bytes(file['bytes'])}: {file['why']}")
    if (hidden := len(summary["skipped_files"]) - MOST_SKIPPED) > 0:
        say(f"skipped: {hidden:,} more (--json lists them)")
    rows = [
        (
            split,
            f"{summary['documents_by_split'][split]:,}",
            f"{tokens:,}",
            f"{format_bytes(summary['bytes'][split])}" if summary["bytes"][split] or not tokens else "-",
            f"{summary['bytes'][split] / tokens:.2f}" if tokens and summary["bytes"][split] else "-",
            str(summary["shards"][split]),
        )
        for split, tokens in summary["tokens"].items()
    ]
    print_table("", ("split", "documents", "tokens", "text", "bytes per token", "shards"), rows)
    trained = "trained on it" if summary["tokenizer"]["trained"] else "given"
    say(
        f"vocabulary: {summary['vocabulary']:,}, padded to {summary['vocabulary_padded']:,} ({summary['dtype']}; "
        f"tokenizer {trained})"
    )
    for source in summary["sources"][:MOST_SOURCES]:
        say(f"source: {source['path']}, {source['files']:,} files, {format_bytes(source['bytes'])}")
    if more := summary["sources"][MOST_SOURCES:]:
        files, size = (sum(source[name] for source in more) for name in ("files", "bytes"))
        say(f"source: {len(more):,} more, {files:,} files, {format_bytes(size)} (--json lists them)")
    say(f"fingerprint: {summary['fingerprint']}")
    print_notes(("note", summary["notes"]))
    if summary["skipped_share"] > MUCH_SKIPPED:
        size = sum(source["bytes"] for source in summary["sources"])
        largest = summary["skipped_files"][0]
        say(
            f"warning: {summary['skipped_share']:.0%} of the input was skipped, "
            f"{format_bytes(summary['skipped_bytes'])} of {format_bytes(size)}: the most of it "
            f"{printable(largest['path'])}, {largest['why']}"
        )
