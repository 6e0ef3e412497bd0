"""Initialisation and training do not depend on the layout (training.md, "What must hold")."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gemstones.errors import InvalidRequest
from gemstones.shape import Shape
from gemstones.train.layout import Layout
from tests.train import layout_worker
from tests.train.ranks import on_ranks

LAYOUTS = [(2, 1), (1, 2), (2, 2), (1, 4)]


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    return layout_worker.run(Layout())


@pytest.mark.long
@pytest.mark.parametrize(("data", "tensor"), LAYOUTS)
def test_layouts_start_equal_and_train_alike(
    alone: dict[str, Any], data: int, tensor: int, tmp_path: Path
) -> None:
    output = tmp_path / "seen.json"
    said = on_ranks(
        data * tensor, layout_worker.__file__, [str(data), str(tensor), str(output)], tmp_path / "said"
    )
    # Rank 0 writes last of all; how gloo's threads then end is not what is asked.
    assert output.exists(), said
    seen = json.loads(output.read_text())
    assert seen["initial"] == alone["initial"]
    np.testing.assert_allclose(seen["losses"], alone["losses"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(seen["norms"], alone["norms"], atol=1e-4, rtol=1e-4)
    assert alone["losses"][-1] != alone["losses"][0]


def test_accumulation_changes_nothing_but_rounding(alone: dict[str, Any]) -> None:
    chunked = layout_worker.run(Layout(), micro_sequences=3)
    np.testing.assert_allclose(chunked["losses"], alone["losses"], atol=1e-5, rtol=0)


def test_training_is_repeatable_to_the_bit(alone: dict[str, Any]) -> None:
    assert layout_worker.run(Layout()) == alone


def test_degrees_that_do_not_divide_are_refused() -> None:
    odd = Shape(768, 3)  # 6 query heads, 3 kv heads
    with pytest.raises(InvalidRequest, match="tensor parallel degree 2 does not divide the 3 kv heads"):
        Layout(tensor=2).check(odd, 8)
    with pytest.raises(InvalidRequest, match="data parallel degree 3"):
        Layout(data=3).check(Shape(1024, 4), 8)
