"""30 SIGKILLs at random moments over one run, and what is left: the same run, bit for bit.

    python benchmarks/kills.py [--kills 30] [--seed 0] [--compile] [--output benchmarks/kills.md]

Half of the kills wait for a save to be under way, beside the training. The steps, losses, gradient norms and rates of
the stitched ledger, the evaluations and the final weights are compared with those of the same run left alone.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import gemstones
from gemstones.design.spec import RunSpec
from gemstones.runs.folders import RunFile, ledger_of, write_run
from gemstones.runs.ledger import Step
from gemstones.shape import Shape
from gemstones.train.checkpoint import CHECKPOINTS, read_weights
from gemstones.train.corpus import Options, build


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compile", action="store_true", help="with torch.compile")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        report = measured(
            Path(scratch), arguments.kills, random.Random(arguments.seed), compiled=arguments.compile
        )
    print(report)
    if arguments.output:
        arguments.output.write_text(report)


def measured(scratch: Path, kills: int, choice: random.Random, *, compiled: bool) -> str:
    corpus = scratch / "corpus"
    text = [Path(gemstones.__file__).parent / package for package in ("design", "laws", "planning")]
    fingerprint = build(text, corpus, Options(vocabulary=512, validation=0.1)).corpus.fingerprint
    # Saves at every 4th step: a session that is killed after a few seconds has seen many.
    spec = RunSpec.of(
        Shape(64, 2, head_size=16, vocabulary=512, context=128),
        family="main",
        lr_base=0.5,
        tokens=60 * kills * 1024,
        batch_sequences=8,
        warmup_tokens=20 * 1024,
        evaluate_tokens=10 * 1024,
        evaluate_sequences=64,
        checkpoint_tokens=4 * 1024,
        corpus_fingerprint=fingerprint,
    )
    run = RunFile(corpus=str(corpus), spec=spec)
    alone, killed = scratch / "alone" / spec.id, scratch / "killed" / spec.id
    for folder in (alone, killed):
        write_run(folder, run)
    subprocess.run(_command(alone, compiled=compiled), check=True, stdout=subprocess.DEVNULL)
    moments = [
        _killed(_command(killed, compiled=compiled), killed, choice, saving=bool(i % 2)) for i in range(kills)
    ]
    subprocess.run(_command(killed, compiled=compiled), check=True, stdout=subprocess.DEVNULL)
    one, other = ledger_of(alone), ledger_of(killed)
    written = sum(isinstance(event, Step) for event in other.events)
    same = {
        "steps, losses, gradient norms, rates": [_trained(step) for step in one.steps]
        == [_trained(step) for step in other.steps],
        "evaluations": [(e.step, e.tokens, e.loss, e.sequences) for e in one.evaluations]
        == [(e.step, e.tokens, e.loss, e.sequences) for e in other.evaluations],
        "final weights": _equal(alone, killed),
    }
    lines = [
        "# SIGKILL at random moments",
        "",
        f"`python benchmarks/kills.py --kills {kills}{' --compile' if compiled else ''}`: a run of {spec.steps:,} "
        f"steps of {spec.shape}, saved every 4 steps beside the training and evaluated every 10, killed {kills} times; "
        f"{moments.count('save')} of the kills found a save under way, {moments.count('evaluation')} more an "
        "evaluation.",
        "",
        f"- sessions: {len(other.starts)}; steps written: {written:,}, {written - spec.steps:,} of them done again",
        *(f"- {what}: {'bit-identical' if equal else 'DIFFERENT'}" for what, equal in same.items()),
        "",
    ]
    assert all(same.values()), "\n".join(lines)
    return "\n".join(lines)


def _command(folder: Path, *, compiled: bool) -> list[str]:
    way = "--compile" if compiled else "--no-compile"
    return [sys.executable, "-m", "gemstones", "train", str(folder), "--threads", "1", way]


def _killed(command: list[str], folder: Path, choice: random.Random, *, saving: bool) -> str:
    """Start a session and kill it; what was under way: a save, an evaluation, or nothing but steps."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    before = ledger_of(folder).last_step
    while ledger_of(folder).last_step <= before and process.poll() is None:
        time.sleep(0.02)
    time.sleep(choice.uniform(0, 2.0))
    root = folder / CHECKPOINTS

    def under_way() -> bool:
        return root.is_dir() and any(".saving-" in path.name for path in root.iterdir())

    deadline = time.monotonic() + 5
    while saving and not under_way() and process.poll() is None and time.monotonic() < deadline:
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    if under_way():
        return "save"
    last = ledger_of(folder).events[-1]
    return "evaluation" if isinstance(last, Step) and last.step % 10 == 0 else ""


def _trained(step: Step) -> tuple[int, int, float, float, float]:
    return step.step, step.tokens, step.loss, step.gradient_norm, step.learning_rate


def _equal(one: Path, other: Path) -> bool:
    (_, left), (_, right) = read_weights(one), read_weights(other)
    return left.keys() == right.keys() and all(bool((left[name] == right[name]).all()) for name in left)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
