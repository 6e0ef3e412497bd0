"""`wandb://entity/project` or `wandb://entity/project/run`: the complete history of the runs, by W&B's SDK.

Source: https://docs.wandb.ai/ref/python/public-api/run (`Run.scan_history`, which gives every row from the newest
export of the history). `Run.history`, which samples, is never used.
"""

from __future__ import annotations

import hashlib
from typing import Any

from gemstones.errors import InvalidRequest, Unavailable, extra
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.wandb_runs import LoggedRun, opened_runs
from gemstones.runs.one_line import one_line
from gemstones.runs.provenance import Source

SCHEME = "wandb://"


def open_address(address: str, api: Any = None) -> Opened:
    """The rows of the runs at `address`; `api` stands in for the SDK's client.

    Raises `InvalidRequest` for an address that names nothing, `Unavailable` where the server cannot be reached,
    `MissingExtra` without the SDK.
    """
    parts = [part for part in address.removeprefix(SCHEME).split("/") if part]
    if len(parts) not in (2, 3):
        raise InvalidRequest(
            f"address {one_line(address)!r}: write it like {SCHEME}entity/project or {SCHEME}entity/project/run"
        )
    path = "/".join(parts)
    api = api or _client()
    try:
        found = [api.run(path)] if len(parts) == 3 else list(api.runs(path))
        runs = [_run(run) for run in found]
    except Exception as error:
        raise _told(error, address) from None
    if not runs:
        raise InvalidRequest(f"address {one_line(address)!r} has no runs")
    digest = hashlib.sha256(repr([(run.id, run.rows) for run in runs]).encode())
    source = Source(one_line(path), address, digest.hexdigest())
    return opened_runs(
        runs, ADDRESS.name, one_line(address), dataset=one_line("/".join(parts[:2])), source=source
    )


def _client() -> Any:
    with extra("trackers", f"reading {SCHEME}…"):
        import wandb
    try:
        return wandb.Api()
    except Exception as error:
        raise Unavailable(f"W&B cannot be asked: {one_line(error)}: log in with `wandb login`") from None


def _run(run: Any) -> LoggedRun:
    return LoggedRun(
        str(run.id),
        str(run.name or run.id),
        str(run.state),
        dict(run.config),
        [dict(row) for row in run.scan_history()],
    )


def _told(error: Exception, address: str) -> InvalidRequest | Unavailable:
    """An error of the SDK's as ours: of an address that names nothing, or of a server that does not answer."""
    message = one_line(error)
    if isinstance(error, ValueError) or "not find" in message or "not found" in message:
        return InvalidRequest(f"address {one_line(address)!r} names nothing that can be read: {message}")
    return Unavailable(f"{one_line(address)} cannot be read: {message}")


ADDRESS = Format(
    name="wandb",
    files="runs on W&B's server",
    command="gemstones data show wandb://entity/project --columns 'loss=eval/loss,tokens=_step*524288'",
    source="https://docs.wandb.ai/ref/python/public-api/run",
    detect=lambda address: address.startswith(SCHEME),
    open=open_address,
)
