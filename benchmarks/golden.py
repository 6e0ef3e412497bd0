"""Answers of every command, kept in a folder: the same before and after code moves, or the change is not a move.

    .venv/bin/python benchmarks/golden.py before
    .venv/bin/python benchmarks/golden.py after      # of the other commit
    diff -r before after

What commands print (for people, and as JSON) and every text that `study` writes. Needs `GEMSTONES_DATA_DIR`.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BOTH = [  # with --json and without
    "count 1280x15",
    "data show pebbles",
    "data show gemstones",
    "data show pebbles-2",
    "design --sizes 50M,100M",
    "design --for 1e22 --spend 2e20 --runs 8",
    "design --for 1e14 --spend 1e13 --after pebbles-2 --runs 6",
    "next pebbles --for 1e14 --bootstrap 40",
    "suite plan studies/pebbles-2.toml",
    "fit pebbles --law N,T --bootstrap 40",
    "fit gemstones --law w,d,N,T",
    "fit pebbles-2 --law (N,T)^p --select cooldown --bootstrap 40",
    "fit chinchilla --law N,T",
    "envelope gemstones --bootstrap 40",
    "envelope pebbles --method bins --bootstrap 40",
    "isoflop pebbles-2 --select cooldown --bootstrap 40",
    "backtest pebbles --law N,T --law w,d,T --draws 40",
    "backtest gemstones --select le100B --law N,T --draws 40",
    "sensitivity pebbles --budgets 1e13,1e14 --bootstrap 0",
    "compare gemstones --select le100B --select-b lr-ablation --budget 1e21",
    "compare pebbles-2 --select cooldown --select-b muon --budget 1e13",
    "downstream gemstones-benchmarks --task hellaswag --form gadre",
    "plan 1e22",
    "plan 1e22 --law chinchilla-epoch",
    "plan 1e20 --law gemstones-width-depth",
    "predict gemstones-refit --at N=7e9,T=1e12",
    "predict chinchilla --at N=7e9,T=1e12 --at N=1e9,T=1e11",
    "overspend gemstones --tokens 300B",
    "overspend pebbles --tokens 4M",
    "overtrain 1e22 --factors 1,2,4,8",
    "overtrain 1e22 --law chinchilla-epoch --factors 1,4",
    "throughput gemstones",
]
WRONG = [
    "plan 1e22 --law nosuch",
    "backtest pebbles --split nosuch",
    "sensitivity pebbles --budgets -1",
    "fit nosuch",
]
STUDIES = {
    "study": "study pebbles --bootstrap 40 --output {}",
    "quick": "study gemstones --quick --bootstrap 0 --output {}",
}
TEXTS = {".json", ".md", ".html", ".svg"}


def main(folder: Path) -> None:
    """Ask everything of the package in this checkout."""
    folder.mkdir(parents=True)
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "COLUMNS": "100", "NO_COLOR": "1"}
    for line in [*BOTH, *WRONG]:
        for flags in [[], ["--json"]] if line in BOTH else [[]]:
            words = [*shlex.split(line), *flags]
            asked = subprocess.run(
                [sys.executable, "-m", "gemstones", *words],
                check=False,
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
            )
            name = "".join(c if c.isalnum() or c in "-.," else "_" for c in " ".join(words))
            (folder / f"{name}.txt").write_text(f"{asked.returncode}\n{asked.stdout}\n{asked.stderr}")
            print(asked.returncode, line, *flags, flush=True)
    for name, line in STUDIES.items():
        asked = subprocess.run(
            [sys.executable, "-m", "gemstones", *shlex.split(line.format(folder / name))],
            check=False,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        (folder / f"{name}.txt").write_text(asked.stdout.replace(str(folder), "FOLDER"))
        print(asked.returncode, line, flush=True)
        for path in sorted((folder / name).rglob("*")):
            if path.is_file() and path.suffix not in TEXTS:
                path.unlink()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="for the answers")
    main(parser.parse_args().folder.resolve())
