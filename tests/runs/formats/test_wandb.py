"""Runs from W&B's server, through a client that stands in for the SDK's, and from folders of offline runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gemstones.runs.formats import open_runs, wandb_online
from gemstones.runs.formats.wandb_online import open_address
from tests.runs.formats.written import refusal


class Run:
    """What `wandb.Api().runs()` gives, as far as it is used."""

    def __init__(self, id: str, name: str, steps: int = 3, state: str = "finished", **config: Any) -> None:  # noqa: A002
        self.id, self.name, self.state, self.config = id, name, state, {"_wandb": {"t": 1}, **config}
        self.steps = steps

    def scan_history(self) -> Iterator[dict[str, Any]]:
        return ({"_step": step, "eval/loss": 4 - step / 10, "lr": step} for step in range(self.steps))

    def history(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("history() samples")


class Api:
    def __init__(self, *runs: Run) -> None:
        self.all = runs

    def runs(self, path: str) -> Iterator[Run]:
        assert path == "team/ladder"
        return iter(self.all)

    def run(self, path: str) -> Run:
        return next(run for run in self.all if path == f"team/ladder/{run.id}")


LADDER = Api(
    Run("x1", "d12", n_params=20_000_000, model={"width": 64}), Run("x2", "d16", lr=0.1, n_params=50_000_000)
)


def test_the_complete_history_of_a_project() -> None:
    found = open_address("wandb://team/ladder", LADDER)
    assert (found.format, found.file, found.dataset) == ("wandb", "wandb://team/ladder", "team/ladder")
    assert found.frame.columns == [
        "run",
        "state",
        "n_params",
        "model.width",
        "_step",
        "eval/loss",
        "lr",
        "config.lr",
    ]
    assert found.frame.row(0) == ("d12", "finished", 20_000_000, 64, 0, 4.0, 0, None)
    assert found.frame.row(-1) == ("d16", "finished", 50_000_000, None, 2, 3.8, 2, 0.1)
    assert found.known == {"run": "run"}
    (source,) = found.sources
    assert (source.name, source.location, len(source.sha256)) == ("team/ladder", "wandb://team/ladder", 64)
    assert open_address("wandb://team/ladder", LADDER).sources == found.sources


def test_every_step_is_there() -> None:
    """Above the 500 rows that sampling would keep."""
    assert open_address("wandb://team/ladder", Api(Run("x1", "d12", steps=5000))).frame.height == 5000


def test_one_run() -> None:
    found = open_address("wandb://team/ladder/x2", LADDER)
    assert found.frame["run"].unique().to_list() == ["d16"]


def test_runs_that_share_a_name_are_told_apart() -> None:
    found = open_address("wandb://team/ladder", Api(Run("x1", "d12"), Run("x2", "d12"), Run("x3", "d16")))
    assert found.frame["run"].unique(maintain_order=True).to_list() == ["d12 (x1)", "d12 (x2)", "d16"]


def test_addresses_that_name_nothing() -> None:
    for address in ("wandb://", "wandb://team", "wandb://a/b/c/d"):
        assert "write it like wandb://entity/project" in refusal(
            lambda address=address: open_address(address, LADDER)
        )  # type: ignore[misc]
    assert (
        refusal(lambda: open_address("wandb://team/ladder", Api()))
        == "address 'wandb://team/ladder' has no runs"
    )
    assert "has no run with a history" in refusal(
        lambda: open_address("wandb://team/ladder", Api(Run("x1", "d12", steps=0)))
    )


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (
            ValueError("Could not find project ladder"),
            2,
            "names nothing that can be read: Could not find project",
        ),
        (RuntimeError("HTTP 404: project not found"), 2, "names nothing that can be read"),
        (
            ConnectionError("connection refused\n\nadvice"),
            1,
            "wandb://team/ladder cannot be read: connection refused",
        ),
        (TimeoutError("timed out"), 1, "cannot be read: timed out"),
    ],
)
def test_errors_of_the_client_are_one_line(error: Exception, status: int, told: str) -> None:
    class Failing(Api):
        def runs(self, path: str) -> Iterator[Run]:
            raise error

    assert told in refusal(lambda: open_address("wandb://team/ladder", Failing()), status)


def test_without_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert refusal(lambda: open_runs("wandb://team/ladder"), status=1) == (
        "reading wandb://… needs the extra 'trackers': pip install 'gemstones[trackers]'"
    )


def test_an_address_is_read_like_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb_online, "_client", lambda: LADDER)
    found = open_runs(["wandb://team/ladder/x1", "wandb://team/ladder/x2"])
    assert found.frame["run"].unique(maintain_order=True).to_list() == ["d12", "d16"]


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of two runs, written by the SDK."""
    wandb = pytest.importorskip("wandb")
    folder = tmp_path_factory.mktemp("offline")
    for name, steps in (("d12", 4000), ("d16", 3)):
        settings = wandb.Settings(mode="offline", silent=True, x_disable_stats=True, console="off")
        run = wandb.init(
            project="ladder",
            name=name,
            dir=str(folder),
            config={"n_params": 7, "model": {"width": 64}},
            settings=settings,
        )
        for step in range(steps):
            run.log(
                {"train/loss": 5 - step / 1e4, **({"eval/loss": 4 - step / 1e4} if step % 2 else {})},
                step=step * 10,
            )
        run.finish()
    return folder


@pytest.mark.filterwarnings("ignore")
@pytest.mark.long
def test_offline_runs(offline: Path) -> None:
    found = open_runs(offline / "wandb")
    assert (found.format, found.frame.height) == ("wandb-offline", 4003)
    assert {"run", "n_params", "model.width", "_step", "train/loss", "eval/loss"} <= set(found.frame.columns)
    first = found.frame.filter(run="d12")
    assert first["_step"].to_list() == [step * 10 for step in range(4000)]
    assert first["eval/loss"].null_count() == 2000
    assert first.row(-1, named=True)["train/loss"] == 5 - 3999 / 1e4
    assert found.frame["n_params"].unique().to_list() == [7]
    assert len(found.sources[0].sha256) == 64
    assert found.assumptions == ()


@pytest.mark.filterwarnings("ignore")
def test_offline_runs_that_go_on_or_are_damaged(offline: Path, tmp_path: Path) -> None:
    path = max(offline.rglob("*.wandb"), key=lambda path: path.stat().st_size)
    whole = path.read_bytes()
    copy = tmp_path / path.name
    told = []
    for length in (len(whole) // 2, len(whole) // 2 + 1):  # one of the two may be where a record ends
        copy.write_bytes(whole[:length])
        cut = open_runs(tmp_path)
        assert 1000 < cut.frame.height < 4000
        told += cut.assumptions
    assert f"{copy} ends in the middle of a record, as of a run that goes on" in told
    for data, refused in (
        (b"", "is no log of W&B: it does not begin as one"),
        (b"\0" * 100, "is no log of W&B: it does not begin as one"),
        (whole[:40_000] + bytes(200) + whole[40_200:], "is damaged from byte "),
        (whole[:40_000] + bytes([whole[40_000] ^ 1]) + whole[40_001:], "is damaged from byte "),
        (whole[:7] + b"\xff" * 500, "is damaged from byte 7 on: copy it again"),
    ):
        copy.write_bytes(data)
        assert refused in refusal(lambda: open_runs(tmp_path))
