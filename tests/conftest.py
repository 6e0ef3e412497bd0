"""What every test stands on: published data where they can be had, and nothing of the caller's.

A test that reads a published file takes the fixture `gemstones`, `chinchilla` or `data_dir`, has a parameter such as
"fit gemstones --delta 1", dataset="gemstones" or a tuple that begins with the name, or is marked `published_data`.
Every other one finds GEMSTONES_DATA_DIR empty, whether this machine has the files or not. Where it has not, the marked
tests are skipped; with CI set, pytest refuses to start.

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
from joblib.externals.loky import get_reusable_executor

from gemstones.runs import RunTable, load
from tests import published_data

CI = published_data.is_on("CI")

# A busy machine is not a slow test; and CI asks about a change, not about luck: new examples are found elsewhere.
settings.register_profile("gemstones", deadline=None, derandomize=CI)
settings.load_profile("gemstones")

READERS = frozenset({"gemstones", "chinchilla", "data_dir", "published_files"})
"""Fixtures of published files."""

NAME = r"(?:gemstones(?:-fineweb-edu|-dclm|-benchmarks)?|chinchilla)"
COMMAND = re.compile(rf"^(?:data )?[a-z]+ {NAME}(?: |$)|--throughput {NAME}(?: |$)")
"""A parameter of a test that is a command line about a published data set."""

MOST_MARKED = 0.2
"""Of all tests: what a machine without the published files may skip at most."""

ABSENT = "the published files are not on this machine and could not be downloaded"

LONG = frozenset({"gemstones_study"})
"""Fixtures that take a minute: tests of them are long."""

Files = Callable[[], AbstractContextManager[None]]

FOLDER = pytest.StashKey[Path | None]()
"""Of the published files."""
SCRATCH = pytest.StashKey[Path]()
QUICK = pytest.StashKey[bool]()
"""Whether the long tests are left out."""
ENVIRONMENT = pytest.StashKey[pytest.MonkeyPatch]()


# ---------------------------------------------------------------- a session


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--hide-published-data", action="store_true", help="as on a machine that has none, and no network"
    )
    parser.addoption("--long", action="store_true", help="the long tests too, as with CI set")


def pytest_configure(config: pytest.Config) -> None:
    """Look for the files once: workers of xdist are told."""
    given: dict[str, str] | None = getattr(config, "workerinput", None)
    config.stash[QUICK] = _is_quick(config) if given is None else given["quick"] == "yes"
    if given is None:
        config.stash[SCRATCH] = Path(tempfile.mkdtemp(prefix="gemstones-tests-"))
        empty = config.stash[SCRATCH] / "unmarked-tests-have-no-published_data"
        empty.mkdir()
        config.stash[FOLDER] = _found(config)
    else:
        config.stash[FOLDER] = Path(given["published"]) if given["published"] else None
        empty = Path(given["empty"])
    patch = config.stash[ENVIRONMENT] = pytest.MonkeyPatch()
    patch.setenv("GEMSTONES_DATA_DIR", str(empty))
    for variable in ("GEMSTONES_CACHE", "GEMSTONES_OFFLINE", "HF_HUB_OFFLINE"):
        patch.delenv(variable, raising=False)


def _found(config: pytest.Config) -> Path | None:
    if config.option.hide_published_data:
        return None
    try:
        found = published_data.find(config.stash[SCRATCH] / "published")
    except published_data.Incomplete as error:
        raise pytest.UsageError(str(error)) from None
    if found is None and CI:
        raise pytest.UsageError(f"with CI set nothing is skipped, but {ABSENT}: {published_data.HOW}")
    return found


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """What a worker of xdist is told."""
    config: pytest.Config = node.config  # type: ignore[attr-defined]
    folder = config.stash[FOLDER]
    node.workerinput["quick"] = "yes" if config.stash[QUICK] else "no"  # type: ignore[attr-defined]
    node.workerinput["published"] = str(folder) if folder else ""  # type: ignore[attr-defined]
    node.workerinput["empty"] = os.environ["GEMSTONES_DATA_DIR"]  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    if patch := config.stash.get(ENVIRONMENT, None):
        patch.undo()
    if scratch := config.stash.get(SCRATCH, None):
        shutil.rmtree(scratch, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if LONG & {*getattr(item, "fixturenames", ())}:
            item.add_marker("long")
    if config.stash[QUICK]:
        long = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if not item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
    for item in items:
        if READERS & {*getattr(item, "fixturenames", ())} or _names_published_data(item):
            item.add_marker("published_data")


def _is_quick(config: pytest.Config) -> bool:
    """Whether everything was asked for, but not at length: a file or test that is named runs as it is."""
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    return not (CI or config.option.long or config.option.markexpr or config.option.keyword or named)


def _names_published_data(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    params = callspec.params if callspec else {}
    given = {key: value for key, value in params.items() if isinstance(value, str)}
    named = [
        given.get("dataset", ""),
        *(str(value[0]) for value in params.values() if isinstance(value, tuple) and value),
    ]
    return any(re.fullmatch(NAME, one) for one in named) or any(map(COMMAND.search, given.values()))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.config.stash[FOLDER] is None and item.get_closest_marker("published_data"):
        pytest.skip(ABSENT)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """What a green run must not hide: tests that CI left out, and more than a few that read published files."""
    if complaints(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[QUICK]:
        terminalreporter.line("The long tests were left out: `make test-long` runs them too, as CI does.")
    for complaint in complaints(config):
        terminalreporter.line(complaint, red=True)
    skipped = [
        report for report in terminalreporter.stats.get("skipped", []) if ABSENT in str(report.longrepr)
    ]
    if skipped:
        terminalreporter.section("published data", sep="-")
        terminalreporter.line(f"{len(skipped):,} tests were skipped: {ABSENT}.")
        terminalreporter.line(f"To run them too: {published_data.HOW}.")


def complaints(config: pytest.Config) -> list[str]:
    """Of the process that reports: the workers of xdist have none."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return []
    found: list[str] = []
    # Examples of docstrings that would write files are marked +SKIP.
    skipped = sum("+SKIP option" not in str(report.longrepr) for report in reporter.stats.get("skipped", []))
    if CI and not config.option.hide_published_data and skipped:
        found.append(f"{skipped:,} tests were skipped: with CI set, that fails")
    reports = [
        report
        for kind in ("passed", "failed", "skipped", "error")
        for report in reporter.stats.get(kind, [])
        if isinstance(report, pytest.TestReport)
    ]
    marked = sum("published_data" in report.keywords for report in reports)
    everything = config.args_source is not pytest.Config.ArgsSource.ARGS and not config.option.markexpr
    if everything and not config.option.keyword and marked > MOST_MARKED * len(reports):
        found.append(
            f"{marked:,} of {len(reports):,} tests read published files: at most {MOST_MARKED:.0%} may, "
            "let others read pebbles or a planted table"
        )
    return found


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
            # Workers of an earlier test have the environment of when they began, and would not find the files.
            get_reusable_executor().shutdown(wait=True)
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
