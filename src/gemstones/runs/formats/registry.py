"""Every format, in the order in which a file or a folder is tried: what is told by more comes first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gemstones.errors import InvalidRequest
from gemstones.runs.formats import tensorboard
from gemstones.runs.formats.arrow_files import ARROW, PARQUET
from gemstones.runs.formats.content import Content
from gemstones.runs.formats.folders import LEDGERS
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.json_files import JSON
from gemstones.runs.formats.json_lines import JSON_LINES
from gemstones.runs.formats.lighteval import LIGHTEVAL, LIGHTEVAL_TABLE
from gemstones.runs.formats.lightning import LIGHTNING
from gemstones.runs.formats.lm_eval import LM_EVAL
from gemstones.runs.formats.marin import MARIN
from gemstones.runs.formats.megatron import MEGATRON
from gemstones.runs.formats.nanochat import NANOCHAT
from gemstones.runs.formats.nanogpt import NANOGPT
from gemstones.runs.formats.olmo import OLMO_CSV, OLMO_JSON
from gemstones.runs.formats.step_law import STEP_LAW
from gemstones.runs.formats.tensorboard_csv import SCALAR
from gemstones.runs.formats.text_tables import CSV, SEMICOLONS, TSV
from gemstones.runs.formats.trainer_log import TRAINER_LOG
from gemstones.runs.formats.trainer_state import TRAINER_STATE
from gemstones.runs.formats.wandb_chart import CHART
from gemstones.runs.formats.wandb_history import HISTORY
from gemstones.runs.formats.wandb_offline import OFFLINE
from gemstones.runs.formats.wandb_online import ADDRESS
from gemstones.runs.formats.wandb_table import TABLE
from gemstones.runs.one_line import one_line

FILES: tuple[Format[Content], ...] = (
    # told by their first bytes, or by a name that only TensorBoard gives
    LIGHTEVAL_TABLE,
    PARQUET,
    ARROW,
    tensorboard.EVENT_FILE,
    # told by their keys
    TRAINER_STATE,
    TRAINER_LOG,
    LM_EVAL,
    LIGHTEVAL,
    MARIN,
    OLMO_JSON,
    JSON_LINES,
    JSON,
    # told by their header
    CHART,
    TABLE,
    NANOCHAT,
    OLMO_CSV,
    HISTORY,
    SCALAR,
    LIGHTNING,
    STEP_LAW,
    # told by their lines
    MEGATRON,
    NANOGPT,
    # any other table
    SEMICOLONS,
    TSV,
    CSV,
)
FOLDERS: tuple[Format[Path], ...] = (LEDGERS, tensorboard.FOLDER, OFFLINE)
ADDRESSES: tuple[Format[str], ...] = (ADDRESS,)

NAMES = tuple(dict.fromkeys(known.name for group in (FILES, FOLDERS, ADDRESSES) for known in group))


def check_name(name: str) -> None:
    """Refuse a name that no format has."""
    if name not in NAMES:
        raise InvalidRequest(f"format {one_line(name)!r} is unknown: choose from {', '.join(sorted(NAMES))}")


def markdown() -> str:
    """The table of docs/your-runs.md: which file somebody has, the command that reads it, and its format."""
    formats: list[Format[Any]] = [*FILES[4:], *FILES[:4], *FOLDERS, *ADDRESSES]
    rows = [f"| {known.files} | `{known.command}` | [`{known.name}`]({known.source}) |" for known in formats]
    return "\n".join(
        ("| which file do you have? | a command that reads it | format |", "|---|---|---|", *rows)
    )
