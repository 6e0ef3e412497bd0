"""A suite file and a corpus → a folder of runs ready to train; again, when the file has changed.

A run's folder is named by its id, a hash of what is trained: what a changed file still has keeps its work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path

from gemstones.design.spec import RunSpec
from gemstones.design.suite import expand, held_out_folders, load_suite, source_folders
from gemstones.errors import InvalidRequest
from gemstones.files import make_folder
from gemstones.runs.folders import (
    RUN,
    SUITE,
    RunFile,
    SuiteFolder,
    read_run,
    read_suite,
    write_run,
    write_suite,
)
from gemstones.runs.one_line import listed
from gemstones.train.beside import fingerprints, open_held_out, open_sources
from gemstones.train.corpus import Corpus, windows
from gemstones.train.corpus.manifest import SPLITS
from gemstones.train.lock import SUITE_LOCK, locked

FREEING_SECONDS = 1.0
"""Waited for the lock of a suite: a process that was killed a moment ago may be on its way out."""


@dataclass(frozen=True)
class RunTask:
    """A run and its folder."""

    id: str
    folder: Path
    spec: RunSpec


@dataclass(frozen=True)
class Asked:
    """What a folder of runs is to hold; nothing is written yet."""

    file: Path
    corpus: Path
    folder: Path
    specs: tuple[RunSpec, ...]
    """Parents before children."""
    held_out: Mapping[str, Path] = dataclass_field(default_factory=dict)
    """Corpora of the other held-out sets, by name."""
    sources: Mapping[str, Path] = dataclass_field(default_factory=dict)
    """Corpora of mixtures, by name."""

    @property
    def tasks(self) -> tuple[RunTask, ...]:
        """The runs, with their folders."""
        return tuple(RunTask(spec.id, self.folder / spec.id, spec) for spec in self.specs)


@dataclass(frozen=True)
class Prepared:
    """A folder that holds what was asked."""

    runs: tuple[str, ...]
    added: tuple[str, ...]
    dropped: tuple[str, ...]
    """Runs that the folder's list had before and the file has no longer; their folders stay."""


def asked(
    file: Path,
    corpus: Path | None = None,
    output: Path | None = None,
    held_out: Mapping[str, Path] | None = None,
    sources: Mapping[str, Path] | None = None,
) -> Asked:
    """The runs of the suite file on a corpus: the file's own, unless one is given; so are folder and held-out sets.

    Raises `InvalidRequest` for a file or a folder that cannot be used, and a corpus without enough text for one
    window of each split; `InvalidCorpus` for a corpus that is none.
    """
    suite = load_suite(file)
    corpus, folder = corpus or suite.corpus, output or suite.output
    if corpus is None:
        raise InvalidRequest(f"{file} names no corpus: give one with --corpus, or write corpus = ... in it")
    if folder is None:
        raise InvalidRequest(
            f"{file} names no output: give a folder with --output, or write output = ... in it"
        )
    opened = Corpus.open(corpus)
    folders = held_out_folders(suite, held_out or {})
    mixed = source_folders(suite, sources or {})
    sets = fingerprints(open_held_out(opened, folders, suite.models.context))
    parts = fingerprints(open_sources(opened, mixed, suite.models.context))
    specs = expand(suite, opened.vocabulary, opened.fingerprint, sets, parts)
    for split in SPLITS:
        windows(opened, split, suite.models.context)
    # Absolute, because runs may be gone on with from anywhere.
    made = Asked(file, corpus.absolute(), folder, specs, _absolute(folders), _absolute(mixed))
    _refuse_foreign(made)
    return made


def _absolute(folders: Mapping[str, Path]) -> dict[str, Path]:
    return {name: path.absolute() for name, path in folders.items()}


@contextmanager
def suite_locked(folder: Path) -> Iterator[None]:
    """`folder`, made if need be, to ourselves; `InvalidRequest` where another process has it."""
    make_folder(folder)
    with locked(
        folder / SUITE_LOCK,
        FREEING_SECONDS,
        lambda who: InvalidRequest(f"{folder} is being trained by {who}: wait for it, or stop it first"),
    ):
        yield


def prepare(wanted: Asked) -> Prepared:
    """Write suite.json and every run.json, each whole or not at all; what is right already is left alone.

    Called under `suite_locked`. Raises `InvalidRequest` where the folder has runs on another corpus.
    """
    listed_before = _refuse_other_corpus(wanted)
    for task in wanted.tasks:
        run = RunFile(
            corpus=str(wanted.corpus),
            held_out={name: str(path) for name, path in wanted.held_out.items()},
            # Of each run those that it reads.
            sources={source.name: str(wanted.sources[source.name]) for source in task.spec.mixture},
            spec=task.spec,
        )
        if _run_in(task.folder) != run:
            write_run(task.folder, run)
    ids = tuple(task.id for task in wanted.tasks)
    suite = SuiteFolder(suite=str(wanted.file), corpus=str(wanted.corpus), runs=ids)
    # Last: a list names no run that is not there.
    if not (wanted.folder / SUITE).exists() or read_suite(wanted.folder) != suite:
        write_suite(wanted.folder, suite)
    return Prepared(ids, _without(ids, listed_before), _without(listed_before, ids))


def tasks_of(folder: Path) -> tuple[RunTask, ...]:
    """The runs of a prepared folder, parents first; `InvalidRequest` for a folder that is none."""
    tasks = []
    for run in read_suite(folder).runs:
        spec = read_run(folder / run).spec
        if spec.id != run:
            raise InvalidRequest(
                f"{folder / run / RUN} describes run {spec.id}: call `gemstones suite run` again, which restores it"
            )
        tasks.append(RunTask(run, folder / run, spec))
    return tuple(tasks)


def chosen(tasks: Sequence[RunTask], names: Iterable[str]) -> tuple[RunTask, ...]:
    """The tasks whose ids are, or begin with, one of `names` (all for none), and the parents they need."""
    by_id = {task.id: task for task in tasks}
    wanted = set() if (names := tuple(names)) else set(by_id)
    for name in names:
        found = {name} & by_id.keys() or {run for run in by_id if name and run.startswith(name)}
        if not found:
            raise InvalidRequest(f"no run is called {name!r}: choose from {listed(by_id)}")
        wanted |= found
    for task in reversed(tasks):  # parents come first
        if task.id in wanted and task.spec.parent in by_id:
            wanted.add(task.spec.parent)
    return tuple(task for task in tasks if task.id in wanted)


def generations(tasks: Sequence[RunTask]) -> tuple[tuple[RunTask, ...], ...]:
    """`tasks` by how many of the others must come before: those without a parent among them first."""
    depth: dict[str, int] = {}
    for task in tasks:
        depth[task.id] = depth.get(task.spec.parent, -1) + 1
    return tuple(
        tuple(task for task in tasks if depth[task.id] == level)
        for level in range(max(depth.values(), default=-1) + 1)
    )


def _refuse_foreign(wanted: Asked) -> None:
    """A folder that has other things is not filled with runs by mistake."""
    folder = wanted.folder
    if folder.exists() and not folder.is_dir():
        raise InvalidRequest(f"output {folder} is a file: name a folder")
    if not folder.is_dir() or (folder / SUITE).exists():
        return
    ours = {SUITE_LOCK, *(spec.id for spec in wanted.specs)}
    foreign = sorted(
        path.name
        for path in folder.iterdir()
        if path.name not in ours and not path.name.startswith(f".{SUITE}.") and not (path / RUN).exists()
    )
    if foreign:
        raise InvalidRequest(
            f"output {folder} is no folder of runs, and not empty ({listed(foreign, 3)}): name a new folder"
        )


def _refuse_other_corpus(wanted: Asked) -> tuple[str, ...]:
    """The ids that the folder lists already."""
    if not (wanted.folder / SUITE).exists():
        return ()
    before = read_suite(wanted.folder)
    new = {spec.corpus_fingerprint for spec in wanted.specs}
    for run in before.runs:
        there = _run_in(wanted.folder / run)
        old = there.spec.corpus_fingerprint if there else ""
        if there and old not in new:
            raise InvalidRequest(
                f"{wanted.folder} has runs on another corpus ({before.corpus}, fingerprint {old[:12]}; "
                f"{wanted.corpus} has {', '.join(sorted(f[:12] for f in new))}): name another folder with --output"
            )
    return before.runs


def _run_in(folder: Path) -> RunFile | None:
    """What is in a run's folder; None for what is to be written anew: nothing, or nothing that can be read."""
    try:
        return read_run(folder)
    except InvalidRequest:
        return None


def _without(ids: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    others = set(others)
    return tuple(run for run in ids if run not in others)
