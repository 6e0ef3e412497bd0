"""From a run's checkpoint to a folder for `transformers`, compared before anybody sees it.

model.safetensors       weights, float32; several files and an index above 5 GB
config.json, generation_config.json
tokenizer.json, tokenizer_config.json
gemstones.json          which run this is, its loss, and how the comparison came out
README.md               the model card
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from gemstones.accounting.parameters import params
from gemstones.design.spec import RunSpec
from gemstones.errors import Failure, InvalidRequest
from gemstones.files import trouble, write_bytes, write_text
from gemstones.runs.folders import ledger_of, read_run
from gemstones.runs.one_line import one_line
from gemstones.shape import Shape
from gemstones.train.checkpoint import read_weights
from gemstones.train.corpus import Corpus, sequences, validation_windows
from gemstones.train.corpus.tokenizer import parse_tokenizer
from gemstones.train.export.card import model_card
from gemstones.train.export.check import (
    TOLERANCE,
    check_tokenizer,
    logit_difference,
    random_windows,
    require_transformers,
    window_count,
)
from gemstones.train.export.folder import (
    CARD,
    CONFIG,
    GENERATION,
    MARKER,
    TOKENIZER,
    TOKENIZER_CONFIG,
    check_output,
    whole_folder,
)
from gemstones.train.export.gemma import gemma_config, gemma_weights
from gemstones.train.export.values import Exported, Provenance
from gemstones.version import __version__

SHARD_BYTES = 5_000_000_000
"""Of a file of weights, at most: the Hugging Face Hub's convention."""
RIGHT_CORPUS = "name the corpus that the run was trained on with --corpus"


@dataclass(frozen=True)
class Tokenizer:
    """A corpus's: its `tokenizer.json`, and the token that ends a document."""

    file: Path
    end_of_document: int
    end_of_document_token: str


def export_run(
    run_folder: Path,
    output: Path,
    *,
    step: int | None = None,
    corpus: Path | None = None,
    force: bool = False,
) -> Exported:
    """Export the newest checkpoint of the run in `run_folder`, or that of `step`, to the folder `output`.

    `corpus` is where the run's corpus is now, if not where `run.json` says. Raises what `export` raises, and
    `InvalidRequest` for a corpus that is not the run's and for a checkpoint that is not there.
    """
    require_transformers()
    check_output(output, force=force)  # before the work
    run = read_run(run_folder)
    spec, ledger = run.spec, ledger_of(run_folder)
    opened = _corpus_of(spec, corpus or Path(run.corpus))
    at_step, weights = read_weights(run_folder, step)
    evaluation = next((e for e in ledger.evaluations if e.step == at_step), None)
    manifest = opened.manifest
    return export(
        spec,
        weights,
        Tokenizer(opened.tokenizer, manifest.end_of_document, manifest.end_of_document_token),
        Provenance(
            step=at_step,
            loss=None if evaluation is None else evaluation.loss,
            evaluation_windows=None if evaluation is None else evaluation.sequences,
            sessions=sum(start.step < at_step for start in ledger.starts),
            rollbacks=sum(rollback.to_step < at_step for rollback in ledger.rollbacks),
            epochs=ledger.starts[-1].epochs if ledger.starts else None,
            corpus_fingerprint=opened.fingerprint,
            corpus_tokens=manifest.train.tokens,
        ),
        output,
        held_out=_held_out(opened, spec.context),
        force=force,
    )


def export(
    spec: RunSpec,
    weights: Mapping[str, Tensor],
    tokenizer: Tokenizer,
    provenance: Provenance,
    output: Path,
    *,
    held_out: Tensor | None = None,
    force: bool = False,
    shard_bytes: int = SHARD_BYTES,
) -> Exported:
    """Write `weights`, whole float32 tensors by our names, to the folder `output`, once the logits agree.

    `held_out` are windows of tokens to compare on beside random ones, int64 (n, S). Raises `InvalidRequest`
    for an output that holds something else (`force` replaces another export) and for weights or a tokenizer
    that do not fit the run, `Failure` if a logit differs by more than 1e-5; there is no output then.
    """
    versions = {"gemstones": __version__, **require_transformers()}
    check_output(output, force=force)
    shape, end = spec.shape, tokenizer.end_of_document
    content = _read_tokenizer(tokenizer, shape)
    gemma = gemma_weights(shape, weights)
    windows = [*random_windows(shape), *([] if held_out is None else held_out)]
    with whole_folder(output, force=force) as folder:
        _write_weights(gemma.tensors, folder, shard_bytes)
        _write_json(folder / CONFIG, gemma_config(shape, end))
        _write_json(folder / GENERATION, {"bos_token_id": end, "eos_token_id": end})
        write_bytes(folder / TOKENIZER, content)
        _write_json(folder / TOKENIZER_CONFIG, _tokenizer_config(tokenizer, shape))
        check_tokenizer(folder, end, windows)
        difference = logit_difference(shape, weights, folder, windows)
        if not difference <= TOLERANCE:  # nor if it is not a number
            raise Failure(
                f"logits of the export differ by up to {difference:.3g} from those of the run, beyond the "
                f"{TOLERANCE:g} of rounding, so it was not written: does transformers "
                f"{versions['transformers']} compute Gemma in another way?"
            )
        exported = Exported(
            run=spec.id,
            family=spec.family,
            parent=spec.parent,
            tokens=provenance.step * spec.batch_tokens,
            provenance=provenance,
            params_total=params(shape),
            max_logit_difference=difference,
            compared_tokens=sum(map(len, windows)),
            moved_channels=gemma.moved_channels,
            rounded_channels=gemma.rounded_channels,
            versions=versions,
            spec=spec,
        )
        write_bytes(folder / MARKER, msgspec.json.format(msgspec.json.encode(exported), indent=1) + b"\n")
        write_text(folder / CARD, model_card(exported))
    return exported


def _corpus_of(spec: RunSpec, folder: Path) -> Corpus:
    if not folder.is_dir():
        raise InvalidRequest(f"corpus {folder} of run {spec.id} does not exist: {RIGHT_CORPUS}")
    opened = Corpus.open(folder)
    if spec.corpus_fingerprint and opened.fingerprint != spec.corpus_fingerprint:
        raise InvalidRequest(
            f"corpus {folder} has the fingerprint {opened.fingerprint[:12]}, run {spec.id} was trained on "
            f"{spec.corpus_fingerprint[:12]}: {RIGHT_CORPUS}"
        )
    return opened


def _held_out(corpus: Corpus, context: int) -> Tensor | None:
    """Windows of the held-out split, int64 (n, context); None if it is shorter than one."""
    if corpus.total("validation") <= context:
        return None
    corpus.verify(("validation",))
    chosen = validation_windows(corpus, context, window_count(context))
    return torch.from_numpy(sequences(corpus, "validation", chosen, context)[:, :-1])


def _read_tokenizer(tokenizer: Tokenizer, shape: Shape) -> bytes:
    try:
        content = tokenizer.file.read_bytes()
    except OSError as error:
        raise trouble(error, f"tokenizer {tokenizer.file} cannot be read") from None
    parsed = parse_tokenizer(content, tokenizer.file)
    largest = max(parsed.get_vocab(with_added_tokens=True).values())
    if largest >= shape.vocabulary:
        raise InvalidRequest(
            f"tokenizer {tokenizer.file} has the id {largest}, beyond the model's vocabulary of "
            f"{shape.vocabulary}: {RIGHT_CORPUS}"
        )
    if parsed.token_to_id(tokenizer.end_of_document_token) != tokenizer.end_of_document:
        raise InvalidRequest(
            f"tokenizer {tokenizer.file}: {tokenizer.end_of_document_token!r} is not id "
            f"{tokenizer.end_of_document}, which ends a document: {RIGHT_CORPUS}"
        )
    return content


def _tokenizer_config(tokenizer: Tokenizer, shape: Shape) -> dict[str, Any]:
    """Documents are one after the other, an end between them: what ends one precedes the next."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": tokenizer.end_of_document_token,
        "eos_token": tokenizer.end_of_document_token,
        "model_max_length": shape.context,
        # transformers 4 adds token_type_ids otherwise, which the model does not take.
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
    }


def _write_weights(tensors: dict[str, Tensor], folder: Path, shard_bytes: int) -> None:
    from huggingface_hub import save_torch_state_dict
    from safetensors import SafetensorError

    try:
        save_torch_state_dict(tensors, folder, max_shard_size=shard_bytes)
    except SafetensorError as error:
        raise Failure(f"weights cannot be written to {folder.parent}: {one_line(error)}") from None
    for path in folder.glob("*.safetensors"):
        # safetensors makes them private to their owner; the folder has the mode that the umask gives.
        path.chmod(folder.stat().st_mode & 0o666)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(value, indent=1) + "\n")
