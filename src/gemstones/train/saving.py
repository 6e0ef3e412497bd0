"""A checkpoint that is written beside the training, from a copy of the state, in a thread.

Its promises are those of one that is waited for: the marker comes last, the ledger was flushed before, one is written
at a time, and whoever needs it waits. What goes wrong is raised to whoever asks next.

Where training is sharded, each rank copies its shards and has such a thread; the threads talk through a group of their
own (`Ranks.beside`), so that they and the training do not take each other's messages.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from gemstones.train.checkpoint import Complete
from gemstones.train.ranks import Ranks
from gemstones.train.write_checkpoint import save


class Saving:
    """A checkpoint on its way to the disk."""

    def __init__(self, step: int, write: Callable[[], Complete]) -> None:
        self.step = step
        self.seconds = 0.0
        """That it took, once it is finished."""
        self._write = write
        self._complete: Complete | None = None
        self._error: BaseException | None = None
        # Not a daemon: a process that ends by itself ends with it written.
        self._thread = threading.Thread(target=self._run, name=f"save-{step}")
        self._thread.start()

    @property
    def finished(self) -> bool:
        """Whether `result` will not wait."""
        return not self._thread.is_alive()

    def result(self) -> Complete:
        """Wait for it; raises what went wrong."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        assert self._complete is not None
        return self._complete

    def _run(self) -> None:
        start = time.perf_counter()
        try:
            self._complete = self._write()
        except BaseException as error:
            self._error = error
        self.seconds = time.perf_counter() - start


def begin_save(
    run_folder: Path,
    state: dict[str, Tensor],
    ranks: Ranks,
    *,
    run: str,
    step: int,
    skipped_batches: int,
) -> Saving:
    """Copy the state after `step`, and begin to save the copy; every rank calls it, `ranks` beside the training."""
    copied = {name: tensor.to("cpu", copy=True) for name, tensor in state.items()}
    return Saving(
        step, lambda: save(run_folder, copied, ranks, run=run, step=step, skipped_batches=skipped_batches)
    )
