"""Multiple-choice tasks of a file: every answer's likelihood behind its question, and accuracies

A line of the file is `{"question": "The cat", "choices": [" sat", " flew"], "answer": 0}`; `query` or `context` for the
question, `gold` or `label` for the answer, a number from 0 or the text of the right choice. An answer is put behind its
question as it is written, after a space where neither has one. Tokens of an answer are those that the whole adds to the
question's own, as in lm-evaluation-harness; the token that begins a text comes first, whatever the model.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gemstones.errors import InvalidRequest
from gemstones.evaluation.harness import SUFFIXES, HarnessTask, named_task, read_harness_file
from gemstones.evaluation.losses import nats_by_document
from gemstones.evaluation.windows import Windows
from gemstones.files import Wrong, read_bytes, trouble
from gemstones.runs.one_line import one_line
from gemstones.runs.tasks import task_name

if TYPE_CHECKING:
    import torch

    from gemstones.evaluation.models import Loaded

_QUESTION, _CHOICES, _ANSWER = (
    ("question", "query", "context", "ctx"),
    ("choices", "endings"),
    ("answer", "gold", "label"),
)


@dataclass(frozen=True)
class Question:
    """A question and its answers."""

    question: str
    choices: tuple[str, ...]
    """As they are put behind the question."""
    answer: int
    """Which is right."""


@dataclass(frozen=True)
class Task:
    """Questions of a file."""

    name: str
    sha256: str
    questions: tuple[Question, ...]

    @property
    def chance(self) -> float:
        """Accuracy of guessing."""
        return sum(1 / len(one.choices) for one in self.questions) / len(self.questions)


@dataclass(frozen=True)
class TaskScore:
    """How a model does on a task; standard errors are of questions drawn at random, None of one question."""

    accuracy: float
    """Of the answer of greatest likelihood."""
    accuracy_error: float | None
    accuracy_by_length: float
    """Of the answer of greatest likelihood for each of its characters (lm-evaluation-harness' acc_norm)."""
    accuracy_by_length_error: float | None
    answer_bits_per_byte: float
    """Of the right answers: the mean over questions (Bhagia et al., 2024, §3.1)."""
    questions: int

    def columns(self, task: str) -> dict[str, float | None]:
        """As the table has them."""
        return {
            f"{task}_acc": self.accuracy,
            f"{task}_acc_stderr": self.accuracy_error,
            f"{task}_acc_norm": self.accuracy_by_length,
            f"{task}_acc_norm_stderr": self.accuracy_by_length_error,
            f"{task}_answer_bits_per_byte": self.answer_bits_per_byte,
        }


def find_tasks(given: Sequence[str]) -> list[Task | HarnessTask]:
    """Tasks in files, of questions or of lm-evaluation-harness, and by name those of the latter, which then has to be
    installed."""
    found: dict[str, Task | HarnessTask] = {}
    for text in given:
        task = _find_task(text)
        if task.name in found:
            raise InvalidRequest(f"task {task.name} is given twice: call one otherwise, like NAME=FILE")
        found[task.name] = task
    return list(found.values())


def _find_task(text: str) -> Task | HarnessTask:
    if not ("=" in text or "/" in text or "." in text or Path(text).is_file()):
        return named_task(text)
    name, equals, file = text.partition("=")
    if not (file if equals else text).lower().endswith(SUFFIXES):
        return read_task(text)
    if equals and not task_name(name):
        raise InvalidRequest(f"task {one_line(text)} has no name before the =: write it like exam=exam.yaml")
    return read_harness_file(Path(file if equals else text), name if equals else "")


def scored_before(
    rows: Sequence[Mapping[str, Any]], task: Task | HarnessTask, name: str
) -> dict[str, Any] | None:
    """The task's columns, where every row of a checkpoint has them.

    Raises `InvalidRequest` where they are of other questions.
    """
    column = f"{task.name}_sha256"
    there = [row.get(column) for row in rows]
    if any(one is not None and one != task.sha256 for one in there):
        raise InvalidRequest(
            f"output has {name} on other questions of the task {task.name}: name another file, or --force to "
            "make it anew"
        )
    if not there or None in there:
        return None
    others = (rows[0].get(f"{task.name}_columns") or "").split(",")
    return {key: value for key, value in rows[0].items() if key.startswith(f"{task.name}_") or key in others}


def read_task(text: str) -> Task:
    """The task in a file of JSON lines, `NAME=FILE` or called by the file's name.

    Raises `InvalidRequest` for a line that is no question, with its number and what one is.
    """
    name, equals, file = text.partition("=")
    path = Path(file if equals else text)
    name = task_name(name if equals else path.name.partition(".")[0])
    try:
        content = read_bytes(path)
    except Wrong as error:
        raise trouble(error, f"task {one_line(path)} cannot be read") from None
    questions = []
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip():
            questions.append(_question(line, f"task {one_line(path)}, line {number}"))
    if not questions or not name:
        raise InvalidRequest(f"task {one_line(text)} has no question: give one a line")
    return Task(name, hashlib.sha256(content).hexdigest(), tuple(questions))


def _question(line: bytes, where: str) -> Question:
    shape = 'a line is like {"question": "The cat", "choices": ["sat", "flew"], "answer": 0}'
    try:
        held = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{where} is not JSON: {one_line(error, 60)}: {shape}") from None
    if not isinstance(held, dict):
        raise InvalidRequest(f"{where} is no object: {shape}")
    question, choices, answer = (_field(held, names) for names in (_QUESTION, _CHOICES, _ANSWER))
    if isinstance(choices, dict):  # as ARC has it: {"text": […], "label": ["A", …]}
        labels = choices.get("label")
        choices = choices.get("text")
        if isinstance(labels, list) and answer in labels:
            answer = labels.index(answer)
    if not isinstance(question, str):
        raise InvalidRequest(f"{where} has no question: {shape}")
    if not (
        isinstance(choices, list) and len(choices) > 1 and all(isinstance(c, str) and c for c in choices)
    ):
        raise InvalidRequest(f"{where} needs two choices or more, each a text: {shape}")
    if isinstance(answer, str) and answer in choices:
        answer = choices.index(answer)
    if isinstance(answer, str) and answer.isdecimal():
        answer = int(answer)
    if isinstance(answer, bool) or not isinstance(answer, int) or not 0 <= answer < len(choices):
        raise InvalidRequest(
            f"{where}: answer {one_line(answer, 30)} must be a number from 0 to {len(choices) - 1}, or one of the "
            "choices"
        )
    spaced = "" if not question or question[-1].isspace() else " "
    return Question(question, tuple(c if c[0].isspace() else spaced + c for c in choices), answer)


def _field(held: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((held[name] for name in names if name in held), None)


def score_task(
    loaded: Loaded,
    task: Task,
    *,
    context: int,
    batch_tokens: int,
    device: torch.device,
    encode: Callable[[Sequence[str]], list[Any]] | None = None,
) -> TaskScore:
    """The accuracy of a model on a task. Longer questions than `context` lose their beginning."""
    encode = encode or loaded.encode
    # A space at the end of a question belongs to the answer, which tokenizers have with it.
    pairs = []
    for one in task.questions:
        stripped = one.question.rstrip()
        pairs += [(stripped, one.question[len(stripped) :] + choice) for choice in one.choices]
    asked, whole = encode([q for q, _ in pairs]), encode([q + c for q, c in pairs])
    rows, firsts = [], []
    for before, everything in zip(asked, whole, strict=True):
        answer = max(1, len(everything) - len(before))
        row = np.concatenate([[loaded.begin], everything])[-(context + 1) :]
        rows.append(row.astype(np.int32))
        firsts.append(max(1, len(row) - answer))
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    windows = Windows(
        np.concatenate(rows),
        np.repeat(np.arange(len(rows), dtype=np.int32), lengths),
        starts,
        starts + lengths - 1,
        starts + np.array(firsts),
        len(rows),
        sum(len(c.encode()) for _, c in pairs),
    )
    nats, _ = nats_by_document(loaded.score, windows, batch_tokens=batch_tokens, device=device)
    right, right_by_length, bits, at = [], [], [], 0
    for one in task.questions:
        own = nats[at : at + len(one.choices)]
        at += len(one.choices)
        characters = np.array([len(choice.strip()) or 1 for choice in one.choices])
        right.append(int(np.argmin(own)) == one.answer)
        right_by_length.append(int(np.argmin(own / characters)) == one.answer)
        bits.append(own[one.answer] / math.log(2) / len(one.choices[one.answer].encode()))
    accuracy, by_length = float(np.mean(right)), float(np.mean(right_by_length))
    return TaskScore(
        accuracy, _error(right), by_length, _error(right_by_length), float(np.mean(bits)), len(task.questions)
    )


def _error(right: Sequence[bool]) -> float | None:
    """Standard error of a mean: the sample's deviation over √n."""
    if len(right) < 2:
        return None
    return float(np.std(right, ddof=1) / math.sqrt(len(right)))
