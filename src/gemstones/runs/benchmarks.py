"""The benchmarks of the Gemstones: nine accuracies of 770 checkpoints, beside their losses on three validation sets.

The published index is `Gemstone-{width}x{depth}-step_{n}`, or `-main`, which is the end of the run, step 83,475. A step
is 2048 sequences of 2048 tokens. Accuracies are by lighteval; their published standard errors are over questions (about
a thousand a task), which are the same for every checkpoint.
"""

from __future__ import annotations

import re

from gemstones.errors import InvalidTable
from gemstones.lazy import pl
from gemstones.runs.fetch import Entry, fetch
from gemstones.runs.one_line import one_line
from gemstones.runs.tasks import STANDARD_ERROR, task_name

LAST_STEP = 83_475
KEY = ("width", "depth", "step")
TASKS = (
    "arc_challenge", "arc_easy", "commonsense_qa", "hellaswag", "mmlu", "openbookqa", "piqa", "siqa", "winogrande",
)  # fmt: skip
_INDEX = "__index_level_0__"
_CHECKPOINT = re.compile(r"Gemstone-(\d+)x(\d+)-(?:step_(\d+)|main)")


def read_benchmarks(accuracies: Entry, errors: Entry) -> pl.DataFrame:
    """Accuracies and their standard errors by width, depth and step, as `hellaswag` and `hellaswag_stderr`.

    Raises `InvalidTable` where a file is not what was published.
    """
    found = _read(accuracies)
    beside = _read(errors).rename({task: f"{task}{STANDARD_ERROR}" for task in TASKS})
    joined = found.join(beside, on=KEY, how="inner", validate="1:1", maintain_order="left")
    if joined.height != found.height:
        raise InvalidTable(
            f"has errors of {joined.height} of {found.height} checkpoints: they are of others",
            file=errors.name,
        )
    return joined


def _read(entry: Entry) -> pl.DataFrame:
    frame = pl.read_parquet(fetch(entry))
    if frame.height != entry.rows:
        raise InvalidTable(f"has {frame.height} rows, expected {entry.rows}", file=entry.name)
    keys = []
    for row, name in enumerate(frame[_INDEX], start=1):
        if (found := _CHECKPOINT.fullmatch(name)) is None:
            raise InvalidTable(
                f"{one_line(name, 80)!r} is no checkpoint like Gemstone-512x12-step_00002385",
                file=entry.name,
                row=row,
            )
        keys.append((int(found[1]), int(found[2]), LAST_STEP if found[3] is None else int(found[3])))
    columns = {name: task_name(name) for name in frame.columns if name != _INDEX}
    if sorted(columns.values()) != sorted(TASKS):
        raise InvalidTable(f"has tasks {', '.join(columns)}, expected {', '.join(TASKS)}", file=entry.name)
    for name in columns:
        if not frame[name].is_between(0, 1).all():
            raise InvalidTable("has values that are no shares of 1", file=entry.name, column=name)
    of_keys = pl.DataFrame(keys, schema=dict.fromkeys(KEY, pl.Int64), orient="row")
    return of_keys.hstack(frame.rename(columns).select(TASKS))
