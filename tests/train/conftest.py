"""A small corpus of the package's own source, and runs on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import gemstones
from gemstones.design.spec import RunSpec
from gemstones.remedies import of_options
from gemstones.runs.folders import RunFile, write_run
from gemstones.shape import Shape
from gemstones.train import pass_seconds, peak
from gemstones.train.corpus import Corpus, Options, build

CONTEXT, BATCH = 32, 4
STEP = CONTEXT * BATCH
"""Tokens of a step."""


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("text") / "corpus"
    text = sorted((Path(gemstones.__file__).parent / "runs").glob("*.py"))
    build(text, folder, Options(vocabulary=300, validation=0.2, pad_vocabulary_to_multiple=4), workers=1)
    return Corpus.open(folder)


def spec_of(corpus: Corpus, shape: str = "32x2", steps: int = 20, **others: Any) -> RunSpec:
    """A run of `steps` steps that is evaluated every 5 and saved every 4."""
    fields: dict[str, Any] = {
        "family": "main",
        "tokens": steps * STEP,
        "batch_sequences": BATCH,
        "warmup_tokens": 5 * STEP,
        "evaluate_tokens": 5 * STEP,
        "evaluate_sequences": 6,
        "checkpoint_tokens": 4 * STEP,
        "lr_base": 0.5,
        "corpus_fingerprint": corpus.fingerprint,
    }
    whole = Shape.parse(shape, head_size=8, vocabulary=corpus.vocabulary, context=CONTEXT)
    return RunSpec.of(whole, **(fields | others))


def cooldown_of(parent: RunSpec, fork: int, end: int) -> RunSpec:
    """The cooldown of `parent` from step `fork` to step `end`."""
    return msgspec.structs.replace(
        parent,
        family="cooldown",
        parent=parent.id,
        fork_tokens=fork * STEP,
        tokens=end * STEP,
        cooldown=True,
        permanent_tokens=(),
    )


@pytest.fixture
def make_run(corpus: Corpus, tmp_path: Path) -> Callable[..., Path]:
    """Makes the folder of a run: `make_run(shape=…, steps=…, under="runs", **fields of RunSpec)`."""
    usual = corpus

    def make(under: str = "runs", spec: RunSpec | None = None, corpus: Corpus = usual, **fields: Any) -> Path:
        spec = spec or spec_of(corpus, **fields)
        folder = tmp_path / under / spec.id
        write_run(folder, RunFile(corpus=str(corpus.folder), spec=spec))
        return folder

    return make


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is remembered of shards is not kept in the user's cache; and no time goes into the device's best rate."""
    monkeypatch.setattr(peak, "_PATIENCE", 0.001)
    monkeypatch.setattr(pass_seconds, "PATIENCE", 0)
    cache = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("GEMSTONES_CACHE", str(cache))
    return cache


@pytest.fixture(autouse=True)
def of_the_command_line() -> Iterator[None]:
    """Errors are held against what the command line says; `tests/test_remedies.py` has what Python says."""
    with of_options():
        yield
