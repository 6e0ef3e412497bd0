"""Studies of runs that are an isoFLOP grid, of several recipes, or with tasks: a section, a figure and numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gemstones.analyses.analysis import Analyses
from gemstones.report.analyses import write_analyses
from gemstones.report.result import Study
from gemstones.report.study import study
from gemstones.report.summary import summary_text
from gemstones.runs import load
from tests.analyses import planted
from tests.report.conftest import short_analyses


@pytest.fixture(scope="module")
def of_a_grid(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("grid") / "out"
    return study(
        load(planted.grid(1)), folder, law="N,T", bootstrap=40, budgets=[1e20], workers=1, quick=True
    )


@pytest.fixture(scope="module")
def of_recipes(tmp_path_factory: pytest.TempPathFactory) -> Study:
    rows = [*planted.suite(0.0, recipe="base"), *planted.suite(-0.01, 1, recipe="new")]
    with short_analyses():
        return study(
            load(rows),
            tmp_path_factory.mktemp("two") / "out",
            law="N,T",
            bootstrap=40,
            budgets=[1e22],
            workers=1,
        )


@pytest.mark.long
def test_tasks_have_a_section(tmp_path: Path) -> None:
    rows = [
        {name: row[name] for name in row if name not in ("exam", "coin")}
        | {"hellaswag": row["exam"], "piqa": 0.4 + row["exam"] / 2, "winogrande": row["coin"]}
        for row in planted.tasks(noise=0.003, runs=6, checkpoints=8)
    ]
    with short_analyses():
        made = study(load(rows), tmp_path / "out", law="N,T", bootstrap=40, budgets=[1e21], workers=1)
    assert [one.task for one in made.analyses.tasks] == ["mean", "hellaswag", "piqa"]
    assert any(
        note.startswith("no law of the task winogrande: task winogrande shows no signal")
        for note in made.analyses.notes
    )
    written = json.loads((made.output / "study.json").read_text())["tasks"]
    assert written[1]["error_beyond"] == made.analyses.tasks[1].error_beyond
    assert written[1]["predictions"][0]["interval"] is not None
    page = (made.output / "report.html").read_text()
    assert 'id="tasks"' in page and "Laws of tasks" in page
    assert "Error of mean over loss, and predicted over measured error of held-out checkpoints" in page
    assert "tasks: the mean of 3 tasks at flops=" in summary_text(made)


@pytest.mark.long
def test_a_grid_has_profiles(of_a_grid: Study) -> None:
    found = of_a_grid.analyses.isoflop
    assert found is not None and len(found.budgets) == 7
    written = json.loads((of_a_grid.output / "study.json").read_text())
    assert written["isoflop"]["fits"]["params"]["slope"] == found.fits["params"].slope
    assert {"figures/isoflop.png", "figures/isoflop.svg"} <= set(written["files"])
    page = (of_a_grid.output / "report.html").read_text()
    assert "IsoFLOP profiles" in page
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))  # the explorer has an isoFLOP curve of its own
    assert "isoFLOP profiles: N* ~ FLOPs^" in summary_text(of_a_grid)
    assert of_a_grid.analyses.comparisons == ()


@pytest.mark.long
def test_recipes_are_compared(of_recipes: Study) -> None:
    (found,) = of_recipes.analyses.comparisons
    assert found.names == ("base", "new") and found.at[0].budget == 1e22
    written = json.loads((of_recipes.output / "study.json").read_text())
    assert written["comparisons"][0]["at"][0]["difference"] == found.at[0].difference
    assert "figures/compare.png" in written["files"]
    assert "Recipes compared" in (of_recipes.output / "report.html").read_text()
    assert "new (B) against base (A): At 1e22 FLOPs" in summary_text(of_recipes)
    assert of_recipes.analyses.isoflop is None


@pytest.mark.long
def test_a_column_that_is_not_there_is_a_note(tmp_path: Path) -> None:
    with short_analyses():
        made = study(
            load(planted.suite(0.0)),
            tmp_path / "out",
            law="N,T",
            bootstrap=40,
            budgets=[1e22],
            workers=1,
            by="colour",
        )
    assert any(note.startswith("no comparison of recipes: ") and "colour" in note for note in made.notes)


def test_nothing_found_is_no_section(pebbles: object, tmp_path: Path) -> None:
    written, own = write_analyses(Analyses(), pebbles, tmp_path, lambda: 7)  # type: ignore[arg-type]
    assert (written.sections, written.files, own, list(tmp_path.iterdir())) == ((), (), 7, [])
