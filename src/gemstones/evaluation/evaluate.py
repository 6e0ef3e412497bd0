"""Models × sets → rows, one at a time, the table written after each: what is done is not done again."""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from gemstones.errors import Failure, GemstonesError, InvalidRequest, MissingExtra
from gemstones.evaluation.earlier import earlier_rows, hash_of, is_done
from gemstones.evaluation.harness import EXPORT, HarnessTask
from gemstones.evaluation.losses import SetLoss, evaluate_windows
from gemstones.evaluation.models import (
    Loaded,
    choose_device,
    load_folder,
    load_run,
    require_transformers,
)
from gemstones.evaluation.options import Options
from gemstones.evaluation.table import Output, Row, Settings, check_columns, described, row_of
from gemstones.evaluation.targets import Target, Wanted, find_targets
from gemstones.evaluation.tasks import Task, find_tasks, score_task, scored_before
from gemstones.evaluation.texts import TextSet, read_set
from gemstones.evaluation.windows import Windows, of_documents, of_stream
from gemstones.files import check_writable
from gemstones.runs.families import RELEASED
from gemstones.runs.loss_units import LossUnit
from gemstones.runs.one_line import one_line

if TYPE_CHECKING:
    import torch

MOST_BATCH_TOKENS = {"cpu": 8192, "cuda": 65_536}
"""Where nothing is said; less where memory is short."""
SHARE_OF_MEMORY = 0.4
"""Of what is free, for a batch."""


@dataclass(frozen=True)
class FailedModel:
    """A model, or one of its revisions, that was not evaluated, or not on every set."""

    name: str
    error: GemstonesError


@dataclass(frozen=True)
class Evaluated:
    """Rows in the order of what was asked for."""

    rows: tuple[Row, ...]
    resumed: int
    """Rows that were in the file already."""
    notes: tuple[str, ...]
    loss_unit: LossUnit
    tokens_per_second: float | None
    """Predicted, of what was computed now."""
    scores: tuple[Mapping[str, Any], ...] = ()
    """Of each model, revision and task, by the names of the table's columns."""
    failed: tuple[FailedModel, ...] = ()
    """Models that were gone on without; rows that they had before stand."""


Say = Callable[[str], None]
Key: TypeAlias = tuple[str, str, str]
"""Model, revision, set."""
T = TypeVar("T")


def evaluate(
    models: Sequence[str],
    corpora: Mapping[str, Path],
    *,
    output: Path | None = None,
    wanted: Wanted | None = None,
    columns: Mapping[str, str] | None = None,
    options: Options | None = None,
    tasks: Sequence[str] = (),
    keep_going: bool = False,
    force: bool = False,
    say: Say = lambda message: None,
) -> Evaluated:
    """The losses of `models` on held-out sets, `corpora` by name; added to the run table `output` as they come.

    `wanted` chooses revisions, `columns` tells tokens and the like where names do not, over `model`, `revision`,
    `number`. Rows that `output` has are not computed again; `force` makes it anew. `say` hears of every row. With
    `keep_going` a model that cannot be found, loaded or computed is noted in `failed`, and the others are evaluated.

    Raises `InvalidRequest`, `InvalidCorpus` and `InvalidPath` before the work where it can be told, `Failure` and
    `Unavailable` where the machine or the hub fails; finished rows are kept.
    """
    wanted, columns, options = wanted or Wanted(), dict(columns or {}), options or Options()
    check_columns(columns)
    if not corpora and (output is not None or not tasks):
        raise InvalidRequest(
            "no text was given, and a run table has a loss: name one with --corpus, like wiki=wiki.jsonl"
        )
    if output is not None:
        check_writable(output)
    device = choose_device(options.device)
    failed: list[FailedModel] = []
    targets = _found(models, wanted, columns, failed if keep_going else None)
    if any(target.kind != "run" for target in targets):
        require_transformers()
    earlier, notes = earlier_rows(output, options, force)
    sets = [read_set(name, path, options.field) for name, path in corpora.items()]
    notes += [note for one in sets for note in one.notes] + [target.said for target in targets if target.said]
    notes = list(dict.fromkeys(notes))
    asked = find_tasks(tasks)
    _check_tasks(asked, targets, sets, earlier, keep_going)
    work = _Work(options, device, sets, columns, say)
    writer = None if output is None else Output(output, options.loss_unit)
    rows = list(earlier.values())
    keys: list[tuple[str, str, str]] = []
    scores: list[Mapping[str, Any]] = []
    for target in targets:
        own = [(target.model, target.revision, one.name) for one in sets]
        keys += own

        def computed(target: Target = target, own: Sequence[Key] = own) -> Iterator[Row | _Scored]:
            """The rows of a model, then its scores: all that may fail with it."""
            described(target, columns)
            commit = target.commit or hash_of(target)
            pending = [one for one in sets if not is_done(earlier, target, commit, one, options, output)]
            yield from work.rows(target, commit, pending) if pending else ()
            for task in asked:
                before = scored_before([earlier[key].values for key in own], task, target.name)
                yield _Scored(task.name, before or work.score(target, task), fresh=before is None)

        for one in _until_failed(computed(), target.name, failed if keep_going else None):
            if isinstance(one, Row):
                rows.append(one)
                earlier[one.key] = one
                notes = list(dict.fromkeys([*notes, *work.notes]))
            else:
                scores.append(
                    {"model": target.model, "revision": target.revision, "task": one.task, **one.columns}
                )
                for key in own if one.fresh else ():
                    scored = Row({**earlier[key].values, **one.columns})
                    rows[rows.index(earlier[key])] = scored
                    earlier[key] = scored
            if writer is not None and (isinstance(one, Row) or one.fresh):
                writer.write(rows, notes)
        work.close()
    mine = tuple(earlier[key] for key in keys if key in earlier)
    return Evaluated(
        mine,
        len(mine) - work.count,
        tuple(notes),
        options.loss_unit,
        work.pace,
        tuple(scores),
        tuple(failed),
    )


def _check_tasks(
    asked: Sequence[Task | HarnessTask],
    targets: Sequence[Target],
    sets: Sequence[TextSet],
    earlier: Mapping[Key, Row],
    keep_going: bool,
) -> None:
    """Load the tasks of the harness that a model still has to do, so that what is wrong with them is told first."""
    for task in asked:
        if not isinstance(task, HarnessTask):
            continue
        for target in targets:
            own = [earlier.get((target.model, target.revision, one.name)) for one in sets]
            if own and all(row is not None and row.values.get(f"{task.name}_sha256") for row in own):
                continue
            if target.kind == "run" and not keep_going:
                raise InvalidRequest(f"task {task.name} of {target.name}, a run of ours: {EXPORT}")
            task.load()


@dataclass(frozen=True)
class _Scored:
    """What a model scored on a task, and whether that was computed now."""

    task: str
    columns: Mapping[str, Any]
    fresh: bool


def _found(
    models: Sequence[str], wanted: Wanted, columns: Mapping[str, str], failed: list[FailedModel] | None
) -> list[Target]:
    """The checkpoints of `models`. Names that mean none are put into `failed`; where that is None, they are refused,
    and so is a checkpoint whose tokens are not known."""
    if failed is None:
        targets = find_targets(models, wanted)
        for target in targets:
            described(target, columns)
        return targets

    def of_word(word: str) -> Iterator[Target]:
        yield from find_targets([word], wanted if word in RELEASED else replace(wanted, shapes=()))

    named = [
        target for word in models for target in _until_failed(of_word(word), one_line(word, 120), failed)
    ]
    return list({(target.model, target.revision): target for target in reversed(named)}.values())[::-1]


def _until_failed(work: Iterator[T], name: str, failed: list[FailedModel] | None) -> Iterator[T]:
    """What `work` makes, up to an error, which ends it and is put into `failed`; it is raised where that is None."""
    while True:
        try:
            one = next(work)
        except StopIteration:
            return
        except (GemstonesError, OSError) as error:
            if failed is None or isinstance(error, MissingExtra):
                raise
            known = error if isinstance(error, GemstonesError) else Failure(f"{name}: {one_line(error)}")
            failed.append(FailedModel(name, known))
            return
        yield one


class _Work:
    """Models one after the other; the tokens of a set are kept for the next model with the same tokenizer."""

    def __init__(
        self,
        options: Options,
        device: torch.device,
        sets: Sequence[TextSet],
        columns: Mapping[str, str],
        say: Say,
    ) -> None:
        self.options, self.device, self.sets, self.columns, self.say = options, device, sets, columns, say
        self.notes: list[str] = []
        self.count = 0
        self._seconds = self._tokens = 0.0
        self._tokenizer = ""
        self._loaded: Loaded | None = None
        self._kept: dict[tuple[Any, ...], Windows] = {}

    @property
    def pace(self) -> float | None:
        """Predicted tokens per second."""
        return self._tokens / self._seconds if self._seconds else None

    def rows(self, target: Target, commit: str, sets: Sequence[TextSet]) -> Any:
        """A row for each of `sets`."""
        loaded = self._load(target)
        settings = self.options.settings(loaded.facts.context)
        if loaded.facts.longest is not None and settings.window_tokens > loaded.facts.longest:
            raise InvalidRequest(
                f"context {settings.window_tokens} is beyond the {loaded.facts.longest} positions of {target.name}: "
                "give a smaller --context"
            )
        description = described(target, self.columns, loaded.facts)
        for one in sets:
            began = time.perf_counter()
            loss = self._loss(loaded, one, settings, target)
            seconds = time.perf_counter() - began
            self._seconds, self._tokens, self.count = (
                self._seconds + seconds,
                self._tokens + loss.tokens,
                self.count + 1,
            )
            self.say(
                f"{target.name} on {one.name}: {loss.loss:.4f} nats/token, {loss.bits_per_byte:.4f} bits/byte, "
                f"{loss.tokens:,} tokens in {seconds:.1f} s"
            )
            yield row_of(description, commit, one.name, one.sha256, loaded.tokenizer, loss, settings)

    def score(self, target: Target, task: Task | HarnessTask) -> dict[str, Any]:
        """The columns of a task."""
        loaded = self._load(target)
        settings = self.options.settings(loaded.facts.context)
        batch = self._batch_tokens(loaded, settings)
        if isinstance(task, HarnessTask):
            found = task.score(loaded, batch_sequences=max(1, batch // settings.window_tokens))
        else:
            score = score_task(
                loaded, task, context=settings.window_tokens, batch_tokens=batch, device=self.device
            )
            found = {**score.columns(task.name), f"{task.name}_questions": score.questions}
        self.say(f"{target.name} on the task {task.name}")
        return {**found, f"{task.name}_sha256": task.sha256}

    def close(self) -> None:
        """Let go of the model."""
        self._loaded = None
        gc.collect()

    def _load(self, target: Target) -> Loaded:
        if self._loaded is None:
            self._loaded = self._read(target)
        return self._loaded

    def _read(self, target: Target) -> Loaded:
        if target.kind == "run":
            assert target.path is not None
            return load_run(target.path, target.step, self.options.dtype, self.device)
        folder = target.path
        if folder is None:
            from gemstones.evaluation import hub

            folder = hub.fetch(target.model, target.commit)
        return load_folder(folder, target.name, self.options.dtype, self.device)

    def _loss(self, loaded: Loaded, one: TextSet, settings: Settings, target: Target) -> SetLoss:
        try:
            windows = self._windows(loaded, one, settings)
            return evaluate_windows(
                loaded.score, windows, batch_tokens=self._batch_tokens(loaded, settings), device=self.device
            )
        except (InvalidRequest, Failure) as error:
            raise type(error)(f"{target.name} on {one.name}: {error.said}") from None

    def _windows(self, loaded: Loaded, one: TextSet, settings: Settings) -> Windows:
        if loaded.tokenizer != self._tokenizer:
            self._tokenizer = loaded.tokenizer
            self._kept.clear()
        key = (
            one.name,
            loaded.begin,
            settings.window_tokens,
            settings.window_stride,
            loaded.corpus_tokenizer,
        )
        if key not in self._kept:
            self._kept[key] = self._encoded(loaded, one, settings)
        return self._kept[key]

    def _encoded(self, loaded: Loaded, one: TextSet, settings: Settings) -> Windows:
        span = {"context": settings.window_tokens, "stride": settings.window_stride}
        own = bool(one.corpus_ids) and loaded.corpus_tokenizer == one.corpus_tokenizer
        if settings.windows == "stream":
            if own:
                return of_stream(one.corpus_ids, one.bytes, None, **span)
            return of_stream(loaded.encode(one.documents), one.bytes, loaded.begin, **span)
        if own:
            return of_documents(
                [ids[ids != loaded.begin] for ids in one.corpus_ids], one.bytes, loaded.begin, **span
            )
        ids = loaded.encode(one.documents)
        if loaded.unknown is not None:
            unknown = sum(int((part == loaded.unknown).sum()) for part in ids)
            total = sum(map(len, ids))
            if unknown:
                self.notes.append(
                    f"set {one.name}: {unknown / total:.2%} of the tokens of a tokenizer are unknown words: bits per "
                    "byte leave out what they stand for, and are too low"
                )
        return of_documents(ids, one.bytes, loaded.begin, **span)

    def _batch_tokens(self, loaded: Loaded, settings: Settings) -> int:
        if self.options.batch_tokens is not None:
            return self.options.batch_tokens
        if self.options.memory is not None:
            return max(1, int(self.options.memory / loaded.bytes_per_token))
        free = _free_memory(self.device)
        most = MOST_BATCH_TOKENS.get(self.device.type, 8192)
        if free is None:
            return most
        return max(1, min(most, int(SHARE_OF_MEMORY * free / loaded.bytes_per_token)))


def _free_memory(device: torch.device) -> float | None:
    import torch

    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        return None
    return float(found[1]) * 1024 if found else None
