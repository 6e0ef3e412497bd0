"""Tasks of lm-evaluation-harness in files of one's own, run for real: no network, a random model, data made here."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gemstones.runs import load
from tests.cli.conftest import Cli

pytest.importorskip("lm_eval")

Save = Callable[..., Path]

QUESTIONS = (
    {"question": "the cat sat on the", "choices": ["mat", "a much longer answer", "dog"], "answer": 0},
    {"question": "the dog", "choices": ["sat on the cat", "12 + 30"], "answer": 1},
    {"question": "the mat and the", "choices": ["end", "cat", "café"], "answer": 2},
    {"question": "word3 follows", "choices": ["word1.", "word2.", "the end"], "answer": 0},
)
EXAM = """
task: my-exam
dataset_path: json
dataset_kwargs: {data_files: {test: exam.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: answer
metric_list:
  - {metric: acc}
  - {metric: acc_norm}
"""


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GEMSTONES_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.chdir(tmp_path)
    Path("exam.jsonl").write_text("".join(json.dumps(one) + "\n" for one in QUESTIONS))
    Path("exam.yaml").write_text(EXAM)


def words(*more: Any) -> list[Any]:
    return ["evaluate", "model", "--columns", "tokens=1B", *more, "--json"]


def plainly(folder: Path) -> tuple[float, float]:
    """Accuracies, an answer at a time: nothing before a question, answers divided by their characters."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    right, by_length = [], []
    for one in QUESTIONS:
        before, choices = len(tokenizer(str(one["question"]))["input_ids"]), list(one["choices"])  # type: ignore[call-overload]
        nats = []
        for choice in choices:
            row = tokenizer(f"{one['question']} {choice}")["input_ids"]
            with torch.no_grad():
                logs = torch.log_softmax(model(torch.tensor([row])).logits[0].double(), -1)
            nats.append(-sum(float(logs[i - 1, row[i]]) for i in range(before, len(row))))
        right.append(int(np.argmin(nats)) == one["answer"])
        shorter = [n / len(choice) for n, choice in zip(nats, choices, strict=True)]
        by_length.append(int(np.argmin(shorter)) == one["answer"])
    return float(np.mean(right)), float(np.mean(by_length))


@pytest.mark.long
def test_a_file_of_the_harness(cli: Cli, saved: Save, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gemstones.evaluation.harness import HarnessTask

    expected = plainly(saved("gpt2"))
    both = words(
        "--corpus", f"a={text}", "--output", "r.parquet", "--tasks", "exam.yaml", "--tasks", "b=exam.yml"
    )
    Path("exam.yml").write_text(EXAM)
    outcome = cli(*both)
    assert (outcome.status, outcome.err) == (0, "")
    first, second = outcome.json["tasks"]
    assert (first["task"], second["task"]) == ("my_exam", "b")
    assert (first["acc"], first["acc_norm"]) == expected and 0 < first["acc_stderr"] < 0.5
    assert {**first, "task": "b"} == second
    frame = load("r.parquet").frame
    assert (frame["my_exam_acc"][0], frame["b_acc_norm"][0]) == expected

    monkeypatch.setattr(HarnessTask, "load", lambda self: pytest.fail("nothing is left to do"))
    assert cli(*both).json["tasks"] == [first, second]
    Path("exam.jsonl").write_text(json.dumps(QUESTIONS[0]) + "\n")
    outcome = cli(*both)
    assert outcome.status == 2 and "on other questions of the task my_exam" in outcome.err


def test_the_harness_says_the_same(cli: Cli, saved: Save) -> None:
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = saved()
    Path("exam.yaml").write_text(
        EXAM.replace("test_split", "num_fewshot: 2\nfewshot_split: test\ntest_split")
    )
    (scores,) = cli(*words("--tasks", "exam.yaml")).json["tasks"]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    with warnings.catch_warnings(action="ignore"):
        told = lm_eval.simple_evaluate(
            HFLM(pretrained=model, tokenizer=AutoTokenizer.from_pretrained(folder)),
            tasks=["exam.yaml"],
            task_manager=TaskManager(include_defaults=False),
        )["results"]["my-exam"]
    assert [scores[name] for name in ("acc", "acc_stderr", "acc_norm")] == [
        told[f"{name},none"] for name in ("acc", "acc_stderr", "acc_norm")
    ]


@pytest.mark.long
def test_a_group_with_what_it_includes_and_a_function(cli: Cli, saved: Save, text: Path) -> None:
    saved()
    half = EXAM.replace("my-exam", "second_half") + "process_docs: !function halves.second\n"
    Path("halves.py").write_text("def second(docs):\n    return docs.select(range(2, 4))\n")
    Path("second.yaml").write_text(half)
    Path("parts.yaml").write_text(
        "group: parts\ntask: [second_half, whole]\naggregate_metric_list: [{metric: acc}]\n"
    )
    Path("whole.yaml").write_text("include: exam.yaml\ntask: whole\n")
    Path("whole2.yaml").write_text("include: whole.yaml\ntask: whole2\n")
    asked = words(
        "--corpus", f"a={text}", "--output", "r.parquet", "--tasks", "parts.yaml", "--tasks", "whole2.yaml"
    )
    outcome = cli(*asked)
    assert (outcome.status, outcome.err) == (0, "")
    parts, whole = outcome.json["tasks"]
    assert parts["acc"] == pytest.approx((2 * parts["second_half_acc"] + 4 * parts["whole_acc"]) / 6)
    assert parts["whole_acc"] == whole["acc"]
    assert cli(*asked).json["tasks"] == [parts, whole]
    Path("halves.py").write_text("def second(docs):\n    return docs.select(range(3, 4))\n")
    assert "on other questions of the task parts" in cli(*asked).err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: [", "task wrong.yaml is not YAML: "),
        ("\x00", "task wrong.yaml is not YAML: "),
        (
            "- task: a",
            "task wrong.yaml is no task of lm-evaluation-harness: it needs a line like 'task: my_exam'",
        ),
        ("dataset_path: json", "task wrong.yaml names no task"),
        ("task: '--'", "task wrong.yaml names no task"),
        ("include: wrong.yaml", "includes wrong.yaml, which includes it"),
        ("include: none.yaml", "task none.yaml cannot be read"),
        (
            EXAM.replace("exam.jsonl", "none.jsonl"),
            "its data none.jsonl does not exist: paths in it are from",
        ),
        (EXAM.replace("split: test", "split: train"), "cannot be run by lm-evaluation-harness"),
        (EXAM.replace("{{choices}}", "{{nothing.at.all}}"), "cannot be run by lm-evaluation-harness"),
        (EXAM + "process_docs: !function nowhere.at_all\n", "Cannot import module 'nowhere'"),
        (EXAM + "unheard_of: 1\n", "unheard_of"),
        pytest.param(
            "group: g\ntask: [no_such_task]", "cannot be run by lm-evaluation-harness", marks=pytest.mark.long
        ),
    ],
)
def test_wrong_files(cli: Cli, saved: Save, text: Path, content: str, said: str) -> None:
    saved()
    Path("wrong.yaml").write_text(content, encoding="latin-1")
    outcome = cli(*words("--corpus", f"a={text}", "--output", "r.parquet", "--tasks", "wrong.yaml"))
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1), outcome
    assert said in outcome.err and not Path("r.parquet").exists()


@pytest.mark.parametrize(
    ("tasks", "status", "said"),
    [
        (["hub.yaml"], 1, "task hub.yaml: its data cannot be had: Couldn't reach 'somebody/exam' on the Hub"),
        (["none.yaml"], 2, "task none.yaml cannot be read"),
        (["=exam.yaml"], 2, "has no name before the ="),
        (["exam.yaml", "my-exam=exam.jsonl"], 2, "task my_exam is given twice"),
    ],
)
def test_wrong_words(cli: Cli, saved: Save, tasks: list[str], status: int, said: str) -> None:
    saved()
    Path("hub.yaml").write_text(
        EXAM.replace("json\n", "somebody/exam\n", 1).replace("exam.jsonl", "https://e.org/e.jsonl")
    )
    outcome = cli(*words(*(word for task in tasks for word in ("--tasks", task))))
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (status, "", 1), outcome
    assert said in outcome.err


@pytest.mark.long
def test_a_name_that_is_none(cli: Cli, saved: Save) -> None:
    saved()
    outcome = cli(*words("--tasks", "helaswag"))
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert "is none of lm-evaluation-harness: did you mean hellaswag" in outcome.err
