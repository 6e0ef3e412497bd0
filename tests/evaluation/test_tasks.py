"""Multiple-choice tasks of a file against plain computations, and what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from gemstones.runs import load
from tests.cli.conftest import Cli

Save = Callable[..., Path]

QUESTIONS = (
    {"question": "the cat sat on the", "choices": ["mat", "a much longer answer", "dog"], "answer": 0},
    {"question": "the dog ", "choices": ["sat on the cat", "12 + 30"], "answer": 1},
    {"query": "naïve", "choices": [" café", " word3 follows"], "gold": "1"},
    {"context": "the end", "endings": ["of it", "and the mat"], "label": "and the mat"},
    {"question": "", "choices": {"text": ["the cat", "the mat"], "label": ["A", "B"]}, "answer": "B"},
)


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GEMSTONES_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    Path("exam.jsonl").write_text("".join(json.dumps(one) + "\n" for one in QUESTIONS))


def plainly(folder: Path) -> tuple[float, float, float]:
    """Accuracies and bits per byte of the right answers, an answer at a time."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    asked = [
        ("the cat sat on the", [" mat", " a much longer answer", " dog"], 0),
        ("the dog", [" sat on the cat", " 12 + 30"], 1),
        ("naïve", [" café", " word3 follows"], 1),
        ("the end", [" of it", " and the mat"], 1),
        ("", ["the cat", "the mat"], 1),
    ]
    right, by_length, bits = [], [], []
    for question, answers, gold in asked:
        before = tokenizer(question)["input_ids"] if question else []
        nats = []
        for answer in answers:
            row = [0, *tokenizer(question + answer)["input_ids"]]
            with torch.no_grad():
                logs = torch.log_softmax(model(torch.tensor([row])).logits[0].double(), -1)
            nats.append(-sum(float(logs[i - 1, row[i]]) for i in range(1 + len(before), len(row))))
        right.append(int(np.argmin(nats)) == gold)
        by_length.append(
            int(np.argmin([n / len(a.strip()) for n, a in zip(nats, answers, strict=True)])) == gold
        )
        written = QUESTIONS[1]["choices"][1] if question == "the dog" else answers[gold]
        bits.append(nats[gold] / math.log(2) / len(str(written).encode()))
    return float(np.mean(right)), float(np.mean(by_length)), float(np.mean(bits))


@pytest.mark.parametrize("kind", ["gemma", "gpt2"])
def test_scores_are_those_of_a_plain_computation(cli: Cli, saved: Save, kind: str) -> None:
    expected = plainly(saved(kind))
    for batch in ("1", "1000"):
        told = cli(
            "evaluate",
            "model",
            "--tasks",
            "exam.jsonl",
            "--columns",
            "tokens=1B",
            "--batch-tokens",
            batch,
            "--json",
        ).json
        (scores,) = told["tasks"]
        assert (scores["acc"], scores["acc_norm"]) == expected[:2]
        assert scores["answer_bits_per_byte"] == pytest.approx(expected[2], rel=1e-6)
        p = expected[0]
        assert scores["acc_stderr"] == pytest.approx(math.sqrt(p * (1 - p) / 4))
        assert (scores["questions"], told["rows"]) == (5, [])


def test_scores_stand_beside_the_losses(cli: Cli, saved: Save, text: Path) -> None:
    saved()
    words = ["evaluate", "model", "--corpus", f"a={text}", "--corpus", f"b={text}", "--columns", "tokens=1B"]
    words += ["--output", "r.parquet", "--json"]
    assert cli(*words).json["tasks"] == []
    both = cli(*words, "--tasks", "my-exam=exam.jsonl").json
    assert both["resumed"] == 2
    (scores,) = both["tasks"]
    frame = load("r.parquet").frame
    assert frame["my_exam_acc"].to_list() == [scores["acc"]] * 2 and frame["loss"].n_unique() == 1
    assert cli(*words, "--tasks", "my-exam=exam.jsonl").json["tasks"] == [scores]
    Path("exam.jsonl").write_text(json.dumps(QUESTIONS[0]) + "\n")
    outcome = cli(*words, "--tasks", "my-exam=exam.jsonl")
    assert outcome.status == 2 and "on other questions of the task my_exam" in outcome.err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "has no question"),
        ("{", "line 1 is not JSON"),
        ("[1]", "line 1 is no object"),
        ('{"choices": ["a", "b"], "answer": 0}', "line 1 has no question"),
        ('{"question": "q", "choices": ["a"], "answer": 0}', "needs two choices or more"),
        ('{"question": "q", "choices": ["a", ""], "answer": 0}', "needs two choices or more"),
        ('{"question": "q", "choices": ["a", "b"], "answer": 2}', "answer 2 must be a number from 0 to 1"),
        ('{"question": "q", "choices": ["a", "b"]}', "answer None must be a number from 0 to 1"),
    ],
)
def test_wrong_questions(cli: Cli, saved: Save, line: str, said: str) -> None:
    saved()
    Path("wrong.jsonl").write_text(line + "\n")
    outcome = cli("evaluate", "model", "--tasks", "wrong.jsonl", "--columns", "tokens=1B")
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert said in outcome.err


def test_a_task_by_name_needs_its_extra(cli: Cli, saved: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    saved()
    # Without lm-eval; and with it but not what its own extra `hf` brings.
    for package, transformers_of_it in ((None, None), (types.ModuleType("lm_eval"), None)):
        monkeypatch.setitem(sys.modules, "lm_eval", package)
        monkeypatch.setitem(sys.modules, "lm_eval.models.huggingface", transformers_of_it)
        outcome = cli("evaluate", "model", "--tasks", "hellaswag", "--columns", "tokens=1B")
        assert (outcome.status, outcome.err.count("\n")) == (1, 1)
        assert "pip install 'gemstones[tasks]'" in outcome.err
    outcome = cli(
        "evaluate", "model", "--tasks", "none.jsonl", "--columns", "tokens=1B", "--output", "r.parquet"
    )
    assert outcome.status == 2 and "a run table has a loss" in outcome.err
