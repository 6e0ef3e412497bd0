"""A million rows of 2,000 runs: CPU seconds and peak memory of `data show` and of a fit of N,T.

    python benchmarks/million_rows.py [--rows 1000000] [--command /path/to/gemstones]

`--command` names another version's command, to compare. Each command is a process of its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

RUNS = 2000


def write_table(path: Path, rows: int) -> None:
    """Runs of 50M to 5B parameters with a planted law and noise of 0.5%, as a CSV of run, N, T and loss."""
    rng = np.random.default_rng(0)
    sizes = np.geomspace(5e7, 5e9, RUNS).round()
    per_run = rows // RUNS
    n = np.repeat(sizes, per_run)
    tokens = np.tile(np.geomspace(1e9, 1e12, per_run).round(), RUNS)
    loss = (1.7 + 400 * n**-0.34 + 410 * tokens**-0.28) * np.exp(rng.normal(0, 0.005, len(n)))
    names = np.repeat([f"run-{i:04d}" for i in range(RUNS)], per_run)
    pl.DataFrame({"run": names, "params_total": n, "tokens": tokens, "loss": loss}).write_csv(path)


def measured(arguments: list[str]) -> tuple[float, float, int]:
    """CPU seconds, peak memory (GB) of the largest process, and exit status."""
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9, process.returncode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--command", default=shutil.which("gemstones", path=str(Path(sys.executable).parent)))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "runs.csv")
        write_table(table, options.rows)
        for words in (["data", "show"], ["fit", "--law", "N,T"]):
            seconds, memory, status = measured([options.command, *words, str(table), "--json"])
            print(
                f"{' '.join(words)}: {seconds:.1f} CPU s, {memory:.2f} GB, exit status {status}", flush=True
            )


if __name__ == "__main__":
    main()
