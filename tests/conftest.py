"""What every test stands on: published data where they can be had, and nothing of the caller's.

A test that reads a published file takes the fixture `gemstones`, `chinchilla` or `data_dir`, has a parameter such as
"fit gemstones --delta 1" or dataset="gemstones", or is marked `published_data`. Every other one finds
GEMSTONES_DATA_DIR empty, whether this machine has the files or not. Where it has not, the marked tests are skipped;
with CI set, pytest refuses to start.

Tests are not kept together by pytest-xdist: after a crash its loadgroup (3.8) waits for ever.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from gemstones.runs import RunTable, load
from tests import published_data

CI = published_data.is_on("CI")

# A busy machine is not a slow test; and CI asks about a change, not about luck: new examples are found elsewhere.
settings.register_profile("gemstones", deadline=None, derandomize=CI)
settings.load_profile("gemstones")

READERS = frozenset({"gemstones", "chinchilla", "data_dir", "published_files"})
"""Fixtures of published files."""

NAME = r"(?:gemstones(?:-fineweb-edu|-dclm)?|chinchilla)"
COMMAND = re.compile(rf"^(?:data )?[a-z]+ {NAME}(?: |$)|--throughput {NAME}(?: |$)")
"""A parameter of a test that is a command line about a published data set."""

ABSENT = "the published files are not on this machine and could not be downloaded"

Files = Callable[[], AbstractContextManager[None]]

FOLDER = pytest.StashKey[Path | None]()
"""Of the published files."""
SCRATCH = pytest.StashKey[Path]()
ENVIRONMENT = pytest.StashKey[pytest.MonkeyPatch]()


# ---------------------------------------------------------------- a session


def pytest_configure(config: pytest.Config) -> None:
    """Look for the files once: workers of xdist are told."""
    given: dict[str, str] | None = getattr(config, "workerinput", None)
    if given is None:
        config.stash[SCRATCH] = Path(tempfile.mkdtemp(prefix="gemstones-tests-"))
        empty = config.stash[SCRATCH] / "unmarked-tests-have-no-published_data"
        empty.mkdir()
        try:
            config.stash[FOLDER] = published_data.find(config.stash[SCRATCH] / "published")
        except published_data.Incomplete as error:
            raise pytest.UsageError(str(error)) from None
        if CI and config.stash[FOLDER] is None:
            raise pytest.UsageError(f"with CI set nothing is skipped, but {ABSENT}: {published_data.HOW}")
    else:
        config.stash[FOLDER] = Path(given["published"]) if given["published"] else None
        empty = Path(given["empty"])
    patch = config.stash[ENVIRONMENT] = pytest.MonkeyPatch()
    patch.setenv("GEMSTONES_DATA_DIR", str(empty))
    for variable in ("GEMSTONES_CACHE", "GEMSTONES_OFFLINE", "HF_HUB_OFFLINE"):
        patch.delenv(variable, raising=False)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """What a worker of xdist is told."""
    config: pytest.Config = node.config  # type: ignore[attr-defined]
    folder = config.stash[FOLDER]
    node.workerinput["published"] = str(folder) if folder else ""  # type: ignore[attr-defined]
    node.workerinput["empty"] = os.environ["GEMSTONES_DATA_DIR"]  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    if patch := config.stash.get(ENVIRONMENT, None):
        patch.undo()
    if scratch := config.stash.get(SCRATCH, None):
        shutil.rmtree(scratch, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if READERS & {*getattr(item, "fixturenames", ())} or _names_published_data(item):
            item.add_marker("published_data")


def _names_published_data(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    given = (
        {key: value for key, value in callspec.params.items() if isinstance(value, str)} if callspec else {}
    )
    return bool(re.fullmatch(NAME, given.get("dataset", ""))) or any(map(COMMAND.search, given.values()))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.config.stash[FOLDER] is None and item.get_closest_marker("published_data"):
        pytest.skip(ABSENT)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    every = terminalreporter.stats.get("skipped", [])
    if CI and every:
        terminalreporter.line(f"{len(every):,} tests were skipped, which fails where CI is set.", red=True)
    if skipped := [report for report in every if ABSENT in str(report.longrepr)]:
        terminalreporter.section("published data", sep="-")
        terminalreporter.line(f"{len(skipped):,} tests were skipped: {ABSENT}.")
        terminalreporter.line(f"To run them too: {published_data.HOW}.")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With CI set, a test that did not run is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if CI and reporter is not None and reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


# ---------------------------------------------------------------- a test


@pytest.fixture(autouse=True)
def _environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Published files for the tests that are marked, and for no others."""
    folder = request.config.stash[FOLDER]
    if folder and request.node.get_closest_marker("published_data"):
        monkeypatch.setenv("GEMSTONES_DATA_DIR", str(folder))


@pytest.fixture
def data_dir(request: pytest.FixtureRequest) -> Path:
    """The folder of published files, in the environment too."""
    folder = request.config.stash[FOLDER]
    assert folder is not None
    return folder


@pytest.fixture(scope="session")
def published_files(pytestconfig: pytest.Config) -> Files:
    """A context in which the published files are found: for fixtures that are made once a session."""

    @contextmanager
    def found() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GEMSTONES_DATA_DIR", str(pytestconfig.stash[FOLDER]))
            yield

    return found


@pytest.fixture(scope="session")
def gemstones(published_files: Files) -> RunTable:
    with published_files():
        return load("gemstones")


@pytest.fixture(scope="session")
def chinchilla(published_files: Files) -> RunTable:
    with published_files():
        return load("chinchilla")


@pytest.fixture(scope="session")
def pebbles() -> RunTable:
    return load("pebbles")
