"""From text to a plan through the command line alone, as a user; and the same suite again, killed on the way."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.runs.collected import PROVENANCE, TIMINGS

for module in ("torch", "tokenizers", "transformers"):
    pytest.importorskip(module)

TEXT = [Path(sysconfig.get_path("stdlib")) / package for package in ("asyncio", "email", "unittest")]
"""What any machine with Python has: 1.5 MB of source, and compiled files, which are skipped."""
TINY = Path(__file__).parents[1] / "studies" / "tiny.toml"

SUITE = """
[models]
head_size = 8
queries_per_kv = 1
context = 64
[shapes]
explicit = ["16x1", "32x1", "32x3", "64x2"]
[training]
tokens = 102_400 # 200 steps
batch_sequences = 8
lr_base = 0.5
warmup_tokens = 5120
evaluate_every = 10_240
evaluate_sequences = 32
[[families]]
family = "cooldown"
shapes = ["32x3"]
forks = [81_920]
length = 0.25
"""
STEPS, OWN_STEPS = 200, 40
"""Of a main run, and of the cooldown after its fork."""

GENERATE = """
import sys
from transformers import AutoModelForCausalLM, AutoTokenizer
model, tokenizer = (kind.from_pretrained(sys.argv[1]) for kind in (AutoModelForCausalLM, AutoTokenizer))
assert type(model).__name__ == "GemmaForCausalLM"
prompt = tokenizer("def test_", return_tensors="pt")
print(tokenizer.decode(model.generate(**prompt, max_new_tokens=12, do_sample=False)[0]))
"""


def environment() -> dict[str, str]:
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }


def python(*arguments: object) -> str:
    """What `python ARGUMENTS` prints; it must end well."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def gemstones(*arguments: object) -> dict[str, Any]:
    """The one object that `gemstones ARGUMENTS --json` prints."""
    printed = json.loads(python("-m", "gemstones", *arguments, "--json"))
    assert isinstance(printed, dict)
    return printed


def collected(runs: Path) -> pl.DataFrame:
    """The run table of the suite in `runs`."""
    table = runs.with_suffix(".parquet")
    gemstones("runs", "collect", runs, "--output", table)
    return pl.read_parquet(table)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_from_text_to_a_plan(tmp_path: Path) -> None:
    corpus, suite, runs = tmp_path / "corpus", tmp_path / "suite.toml", tmp_path / "runs"
    suite.write_text(SUITE)
    built = gemstones("corpus", "build", *TEXT, "--output", corpus, "--vocabulary", 512)
    assert (built["vocabulary"], built["made"]) == (512, True)
    assert built["tokens"]["train"] > 200_000

    tiny = gemstones("suite", "plan", TINY, "--corpus", corpus, "--throughput", "20G")
    assert [run["shape"] for run in tiny["runs"]] == ["32x2", "32x4", "64x2", "96x3", "64x2"]
    plan = gemstones("suite", "plan", suite, "--corpus", corpus, "--throughput", "20G")
    of_run = {"id", "family", "shape", "parent", "tokens", "learning_rate", "flops", "device_hours"}
    assert all(of_run <= run.keys() for run in plan["runs"])
    assert [run["family"] for run in plan["runs"]] == ["main"] * 4 + ["cooldown"]
    assert plan["totals"]["runs"] == 5
    assert not [finding for finding in plan["findings"] if finding["level"] == "warning"]

    command = ("suite", "run", suite, "--corpus", corpus, "--output", runs, "--slots", 2, "--threads", 1)
    trained = gemstones(*command)
    assert (trained["finished"], trained["total"]) == (5, 5)
    status = gemstones("suite", "status", runs)
    assert (status["state"], status["remaining_seconds"]) == ("finished", 0)
    ids = [run["id"] for run in plan["runs"]]
    assert [run["id"] for run in status["runs"]] == ids

    table = collected(runs)
    # A row for each evaluation, every 20 steps; the cooldown's are those after the fork at step 160.
    steps = [*range(20, STEPS + 1, 20)]
    assert list(zip(table["run"], table["step"], strict=True)) == [
        *((run, step) for run in ids[:4] for step in steps),
        *((ids[4], step) for step in (180, STEPS)),
    ]
    losses = {run: of["loss"].to_list() for (run,), of in table.group_by("run", maintain_order=True)}
    assert all(losses[run][-1] < losses[run][0] < math.log(512) for run in ids[:4])
    assert losses[ids[4]][-1] < losses[ids[2]][steps.index(160)]  # its parent's at the fork

    law, file = tmp_path / "fit.json", runs.with_suffix(".parquet")
    fitted = gemstones("fit", file, "--law", "N,T", "--output", law)
    assert (fitted["rows"], fitted["runs"], set(fitted["exponents"])) == (40, 4, {"N", "T"})
    assert all(exponent > 0 for exponent in fitted["exponents"].values())
    assert gemstones("envelope", file)["points"] > 1
    planned = gemstones("plan", "1e12", "--law", law)
    assert 0 < planned["loss"] < math.log(512)

    exported = gemstones("export", runs / ids[3], "--output", tmp_path / "hf")
    assert exported["max_logit_difference"] <= 1e-5
    text = python("-c", GENERATE, tmp_path / "hf")
    assert text.startswith("def test_")
    assert len(text) > len("def test_\n")

    again = tmp_path / "again"
    interrupt([*command[:6], again, *command[7:]], again)
    compared = [column for column in table.columns if column not in {*TIMINGS, *PROVENANCE}]
    assert {"run", "step", "loss", "train_loss", "flops", "learning_rate"} <= set(compared)
    other = collected(again)
    assert other.select(compared).equals(table.select(compared), null_equal=True)
    assert other["sessions"].max() > 1  # it was interrupted


# ---------------------------------------------------------------- interruptions

MOMENTS: tuple[tuple[int, signal.Signals, int], ...] = (
    (0, signal.SIGKILL, -9),
    (90, signal.SIGKILL, -9),
    (330, signal.SIGINT, 130),
    (520, signal.SIGTERM, 143),
)
"""After so many of the suite's 840 steps, the signal, and the exit status that is asked for."""


def interrupt(command: list[object], runs: Path) -> None:
    """Call `command` until it is done, and stop it at the `MOMENTS`; it leaves no process behind."""
    children: set[int] = set()
    for steps, number, status in MOMENTS:
        process = start(command)
        children |= at_work(process, runs, steps)
        process.send_signal(number)
        _, error = process.communicate(timeout=600)
        assert (process.returncode, "Traceback" in error) == (status, False), error
        if number != signal.SIGKILL:  # has waited for them
            assert not any(map(alive, children))
    process = start(command)
    _, error = process.communicate(timeout=900)
    assert (process.returncode, error) == (0, "")
    assert not any(map(alive, children))


def start(command: list[object]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gemstones", *map(str, command)],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def at_work(process: subprocess.Popen[str], runs: Path, steps: int) -> set[int]:
    """The processes that train for `process`, once there are any and `steps` are done."""
    while done(runs) < steps or not (children := children_of(process.pid)):
        assert process.poll() is None, f"it ended too early: {process.communicate()[1]}"
        time.sleep(0.005)
    return children


def done(runs: Path) -> int:
    """Steps in the ledgers, those of another session again included."""
    return sum(ledger.read_bytes().count(b'"step","step"') for ledger in runs.glob("*/ledger.jsonl"))


def children_of(process: int) -> set[int]:
    """Its processes that train: not those that are still to become another program."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and (stat := read(folder / "stat")):
            parent = int(stat.rpartition(")")[2].split()[1])
            if parent == process and "\0train\0" in read(folder / "cmdline"):
                found.add(int(folder.name))
    return found


def alive(process: int) -> bool:
    stat = read(Path(f"/proc/{process}/stat"))
    return bool(stat) and stat.rpartition(")")[2].split()[0] not in "ZX"


def read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
