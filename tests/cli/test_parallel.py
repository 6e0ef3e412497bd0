"""Work over processes and clusters: the same results, no process too many, none left behind."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

import gemstones as gs
from gemstones.errors import InvalidRequest, Unavailable
from gemstones.laws import parallel
from gemstones.laws.parallel import run_chunks
from tests.cli.conftest import Cli


def faults_of(chunk: int) -> int:
    """Of memory asked for again and again, after the first time."""
    counts = []
    for _ in range(12):
        arrays = [np.ones(2**17) for _ in range(20)]
        del arrays
        counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
    return counts[-1] - counts[1]


def pid_of(chunk: int) -> int:
    time.sleep(0.05)
    return os.getpid()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("dask.distributed", reason="the extra 'dask' is not installed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as local:
        yield local


@pytest.fixture(scope="module")
def workers_pids(cluster: Any) -> set[int]:
    from dask.distributed import Client

    with Client(cluster) as client:
        return set(client.run(os.getpid).values())


@pytest.mark.long
def test_without_workers_a_configured_cluster_works(cluster: Any, workers_pids: set[int]) -> None:
    from dask.distributed import Client

    here = gs.fit("pebbles", "N,T", bootstrap=200)
    with Client(cluster), joblib.parallel_config(backend="dask"):
        assert set(run_chunks(pid_of, range(8))) <= workers_pids
        assert run_chunks(pid_of, range(8), workers=1) == [os.getpid()] * 8  # asked for
        there = gs.fit("pebbles", "N,T", bootstrap=200, workers=None)
        envelope = gs.envelope("pebbles", bootstrap=200)
    np.testing.assert_array_equal(there.theta_draws, here.theta_draws)
    assert there == here
    assert envelope.summary() == gs.envelope("pebbles", bootstrap=200).summary()
    assert run_chunks(pid_of, range(3)) == [os.getpid()] * 3  # outside, this process again


@pytest.mark.long
def test_the_address_of_a_cluster_is_enough(cluster: Any, workers_pids: set[int], cli: Cli) -> None:
    address = cluster.scheduler_address
    told: list[int] = []
    assert set(run_chunks(pid_of, range(8), address, told.append)) <= workers_pids
    assert told == list(range(1, 9))
    for written in (address, address.replace("tcp://", "dask://")):
        fitted = cli("fit", "pebbles", "--bootstrap", "130", "--workers", written, "--json").json
        assert fitted == cli("fit", "pebbles", "--bootstrap", "130", "--workers", "2", "--json").json


@pytest.mark.long
def test_other_backends_of_joblib_are_taken_too() -> None:
    here = gs.fit("pebbles", "N,T", bootstrap=130)
    with joblib.parallel_config(backend="threading", n_jobs=2):
        assert gs.fit("pebbles", "N,T", bootstrap=130) == here


@pytest.mark.parametrize("workers", [0, -1, "two", "tcp://", "tcp://host", "http://host:1", "1,5"])
def test_what_is_no_workers_is_refused(workers: Any, cli: Cli) -> None:
    with pytest.raises(InvalidRequest, match=r"^workers .* must be "):
        run_chunks(pid_of, range(3), workers)
    with pytest.raises(InvalidRequest, match=r"^workers .* must be "):
        gs.fit("pebbles", workers=workers)  # without anything to do for them, too
    outcome = cli("fit", "pebbles", f"--workers={workers}")
    assert outcome.status == 2 and "workers" in outcome.err and outcome.err.count("\n") == 1


@pytest.mark.filterwarnings("ignore")  # of asyncio, about a connection that was never made
def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    pytest.importorskip("dask.distributed", reason="the extra 'dask' is not installed")
    monkeypatch.setattr(parallel, "CLUSTER_SECONDS", 0.5)
    with pytest.raises(Unavailable, match=r"^no Dask scheduler answers at tcp://127.0.0.1:9 "):
        run_chunks(pid_of, range(3), "tcp://127.0.0.1:9")
    outcome = cli("fit", "pebbles", "--bootstrap", "130", "--workers", "dask://127.0.0.1:9")
    assert outcome.status == 1 and "no Dask scheduler answers" in outcome.err


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_without_workers_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("dask.distributed", reason="the extra 'dask' is not installed")
    monkeypatch.setattr(parallel, "CLUSTER_SECONDS", 2.0)
    with (
        distributed.LocalCluster(n_workers=0, protocol="tcp://", dashboard_address=None) as empty,
        pytest.raises(Unavailable, match=r" has no workers: start some \(`dask worker "),
    ):
        run_chunks(pid_of, range(3), empty.scheduler_address)


@pytest.mark.parametrize(("chunks", "workers", "started"), [(3, 8, 3), (8, 2, 2)])
def test_no_more_workers_than_chunks(
    monkeypatch: pytest.MonkeyPatch, chunks: int, workers: int, started: int
) -> None:
    counts: list[int] = []
    whole = joblib.Parallel

    def counting(n_jobs: int, **options: Any) -> Any:
        counts.append(n_jobs)
        return whole(n_jobs=1, **options)

    monkeypatch.setattr(joblib, "Parallel", counting)
    run_chunks(pid_of, range(chunks), workers)
    assert counts == [started]
    run_chunks(pid_of, range(1), workers)
    assert counts == [started]  # one chunk starts nothing


LONG = """
import os, sys, time
from gemstones.laws.parallel import run_chunks

def work(chunk):
    with open(sys.argv[1] + f"/{os.getpid()}", "w"):
        pass
    time.sleep(60)

if __name__ == "__main__":
    run_chunks(work, range(4), 2)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_no_worker_outlives_a_script(number: int, tmp_path: Path) -> None:
    (tmp_path / "pids").mkdir()
    (tmp_path / "long.py").write_text(LONG)
    script = [sys.executable, str(tmp_path / "long.py"), str(tmp_path / "pids")]
    with subprocess.Popen(script, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while len(pids := [int(file.name) for file in (tmp_path / "pids").iterdir()]) < 2:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        process.wait(timeout=30)
    deadline = time.monotonic() + 20
    while any(map(alive, pids)):
        assert time.monotonic() < deadline, "a worker lives on"
        time.sleep(0.1)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
def test_workers_keep_the_memory_that_they_use_again() -> None:
    """20 MB ten times: 5,120 pages each time where they are given back."""
    assert max(run_chunks(faults_of, range(2), workers=2)) < 2000
