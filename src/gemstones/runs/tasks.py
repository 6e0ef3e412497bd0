"""Benchmarks by name: what a model that guesses scores, and how a column that holds accuracies is found.

The accuracy of guessing is one over the number of answers that a question offers. Of tasks whose questions differ in
that it is the mean over their questions; of those without answers to choose from it is 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

CHANCE: Mapping[str, float] = MappingProxyType(
    {
        "arc_challenge": 1 / 4,
        "arc_easy": 1 / 4,
        "boolq": 1 / 2,
        "commonsense_qa": 1 / 5,
        "copa": 1 / 2,
        "hellaswag": 1 / 4,
        "lambada_openai": 0.0,
        "mmlu": 1 / 4,
        "openbookqa": 1 / 4,
        "piqa": 1 / 2,
        "race": 1 / 4,
        "sciq": 1 / 4,
        "siqa": 1 / 3,
        "triviaqa": 0.0,
        "winogrande": 1 / 2,
    }
)
"""Task → accuracy of guessing, from the number of answers that its questions offer (the tasks' own papers)."""

_ALSO: Mapping[str, str] = MappingProxyType(
    {
        "arc_c": "arc_challenge",
        "arc_e": "arc_easy",
        "commonsenseqa": "commonsense_qa",
        "csqa": "commonsense_qa",
        "hella_swag": "hellaswag",
        "lambada": "lambada_openai",
        "lambada_standard": "lambada_openai",
        "obqa": "openbookqa",
        "openbook_qa": "openbookqa",
        "social_iqa": "siqa",
        "socialiqa": "siqa",
    }
)
STANDARD_ERROR = "_stderr"
"""What is behind a task's name in the column of its standard errors, as lm-evaluation-harness writes it."""
_METRIC = re.compile(r"(?:^(?:accuracy|acc)_|_(?:accuracy|acc)(?:_norm)?$)")


def task_name(written: str) -> str:
    """The task that a name means: one spelling of those that tools have, else the name in lower case.

    >>> task_name("arc:challenge"), task_name("ARC-e"), task_name("hellaswag_acc_norm"), task_name("my_exam")
    ('arc_challenge', 'arc_easy', 'hellaswag', 'my_exam')
    """
    plain = _METRIC.sub("", re.sub(r"[^a-z0-9]+", "_", written.lower()).strip("_"))
    return _ALSO.get(plain, plain)


def task_columns(columns: Iterable[str]) -> dict[str, str]:
    """Task → column, of the columns that hold accuracies by their names: known tasks, and those with standard errors.

    >>> task_columns(["run", "loss", "hellaswag_acc", "exam", "exam_stderr"])
    {'hellaswag': 'hellaswag_acc', 'exam': 'exam'}
    """
    names = list(columns)
    found: dict[str, str] = {}
    for name in names:
        task = task_name(name)
        if task in CHANCE or f"{name}{STANDARD_ERROR}" in names:
            found.setdefault(task, name)
    return found


def chance_of(tasks: Sequence[str]) -> float | None:
    """Mean accuracy of guessing over tasks; None where that of one is not known.

    >>> chance_of(["piqa", "hellaswag"]), chance_of(["my_exam"])
    (0.375, None)
    """
    known = [CHANCE.get(task_name(task)) for task in tasks]
    return None if None in known or not known else sum(x for x in known if x is not None) / len(known)
