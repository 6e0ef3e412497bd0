"""The published data sets, against what the paper's files and tables say of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import params
from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.laws.fitting import fit
from gemstones.runs import DATASETS, RunTable, load
from gemstones.runs.selections import CHINCHILLA_REDUCED_TOKENS_B
from gemstones.shape import Shape, Shapes

# paper.md §2: selection → rows, runs
GEMSTONES = {
    "all": (770, 22),
    "all-2B": (3850, 22),
    "le100B": (220, 22),
    "le100B-2B": (1100, 22),
    "gt120B": (528, 22),
    "gt120B-2B": (2552, 22),
    "lr-ablation": (200, 20),
    "lr-ablation-2B": (1000, 20),
    "cooldown": (199, 20),
    "width512": (175, 5),
    "chinchilla-reduced": (24, 5),
}
# 22 shapes, every 10B tokens to 350B
GEMSTONES_LOSSES = {"all": (770, 22), "le100B": (220, 22), "gt120B": (528, 22), "width512": (175, 5)}
CHINCHILLA = {"epoch": (240, 240), "all": (245, 245), "hoffmann-reduced": (28, 28)}
# 13 shapes, 9 of them at half the rate too, evaluated 30 times; 5 cooled down at 3 points
PEBBLES = {"all": (13 * 30, 13), "lr-ablation": (9 * 30, 9), "cooldown": (5 * 3, 5)}
# 20 shapes, evaluated 6 times; cooled down where they come to 1e12 (8 shapes) to 1.6e13 FLOPs
PEBBLES_2 = {
    "all": (20 * 6, 20), "cooldown": (12 + 19 + 21 + 24 + 9 + 4, 28), "fitted": (83, 25), "held-back": (3 * 2, 3),
    "lr-half": (5 * 2, 5), "muon": (6 * 2, 6), "seed": (6, 6),
}  # fmt: skip


OTHER_LOSSES = ("gemstones-fineweb-edu", "gemstones-dclm", "gemstones-benchmarks")


def cases() -> Iterator[tuple[str, str, tuple[int, int]]]:
    for name, expected in GEMSTONES.items():
        yield "gemstones", name, expected
    for name, expected in GEMSTONES_LOSSES.items():
        for dataset in OTHER_LOSSES:
            yield dataset, name, expected
    for name, expected in CHINCHILLA.items():
        yield "chinchilla", name, expected
    for name, expected in PEBBLES.items():
        yield "pebbles", name, expected
    for name, expected in PEBBLES_2.items():
        yield "pebbles-2", name, expected


@pytest.fixture
def table(request: pytest.FixtureRequest, dataset: str) -> RunTable:
    loaded: RunTable = (
        load(dataset) if dataset in {*OTHER_LOSSES, "pebbles-2"} else request.getfixturevalue(dataset)
    )
    return loaded


@pytest.mark.parametrize(("dataset", "name", "expected"), list(cases()))
def test_selections_have_the_published_rows_and_runs(
    table: RunTable, dataset: str, name: str, expected: tuple[int, int]
) -> None:
    selected = table.select(name)
    assert (selected.rows, selected.runs) == expected
    assert selected.selection == name
    assert selected.run_codes.max() + 1 == expected[1]


def test_every_selection_is_in_the_truth_table() -> None:
    from gemstones.runs import selections_of

    assert set(selections_of("gemstones")) == set(GEMSTONES)
    assert set(selections_of("chinchilla")) == set(CHINCHILLA)
    assert set(selections_of("pebbles")) == set(PEBBLES)
    assert set(selections_of("pebbles-2")) == set(PEBBLES_2)
    for name in OTHER_LOSSES:
        assert set(selections_of(name)) == set(GEMSTONES_LOSSES)
    assert {name: DATASETS[name].default_selection for name in DATASETS} == {
        "gemstones": "all", "gemstones-fineweb-edu": "all", "gemstones-dclm": "all", "gemstones-benchmarks": "all",
        "chinchilla": "epoch", "pebbles": "all", "pebbles-2": "all",
    }  # fmt: skip


@pytest.mark.parametrize(("dataset", "first_loss"), [
    ("gemstones-fineweb-edu", 3.362790967), ("gemstones-dclm", 3.4733363719),
])  # fmt: skip
def test_other_losses_are_of_the_main_runs(gemstones: RunTable, dataset: str, first_loss: float) -> None:
    table = load(dataset)
    assert table.assumptions == () and table.flops_convention == "gemstones"
    assert [source.name for source in table.sources] == [dataset]
    assert table.frame["loss"][0] == pytest.approx(
        first_loss, abs=1e-6
    )  # as printed in the first line of the file
    assert table.frame["device_hours"].null_count() == table.rows
    same = ["run", "family", "width", "depth", "params_total", "tokens", "step", "flops"]
    ours, theirs = (t.frame.select(same).sort("run", "step") for t in (gemstones.select("all"), table))
    assert ours.equals(theirs)
    # Another text, another level: no loss is that of the runs' own validation set, and none is far from it.
    joined = gemstones.select("all").frame.join(table.frame, on=["run", "step"], suffix="_there")
    apart = (joined["loss_there"] - joined["loss"]).abs()
    assert apart.min() > 0 and apart.max() < 0.3


@pytest.mark.published_data
def test_benchmarks_are_of_the_main_runs_beside_three_losses(gemstones: RunTable) -> None:
    table = load("gemstones-benchmarks")
    assert (table.rows, table.runs, len(table.sources)) == (770, 22, 5)
    same = ["run", "family", "width", "depth", "params_total", "tokens", "step", "loss", "flops"]
    ours, theirs = (t.frame.select(same).sort("run", "step") for t in (gemstones.select("all"), table))
    assert ours.equals(theirs)
    for column, dataset in (("loss_fineweb_edu", "gemstones-fineweb-edu"), ("loss_dclm", "gemstones-dclm")):
        there = load(dataset).frame.sort("run", "step")["loss"]
        assert (table.frame.sort("run", "step")[column] == there).all()
    # The end of a run is published as `main`; accuracies and standard errors are those of the files' rows.
    frame = table.frame.filter(run="main/1024x28").sort("step")
    assert frame["step"].to_list() == [2385 * i for i in range(1, 36)]
    assert frame["step"][-1] == 83_475 and frame["tokens"][-1] == 83_475 * 2048 * 2048
    assert (frame["arc_challenge"][-1], frame["hellaswag"][-1], frame["piqa"][-1]) == (0.265, 0.502, 0.721)
    assert (frame["arc_easy"][0], frame["winogrande"][0]) == (0.413, 0.501)
    assert frame["arc_challenge_stderr"][-1] == pytest.approx(0.013963, abs=1e-6)


@pytest.mark.published_data
def test_benchmarks_of_other_checkpoints_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import polars as pl

    from gemstones.runs import benchmarks
    from gemstones.runs.fetch import ENTRIES, fetch

    entry = ENTRIES["gemstones-accuracies"]
    frame = pl.read_parquet(fetch(entry))
    index = "__index_level_0__"
    changed = {
        "Gemstone-512-main": frame.with_columns(pl.col(index).str.replace("1024x28-main", "512-main")),
        "no shares of 1": frame.with_columns(pl.col("piqa") * 100),
        "expected 770": frame.head(5),
        "expected arc_challenge": frame.rename({"piqa": "boolq"}),
    }
    for said, wrong in changed.items():
        path = tmp_path / "accuracies.parquet"
        wrong.write_parquet(path)
        monkeypatch.setattr(benchmarks, "fetch", lambda entry, path=path: path)
        with pytest.raises(InvalidTable, match=said):
            benchmarks.read_benchmarks(entry, ENTRIES["gemstones-accuracy-errors"])


def test_a_loss_of_another_line_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    line = (
        '{"step":2385,"final_loss":3.7,"run_name":"Gemstone-768x3","width":512,"depth":3,"tokens":10003415040,'
        '"params_active_precise":103814400,"num_nodes":null,"seconds_per_step":null}'
    )
    path = tmp_path / "losses.jsonl"
    path.write_text(line)
    monkeypatch.setattr("gemstones.runs.sources.fetch", lambda entry: path)
    with pytest.raises(
        InvalidTable, match=r"^gemstones-dclm, row 1, column run_name: 'Gemstone-768x3' is not named"
    ):
        load("gemstones-dclm")


def test_gemstones_columns(gemstones: RunTable) -> None:
    assert gemstones.rows == 3850 + 1000 + 199
    assert gemstones.runs == 22 + 20 + 20
    assert {"main/1024x28", "lr-ablation/1024x28", "cooldown/1024x28"} <= set(gemstones.frame["run"])
    assert gemstones.assumptions == ()
    assert gemstones.flops_convention == "gemstones"
    assert [source.licence for source in gemstones.sources] == ["MIT"] * 3
    assert gemstones.frame.columns[-2:] == ["run_name", "num_nodes"]
    frame = gemstones.frame.filter(run="main/1024x28", step=477)
    (row,) = frame.to_dicts()
    assert row["params_total"] == 543_482_880
    assert row["params_no_embedding"] == 543_482_880 - 50_304 * 1024
    assert row["params_non_embedding"] == 543_482_880 - 2 * 50_304 * 1024
    assert row["flops_per_token"] == 3_578_148_864
    assert row["flops"] == 3_578_148_864 * 2_000_683_008
    assert row["devices"] == 256
    assert row["device_hours"] == pytest.approx(1.3941352542 * 477 * 32 * 8 / 3600)


def test_computed_columns_are_the_closed_forms(gemstones: RunTable) -> None:
    shapes = Shapes.of(gemstones.numbers("width"), gemstones.numbers("depth"))
    np.testing.assert_array_equal(gemstones.numbers("params_total"), params(shapes, "total"))
    np.testing.assert_array_equal(gemstones.numbers("params_no_embedding"), params(shapes, "no_embedding"))
    np.testing.assert_array_equal(gemstones.numbers("params_non_embedding"), params(shapes, "non_embedding"))
    np.testing.assert_array_equal(gemstones.numbers("flops_per_token"), flops_per_token(shapes))


def test_chinchilla_reduced_has_the_rounded_tokens_and_their_flops(gemstones: RunTable) -> None:
    table = gemstones.select("chinchilla-reduced")
    tokens = table.numbers("tokens")
    np.testing.assert_array_equal(tokens % 1e9, 0)
    np.testing.assert_array_equal(table.numbers("flops"), table.numbers("flops_per_token") * tokens)
    per_run = {
        run: sorted(group["tokens"].to_list())
        for (run,), group in table.frame.group_by("run", maintain_order=True)
    }
    assert per_run["main/384x13"] == [4e9, 6e9, 12e9, 26e9]
    assert per_run["main/512x13"] == [4e9, 8e9, 12e9, 14e9]  # 13.0 is half-way, 12 the even multiple of 2
    assert per_run["main/2048x27"] == [8e9, 16e9, 24e9, 32e9, 48e9, 82e9, 124e9]
    assert "main/512x11" not in per_run  # 9e7 to one digit, where Hoffmann et al. have no run


def test_chinchilla_reduced_targets_are_the_runs_of_hoffmann_reduced(chinchilla: RunTable) -> None:
    tokens = np.sort(chinchilla.select("hoffmann-reduced").numbers("tokens") / 1e9)
    targets = np.sort([t for group in CHINCHILLA_REDUCED_TOKENS_B.values() for t in group])
    np.testing.assert_allclose(targets, tokens, rtol=7e-3)  # three digits, some of them cut off, not rounded


def test_chinchilla_reduced_gives_the_published_objective(gemstones: RunTable) -> None:
    made = fit(gemstones.select("chinchilla-reduced"), "N,T")
    assert made.objective == pytest.approx(2.257192154e-5, rel=1e-6)


def test_chinchilla_columns(chinchilla: RunTable) -> None:
    assert chinchilla.frame["run"][0] == "chinchilla/001"
    assert chinchilla.frame["run"][244] == "chinchilla/245"
    assert chinchilla.flops_convention == "given"
    np.testing.assert_allclose(chinchilla.numbers("flops_per_token"), 6 * chinchilla.numbers("params_total"))
    np.testing.assert_allclose(
        chinchilla.numbers("flops"), 6 * chinchilla.numbers("params_total") * chinchilla.numbers("tokens")
    )
    assert chinchilla.numbers("loss").max() > chinchilla.select().numbers("loss").max()
    with pytest.raises(InvalidTable, match=r"^chinchilla-epoch, column width: is needed but not known"):
        chinchilla.numbers("width")


def test_default_selections(gemstones: RunTable, chinchilla: RunTable) -> None:
    assert gemstones.select().selection == "all"
    assert chinchilla.select().selection == "epoch"


def test_where_filters_after_the_selection(gemstones: RunTable) -> None:
    table = gemstones.select(where="width = 512 AND tokens > 1e11")
    assert table.selection == "all where width = 512 AND tokens > 1e11"
    assert table.rows == 5 * 26  # the checkpoint at 100.03B is among them
    again = table.select(where="depth = 11")
    assert (again.rows, again.runs) == (26, 1)


@pytest.mark.parametrize(
    ("name", "where", "message"),
    [
        ("nope", None, "selection 'nope' is unknown for gemstones: choose from all, all-2B"),
        ("epoch", None, "selection 'epoch' is unknown for gemstones"),
        (
            "all",
            "widht > 1",
            "condition 'widht > 1': character 1, 'widht': there is no column widht (did you mean",
        ),
        ("all", "width >", "condition 'width >': character 8, the end: a value is missing"),
        ("all", "width", "condition 'width': character 1, 'width': this is neither true nor false"),
        (
            "all",
            "run > 1",
            "condition 'run > 1': character 1, 'run': row 1, column run: 'main/1024x28' is not a number",
        ),
    ],
)
def test_selection_errors(gemstones: RunTable, name: str, where: str | None, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        gemstones.select(name, where)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 2


def test_a_selection_of_a_selection_is_refused(gemstones: RunTable) -> None:
    with pytest.raises(InvalidRequest, match="is the selection 'le100B' already"):
        gemstones.select("le100B").select("gt120B")
    assert gemstones.select("le100B").select("le100B").rows == 220


def test_an_empty_selection_is_refused(gemstones: RunTable) -> None:
    with pytest.raises(
        InvalidTable, match=r"^gemstones: selection 'all where width > 9999' has no rows"
    ) as caught:
        gemstones.select(where="width > 9999")
    assert caught.value.exit_status == 2


def test_load_refuses_unknown_names_and_options_of_known_ones() -> None:
    with pytest.raises(
        InvalidRequest,
        match=r"^data set 'gemstone' is unknown: choose from gemstones, gemstones-fineweb-edu, ",
    ):
        load("gemstone")
    with pytest.raises(InvalidRequest, match=r"^vocabulary cannot be set for the data set gemstones"):
        load("gemstones", vocabulary=50_304, columns=None)


# Hashes of a table do not depend on the versions of polars or numpy: these are what studies are known by.
FINGERPRINTS = {
    ("gemstones", None): "ab13fd9698016f9249a3f9b40d5667525f58db804e6d4299de486e3e282dae09",
    ("gemstones", "all"): "497dbfc864c58729050729daa0b380314fe1dd5ee09ebf01e1d1ade70ee4d0ca",
    ("chinchilla", "epoch"): "4de6919bd785a0a9ff21200be8a6fab96d821b697f082c317ba4f57863ca4de4",
    ("pebbles", None): "7524162e6402233ca6d8b0e523c7482068de858b651a10c7fa62f8ebc34d9f43",
}


@pytest.mark.parametrize(("dataset", "selection"), list(FINGERPRINTS))
def test_fingerprints_are_stable(table: RunTable, dataset: str, selection: str | None) -> None:
    selected = table.select(selection) if selection else table
    assert selected.fingerprint == FINGERPRINTS[dataset, selection]


def test_shapes_of_main_can_be_built(gemstones: RunTable) -> None:
    for width, depth in gemstones.frame.select("width", "depth").unique().iter_rows():
        assert params(Shape(width, depth)) > 0
