"""A session of one run: take the lock, find where the run stands, train on, leave it resumable.

nothing yet      → the initial weights, or the parent's checkpoint at the fork
interrupted      → the newest checkpoint that is whole
diverged         → back to a checkpoint from before the trouble, on with other batches
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from gemstones.design.divergence import HISTORY_STEPS, LEVEL_STEPS, MOST_ROLLBACKS
from gemstones.design.layout import Layout
from gemstones.design.spec import RunSpec
from gemstones.errors import Failure, InvalidRequest
from gemstones.runs.folders import RunFile, ledger_of, read_run
from gemstones.runs.ledger import (
    LEDGER,
    Diverged,
    Event,
    Finished,
    Ledger,
    Products,
    Recompute,
    Rollback,
    State,
    Stopped,
)
from gemstones.train.beside import (
    Texts,
    check_held_out,
    mixture_of,
    open_held_out,
    open_sources,
)
from gemstones.train.checkpoint import (
    Checkpoint,
    at_step,
    checkpoints,
    clear_unfinished,
    discard_after,
    keep_permanent,
    newest,
    restore,
    safe,
)
from gemstones.train.compiled import compile_model, compile_steps, same_bits
from gemstones.train.corpus import Corpus
from gemstones.train.initialisation import initialise
from gemstones.train.kernels import use_products
from gemstones.train.layout import build_mesh, distribute
from gemstones.train.lock import RUN_LOCK, locked
from gemstones.train.loop import Ended, Position, Setup, train_steps
from gemstones.train.model import Block, Transformer
from gemstones.train.optimizer import build_optimizer
from gemstones.train.peak import matmul_flops_per_second
from gemstones.train.ranks import Ranks, together
from gemstones.train.record import Recorder
from gemstones.train.sinks import Sink
from gemstones.train.start import device_name, device_of, start_event
from gemstones.train.stopping import REASONS, StoppedError, Stopping, exit_status
from gemstones.train.ways import Way, way_of

ORPHAN_SECONDS = 30.0
"""For which the lock of a run is waited for: a process whose queue was killed lets go of it by itself."""


@dataclass(frozen=True)
class Options:
    """How a session trains; nothing here changes the run beyond rounding."""

    corpus: Path | None = None
    """Instead of the one in run.json."""
    layout: Layout = field(default_factory=Layout)
    device: str = ""
    """cpu or cuda; the accelerator if there is one."""
    threads: int | None = None
    """Per process; torch's default if None."""
    micro_sequences: int | None = None
    compiled: bool | None = None
    """With torch.compile; None for what the run's ledger says, else where it pays: see `gemstones.train.ways`."""
    recompute: Recompute = "none"
    """Activations that are computed again in the backward pass: less memory, more work, the same bits."""
    products: Products | None = None
    """Library of float32 products on a CPU; None for what the run's ledger says, else the faster one."""
    budget_seconds: float | None = None
    sinks: Sequence[Sink] = field(default=())
    say: Callable[[str], None] = lambda message: None
    """Takes messages to the user, on rank 0."""


@dataclass(frozen=True)
class Outcome:
    """How a session left its run."""

    state: State
    step: int
    steps: int
    reason: str = ""
    """Why it stopped or diverged."""

    @property
    def exit_status(self) -> int:
        """Of `gemstones train`: 0 for a run that is done, and for no other."""
        match self.state:
            case "finished":
                return 0
            case "stopped":
                return exit_status(self.reason)
        return Failure.exit_status


def train(folder: Path, options: Options) -> Outcome:
    """Train the run in `folder` until it ends, or until a signal or the budget stops the session.

    Called on every process of the layout. Raises `InvalidRequest` for a run that cannot be trained as asked.
    """
    run = read_run(folder)
    corpus = _corpus(run, options)
    held_out = open_held_out(corpus, run.held_out, run.spec.context)
    check_held_out(run.spec, held_out)
    sources = open_sources(corpus, run.sources, run.spec.context)
    mixture = mixture_of(run.spec, sources)
    for of_set in held_out.values():
        of_set.verify(("validation",), say=options.say)
    for source in mixture.corpora if mixture else ():
        source.verify(("train",), say=options.say)
    options.layout.check(run.spec.shape, run.spec.batch_sequences)
    if run.spec.rules.optimizer != "adamw" and options.layout.processes > 1:
        raise InvalidRequest(
            f"recipe {run.spec.recipe} needs whole matrices, and layout {options.layout} shards them: train it on one "
            "process, layout 1x1"
        )
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    device = device_of(options)
    ranks = Ranks(build_mesh(options.layout, device.type), device)
    stopping = Stopping(options.budget_seconds)
    with stopping.listening(), together(), _alone(folder, ranks):
        try:
            return _session(folder, run.spec, Texts(corpus, held_out, mixture), options, ranks, stopping)
        except StoppedError as stopped:
            done = max(ledger_of(folder).last_step, run.spec.fork_step)
            return Outcome("stopped", done, run.spec.steps, REASONS[stopped.code])


def _session(
    folder: Path,
    spec: RunSpec,
    texts: Texts,
    options: Options,
    ranks: Ranks,
    stopping: Stopping,
) -> Outcome:
    ledger = ledger_of(folder)
    if ledger.state in {"finished", "diverged"}:
        ranks.by_first(lambda: _check_kept(folder, spec, ledger))
        return Outcome(ledger.state, ledger.last_step, spec.steps)
    ranks.by_first(lambda: clear_unfinished(folder))
    way = way_of(
        spec,
        ledger,
        products=options.products,
        compiled=options.compiled,
        alone_on_cpu=ranks.device.type == "cpu" and ranks.mesh is None,
        processor=device_name(ranks.device),
        sequences=options.micro_sequences,
        stopping=stopping,
        say=options.say,
    )
    setup = _setup(folder, spec, texts, options, ranks, way)
    checkpoint = ranks.by_first(lambda: _newest(folder, ledger, options.say))
    origin = _origin(folder, spec)
    inherited = origin.complete.skipped_batches if origin else 0
    position = _position(ledger, checkpoint, spec, inherited)
    _load(setup, checkpoint or origin)
    with ExitStack() as stack:
        if way.compiled:
            stack.enter_context(same_bits(ranks.device))
            if ranks.mesh is None:
                compile_steps(setup.model, spec, options.micro_sequences, stopping, options.say)
        recorder = stack.enter_context(Recorder(folder / LEDGER)) if ranks.first else None
        sinks = options.sinks if ranks.first else ()

        def record(event: Event) -> None:
            assert recorder is not None
            recorder.write(event)
            for sink in sinks:
                sink.log(event)

        start = start_event(setup, options, position, checkpoint or origin, way)
        if recorder is not None:
            recorder.write(start)
            for sink in sinks:
                sink.start(spec, start)
        state, ended = _train(setup, position, stopping, record, recorder, origin, inherited)
        for sink in sinks:
            sink.finish(state)
    ranks.barrier()
    return Outcome(state, ended.position.step, spec.steps, ended.stop or ended.divergence)


def _train(
    setup: Setup,
    position: Position,
    stopping: Stopping,
    record: Callable[[Event], None],
    recorder: Recorder | None,
    origin: Checkpoint | None,
    inherited: int,
) -> tuple[State, Ended]:
    """Train on, through rollbacks, to an end of the session."""
    folder, spec, ranks = setup.folder, setup.spec, setup.ranks
    while True:
        ended = train_steps(setup, position, stopping, record, recorder.sync if recorder else lambda: None)
        if ended.divergence:
            back, given_up = ranks.by_first(lambda ended=ended: _back(folder, spec, ended))  # type: ignore[misc]
            to_step = back.step if back else spec.fork_step
            if given_up:
                if ranks.first:
                    record(Diverged(step=to_step, reason=ended.divergence))
                return "diverged", replace(ended, position=Position(to_step))
            if ranks.first:
                discard_after(folder, to_step)
                # Past everything that was read, and a little further.
                passed = ended.position.skipped_batches + ended.position.step - to_step + LEVEL_STEPS
                record(
                    Rollback(
                        step=ended.position.step,
                        to_step=to_step,
                        loss=ended.loss,
                        reason=ended.divergence,
                        skipped_batches=passed,
                    )
                )
            ranks.barrier()
            ledger = ledger_of(folder)
            position = _position(ledger, back, spec, inherited)
            _load(setup, back or origin)
            continue
        if ranks.first:
            if ended.stop:
                record(Stopped(step=ended.position.step, reason=ended.stop))
            else:
                record(Finished(step=ended.position.step))
                keep_permanent(folder, spec.permanent_steps)
        return ("stopped" if ended.stop else "finished"), ended


def _setup(folder: Path, spec: RunSpec, texts: Texts, options: Options, ranks: Ranks, way: Way) -> Setup:
    with torch.device("meta"):
        model = Transformer(spec.shape)
    distribute(model, options.layout, ranks.mesh)
    model.to_empty(device=ranks.device)
    optimizer = build_optimizer(
        model, spec.rules, betas=spec.betas, epsilon=spec.epsilon, weight_decay=spec.weight_decay
    )
    for block in model.modules():
        if isinstance(block, Block):
            block.recompute = options.recompute
    if spec.document_mask:
        model.end_of_document = texts.corpus.manifest.end_of_document
    if way.compiled:
        compile_model(model)
    if products := way.products or ("mkl" if way.compiled else ""):
        use_products(products)
    peak = matmul_flops_per_second(ranks.device, spec.precision)
    return Setup(folder, spec, texts, model, optimizer, ranks, ranks.beside(), peak, options.micro_sequences)


def _load(setup: Setup, checkpoint: Checkpoint | None) -> None:
    """The state of `checkpoint`, or the initial one."""
    setup.optimizer.state.clear()
    if checkpoint is not None:
        restore(checkpoint, setup.model, setup.optimizer, setup.ranks)
        return
    spec = setup.spec
    initialise(
        setup.model,
        spec.shape,
        seed=spec.seed,
        patch=spec.patch,
        norm_gain=spec.norm_gain,
        sigma=spec.rules.sigma,
    )


def _position(ledger: Ledger, checkpoint: Checkpoint | None, spec: RunSpec, inherited: int) -> Position:
    """Where the state of `checkpoint`, or of the run's start, stands."""
    step = checkpoint.step if checkpoint else spec.fork_step
    before = [done.loss for done in ledger.steps if done.step <= step]
    evaluated = step == spec.fork_step or any(done.step == step for done in ledger.evaluations)
    return Position(step, tuple(before[-HISTORY_STEPS:]), ledger.rollbacks, inherited, evaluated)


def _newest(folder: Path, ledger: Ledger, say: Callable[[str], None]) -> Checkpoint | None:
    """The newest whole checkpoint that the ledger tells of."""
    if ledger.state is None:
        if checkpoints(folder, say):
            raise InvalidRequest(
                f"{folder} has checkpoints but no {LEDGER}: restore it, or delete the folder to train it again"
            )
        return None
    found = newest(folder, ledger.last_step, say)
    if found is None and ledger.steps:
        say(f"{folder} has no whole checkpoint: its {len(ledger.steps)} steps are done again")
    return found


def _origin(folder: Path, spec: RunSpec) -> Checkpoint | None:
    """The parent's checkpoint at the fork."""
    if not spec.parent:
        return None
    parent = folder.parent / spec.parent
    if not parent.is_dir():
        raise InvalidRequest(f"{folder}: its parent {spec.parent} is not beside it: train the parent first")
    ledger = ledger_of(parent)
    if ledger.state != "finished":
        raise InvalidRequest(
            f"{folder}: its parent {spec.parent} is at step {ledger.last_step} and not finished: finish it first"
        )
    try:
        return at_step(parent, spec.fork_step)
    except InvalidRequest as error:
        raise InvalidRequest(
            f"{error}: the parent was trained before this branch was planned, or its checkpoint was deleted; "
            f"move {parent} away to train it again"
        ) from None


def _check_kept(folder: Path, spec: RunSpec, ledger: Ledger) -> None:
    """A finished run has the checkpoints that its branches start from."""
    if ledger.state == "diverged":
        return
    there = {checkpoint.step for checkpoint in checkpoints(folder)}
    if missing := [step for step in spec.permanent_steps if step not in there]:
        raise InvalidRequest(
            f"{folder} is finished without the checkpoint of step {missing[0]} that a branch needs: it was "
            f"planned, or deleted, afterwards; move the folder away to train it again"
        )


def _back(folder: Path, spec: RunSpec, ended: Ended) -> tuple[Checkpoint | None, bool]:
    """The checkpoint to go back to, None for the run's start, and whether it has been done too often.

    It is from well before the alarm, and one earlier for each time that the run went back there already. Only
    regular checkpoints count: where a session happened to be stopped decides nothing.
    """
    rollbacks = [event for event in ledger_of(folder).events if isinstance(event, Rollback)]
    candidates = [
        checkpoint
        for checkpoint in checkpoints(folder)
        if checkpoint.step in spec.regular_steps
        and safe(checkpoint, ended.position.step)
        and not checkpoint.problem()
    ]
    last = candidates[-1].step if candidates else spec.fork_step
    again = sum(rollback.to_step >= last for rollback in rollbacks)
    chosen = candidates[-1 - again] if again < len(candidates) else None
    return chosen, len(rollbacks) >= MOST_ROLLBACKS


def _corpus(run: RunFile, options: Options) -> Corpus:
    corpus = Corpus.open(options.corpus or Path(run.corpus))
    spec = run.spec
    if spec.corpus_fingerprint and corpus.fingerprint != spec.corpus_fingerprint:
        raise InvalidRequest(
            f"corpus {corpus.folder} has fingerprint {corpus.fingerprint[:12]}, the run was planned on "
            f"{spec.corpus_fingerprint[:12]}: give that corpus with --corpus, or plan the suite again"
        )
    if spec.vocabulary < corpus.vocabulary:
        raise InvalidRequest(
            f"the run's vocabulary {spec.vocabulary} is smaller than the {corpus.vocabulary} of {corpus.folder}"
        )
    # Before there is a group of processes: none of them waits for another here.
    corpus.verify(say=options.say)
    return corpus


@contextmanager
def _alone(folder: Path, ranks: Ranks) -> Iterator[None]:
    """Hold the run's lock, on rank 0 for all."""
    with ExitStack() as stack:
        ranks.by_first(
            lambda: stack.enter_context(
                locked(
                    folder / RUN_LOCK,
                    ORPHAN_SECONDS,
                    lambda who: InvalidRequest(
                        f"{folder} is being trained by {who}: wait for it, or stop it"
                    ),
                )
            )
        )
        yield
