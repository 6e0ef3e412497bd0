"""The library of float32 products is measured once, recorded, and kept when a run goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gemstones.runs.folders import ledger_of
from gemstones.runs.ledger import Products
from gemstones.train import kernels, products
from gemstones.train.run import Options, train
from tests.train.compare import SignalAt, trained

MakeRun = Callable[..., Path]


@pytest.fixture(autouse=True)
def own_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEMSTONES_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / products.SEEN


@pytest.fixture(autouse=True)
def default_products() -> Iterator[None]:
    yield
    kernels.use_products("onednn")


def measures(monkeypatch: pytest.MonkeyPatch, mkl: float, onednn: float) -> list[int]:
    """What the machine measures; the list grows by one whenever it does."""
    calls: list[int] = []

    def seconds(shape: object, sequences: int) -> dict[Products, float]:
        calls.append(sequences)
        return {"mkl": mkl, "onednn": onednn}

    monkeypatch.setattr(products, "step_seconds", seconds)
    return calls


def used(folder: Path) -> list[str]:
    return [start.products for start in ledger_of(folder).starts]


def test_the_faster_one_is_found_once_and_remembered(
    make_run: MakeRun, own_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = measures(monkeypatch, mkl=1.0, onednn=2.0)
    first, second = make_run("first", steps=3), make_run("second", steps=3, seed=1)
    train(first, Options(threads=1))
    train(second, Options(threads=1))
    assert used(first) == used(second) == ["mkl"] and len(calls) == 1
    assert list(json.loads(own_machine.read_text()).values()) == ["mkl"]
    wider = make_run("wider", shape="64x2", steps=3)
    train(wider, Options(threads=1))
    assert len(calls) == 2


def test_a_resumed_run_takes_what_its_ledger_says_to_the_bit(
    make_run: MakeRun, own_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measures(monkeypatch, mkl=1.0, onednn=2.0)
    alone, halved = make_run("alone"), make_run("halved")
    train(alone, Options(threads=1))
    train(halved, Options(threads=1, sinks=(SignalAt(10),)))
    own_machine.unlink()
    measures(monkeypatch, mkl=2.0, onednn=1.0)  # it goes on elsewhere
    train(halved, Options(threads=1))
    assert used(halved) == ["mkl", "mkl"] and trained(halved) == trained(alone)


def test_what_is_asked_for_is_taken_and_rounds_otherwise(make_run: MakeRun) -> None:
    one, other = make_run("one"), make_run("other")
    train(one, Options(threads=1, products="mkl"))
    train(other, Options(threads=1, products="onednn"))
    assert (used(one), used(other)) == (["mkl"], ["onednn"])
    left, right = trained(one)["steps"], trained(other)["steps"]
    assert left != right
    assert [step[2] for step in left] == pytest.approx([step[2] for step in right], abs=1e-4)


def test_where_there_is_no_choice_none_is_recorded(make_run: MakeRun) -> None:
    folder = make_run(steps=3, precision="bfloat16")
    train(folder, Options(threads=1))
    assert used(folder) == [""]


def test_it_is_really_measured(make_run: MakeRun) -> None:
    folder = make_run(steps=3)
    train(folder, Options(threads=1))
    assert used(folder)[0] in {"mkl", "onednn"}
