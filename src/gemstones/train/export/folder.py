"""The folder of an export, filled under another name beside the output and then renamed: whole or not at all."""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from gemstones.errors import InvalidRequest
from gemstones.files import trouble

CONFIG, GENERATION = "config.json", "generation_config.json"
TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
MARKER = "gemstones.json"
"""Tells an export of ours from other models."""
CARD = "README.md"
_FILE = re.compile(
    r"model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?|"
    + "|".join(map(re.escape, (CONFIG, GENERATION, TOKENIZER, TOKENIZER_CONFIG, MARKER, CARD)))
)


def check_output(output: Path, *, force: bool) -> None:
    """Refuse a folder that holds something; `force` lets another export pass, and nothing else."""
    target = output.resolve()
    if not target.exists():
        return
    if not target.is_dir():
        raise InvalidRequest(f"output {output} is a file: name a folder")
    there = sorted(path.name for path in target.iterdir())
    if not there:
        return
    foreign = [name for name in there if not _FILE.fullmatch(name)]
    if foreign or not {CONFIG, MARKER} <= set(there):
        raise InvalidRequest(
            f"output {output} holds other files than an export, like {(foreign or there)[0]}: name another "
            f"folder, or an empty one"
        )
    if not force:
        raise InvalidRequest(
            f"output {output} holds an export: name another folder, or --force to replace it"
        )


@contextlib.contextmanager
def whole_folder(output: Path, *, force: bool) -> Iterator[Path]:
    """A folder to fill that becomes `output` at the end of the block; an error deletes it.

    Raises `InvalidRequest` as `check_output`, and where no folder can be made.
    """
    check_output(output, force=force)
    target = output.resolve()
    filling = target.parent / f".{target.name}.{secrets.token_hex(4)}"
    replaced = filling.with_name(f"{filling.name}.replaced")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        filling.mkdir()
    except OSError as error:
        raise trouble(error, f"output {output} cannot be made") from None
    try:
        yield filling
        check_output(output, force=force)  # it took a while
        if target.exists():
            target.rename(replaced)
        filling.rename(target)
    finally:
        if replaced.exists() and not target.exists():
            replaced.rename(target)
        for folder in (filling, replaced):
            shutil.rmtree(folder, ignore_errors=True)
