"""How a session computes is measured once, recorded, and kept when a run goes on: products, and whether compiled."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch
import torch._inductor.config

from gemstones.accounting.flops import flops_per_token
from gemstones.runs.folders import ledger_of
from gemstones.runs.ledger import LEDGER
from gemstones.shape import Shape
from gemstones.train import apart, kernels, pass_seconds, ways
from gemstones.train.run import Options, Outcome, train
from gemstones.train.stopping import Stopping
from tests.train.compare import SignalAt, trained

MakeRun = Callable[..., Path]
SMALL = Shape(32, 4, head_size=16, queries_per_kv=1, vocabulary=256, context=64)


@pytest.fixture(autouse=True)
def own_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEMSTONES_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / ways.SEEN


@pytest.fixture(autouse=True)
def default_products() -> Iterator[None]:
    yield
    kernels.use_products("onednn")


def measures(monkeypatch: pytest.MonkeyPatch, mkl: float, onednn: float) -> list[int]:
    """What the machine measures; the list grows by one whenever it does."""
    calls: list[int] = []

    def seconds(shape: object, sequences: int, *others: object) -> ways.Seconds:
        calls.append(sequences)
        return ways.Seconds(mkl, onednn)

    monkeypatch.setattr(ways, "step_seconds", seconds)
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
    assert [known["mkl"] for known in json.loads(own_machine.read_text()).values()] == [1.0]
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


@pytest.mark.parametrize(("pass_flops", "faster"), [(1e10, "mkl"), (0.0, "onednn")])
def test_it_is_measured_with_all_layers_where_they_are_narrow(
    monkeypatch: pytest.MonkeyPatch, pass_flops: float, faster: str
) -> None:
    """One layer alone has the whole head, where the other library may be ahead."""

    def one_pass(like: Shape, sequences: int, precision: str, *, layers: int) -> Callable[[], float]:
        return lambda: 0.1 + 1.2 * layers if kernels._by_onednn else 1.0 + layers

    monkeypatch.setattr(pass_seconds, "_pass", one_pass)
    monkeypatch.setattr(pass_seconds, "PATIENCE", 0.0)
    monkeypatch.setattr(pass_seconds, "PASS_FLOPS", pass_flops)
    deep = replace(SMALL, depth=16)
    measured = pass_seconds.step_seconds(deep, 8)
    assert measured.products == faster
    whole = flops_per_token(deep, "matmul") / flops_per_token(replace(SMALL, depth=1), "matmul")
    if pass_flops:
        assert measured.mkl * whole == pytest.approx(17.0)


def compilation(monkeypatch: pytest.MonkeyPatch, plain: float, compiled: float) -> list[int]:
    """What the machine measures of compiling; every run is long enough to ask. The list grows whenever it is asked."""
    calls: list[int] = []

    def seconds(known: ways.Seconds, shape: object, sequences: int, *others: object) -> ways.Seconds:
        calls.append(sequences)
        return ways.Seconds(known.mkl, known.onednn, compiled, 1e-9)

    monkeypatch.setattr(ways, "LONG", 0.0)
    monkeypatch.setattr(ways, "compiled_too", seconds)
    monkeypatch.setattr("gemstones.train.run.compile_model", lambda model: None)
    measures(monkeypatch, plain, plain)
    return calls


def compiled(folder: Path) -> list[bool]:
    return [start.compiled for start in ledger_of(folder).starts]


def test_a_long_run_is_compiled_where_that_is_faster_and_stays_so(
    make_run: MakeRun, own_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = compilation(monkeypatch, plain=1.0, compiled=0.8)
    folder, asked_not = make_run("folder"), make_run("asked_not", seed=1)
    train(folder, Options(threads=1, sinks=(SignalAt(10),)))
    own_machine.unlink()
    compilation(monkeypatch, plain=1.0, compiled=2.0)  # it goes on elsewhere
    train(folder, Options(threads=1))
    assert compiled(folder) == [True, True] and used(folder) == ["onednn", "onednn"] and len(calls) == 1
    train(asked_not, Options(threads=1, compiled=False))
    assert compiled(asked_not) == [False]


@pytest.mark.parametrize(("seconds", "long"), [(0.97, 0.0), (0.0, 0.0), (0.5, 1e9)])
def test_a_run_is_not_compiled_where_it_gains_little_cannot_be_or_is_short(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, seconds: float, long: float
) -> None:
    calls = compilation(monkeypatch, plain=1.0, compiled=seconds)
    monkeypatch.setattr(ways, "LONG", long)
    folder = make_run()
    train(folder, Options(threads=1))
    assert compiled(folder) == [False] and used(folder) == ["onednn"] and len(calls) == (long == 0)


def test_compiled_too_what_is_asked_for_is_taken(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    compilation(monkeypatch, plain=1.0, compiled=0.8)
    one, other = make_run("one", steps=5), make_run("other", steps=5)
    train(one, Options(threads=1, compiled=True, products="mkl"))
    train(other, Options(threads=1, compiled=True, products="onednn"))
    assert (used(one), used(other)) == (["mkl"], ["onednn"])
    assert trained(one)["steps"] != trained(other)["steps"]


def test_a_compiled_run_of_a_release_without_a_choice_stays_with_mkl(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    compilation(monkeypatch, plain=1.0, compiled=0.8)  # oneDNN, by a measurement
    folder = make_run()
    train(folder, Options(threads=1, compiled=True, products="mkl", sinks=(SignalAt(10),)))
    ledger = folder / LEDGER
    events = [msgspec.json.decode(line) for line in ledger.read_bytes().splitlines()]
    for event in events:
        event.pop("crc32", None)
        if event["event"] == "start":
            event["products"] = ""
    ledger.write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in events))
    train(folder, Options(threads=1))
    assert compiled(folder) == [True, True] and used(folder) == ["", "mkl"]


def test_who_names_a_library_has_it_used(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    compilation(monkeypatch, plain=1.0, compiled=0.1)
    folder = make_run(steps=3)
    train(folder, Options(threads=1, products="mkl"))
    assert compiled(folder) == [False] and used(folder) == ["mkl"]


@pytest.mark.long
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch, in its own modules
def test_compiling_is_really_measured() -> None:
    plain = pass_seconds.step_seconds(SMALL, 2)
    measured = apart.compiled_too(plain, SMALL, 2, "float32", Stopping())
    assert (measured.mkl, measured.onednn) == (plain.mkl, plain.onednn)
    assert measured.compiled and measured.compilation > 0
    # `monkeypatch` leaves the second one undone, and nothing could be compiled in this process any more.
    with torch._inductor.config.patch({"cpp.cxx": ("/nonexistent/c++",), "force_disable_caches": True}):
        assert pass_seconds.compiled_too(plain, SMALL, 2, "float32").compiled == 0
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A measurement that never ends, and its compiler; the file tells their process ids."""
    said, program = tmp_path / "processes", tmp_path / "endless"
    program.write_text(f"#!/bin/sh\nsleep 1000 & echo $$ $! > {said}\nwait\n")
    program.chmod(0o755)
    monkeypatch.setattr(ways, "LONG", 0.0)
    monkeypatch.setattr(apart.sys, "executable", str(program))
    return said


def are_gone(said: Path) -> bool:
    """Within five seconds: who is killed is gone a little later."""
    deadline = time.monotonic() + 5
    while alive := [number for number in said.read_text().split() if is_alive(number)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return not alive


def is_alive(number: str) -> bool:
    """Zombies of another parent are not."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_signal_ends_the_measurement_and_the_session(make_run: MakeRun, endless: Path) -> None:
    folder = make_run()
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM))
    began = time.monotonic()
    timer.start()
    assert train(folder, Options(threads=1)) == Outcome("stopped", 0, 20, "SIGTERM")
    assert time.monotonic() - began < 3
    assert not ledger_of(folder).starts and are_gone(endless)


def test_a_budget_ends_the_measurement_and_the_run_gets_further(make_run: MakeRun, endless: Path) -> None:
    folder, said = make_run(), list[str]()
    began = time.monotonic()
    outcome = train(folder, Options(threads=1, budget_seconds=1.0, say=said.append))
    assert outcome == Outcome("stopped", 1, 20, "the time budget")
    assert time.monotonic() - began < 3
    assert said[1:] == ["it was not measured whether to compile: the run is not compiled"]
    assert compiled(folder) == [False] and are_gone(endless)


def test_a_signal_ends_the_measurement_of_products(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run()
    monkeypatch.setattr(pass_seconds, "PATIENCE", 1000.0)
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    assert train(folder, Options(threads=1)) == Outcome("stopped", 0, 20, "SIGINT")
