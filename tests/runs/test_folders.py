"""What is written of a run and a suite comes back; what was not written so is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gemstones.errors import InvalidPath, InvalidRequest
from gemstones.runs.folders import (
    RUN,
    SUITE,
    RunFile,
    SuiteFolder,
    ledger_of,
    read_run,
    read_suite,
    write_run,
    write_suite,
)
from gemstones.runs.ledger import Ledger
from tests.runs.made_up import cooldown_of, spec_of

MAIN = spec_of()


def test_there_and_back(tmp_path: Path) -> None:
    for run in (RunFile(corpus="c", spec=MAIN), RunFile(corpus="/c", spec=cooldown_of(MAIN, 10, 3))):
        folder = tmp_path / "deep" / run.spec.id
        write_run(folder, run)
        assert read_run(folder) == run
        assert ledger_of(folder) == Ledger()
    suite = SuiteFolder(suite="tiny.toml", corpus="c", runs=(MAIN.id, "b"))
    write_suite(tmp_path / "new", suite)
    assert read_suite(tmp_path / "new") == suite
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [SUITE]


def run_with(**changes: Any) -> dict[str, Any]:
    document = json.loads(json.dumps({"format": 1, "corpus": "c", "spec": json.loads(MAIN.to_json())}))
    for path, value in changes.items():
        *tables, last = path.split("__")
        table = document
        for name in tables:
            table = table[name]
        if value is None:
            del table[last]
        else:
            table[last] = value
    return dict(document)


def suite_with(**changes: Any) -> dict[str, Any]:
    return {"format": 1, "suite": "s", "corpus": "c", "runs": ["a", "b"], **changes}


@pytest.mark.parametrize(
    ("name", "read", "document", "what"),
    [
        (RUN, read_run, run_with(format=2), "format 2 is not the 1 that this gemstones reads"),
        # A newer format is told as such, whatever else it has.
        (RUN, read_run, {"format": 2, "model": {}}, "format 2 is not the 1 that this gemstones reads"),
        (RUN, read_run, run_with(format="1"), "format: '1' given, expected int, got str"),
        (RUN, read_run, run_with(spec__width="64"), "spec.width: '64' given, expected int, got str"),
        (RUN, read_run, run_with(spec__learning_rate=1.0), "spec.learning_rate: 1.0 is not the "),
        (RUN, read_run, run_with(spec__seed=None, spec__corpus=1), "spec.corpus: unknown field"),
        (RUN, read_run, run_with(spec=None), "spec: is required"),
        (RUN, read_run, [], "[] given, expected object, got array"),
        (SUITE, read_suite, suite_with(runs=["a", "a"]), "runs[1]: a is there already"),
        (SUITE, read_suite, suite_with(runs=["a/b"]), "runs[0]: 'a/b' is no name of a folder"),
        (SUITE, read_suite, suite_with(runs=[".."]), "runs[0]: '..' is no name of a folder"),
        (SUITE, read_suite, suite_with(runs=[""]), "runs[0]: '' is no name of a folder"),
        (SUITE, read_suite, suite_with(runs=["a\0"]), "runs[0]: 'a' is no name of a folder"),
        (SUITE, read_suite, suite_with(runs="a"), "runs: 'a' given, expected array, got str"),
    ],
)
def test_what_was_not_written_so(
    tmp_path: Path, name: str, read: Callable[[Path], object], document: Any, what: str
) -> None:
    (tmp_path / name).write_text(json.dumps(document))
    with pytest.raises(InvalidRequest) as caught:
        read(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name}: ")
    assert what in message.replace("a table", "{}").replace("a list", "[]")
    assert "\n" not in message


def test_no_file_and_no_json(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"has no run\.json: name a run's folder"):
        read_run(tmp_path)
    with pytest.raises(InvalidRequest, match=r"has no suite\.json: name a suite's folder"):
        read_suite(tmp_path / "absent")
    (tmp_path / RUN).write_text("{")
    with pytest.raises(InvalidRequest, match=r"run\.json is not JSON"):
        read_run(tmp_path)
    (tmp_path / SUITE).mkdir()
    with pytest.raises(InvalidPath, match=r"suite\.json cannot be read"):
        read_suite(tmp_path)
    with pytest.raises(InvalidPath, match="cannot be made"):
        write_run(tmp_path / RUN / "below", RunFile(corpus="c", spec=MAIN))
