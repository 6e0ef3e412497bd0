"""20,000 damaged files, each read as `gemstones data show` reads it: a table, or one line that refuses it.

    python benchmarks/fuzz_readers.py [--inputs 20000] [--first 0] [--workers 1] [--output benchmarks/fuzz_readers.md]
    python benchmarks/fuzz_readers.py --show 1234       what one input is, and what happens

Every input follows from its number (`fuzz_inputs.py`). A child process reads one after the other; one that dies, exits
or takes over 20 s is seen from outside, and another takes its place.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]  # the inputs; the tests' trainer

import fuzz_inputs

SECONDS = 20.0
MEMORY = 6 << 30
"""Address space of a child: what needs more is not read as it should be."""

Counts = Counter[tuple[str, str, str]]
"""By shape, kind and outcome."""
ROWS = (48, 16, 12, 8, 6)
"""Of the shapes: all, two runs, two checkpoints of each run, one run, the ends."""

BAD = ("traceback", "abort", "exit-1", "hang", "not one line", "wrong unit accepted", "read differently")
"""Outcomes that may not be."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--bad", type=Path, help="where numbers of bad inputs are written, one a line")
    parser.add_argument("--show", type=int)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        serve()
    elif arguments.show is not None:
        show(arguments.show)
    else:
        numbers = range(arguments.first, arguments.first + arguments.inputs)
        started = time.monotonic()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
        counts: Counts = Counter()
        bad: list[dict[str, Any]] = []
        try:
            run(numbers, arguments.workers, arguments.bad, counts, bad)
        except (KeyboardInterrupt, SystemExit):  # what was done until now is told
            numbers = numbers[: counts.total()]
        report = written(counts, bad, numbers, time.monotonic() - started)
        print(report)
        if arguments.output:
            arguments.output.write_text(report)
        sys.exit(bool(bad))


# ---------------------------------------------------------------- the child


def serve() -> None:
    """Read inputs by number from standard input; write an outcome for each to what standard output was."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    for line in sys.stdin:
        answers.write(json.dumps(read(int(line))) + "\n")


def read(number: int) -> dict[str, Any]:
    """What happens to one input."""
    made = fuzz_inputs.make(number)
    with tempfile.TemporaryDirectory() as folder:
        # A run's name that was damaged may be too long for the folder that is named after it.
        files = {"/".join(part[:200] for part in name.split("/")): data for name, data in made.files.items()}
        for name, data in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        source = str(Path(folder) / (fuzz_inputs.SHAPES[made.shape].source or next(iter(files))))
        status, out, err = called(source, made)
        outcome, detail = judged(status, out, err)
        if outcome == "read" and made.planted:
            outcome, detail = "wrong unit accepted", made.planted
        elif outcome == "read" and made.whole:
            told = same(source, made)
            outcome, detail = ("read differently", told) if told else ("read", "")
        elif made.whole and outcome == "refused":
            outcome, detail = "read differently", err
    kind = "planted" if made.planted else "whole" if made.whole else "damaged"
    return {"number": number, "shape": made.shape, "kind": kind, "outcome": outcome, "detail": detail[:600]}


def options(made: fuzz_inputs.Input) -> list[str]:
    return [word for name, text in made.options.items() for word in (f"--{name.replace('_', '-')}", text)]


def called(source: str, made: fuzz_inputs.Input) -> tuple[int | str, str, str]:
    """Exit status, or an exception; standard output and standard error, of Rust's too."""
    from gemstones.cli.app import run as command

    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        kept = os.dup(1), os.dup(2)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        status: int | str
        try:
            status = command(["data", "show", source, *options(made), "--json"])
        except BaseException as error:
            import traceback

            status = "".join(traceback.format_exception(error))[-1500:]
        sys.stdout.flush()
        sys.stderr.flush()
        for here, there in zip(kept, (1, 2), strict=True):
            os.dup2(here, there)
            os.close(here)
        out.seek(0)
        err.seek(0)
        return status, out.read().decode(errors="replace"), err.read().decode(errors="replace")


def judged(status: int | str, out: str, err: str) -> tuple[str, str]:
    """The outcome, and what shows it."""
    if isinstance(status, str) or "Traceback (most recent call last)" in err or "panicked" in err:
        return "traceback", f"{status} {err}"
    if status == 1:
        return "exit-1", err
    if status == 2:
        one = err.startswith("gemstones: ") and err.count("\n") == 1 and err.strip().isprintable() and not out
        return ("refused", "") if one else ("not one line", err)
    try:
        whole = not err and json.loads(out)["rows"] >= 1
    except (ValueError, KeyError):
        whole = False
    return ("read", "") if status == 0 and whole else ("not one line", f"{status} {err} {out}")


def same(source: str, made: fuzz_inputs.Input) -> str:
    """How the table differs from the one that is written in every shape; nothing where it does not."""
    from gemstones.cli.options import Reading

    if made.shape == "ledgers":  # has a table of its own
        return ""
    table = Reading(**made.options).load((source,)).frame
    wanted = fuzz_inputs.planted()
    columns = (wanted["tokens"], wanted["loss"], wanted["params_total"])
    truth = list(zip(*columns, strict=True))
    for row in table.iter_rows(named=True):
        # Logs round losses, and TensorBoard's are floats of 32 bits.
        of_row = (row["tokens"], row["loss"], row["params_total"])
        if not any(all(abs(x - y) < 1e-4 for x, y in zip(of_row, known, strict=True)) for known in truth):
            return f"tokens, loss and params_total {of_row} are no row of the table"
    return "" if table.height in ROWS else f"{table.height} rows"


# ---------------------------------------------------------------- the parent


class Child:
    """A process that reads inputs, and its replacement when it is gone."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.warm = False

    def ask(self, number: int) -> None:
        assert self.process.stdin is not None
        self.number, self.since = number, time.monotonic()
        with contextlib.suppress(BrokenPipeError):  # seen when the answer is asked for
            self.process.stdin.write(f"{number}\n".encode())
            self.process.stdin.flush()

    def answer(self) -> dict[str, Any] | None:
        """The outcome, once there is one."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], 0)
        if ready:
            line = self.process.stdout.readline()
            if line:
                self.warm = True
                return json.loads(line)
            status = self.process.wait()
            return self.lost("abort", f"the process ended with {status}")
        # The first input of a child waits for its imports.
        if time.monotonic() - self.since > SECONDS + (0 if self.warm else 40):
            return self.lost("hang", f"over {SECONDS:g} s")
        return None

    def lost(self, outcome: str, detail: str) -> dict[str, Any]:
        self.stop()
        self.start()
        made = fuzz_inputs.make(self.number)
        kind = "planted" if made.planted else "whole" if made.whole else "damaged"
        return {
            "number": self.number,
            "shape": made.shape,
            "kind": kind,
            "outcome": outcome,
            "detail": detail,
        }

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def run(numbers: range, workers: int, kept: Path | None, counts: Counts, bad: list[dict[str, Any]]) -> None:
    """Read inputs, in their order by each worker, into counts by shape, kind and outcome, and what is bad."""
    waiting = iter(numbers)
    children = [Child() for _ in range(workers)]
    busy: set[Child] = set()
    for child in children:
        if (number := next(waiting, None)) is not None:
            child.ask(number)
            busy.add(child)
    try:
        while busy:
            pipes = [child.process.stdout for child in busy]
            select.select(pipes, [], [], 1.0)
            for child in list(busy):
                found = child.answer()
                if found is None:
                    continue
                counts[found["shape"], found["kind"], found["outcome"]] += 1
                if found["outcome"] in BAD:
                    bad.append(found)
                    print(json.dumps(found), file=sys.stderr, flush=True)
                    if kept:
                        with kept.open("a") as file:
                            file.write(json.dumps(found) + "\n")
                if (number := next(waiting, None)) is None:
                    busy.discard(child)
                else:
                    child.ask(number)
    finally:
        for child in children:
            child.stop()


def written(counts: Counts, bad: list[dict[str, Any]], numbers: range, seconds: float) -> str:
    """The report."""
    outcomes = ("read", "refused", *BAD)
    total = Counter[str]()
    for (_, _, outcome), count in counts.items():
        total[outcome] += count
    plants = sum(count for (_, kind, _), count in counts.items() if kind == "planted")
    whole = sum(count for (_, kind, _), count in counts.items() if kind == "whole")
    lines = [
        "# Damaged inputs over all readers",
        "",
        f"`python benchmarks/fuzz_readers.py --first {numbers.start} --inputs {len(numbers)}`: {len(numbers):,} "
        f"inputs, each read by `gemstones data show`, in {seconds / 60:.0f} minutes of one process at a time. "
        f"{plants:,} have a wrong unit planted and have to be refused; {whole:,} are the same table written otherwise "
        "(compressed, another encoding, other line ends) and have to give it; the others are damaged "
        "(`benchmarks/fuzz_inputs.py` says how) and may be read or refused in one line with exit status 2.",
        "",
        "| shape | inputs | " + " | ".join(outcomes) + " |",
        "|---|" + "---|" * (len(outcomes) + 1),
    ]
    for shape in fuzz_inputs.SHAPES:
        row = [
            sum(c for (s, _, o), c in counts.items() if s == shape and o == outcome) for outcome in outcomes
        ]
        lines.append(f"| {shape} | {sum(row):,} | " + " | ".join(f"{n:,}" for n in row) + " |")
    lines.append(f"| all | {sum(total.values()):,} | " + " | ".join(f"{total[o]:,}" for o in outcomes) + " |")
    if bad:
        lines += ["", "Bad: " + ", ".join(f"{b['number']} ({b['shape']}: {b['outcome']})" for b in bad[:50])]
    return "\n".join(lines) + "\n"


def show(number: int) -> None:
    made = fuzz_inputs.make(number)
    print(
        made.shape,
        made.options,
        f"planted: {made.planted or '-'}",
        "whole" if made.whole else "",
        file=sys.stderr,
    )
    for name, data in made.files.items():
        print(name, len(data), data[:1500], file=sys.stderr)
    print(json.dumps(read(number), indent=1))


if __name__ == "__main__":
    main()
