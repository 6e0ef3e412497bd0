"""What both suites of our own that come with the package have in common: `pebbles` and `pebbles-2`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import params
from gemstones.laws.fitting import fit
from gemstones.planning.plan import plan
from gemstones.runs import DATASETS, Architecture, RunTable, load
from gemstones.runs.collect import COLUMNS
from gemstones.runs.fetch import fetch
from gemstones.shape import Shapes
from tests.runs.collected import PROVENANCE


@dataclass(frozen=True)
class Packaged:
    """A data set, and what it was made with."""

    name: str
    vocabulary: int
    later: frozenset[str]
    """Columns that collected tables had after it."""

    @property
    def table(self) -> RunTable:
        return load(self.name)


SUITES = (
    Packaged("pebbles", 1024, frozenset({"mixture", "recipe", "annealed", "bits_per_byte", "document_mask"})),
    Packaged("pebbles-2", 512, frozenset({"document_mask"})),
)


@pytest.fixture(params=SUITES, ids=lambda suite: suite.name)
def suite(request: pytest.FixtureRequest) -> Packaged:
    found: Packaged = request.param
    return found


def test_models_are_stated_and_counted_by_the_closed_forms(suite: Packaged) -> None:
    table = suite.table
    assert table.architecture == Architecture(suite.vocabulary, 16, 256, 1, 4)
    shapes = Shapes.of(table.numbers("width"), table.numbers("depth"), table.architecture.like())
    np.testing.assert_array_equal(table.numbers("params_total"), params(shapes, "total"))
    np.testing.assert_array_equal(table.numbers("params_non_embedding"), params(shapes, "non_embedding"))
    np.testing.assert_array_equal(table.numbers("flops_per_token"), flops_per_token(shapes))
    fitted = fit(table.select(), "N,T")
    assert fitted.law.models.vocabulary == suite.vocabulary and fitted.law.models.head_size == 16
    planned = plan(1e14, fitted)
    assert planned.models.context == 256 and planned.nearest_shapes[0].vocabulary == suite.vocabulary


def test_it_needs_no_folder_no_cache_and_no_network(
    suite: Packaged, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GEMSTONES_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GEMSTONES_CACHE", str(tmp_path))
    monkeypatch.setenv("GEMSTONES_OFFLINE", "1")
    assert suite.table.select().selection == "all"
    assert list(tmp_path.iterdir()) == []


def test_provenance(suite: Packaged) -> None:
    table = suite.table
    assert table.dataset == suite.name and table.flops_convention == "gemstones"
    file, ledgers = table.sources
    assert {file.licence, ledgers.licence} == {"MIT"}
    assert {len(file.sha256), len(ledgers.sha256)} == {64} and file.sha256 != ledgers.sha256
    assert not any("/work" in source.location for source in table.sources)
    columns = [name for name in COLUMNS if name not in suite.later]
    at = table.frame.columns.index(columns[0])
    assert columns == table.frame.columns[at : at + len(columns)]
    for name in PROVENANCE:
        assert table.frame[name].null_count() == 0, name


def test_the_file_is_small(suite: Packaged) -> None:
    (entry,) = DATASETS[suite.name].entries
    assert fetch(entry).stat().st_size < 1e6
