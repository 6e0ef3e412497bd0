"""The sweep's report: planted optima come back, and the words say whether they collapse."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstones.design.spec import RunSpec
from gemstones.errors import InvalidRequest
from gemstones.runs.folders import LEDGER
from tests.runs.made_up import Trainer, put_suite, spec_of

SHAPES = ("32x2", "32x8", "64x2", "64x8", "128x2")
BASES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)


def _load() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "studies" / "learning_rate.py"
    spec = importlib.util.spec_from_file_location("learning_rate", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["learning_rate"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


study = _load()
Loss = Callable[[RunSpec], float]


def by_the_rule(spec: RunSpec) -> float:
    """Least at lr_eff·width·√depth = 0.7 for every shape."""
    return (
        4
        + 20 / spec.width
        + 0.1 * math.log(spec.learning_rate * spec.width * math.sqrt(spec.depth) / 0.7) ** 2
    )


def by_one_rate(spec: RunSpec) -> float:
    """Least at lr_eff = 0.01 for every shape."""
    return 4 + 20 / spec.width + 0.1 * math.log(spec.learning_rate / 0.01) ** 2


def sweep(folder: Path, loss: Loss = by_the_rule, bases: tuple[float, ...] = BASES) -> list[Trainer]:
    """Finished runs of every shape at every base, in `folder`."""
    specs = [spec_of(shape, lr_base=base) for base in bases for shape in SHAPES]
    trainers = [Trainer(spec, held_out=lambda step, spec=spec: loss(spec) + 24 - step) for spec in specs]
    for trainer in trainers:
        trainer.train()
    put_suite(folder, trainers)
    return trainers


def test_planted_optima_come_back_and_collapse(tmp_path: Path) -> None:
    sweep(tmp_path)
    read = study.read(tmp_path)
    assert [shape.name for shape in read.shapes] == list(SHAPES) and read.unfinished == 0
    for shape in read.shapes:
        assert shape.best.inside and shape.best.rate * shape.scale == pytest.approx(0.7)
        assert shape.best.loss == pytest.approx(4 + 20 / shape.width)
    said = " ".join(study.findings(read.shapes))
    assert "each of the 5 shapes lies inside its grid" in said
    assert "lr_eff spans a factor 4.00 and best lr_eff·width·√depth a factor 1.00: they collapse" in said
    assert "to the power -1.00" in said
    assert "32x8 and 64x2 are of one size" in said and "64x8 and 128x2 are of one size" in said
    assert "32x2 and" not in said


def test_one_rate_for_all_does_not_collapse(tmp_path: Path) -> None:
    sweep(tmp_path, by_one_rate, (*BASES, 8.0))
    said = " ".join(study.findings(study.read(tmp_path).shapes))
    assert "lr_eff spans a factor 1.00" in said and "do not collapse" in said and "they collapse" not in said
    assert "to the power -0.00" in said or "to the power 0.00" in said


def test_an_optimum_at_the_end_of_its_grid_is_not_used(tmp_path: Path) -> None:
    sweep(tmp_path, by_the_rule, (2.0, 4.0, 8.0))
    read = study.read(tmp_path)
    assert not any(shape.best.inside for shape in read.shapes)
    said = study.findings(read.shapes)
    assert said[0].startswith("The best rate of 32x2, 32x8, 64x2, 64x8, 128x2 is at the end of its grid")
    assert not any("collapse" in sentence for sentence in said)


def test_runs_that_diverged_are_shown_as_such(tmp_path: Path) -> None:
    trainers = sweep(tmp_path)
    gone = next(t for t in trainers if (t.spec.width, t.spec.depth, t.spec.lr_base) == (64, 8, 4.0))
    lines = gone.content.splitlines(keepends=True)[:2]  # before any evaluation
    (tmp_path / gone.spec.id / LEDGER).write_bytes(
        b"".join(lines) + b'{"event":"diverged","step":1,"reason":"x"}\n'
    )
    read = study.read(tmp_path)
    (shape,) = [shape for shape in read.shapes if shape.name == "64x8"]
    assert shape.trials[-1].loss is None and shape.best.rate * shape.scale == pytest.approx(0.7)
    page = study.page(read)
    assert "| diverged |" in page and "Diverged and given up: 64x8 at 4 " in page
    rows = study.figure(read.shapes, "title").to_dict()["datasets"]["sweep"]
    assert [row["shape"] for row in rows if row["kind"] == "diverged"] == ["64x8"]


def test_unfinished_runs_are_left_out_and_said(tmp_path: Path) -> None:
    trainers = sweep(tmp_path)
    for trainer in trainers[-2:]:
        (tmp_path / trainer.spec.id / LEDGER).write_bytes(b"")
    read = study.read(tmp_path)
    assert read.unfinished == 2 and sum(len(shape.trials) for shape in read.shapes) == 28
    assert "2 of 30 runs are not finished" in study.page(read)


def test_two_runs_at_one_rate_are_refused(tmp_path: Path) -> None:
    specs = [spec_of("64x2", lr_base=1.0, seed=seed) for seed in (0, 1)]
    trainers = [Trainer(spec) for spec in specs]
    for trainer in trainers:
        trainer.train()
    put_suite(tmp_path, trainers)
    with pytest.raises(InvalidRequest, match="two runs of a shape at one learning rate"):
        study.read(tmp_path)


@given(apart=st.floats(1.01, 100), together=st.floats(1.0, 100))
def test_the_verdict_needs_half_of_the_spread_gone(apart: float, together: float) -> None:
    collapses = study.verdict(apart, together).startswith("they collapse")
    assert collapses == (together <= 2 and math.log(together) <= 0.5 * math.log(apart))


def test_it_writes_a_page_and_a_small_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep(tmp_path / "runs")
    monkeypatch.setattr(
        sys, "argv", ["learning_rate.py", str(tmp_path / "runs"), "--output", str(tmp_path / "out")]
    )
    study.main()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"README.md", "learning-rate.svg"}
    assert (tmp_path / "out" / "learning-rate.svg").stat().st_size < 200_000
    page = (tmp_path / "out" / "README.md").read_text()
    assert "(learning-rate.svg)" in page and "provisional" not in page
