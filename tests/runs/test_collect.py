"""The table of a suite: exact, in order, and the same whatever happened on the way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import params
from gemstones.design.spec import RunSpec
from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.runs import RunTable, load, read_runs
from gemstones.runs.architecture import Architecture
from gemstones.runs.collect import COLUMNS, collect
from gemstones.runs.folders import RUN, SUITE
from gemstones.runs.ledger import LEDGER, Diverged, Step
from gemstones.runs.schema import SCHEMA
from tests.runs.collected import PROVENANCE, TIMINGS
from tests.runs.made_up import Kill, Trainer, cooldown_of, noise, put, put_suite, spec_of

WIDE, DEEP = spec_of("128x1"), spec_of("32x4")
COOLED = cooldown_of(WIDE, 10, 5)
SUITE_RUNS = (WIDE, DEEP, COOLED)
EVALUATED = {WIDE.id: (4, 8, 12, 16, 20, 24), DEEP.id: (4, 8, 12, 16, 20, 24), COOLED.id: (12, 15)}


def trained(specs: Sequence[RunSpec] = SUITE_RUNS, **how: Any) -> list[Trainer]:
    trainers = [Trainer(spec, **how) for spec in specs]
    for trainer in trainers:
        trainer.train()
    return trainers


def untimed(table: RunTable) -> pl.DataFrame:
    return table.frame.drop(*TIMINGS, *PROVENANCE)


def test_the_columns(tmp_path: Path) -> None:
    table = collect(put_suite(tmp_path, trained())).table
    assert table.frame.columns == [*(column.name for column in SCHEMA), *COLUMNS]
    assert {name: str(table.frame.schema[name]) for name in COLUMNS} == dict(COLUMNS)
    assert set(TIMINGS) | set(PROVENANCE) <= set(table.frame.columns)
    # What is left to compare holds everything that a law or a reader of the recipe needs.
    assert set(untimed(table).columns) >= {
        "run", "family", "width", "depth", "params_total", "tokens", "step", "loss", "flops", "parent", "seed",
        "learning_rate", "vocabulary", "corpus_fingerprint", "cooldown", "train_loss", "epochs", "rollbacks",
    }  # fmt: skip


def test_rows_are_in_the_suites_order_then_by_step(tmp_path: Path) -> None:
    frame = collect(put_suite(tmp_path, trained())).table.frame
    assert list(zip(frame["run"], frame["step"], strict=True)) == [
        (run, step) for run, steps in EVALUATED.items() for step in steps
    ]
    assert [WIDE.id, DEEP.id, COOLED.id] != sorted([WIDE.id, DEEP.id, COOLED.id])


def test_what_a_row_says(tmp_path: Path) -> None:
    table = collect(put_suite(tmp_path, trained())).table
    for row in table.frame.iter_rows(named=True):
        spec = {spec.id: spec for spec in SUITE_RUNS}[row["run"]]
        assert (row["family"], row["width"], row["depth"]) == (spec.family, spec.width, spec.depth)
        assert row["params_total"] == params(spec.shape)
        assert row["params_no_embedding"] == params(spec.shape, "no_embedding")
        assert row["params_non_embedding"] == params(spec.shape, "non_embedding")
        assert row["tokens"] == row["step"] * spec.batch_tokens
        # Bit for bit as it was measured.
        assert row["loss"].hex() == (2.5 + 1 / 3 / row["step"]).hex()
        assert row["flops_per_token"] == flops_per_token(spec.shape, "gemstones")
        assert row["flops"] == row["flops_per_token"] * row["tokens"]
        for name in ("fork_tokens", "seed", "lr_base", "learning_rate", "batch_sequences", "head_size",
                     "queries_per_kv", "vocabulary", "context", "mlp_expansion", "precision", "cooldown"):  # fmt: skip
            assert row[name] == getattr(spec, name), name
        assert row["parent"] == (spec.parent or None)
        assert row["corpus_fingerprint"] is None
        assert (row["epochs"], row["rollbacks"], row["sessions"], row["state"]) == (0.25, 0, 1, "finished")
        assert (row["device"], row["host"], row["layout"], row["threads"]) == ("abacus", None, "1x1", 1)
        assert (row["gemstones_version"], row["torch_version"]) == ("0.1.0", "2.9.0")
    # The mean of the steps since the last evaluation, a child's since the fork.
    by_row = {(row["run"], row["step"]): row["train_loss"] for row in table.frame.iter_rows(named=True)}
    for (run, step), train_loss in by_row.items():
        since = {**{steps: steps - 4 for steps in range(4, 25, 4)}, 15: 12}[step]
        since = 10 if (run, step) == (COOLED.id, 12) else since
        assert train_loss == pytest.approx(
            sum(noise(s, s - 1) for s in range(since + 1, step + 1)) / (step - since)
        )
    assert table.flops_convention == "gemstones"
    assert table.assumptions == ()
    assert table.dataset == f"{tmp_path.name}/"
    assert table.select().frame["family"].unique().to_list() == ["main"]
    assert table.select().runs == 2


class Clock:
    """Seconds of each step, by hand."""

    def __init__(self, seconds: dict[int, float]) -> None:
        self.seconds = seconds

    def on(self, trainer: Trainer) -> Trainer:
        lines = []
        for event in trainer.ledger.events:
            if isinstance(event, Step):
                event = msgspec.structs.replace(event, seconds=self.seconds[event.step])  # noqa: PLW2901
            lines.append(msgspec.json.encode(event) + b"\n")
        trainer.content = b"".join(lines)
        return trainer


def times(folder: Path, run: RunSpec) -> list[tuple[float | None, int, float]]:
    frame = collect(folder).table.frame.filter(pl.col("run") == run.id)
    return list(frame.select("seconds_per_step", "devices", "device_hours").iter_rows())


def test_time_is_of_the_steps_that_stand(tmp_path: Path) -> None:
    """Killed after step 8, gone on from step 5: what was done of 6 to 8 the first time is not counted."""
    trainer = Trainer(DEEP, seconds=1.0)
    trainer.stop_after(12)
    trainer.seconds = 3.0
    trainer.train()
    folder = put_suite(tmp_path, [trainer])
    assert [seconds for seconds, _, _ in times(folder, DEEP)] == pytest.approx(
        [(min(step, 5) + 3 * max(step - 5, 0)) / step for step in (4, 8, 12, 16, 20, 24)]
    )
    for (seconds, devices, hours), step in zip(times(folder, DEEP), (4, 8, 12, 16, 20, 24), strict=True):
        assert seconds is not None
        assert hours == pytest.approx(seconds * step * devices / 3600)
    assert set(collect(folder).table.frame["sessions"]) == {2}


def test_a_branch_counts_its_parents_steps_at_the_parents_times(tmp_path: Path) -> None:
    seconds = {step: float(step) for step in range(1, 25)}
    parent = Clock(seconds).on(trained([WIDE])[0])
    child = Clock(dict.fromkeys(range(11, 16), 100.0)).on(trained([COOLED], start={"data_parallel": 2})[0])
    grandchild_spec = cooldown_of(COOLED, 14, 2)
    grandchild = Clock({15: 7.0, 16: 9.0}).on(trained([grandchild_spec])[0])
    put_suite(tmp_path / "all", [parent, child, grandchild])
    before = sum(range(1, 11))
    ((mean12, devices, hours12), (mean15, _, hours15)) = times(tmp_path / "all", COOLED)
    assert devices == 2
    assert (mean12, mean15) == (pytest.approx((before + 200) / 12), pytest.approx((before + 500) / 15))
    # One device up to the fork, two after it.
    assert hours12 == pytest.approx((before + 2 * 200) / 3600)
    assert hours15 == pytest.approx((before + 2 * 500) / 3600)
    ((mean16, devices, hours16),) = times(tmp_path / "all", grandchild_spec)
    assert (mean16, devices) == (pytest.approx((before + 400 + 16) / 16), 1)
    assert hours16 == pytest.approx((before + 2 * 400 + 16) / 3600)
    # A run's own folder: the same, as its parents are beside it.
    assert times(tmp_path / "all" / grandchild_spec.id, grandchild_spec) == [(mean16, devices, hours16)]
    # Without its parent at its own times.
    put_suite(tmp_path / "alone", [child])
    assert times(tmp_path / "alone", COOLED) == [
        (100.0, 2, pytest.approx(100 * 12 * 2 / 3600)),
        (100.0, 2, pytest.approx(100 * 15 * 2 / 3600)),
    ]


def test_provenance_is_of_the_session_that_did_the_step(tmp_path: Path) -> None:
    """Killed after step 8, gone on from step 5 on another machine, on four devices instead of one."""
    trainer = Trainer(DEEP, seconds=1.0, start={"host": "here"})
    trainer.stop_after(12)
    trainer.start = {"host": "there", "data_parallel": 2, "tensor_parallel": 2, "threads": 3}
    trainer.train()
    frame = collect(put_suite(tmp_path, [trainer])).table.frame
    assert list(frame.select("step", "host", "layout", "threads", "devices").iter_rows())[:2] == [
        (4, "here", "1x1", 1, 1),
        (8, "there", "2x2", 3, 4),
    ]
    # Where the number of devices changed, hours are the sum over the steps.
    assert frame["device_hours"].to_list() == pytest.approx(
        [(min(step, 5) + 4 * max(step - 5, 0)) / 3600 for step in (4, 8, 12, 16, 20, 24)]
    )


def test_a_clock_that_stood_still_measured_nothing(tmp_path: Path) -> None:
    folder = put_suite(tmp_path, trained([DEEP], seconds=0.0))
    assert times(folder, DEEP) == [(None, 1, 0.0)] * 6


kills = st.lists(
    st.builds(Kill, lines=st.integers(0, 40), torn=st.integers(0, 400), older=st.integers(0, 2)), max_size=5
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories=st.lists(kills, min_size=3, max_size=3), bad=st.frozensets(st.integers(0, 30), max_size=2))
def test_an_interrupted_suite_gives_the_same_table(
    tmp_path_factory: pytest.TempPathFactory, histories: list[list[Kill]], bad: frozenset[int]
) -> None:
    tables = []
    for whole in (True, False):
        trainers = [Trainer(spec, bad=bad, seconds=0.5 if whole else 0.75) for spec in SUITE_RUNS]
        for trainer, history in zip(trainers, histories, strict=True):
            trainer.train(*(() if whole else history))
        tables.append(collect(put_suite(tmp_path_factory.mktemp("suite"), trainers)))
    assert tables[0].notes == tables[1].notes
    assert untimed(tables[0].table).equals(untimed(tables[1].table), null_equal=True)
    assert not tables[0].table.frame.equals(tables[1].table.frame)


def test_rollbacks_are_counted_where_they_begin_to_matter(tmp_path: Path) -> None:
    # Batch 9 is read by step 10, at first: back to step 5, which batch 10 follows. Batch 20 is then that of step 16.
    trainer = Trainer(DEEP, bad=frozenset({9, 20}))
    trainer.train()
    assert [event.to_step for event in trainer.ledger.rollbacks] == [5, 15]
    frame = collect(put_suite(tmp_path, [trainer])).table.frame
    assert dict(zip(frame["step"], frame["rollbacks"], strict=True)) == {
        4: 0,
        8: 1,
        12: 1,
        16: 2,
        20: 2,
        24: 2,
    }


def test_parquet_gives_it_back_and_the_same_input_the_same_bytes(tmp_path: Path) -> None:
    folder = put_suite(tmp_path / "suite", trained())
    table = collect(folder).table
    table.write_parquet(tmp_path / "a.parquet")
    collect(folder).table.write_parquet(tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    read = read_runs(tmp_path / "a.parquet")
    assert read.frame.equals(table.frame)
    assert read.architecture == table.architecture == Architecture(512, 16, 32, 2, 4)
    assert (read.assumptions, read.sources, read.dataset) == (table.assumptions, table.sources, "suite/")
    # What was read is told by its hash.
    (source,) = table.sources
    assert source.location == str(folder)
    with (folder / DEEP.id / LEDGER).open("ab") as ledger:
        ledger.write(b'{"event":"stopped","step":24,"reason":"test"}\n')
    assert collect(folder).table.sources[0].sha256 != source.sha256


def test_a_folder_is_taken_where_runs_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Beside the data set of that name, whose selections it does not have.
    folder = put_suite(tmp_path / "gemstones", trained())
    table = load(str(folder))
    assert table.frame.equals(collect(folder).table.frame)
    assert (table.dataset, table.select().selection) == ("gemstones/", "all")
    put_suite(tmp_path / "mine", trained([DEEP]))
    monkeypatch.chdir(tmp_path)
    assert load("mine").runs == 1
    monkeypatch.chdir(tmp_path / "mine")
    assert load(Path()).dataset == "mine/"
    with pytest.raises(InvalidRequest, match="cannot be set for the folder"):
        load(str(folder), vocabulary=512)
    with pytest.raises(InvalidRequest, match="or of a folder of ledgers"):
        load("yours")


def test_unfinished_runs(tmp_path: Path) -> None:
    wide, deep, cooled = (Trainer(spec) for spec in SUITE_RUNS)
    wide.train()
    deep.stop_after(10)  # a start, steps 1 to 6, an evaluation, a checkpoint; and one more step
    collected = collect(put_suite(tmp_path, [wide, deep, cooled], absent=["main-8x8-00000000"]))
    assert (collected.table.runs, collected.suite_runs, collected.finished) == (2, 4, 1)
    assert collected.families == {"main": {"runs": 2, "rows": 7}}
    assert collected.notes == (
        f"1 of 4 runs finished, the others taken as far as they are: {DEEP.id}, {COOLED.id}, main-8x8-00000000",
        "runs of suite.json without a folder: main-8x8-00000000",
    )
    rows = collected.table.frame.filter(pl.col("run") == DEEP.id)
    assert (rows["step"].to_list(), rows["state"].to_list()) == ([4], ["begun"])
    # They stay with the table, and with what is fitted to it.
    collected.table.write_parquet(tmp_path / "runs.parquet")
    assert read_runs(tmp_path / "runs.parquet").assumptions == collected.notes

    finished = collect(tmp_path, finished_only=True)
    assert finished.table.frame["run"].unique().to_list() == [WIDE.id]
    assert (finished.suite_runs, finished.finished) == (4, 1)
    assert finished.notes[0].startswith("1 of 4 runs finished, the others left out: ")


def test_diverged_runs(tmp_path: Path) -> None:
    trainer = Trainer(DEEP)
    trainer.stop_after(16)
    assert trainer.ledger.last_step == 11
    trainer.content += msgspec.json.encode(Diverged(step=5, reason="spike")) + b"\n"
    collected = collect(put_suite(tmp_path, [*trained([WIDE]), trainer]))
    rows = collected.table.frame.filter(pl.col("run") == DEEP.id)
    assert (rows["step"].to_list(), rows["state"].to_list()) == ([4], ["diverged"])
    assert collected.notes == (
        f"1 of 2 runs finished, the others taken as far as they are: {DEEP.id}",
        f"runs that diverged and were given up: {DEEP.id}",
    )
    assert collect(tmp_path, finished_only=True).table.runs == 1


def test_an_evaluation_that_is_not_there_is_noted(tmp_path: Path) -> None:
    trainer = trained([DEEP])[0]
    lines = [
        line for line in trainer.content.splitlines(keepends=True) if b'"evaluation","step":12' not in line
    ]
    trainer.content = b"".join(lines)
    assert collect(put_suite(tmp_path, [trainer])).notes == (
        f"run {DEEP.id} lacks the evaluation after step 12",
    )


def test_run_folders_without_a_suite_and_one_alone(tmp_path: Path) -> None:
    for trainer in trained():
        put(tmp_path, trainer)
    (tmp_path / "notes").mkdir()
    names = sorted(spec.id for spec in SUITE_RUNS)
    assert collect(tmp_path).table.frame["run"].unique(maintain_order=True).to_list() == names
    one = collect(tmp_path / DEEP.id)
    assert (one.table.runs, one.suite_runs, one.finished) == (1, 1, 1)
    assert one.table.dataset == f"{DEEP.id}/"


def test_models_of_two_kinds(tmp_path: Path) -> None:
    """What they differ in is in the rows; head size 8 would be none of the table's, were there one."""
    other = spec_of("24x2", head_size=8, queries_per_kv=1, vocabulary=640)
    table = collect(put_suite(tmp_path / "suite", trained([DEEP, other]))).table
    assert table.architecture == Architecture(None, None, 32, None, 4)
    assert table.assumptions == (
        "runs differ in vocabulary, head_size, queries_per_kv: their rows tell it, "
        "a plan from their fit has to assume it",
    )
    assert set(table.frame["params_total"]) == {params(DEEP.shape), params(other.shape)}
    table.write_parquet(tmp_path / "runs.parquet")
    assert read_runs(tmp_path / "runs.parquet").frame.equals(table.frame)
    # Rows are held to their own: a width that their head size does not divide is refused.
    broken = table.frame.with_columns(
        pl.when(pl.col("width") == 24).then(20).otherwise(pl.col("width")).alias("width")
    )
    with pytest.raises(
        InvalidTable, match=r"row 7, column width: width 20 is not a multiple of the head size 8"
    ):
        read_runs(broken)


def refused(folder: Path, **how: Any) -> str:
    with pytest.raises((InvalidTable, InvalidRequest)) as caught:
        collect(folder, **how)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_nothing_to_collect(tmp_path: Path) -> None:
    assert refused(tmp_path).startswith(
        f"{tmp_path}: is a folder without suite.json, run.json, or runs' folders"
    )
    assert "cannot be read: No such file" in refused(tmp_path / "absent")
    assert "cannot be read: Not a directory" in refused(Path(__file__))
    trainer = Trainer(DEEP)
    put_suite(tmp_path, [trainer])
    assert refused(tmp_path).startswith(f"{tmp_path}: has no evaluation of any run, of 1: ")
    trainer.stop_after(6)
    put(tmp_path, trainer)
    assert collect(tmp_path).table.rows == 1
    assert refused(tmp_path, finished_only=True).startswith(
        f"{tmp_path}: has no evaluation of a finished run, of 1: "
    )


def test_a_ledger_that_is_broken(tmp_path: Path) -> None:
    trainer = trained([DEEP])[0]
    lines = trainer.content.splitlines(keepends=True)
    trainer.content = b"".join([*lines[:6], lines[6][:30] + b"\n", *lines[7:]])
    ledger = put_suite(tmp_path, [trainer]) / DEEP.id / LEDGER
    assert refused(tmp_path).startswith(f"{ledger}: line 7 is no record of a ledger: ")
    # Cut at the end, it is a run that goes on.
    ledger.write_bytes(b"".join(lines)[:-5])
    assert collect(tmp_path).finished == 0


def test_a_ledger_of_another_run(tmp_path: Path) -> None:
    run = put_suite(tmp_path, trained([DEEP])) / DEEP.id
    other = trained([spec_of("32x4", seed=1)])[0]
    twice = trained([spec_of("32x4", batch_sequences=8, tokens=2 * DEEP.tokens)])[0]
    (run / LEDGER).write_bytes(trained([COOLED])[0].content)
    assert refused(tmp_path) == (f"{run / LEDGER}: has steps 10 to 15, the run 0 to 24: it is another run's")
    (run / LEDGER).write_bytes(twice.content)
    assert refused(tmp_path) == (
        f"{run / LEDGER}: counts 256 tokens after step 1, the run 128: it is another run's"
    )
    (run / RUN).write_bytes((put(tmp_path / "others", other) / RUN).read_bytes())
    assert refused(tmp_path).startswith(
        f"{run / RUN}: is of run {other.spec.id}, the folder's name is another run's"
    )
    (run / RUN).unlink()
    assert f"{run} has no run.json" in refused(tmp_path)


def test_a_suite_file_that_is_broken(tmp_path: Path) -> None:
    put_suite(tmp_path, trained([DEEP]))
    (tmp_path / SUITE).write_text('{"suite": "s", "corpus": "c", "runs": ["../elsewhere"]}')
    assert "runs[0]: '../elsewhere' is no name of a folder" in refused(tmp_path)


def test_losses_are_exact_to_the_last_bit(tmp_path: Path) -> None:
    losses = [math.nextafter(3.0, 4), 0.1 + 0.2, math.pi, 1e-300, 2.5, math.nextafter(2.5, 0)]
    trainer = Trainer(DEEP, held_out=lambda step: losses[step // 4 - 1])
    trainer.train()
    collect(put_suite(tmp_path, [trainer])).table.write_parquet(tmp_path / "runs.parquet")
    assert [loss.hex() for loss in pl.read_parquet(tmp_path / "runs.parquet")["loss"]] == [
        x.hex() for x in losses
    ]
