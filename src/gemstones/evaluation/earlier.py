"""What a table that is there has already, and whether it is what is asked for now."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from gemstones.errors import InvalidRequest
from gemstones.evaluation.options import Options
from gemstones.evaluation.table import Row, read_rows
from gemstones.evaluation.targets import Target, content_hash
from gemstones.evaluation.texts import TextSet
from gemstones.runs.checksum import without_checksum
from gemstones.runs.one_line import one_line


def earlier_rows(
    output: Path | None, options: Options, force: bool
) -> tuple[dict[tuple[str, str, str], Row], list[str]]:
    """Rows by what they are of, and notes, of the file that is there."""
    if output is None or force or not output.exists() or not output.stat().st_size:
        return {}, []
    rows, unit, notes = read_rows(output)
    if unit != options.loss_unit:
        raise InvalidRequest(
            f"output {one_line(output)} has losses in {unit}, not {options.loss_unit}: name another file, or --force "
            "to make it anew"
        )
    return {row.key: row for row in rows}, [note for note in notes if note.startswith(("set ", "tokens of "))]


def is_done(
    earlier: Mapping[tuple[str, str, str], Row],
    target: Target,
    commit: str,
    one: TextSet,
    options: Options,
    output: Path | None,
) -> bool:
    """Whether the row is there; `InvalidRequest` where it was made from another thing or in another way."""
    row = earlier.get((target.model, target.revision, one.name))
    if row is None:
        return False
    stated = row.values["context"]
    settings = options.settings(None if stated is None else int(stated))
    expected = {
        "commit": commit,
        "set_sha256": one.sha256,
        "windows": settings.windows,
        "window_tokens": settings.window_tokens,
        "window_stride": settings.window_stride,
        "dtype": settings.dtype,
    }
    for name, value in expected.items():
        if row.values[name] != value:
            raise InvalidRequest(
                f"output {one_line(output, 80)} has {target.name} on {one.name} with {name.replace('_', ' ')} "
                f"{one_line(row.values[name], 12)}, not {one_line(value, 12)}: name another file, or "
                "--force to make it anew"
            )
    return True


def hash_of(target: Target) -> str:
    """Of files here: what a commit is on the hub."""
    assert target.path is not None
    if target.kind == "run":
        from gemstones.train.checkpoint import COMPLETE, at_step

        marker = at_step(target.path, target.step or 0).folder / COMPLETE
        return hashlib.sha256(without_checksum(marker.read_bytes())[0]).hexdigest()
    return content_hash(target.path)
