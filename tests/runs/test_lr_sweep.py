"""The published sweep of learning rates: read, checked, and refused when it is not what it says."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from gemstones.errors import InvalidTable
from gemstones.runs.fetch import ENTRIES, fetch
from gemstones.runs.lr_sweep import UNIFORM_LOSS, load_lr_sweep, parse_lr_sweep
from gemstones.shape import Shape

ENTRY = ENTRIES["lr-sweep"]
LAST = "3072x12_8-2048_32nodes_olmoTrue_lr5e-02"


@pytest.mark.published_data
def test_the_published_sweep() -> None:
    sweep = load_lr_sweep()
    shapes = [Shape(256, 80), Shape(768, 3), Shape(1536, 50), Shape(3072, 12)]
    rates = [1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2]
    assert [(run.shape, run.lr_eff) for run in sweep] == [(s, r) for s in shapes for r in rates]
    by_run = {(str(run.shape), run.lr_eff): run for run in sweep}
    assert by_run["1536x50", 5e-4].loss == pytest.approx(3.3392860889434814)
    # lr_eff · width · √depth; 3072x12 was not patched in the sweep.
    assert by_run["1536x50", 5e-4].lr_base == pytest.approx(5e-4 * 1536 * math.sqrt(50))
    assert by_run["3072x12", 1e-4].lr_base == pytest.approx(1e-4 * 3072 * math.sqrt(12))
    assert pytest.approx(math.log(50_304)) == UNIFORM_LOSS
    diverged = [(str(run.shape), run.lr_eff) for run in sweep if run.diverged]
    assert diverged == [("1536x50", 5e-2), ("3072x12", 1e-2), ("3072x12", 5e-2)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("1536x50_4", "1536-50_4", 1), "row 3.* is not named by its shape"),
        (lambda text: text.replace("scalernull", "scalerinverse_sqrt", 1), "row 1.*unscaled rate"),
        (lambda text: text.replace("olmoTrue", "olmoFalse", 1), "row 1.*is not named by its shape"),
        (lambda text: text.replace("59.487030029296875", "NaN"), "row 1.*(positive and finite|Expected `float`)"),
        (lambda text: text.replace('"59.487030029296875"', '""'), "row 1.*Expected `float`, got `null`"),
        (lambda text: text.replace("scaling/global_loss", "loss"), "row 1.*(missing required|unknown) field"),
        (lambda text: text.rstrip().rpartition("\n")[0], "has 23 rows, expected 24"),
        (lambda text: text.replace(LAST, LAST.replace("5e-02", "1e-02")),
         "3072x12 has no run at rate 0.05"),
        (lambda text: text.replace(LAST, LAST.replace("x12", "x13")),
         "3072x12 has no run at rate 0.05"),
    ],
)  # fmt: skip
@pytest.mark.published_data
def test_another_file_is_refused(change: Callable[[str], str], message: str) -> None:
    text = fetch(ENTRY).read_text()
    changed = change(text)
    assert changed != text
    with pytest.raises(InvalidTable, match=f"lr-sweep.*{message}") as error:
        parse_lr_sweep(changed.encode(), ENTRY)
    assert "\n" not in str(error.value)
