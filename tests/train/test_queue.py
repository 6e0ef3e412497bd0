"""A suite over local slots: order, failures, and interruptions at any moment."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
import torch

import gemstones
from gemstones.cli.suite.live import Lines
from gemstones.errors import Failure, InvalidRequest
from gemstones.runs.folders import ledger_of, read_run, read_suite
from gemstones.train.corpus import Corpus, Options, build
from gemstones.train.lock import SUITE_LOCK, holder, locked
from gemstones.train.queue import FAILURE, Outcome, Standing, raise_failures, run_queue, standing
from gemstones.train.slot_devices import visible_devices
from gemstones.train.suite_folder import RunTask, chosen, generations, tasks_of
from tests.train.fake_suite import FAKE, SUITE, alive, cooldown, folder_of, spec, start, trainers, until

pytestmark = pytest.mark.usefixtures("_importable")


@pytest.fixture
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


class Seen(Lines):
    """Events, and the most runs at work at once."""

    def __init__(self, tasks: tuple[RunTask, ...]) -> None:
        super().__init__(tasks, quiet=True)
        self.events: list[str] = []
        self.running: set[str] = set()
        self.most = 0

    def started(self, task: RunTask, before: Standing) -> None:
        super().started(task, before)
        self.events.append(f"start {task.id}")
        self.running.add(task.id)
        self.most = max(self.most, len(self.running))

    def ended(self, task: RunTask, standing: Standing) -> None:
        self.events.append(f"end {task.id}")
        self.running.remove(task.id)


def train(tasks: tuple[RunTask, ...], slots: int = 2) -> tuple[Outcome, Seen]:
    seen = Seen(tasks)
    return run_queue(tasks, slots, 1, seen, trainer=FAKE), seen


# ---------------------------------------------------------------- order


def test_parents_come_first_and_slots_are_kept(tmp_path: Path) -> None:
    parent = spec(1)
    child = cooldown(parent, 5)
    tasks = folder_of(tmp_path, parent, child, spec(2), spec(3))
    outcome, seen = train(tasks)
    assert (outcome.finished, outcome.failed, seen.most) == (4, {}, 2)
    # In the suite's order, but for the child, whose slot goes to the next run as long as its parent trains.
    starts = [event for event in seen.events if event.startswith("start")]
    assert starts[:2] == [f"start {parent.id}", f"start {tasks[2].id}"]
    assert seen.events.index(f"start {child.id}") > seen.events.index(f"end {parent.id}")
    for task in tasks:
        ledger = ledger_of(task.folder)
        assert [step.step for step in ledger.steps] == [*range(task.spec.fork_step + 1, 11)]

    again, seen = train(tasks)
    assert (again.finished, seen.events) == (4, [])


def test_each_slot_has_an_accelerator_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = folder_of(tmp_path, *(spec(width) for width in (1, 2, 3, 4)))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5, 7")
    monkeypatch.setenv("FAKE_SECONDS", "0.1")  # so that two train at any time
    assert train(tasks)[0].finished == 4
    given = [(task.folder / "devices").read_text() for task in tasks]
    assert given[:2] == ["5", "7"] and sorted(given) == ["5", "5", "7", "7"]
    assert visible_devices("cpu", 2) == visible_devices("", 1) == ()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert visible_devices("cuda", 8) == ("0", "1")


def test_generations_and_chosen_runs_bring_their_parents(tmp_path: Path) -> None:
    parent = spec(1)
    child = cooldown(parent, 5)
    tasks = folder_of(tmp_path, parent, spec(2), child)
    assert [[task.id for task in level] for level in generations(tasks)] == [
        [parent.id, spec(2).id],
        [child.id],
    ]
    assert generations(tasks[2:]) == (tasks[2:],)  # its parent is done, and not asked for
    assert [task.id for task in chosen(tasks, ["cooldown"])] == [parent.id, child.id]
    assert chosen(tasks, [spec(2).id]) == tasks[1:2]
    assert chosen(tasks, []) == tasks
    with pytest.raises(InvalidRequest, match=f"no run is called 'x': choose from {parent.id}"):
        chosen(tasks, ["x"])


# ---------------------------------------------------------------- failures


@pytest.mark.long
def test_what_fails_holds_back_its_children_alone(tmp_path: Path) -> None:
    broken, crashing, diverging = spec(1), spec(2), spec(3)
    children = [cooldown(broken, 5), cooldown(diverging, 5)]
    tasks = folder_of(tmp_path, broken, crashing, diverging, *children, spec(4))
    for run, behaviour in ((broken, "fail 0"), (crashing, "crash 7"), (diverging, "diverge 2")):
        (tmp_path / run.id / "behaviour").write_text(behaviour)
    outcome, seen = train(tasks)
    # The crash after progress is tried again; a failure without is not.
    assert seen.events.count(f"start {crashing.id}") == 2
    assert seen.events.count(f"start {broken.id}") == 1
    assert standing(tmp_path / crashing.id).state == "finished"
    assert (outcome.finished, outcome.diverged) == (2, (diverging.id,))
    assert outcome.failed == {broken.id: "fail as told"}
    assert outcome.held_back == tuple(child.id for child in children)
    assert (tmp_path / broken.id / FAILURE).read_text() == "fail as told\n"
    with pytest.raises(
        Failure, match=rf"2 of 6 runs finished, 1 failed: {broken.id}: fail as told$"
    ) as raised:
        raise_failures(outcome, len(tasks))
    assert raised.value.exit_status == 1

    (tmp_path / broken.id / "behaviour").unlink()  # mended
    outcome, seen = train(tasks)
    assert (outcome.finished, outcome.failed) == (4, {})
    assert f"start {diverging.id}" not in seen.events
    assert not (tmp_path / broken.id / FAILURE).exists()
    raise_failures(outcome, len(tasks))


def test_a_second_failure_is_the_last(tmp_path: Path) -> None:
    tasks = folder_of(tmp_path, spec(1))
    (tasks[0].folder / "behaviour").write_text("limp 2")
    outcome, seen = train(tasks)
    assert seen.events.count(f"start {tasks[0].id}") == 2
    assert outcome.failed == {tasks[0].id: "limp as told"}
    assert ledger_of(tasks[0].folder).last_step == 4


def test_a_killed_process_is_named(tmp_path: Path) -> None:
    tasks = folder_of(tmp_path, spec(1, steps=10**5))

    class Killer(Seen):
        def tick(self, running: object, finished: int) -> None:
            process = trainers(ledger_of(tasks[0].folder))[-1:]
            if process and alive(process[0]) and ledger_of(tasks[0].folder).steps:
                os.kill(process[0], signal.SIGKILL)

    killer = Killer(tasks)
    outcome = run_queue(tasks, 1, 1, killer, trainer=FAKE)
    assert outcome.failed == {tasks[0].id: "was killed by SIGKILL: out of memory, perhaps"}
    assert killer.events.count(f"start {tasks[0].id}") == 2


def test_a_ledger_that_cannot_be_read_is_one_failure(tmp_path: Path) -> None:
    tasks = folder_of(tmp_path, spec(1), spec(2))
    (tasks[0].folder / "ledger.jsonl").write_text("{}\n")
    outcome, seen = train(tasks)
    assert outcome.finished == 1
    assert list(outcome.failed) == [tasks[0].id]
    assert "line 1 is no record of a ledger" in outcome.failed[tasks[0].id]
    assert f"start {tasks[0].id}" not in seen.events


def test_an_error_of_ours_leaves_no_process_behind(tmp_path: Path) -> None:
    tasks = folder_of(tmp_path, spec(1, steps=10**5))

    class Broken(Seen):
        def tick(self, running: object, finished: int) -> None:
            if ledger_of(tasks[0].folder).steps:
                raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        run_queue(tasks, 1, 1, Broken(tasks), trainer=FAKE)
    ledger = ledger_of(tasks[0].folder)
    assert ledger.state == "stopped"
    assert not alive(trainers(ledger)[-1])


# ---------------------------------------------------------------- the command, interrupted


@pytest.fixture
def suite(tmp_path: Path, corpus: Corpus) -> list[object]:
    file = tmp_path / "suite.toml"
    file.write_text(SUITE)
    return ["suite", "run", file, "--corpus", corpus.folder, "--output", tmp_path / "runs", "--slots", 2]


def begun(folder: Path, least: int = 3) -> bool:
    """Whether two runs are under way."""
    if not (folder / "suite.json").exists():
        return False
    return sum(len(ledger_of(task.folder).steps) >= least for task in tasks_of(folder)) >= 2


def check_finished(folder: Path) -> None:
    """Every run is as if nothing had happened; a wrong line would be an error."""
    for task in tasks_of(folder):
        ledger = ledger_of(task.folder)
        assert ledger.state == "finished"
        assert [step.step for step in ledger.steps] == [*range(task.spec.fork_step + 1, task.spec.steps + 1)]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_save_and_the_same_command_goes_on(
    suite: list[object], tmp_path: Path, number: signal.Signals, status: int
) -> None:
    runs = tmp_path / "runs"
    first = start(*suite)
    until(lambda: begun(runs))
    os.killpg(first.pid, number)  # as a terminal does: the trainers are in groups of their own
    out, err = first.communicate(timeout=20)
    assert (first.returncode, err) == (
        status,
        "gemstones: interrupted: 0 of 4 runs finished; the same command goes on\n",
    )
    lines = [line.partition(" main")[0] for line in out.splitlines()]
    assert lines == [*["started"] * 2, "stopping: 2 runs to save; the same again kills", *["stopped"] * 2]
    stopped = [task for task in tasks_of(runs) if ledger_of(task.folder).state == "stopped"]
    assert len(stopped) == 2
    steps = {task.id: ledger_of(task.folder).last_step for task in stopped}

    out, err = start(*suite, seconds=0.002).communicate(timeout=20)
    assert err == ""
    assert sum(line.startswith("resumed") for line in out.splitlines()) == 2
    assert sum(line.startswith("finished") for line in out.splitlines()) == 4
    assert f"4 of 4 runs finished in {runs}\n" in out
    check_finished(runs)
    for run, step in steps.items():  # saved, not done again
        assert ledger_of(runs / run).starts[-1].step == step


def test_a_second_signal_kills(tmp_path: Path, suite: list[object]) -> None:
    first = start(*suite, seconds=5)  # it cannot save before the step is over
    runs = tmp_path / "runs"
    until(lambda: begun(runs, least=0) and all(ledger_of(task.folder).starts for task in tasks_of(runs)[:2]))
    began = time.monotonic()
    first.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    first.send_signal(signal.SIGTERM)
    _, err = first.communicate(timeout=20)
    assert (first.returncode, time.monotonic() - began < 4) == (143, True)
    assert "interrupted: 0 of 4" in err
    for task in tasks_of(runs)[:2]:
        assert not alive(trainers(ledger_of(task.folder))[-1])


@pytest.mark.long
def test_after_sigkill_the_lock_is_free_and_orphans_stop_writing(suite: list[object], tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for _ in range(2):
        first = start(*suite, seconds=0.05)
        until(lambda: begun(runs))
        orphans = [
            trainers(ledger_of(task.folder))[-1] for task in tasks_of(runs) if ledger_of(task.folder).steps
        ]
        assert any(alive(orphan) for orphan in orphans)
        first.kill()
        first.communicate()
        assert holder(runs / SUITE_LOCK) is None
    second = start(*suite, seconds=0.002)  # at once
    _, err = second.communicate(timeout=30)
    assert (second.returncode, err) == (0, "")
    assert not any(alive(orphan) for orphan in orphans)
    check_finished(runs)
    before = [ledger_of(task.folder) for task in tasks_of(runs)]
    time.sleep(0.3)
    assert [ledger_of(task.folder) for task in tasks_of(runs)] == before


@pytest.mark.long
def test_a_second_instance_is_refused(suite: list[object], tmp_path: Path) -> None:
    first = start(*suite, seconds=0.2)
    until(lambda: begun(tmp_path / "runs", least=1))
    second = start(*suite)
    _, err = second.communicate(timeout=20)
    assert second.returncode == 2
    assert err == (
        f"gemstones: {tmp_path / 'runs'} is being trained by process {first.pid}: wait for it, or stop it first\n"
    )
    first.terminate()
    first.communicate(timeout=20)


# ---------------------------------------------------------------- the folder


def test_a_changed_suite_keeps_the_work_of_the_runs_it_still_has(suite: list[object], tmp_path: Path) -> None:
    runs, file = tmp_path / "runs", tmp_path / "suite.toml"
    prepared = start(*suite, "--prepare")
    out, _ = prepared.communicate(timeout=20)
    assert out == f"{runs}: 4 runs are ready to train, 4 of them new\n"
    first = read_suite(runs).runs
    modified = {path: path.stat().st_mtime_ns for path in runs.rglob("*.json")}
    assert len(modified) == 5
    start(*suite, "--prepare").communicate(timeout=20)
    assert {path: path.stat().st_mtime_ns for path in runs.rglob("*.json")} == modified

    # One shape less, and another cooldown: its parent is the same run, with one more checkpoint to keep.
    file.write_text(SUITE.replace(', "32x1"', "").replace("forks = [320]", "forks = [320, 480]"))
    out, _ = start(*suite, "--prepare").communicate(timeout=20)
    second = read_suite(runs).runs
    assert out == (
        f"note: 1 run is no longer in the suite, and left as it is in {runs}: {first[2]}\n"
        f"{runs}: 4 runs are ready to train, 1 of them new\n"
    )
    assert second[:2] == first[:2]
    assert read_run(runs / first[0]).spec.permanent_tokens == (320, 480)
    assert (runs / first[2] / "run.json").exists()


def test_folders_that_are_not_ours_and_other_corpora_are_refused(suite: list[object], tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "thesis.tex").write_text("x")
    first = start(*suite)
    _, err = first.communicate(timeout=20)
    assert first.returncode == 2
    assert f"output {runs} is no folder of runs, and not empty (thesis.tex)" in err
    assert [path.name for path in runs.iterdir()] == ["thesis.tex"]
    (runs / "thesis.tex").unlink()

    start(*suite, "--prepare").communicate(timeout=20)
    before = read_suite(runs)
    text = Path(gemstones.__file__).parent / "design"
    options = Options(vocabulary=300, validation=0.2)
    other = build([text], tmp_path / "other", options, workers=1).corpus.folder
    second = start(*suite[:3], "--corpus", other, "--output", runs)
    _, err = second.communicate(timeout=20)
    assert second.returncode == 2
    assert f"{runs} has runs on another corpus" in err
    assert "name another folder with --output" in err
    assert read_suite(runs) == before


# ---------------------------------------------------------------- the lock


def test_a_lock_is_of_one_process_and_no_child_shares_it(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    assert holder(path) is None
    assert not path.exists()
    with locked(path, 0, InvalidRequest):
        assert holder(path) == f"process {os.getpid()}"
        reads, writes = os.pipe()
        child = os.fork()
        if child == 0:  # a fork outlives us without holding what we held
            os.close(writes)
            os.read(reads, 1)
            os._exit(0)
        with (
            pytest.raises(InvalidRequest, match=f"^process {os.getpid()}$"),
            locked(path, 0.1, InvalidRequest),
        ):
            raise AssertionError
    try:
        assert holder(path) is None
        with locked(path, 0, InvalidRequest):
            pass
    finally:
        os.close(writes)
        os.close(reads)
        os.waitpid(child, 0)
