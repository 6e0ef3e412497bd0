"""Several files as one table: runs named by files, columns that differ, constants joined by run."""

from __future__ import annotations

import time
from pathlib import Path

import polars as pl
import pytest

from gemstones.runs.formats import open_runs
from gemstones.runs.formats.run_names import names_by_file
from tests.runs.formats.written import PLAIN, refusal, written

LOG = "tokens,loss\n1000,3.1\n2000,3.0\n"


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    for size in ("190M", "370M"):
        written(tmp_path / f"olmo_{size}-1xC.csv", LOG.replace("3.", "3.1" if size == "190M" else "2.9"))
    return tmp_path


def test_a_pattern_stands_for_its_files_sorted(logs: Path) -> None:
    found = open_runs(f"{logs}/olmo_*.csv")
    assert found.frame.columns == ["run", "tokens", "loss"]
    assert found.frame["run"].to_list() == ["olmo_190M-1xC"] * 2 + ["olmo_370M-1xC"] * 2
    assert found.frame["loss"].to_list() == ["3.11", "3.10", "2.91", "2.90"]
    assert found.file == f"{logs}/olmo_190M-1xC.csv and 1 more"
    assert found.dataset == f"{logs.name}/"
    assert [source.name for source in found.sources] == ["olmo_190M-1xC.csv", "olmo_370M-1xC.csv"]
    assert found.assumptions == ("each file is a run, named by the file (--run-from '(.+)' to say how)",)
    # The order given is kept, of paths and of patterns.
    backwards = open_runs([logs / "olmo_370M-1xC.csv", f"{logs}/olmo_1*.csv"])
    assert backwards.frame["run"].unique(maintain_order=True).to_list() == ["olmo_370M-1xC", "olmo_190M-1xC"]


def test_a_single_table_is_no_run(logs: Path) -> None:
    assert open_runs(f"{logs}/olmo_190M-1xC.csv").frame.columns == ["tokens", "loss"]
    assert open_runs([f"{logs}/olmo_190M-1xC.csv"]).frame.columns == ["tokens", "loss"]
    assert open_runs(f"{logs}/olmo_1*.csv", run_from="olmo_(.+)-").frame["run"].to_list() == ["190M", "190M"]


def test_a_file_that_is_called_like_a_pattern_is_itself(tmp_path: Path) -> None:
    written(tmp_path / "runs[1].csv", PLAIN)
    written(tmp_path / "runs1.csv", LOG)
    assert open_runs(tmp_path / "runs[1].csv").frame["run"].to_list() == ["a", "b"]


@pytest.mark.parametrize(
    ("pattern", "columns", "first"),
    [
        (r"olmo_(.+)\.csv", ["run", "tokens", "loss"], ("190M-1xC", "1000", "3.11")),
        (r"\d+M", ["run", "tokens", "loss"], ("190M", "1000", "3.11")),
        (
            r"(?P<params_total>\d+M)",
            ["run", "params_total", "tokens", "loss"],
            ("olmo_190M-1xC", "190M", "1000", "3.11"),
        ),
        (
            r"(?P<run>(?P<params_total>\d+M)-(?P<ratio>\d+)xC)",
            ["run", "params_total", "ratio", "tokens", "loss"],
            ("190M-1xC", "190M", "1", "1000", "3.11"),
        ),
        (r"(\w+_(?P<size>\d+M))", ["run", "size", "tokens", "loss"], ("olmo_190M", "190M", "1000", "3.11")),
        (r"_(\d+M)(?P<seed>-s\d)?", ["run", "seed", "tokens", "loss"], ("190M", None, "1000", "3.11")),
    ],
)
def test_run_from(logs: Path, pattern: str, columns: list[str], first: tuple[str | None, ...]) -> None:
    frame = open_runs(f"{logs}/olmo_*.csv", run_from=pattern).frame
    assert frame.columns == columns
    assert frame.row(0) == first


def test_run_from_goes_before_a_column(tmp_path: Path) -> None:
    path = written(tmp_path / "seed7.csv", PLAIN)
    frame = open_runs(path, run_from=r"seed(\d)").frame
    assert frame.columns == ["run", "source_run", "tokens", "loss"]
    assert frame.row(0) == ("7", "a", "1e9", "3.1")
    frame = open_runs(path, run_from=r"seed(?P<seed>\d)").frame
    assert frame.columns == ["seed", "run", "tokens", "loss"]


def test_run_from_is_refused_where_it_does_not_match(logs: Path) -> None:
    written(logs / "other.csv", LOG)
    assert refusal(lambda: open_runs(f"{logs}/*.csv", run_from=r"olmo_(.+)\.csv")) == (
        f"run-from 'olmo_(.+)\\\\.csv' does not match {logs}/other.csv: widen it, or leave the file out"
    )
    line = refusal(lambda: open_runs(f"{logs}/*.csv", run_from="olmo_(.+"))
    assert line.startswith(
        "run-from 'olmo_(.+' is no regular expression that can be used: unclosed group: write"
    )


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"(?=a)olmo", "look-around, including look-ahead and look-behind, is not supported"),
        (r"(o)\1", "backreferences are not supported"),
        ("((a{1000}){1000})", "Compiled regex exceeds size limit"),
        ("(" * 3000 + ")" * 3000, "exceed the maximum number of nested parentheses"),
        ("(?P<run>.)(?P<run>.)", "duplicate capture group name"),
        ("[\x1b\n", "unclosed character class"),
    ],
    ids=lambda text: text[:20],
)
def test_a_pattern_that_cannot_be_used_is_one_line(logs: Path, pattern: str, said: str) -> None:
    line = refusal(lambda: open_runs(f"{logs}/*.csv", run_from=pattern))
    assert (
        said in line
        and "\n" not in line
        and line.isprintable()
        and line.endswith(r"write one like 'olmo_(.+)\.csv'")
    )


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|aa)+$", "(.*)*(.*)*(.*)*x$", "^(([a-z])+.)+[A-Z]([a-z])+$"]
)
def test_no_pattern_takes_for_ever(tmp_path: Path, pattern: str) -> None:
    file = tmp_path / f"{'a' * 200}!.csv"
    file.write_text("params_total,tokens,loss\n1e8,1e9,3\n")
    begun = time.process_time()
    assert "does not match" in refusal(lambda: open_runs(file, run_from=pattern))
    assert time.process_time() - begun < 2


def test_run_from_sees_folders(tmp_path: Path) -> None:
    for size in ("190M", "370M"):
        written(tmp_path / size / "log.csv", LOG)
    frame = open_runs(f"{tmp_path}/*/log.csv", run_from=r"(\d+M)/log").frame
    assert frame["run"].unique(maintain_order=True).to_list() == ["190M", "370M"]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a/x.csv", "b/y.csv"], ["x", "y"]),
        (["a/x.csv", "b/x.csv"], ["a/x", "b/x"]),
        (["a/metrics.csv", "b/metrics.csv"], ["a", "b"]),
        (["e/a/metrics.csv", "f/a/metrics.csv"], ["e/a", "f/a"]),
        (["a/metrics_step1.json", "a/metrics_step2.json", "b/metrics_step1.json"], ["a", "a", "b"]),
        (["a/checkpoint-10/trainer_state.json", "b/checkpoint-20/trainer_state.json"], ["a", "b"]),
        (["x.csv.gz", "y.csv.zst"], ["x", "y"]),
        (["a\x1b.csv", "b.csv"], ["a", "b"]),
    ],
)
def test_names_by_file(paths: list[str], names: list[str]) -> None:
    assert names_by_file([Path("/logs", path) for path in paths]) == names


def test_files_with_a_column_of_runs_keep_it(tmp_path: Path) -> None:
    for name, of in (("one.csv", "run"), ("two.csv", "run")):
        written(tmp_path / name, PLAIN.replace("run", of).replace("a,", f"{name[0]},"))
    frame = open_runs(f"{tmp_path}/*.csv").frame
    assert frame["run"].to_list() == ["o", "b", "t", "b"]


def test_columns_that_differ_are_empty_and_said(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", "tokens,loss,lr\n1,3,0.1\n")
    written(tmp_path / "b.csv", "loss,tokens,note\n2,4,x\n")
    found = open_runs(f"{tmp_path}/?.csv")
    assert found.frame.rows(named=True) == [
        {"run": "a", "tokens": "1", "loss": "3", "lr": "0.1", "note": None},
        {"run": "b", "tokens": "4", "loss": "2", "lr": None, "note": "x"},
    ]
    assert found.assumptions[-1] == (
        "columns that some files lack are empty for them: lr (1 of 2), note (1 of 2)"
    )


def test_formats_may_differ(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", "tokens,loss\n1,3\n")
    written(tmp_path / "b.jsonl", '{"tokens": 2, "loss": 2.5}\n')
    pl.DataFrame({"tokens": [3], "loss": [2]}).write_parquet(tmp_path / "c.parquet")
    found = open_runs(f"{tmp_path}/*")
    assert found.format == "csv+jsonl+parquet"
    assert found.frame.rows() == [("a", "1", "3"), ("b", "2", "2.5"), ("c", "3", "2")]
    typed = open_runs([tmp_path / "b.jsonl", tmp_path / "c.parquet"])
    assert typed.frame.rows() == [("b", 2, 2.5), ("c", 3, 2.0)]


def test_decimal_commas_beside_points(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", "tokens;loss\n1;3,406\n")
    written(tmp_path / "b.csv", "tokens,loss\n2,2.5\n")
    found = open_runs(f"{tmp_path}/*.csv")
    assert found.frame["loss"].to_list() == ["3.406", "2.5"]
    assert not found.decimal_comma
    written(tmp_path / "b.csv", "tokens;loss\n2;2,5\n")
    found = open_runs(f"{tmp_path}/*.csv")
    assert found.frame["loss"].to_list() == ["3,406", "2,5"]
    assert found.decimal_comma


def test_formats_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    written(
        tmp_path / "a.csv",
        "depth,model_dim,num_params,num_iterations,tokens_trained,val_bpb\n1,2,3,4,5,0.8\n",
    )
    written(tmp_path / "b.csv", LOG)
    assert "b.csv: has losses in loss nats, but " in refusal(lambda: open_runs(f"{tmp_path}/*.csv"))


def test_constants_of_runs_are_joined(logs: Path) -> None:
    sizes = "name,params_total,width\nolmo_370M-1xC,371e6,1024\nolmo_190M-1xC,190e6,768\n"
    constants = written(logs / "sizes.csv", sizes)
    for paths in ([f"{logs}/olmo_*.csv", constants], [constants, f"{logs}/olmo_*.csv"], f"{logs}/*.csv"):
        found = open_runs(paths)
        assert found.frame.columns == ["run", "tokens", "loss", "params_total", "width"]
        assert found.frame["params_total"].to_list() == ["190e6"] * 2 + ["371e6"] * 2
        assert found.assumptions[-1] == f"constants of runs joined by name from {constants}"
        assert len(found.sources) == 3
    # They need not match the pattern for runs, for they name theirs.
    renamed = written(constants, sizes.replace("olmo_", "").replace("-1xC", ""))
    found = open_runs([f"{logs}/olmo_*.csv", renamed], run_from=r"_(\d+M)")
    assert found.frame["width"].to_list() == ["768", "768", "1024", "1024"]


def test_constants_for_a_table_of_runs(tmp_path: Path) -> None:
    log = written(tmp_path / "log.csv", PLAIN + "a,3e9,2.9\nc,1e9,3.3\n")
    sizes = written(
        tmp_path / "sizes.jsonl", '{"run": "a", "params_total": 5}\n{"run": "b", "params_total": 7}\n'
    )
    found = open_runs([log, sizes])
    assert found.frame["params_total"].to_list() == [5, 7, 5, None]
    assert found.assumptions == (f"constants of runs joined by run from {sizes}; it has none for c",)
    written(sizes, '{"run": "x", "params_total": 5}\n{"run": "y", "params_total": 7}\n')
    assert refusal(lambda: open_runs([log, sizes])) == (
        f"{sizes}, column run: names none of the runs: it has x, y, they are a, b, c"
    )


def test_constants_fill_what_logs_lack(tmp_path: Path) -> None:
    log = written(tmp_path / "log.csv", "run,width,loss\na,512,3\nb,,2\n")
    more = written(tmp_path / "more.csv", "run,width\na,1\nb,640\n")
    assert open_runs([log, more]).frame["width"].to_list() == ["512", "640"]


def test_tables_of_several_runs_with_a_loss_are_no_constants(tmp_path: Path) -> None:
    """One row a run is a table of runs where it has losses, and two tables of constants are two tables."""
    written(tmp_path / "a.csv", "run,tokens,loss\na,1,3\n")
    written(tmp_path / "b.csv", "run,tokens,loss\nb,2,2\n")
    assert open_runs(f"{tmp_path}/*.csv").frame["run"].to_list() == ["a", "b"]
    written(tmp_path / "a.csv", "run,width\na,1\n")
    written(tmp_path / "b.csv", "run,width\nb,2\n")
    assert open_runs(f"{tmp_path}/*.csv").frame.rows() == [("a", "1"), ("b", "2")]


def test_nothing_is_given() -> None:
    assert refusal(lambda: open_runs([])) == "runs: no file is given: name one, or a data set"


def test_a_known_data_sets_name_is_not_taken(tmp_path: Path) -> None:
    path = written(tmp_path / "pebbles.csv", PLAIN)
    assert open_runs(path).dataset == "pebbles"
    assert open_runs(path, reserved=["pebbles"]).dataset == "pebbles.csv"
    written(tmp_path / "pebbles" / "a.csv", LOG)
    written(tmp_path / "pebbles" / "b.csv", LOG)
    assert open_runs(f"{tmp_path}/pebbles/*.csv", reserved=["pebbles"]).dataset == "pebbles/"
