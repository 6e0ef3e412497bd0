"""The CSV file that W&B's page gives for its table of runs: a row a run, with configuration and last values.

Source: https://docs.wandb.ai/guides/track/public-api-guide and the page's "Export as CSV": `Name`, `State`, `Notes`,
`User`, `Tags`, `Created`, `Runtime`, `Sweep`, then columns of the configuration and of the summary.
"""

from __future__ import annotations

from gemstones.lazy import pl
from gemstones.runs.formats.content import Content
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.tool_names import known_by_tool
from gemstones.runs.one_line import listed

_OWN = {"Notes", "User", "Tags", "Created", "Runtime", "Sweep", "ID"}


def _open(content: Content) -> Opened:
    content.require("Name", "State")
    frame = content.table.frame
    said = []
    if frame["Name"].is_duplicated().any():
        # W&B lets runs share a name.
        again = pl.int_range(pl.len()).over("Name")
        name = pl.when(again > 0).then(pl.concat_str("Name", pl.lit(" #"), again + 1)).otherwise("Name")
        frame = frame.select(name.alias("run"), pl.exclude("run"))
        said.append("runs of the same Name are told apart by a number")
    states = frame["State"].drop_nulls().unique(maintain_order=True).to_list()
    if others := [state for state in states if state != "finished"]:
        rows = frame["State"].is_in(others).sum()
        said.append(
            f"{rows} runs are not finished but {listed(others)}, with the last values they logged "
            "(leave them out with --where \"State = 'finished'\")"
        )
    return Opened(
        frame,
        TABLE.name,
        content.file,
        known={"run": "run" if "run" in frame.columns else "Name", **known_by_tool(frame.columns)},
        assumptions=tuple(said),
        decimal_comma=content.table.decimal_comma,
    )


TABLE = Format(
    name="wandb-runs",
    files="the CSV export of W&B's table of runs: `Name`, `State`, …",
    command="gemstones data show wandb_export.csv --columns 'loss=eval/loss,tokens=total_tokens,params_total=n_params'",
    source="https://docs.wandb.ai/guides/track/public-api-guide",
    detect=lambda content: {"Name", "State"} <= set(content.columns) and bool(_OWN & set(content.columns)),
    open=_open,
)
