"""The tutorials run, say what is committed, and are clean.

`python -m tests.test_tutorials` runs them and writes what they print and draw into the notebooks.
"""

from __future__ import annotations

import base64
import os
import re
import struct
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "docs" / "tutorials"
TUTORIALS = sorted(FOLDER.glob("*.ipynb"))
CHECK = "check-"
"""Before the identifiers of cells that only check."""
LARGEST = 400_000
"""Bytes of a committed notebook, pictures included."""


def with_its_data(path: Path) -> Any:
    """A tutorial as a parameter, marked where it reads published files."""
    published = re.search(r'gs\.load\(\\"(gemstones|chinchilla)', path.read_text("utf-8"))
    return pytest.param(path, marks=[pytest.mark.published_data] if published else [])


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def checks(path: Path) -> dict[str, str]:
    """What must hold after a cell, by the cell's first line: statements of `tests/tutorials`, which teach nothing."""
    text = (Path(__file__).parent / "tutorials" / f"{path.stem}.txt").read_text("utf-8")
    parts = (part.partition("\n") for part in text.split("\n@ ")[1:])
    return {first: code for first, _, code in parts}


def checked(notebook: Any, path: Path) -> Any:
    """The notebook with a cell of assertions after each that has some."""
    wanted, cells = checks(path), []
    for cell in notebook.cells:
        cells.append(cell)
        first = cell.source.partition("\n")[0]
        if cell.cell_type == "code" and first in wanted:
            cells.append(nbformat.v4.new_code_cell(wanted.pop(first), id=CHECK + cell.id))
    assert not wanted, f"no cell begins so: {[*wanted]}"
    notebook.cells = cells
    return notebook


def executed(path: Path, folder: Path) -> Any:
    """The notebook, run in `folder` with its checks; a cell that raises is an error here."""
    notebook = checked(read(path), path)
    state = {name: str(folder / name.lower()) for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR")}
    commands = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    work = folder / "work"
    work.mkdir()
    client = NotebookClient(
        notebook,
        timeout=900,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(work)}},
    )
    client.execute(env=os.environ | state | {"PATH": commands, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"})
    notebook.cells = [cell for cell in notebook.cells if not cell.id.startswith(CHECK)]
    for count, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), 1):
        cell.execution_count = count
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
    for output in outputs(notebook):
        if output.output_type == "stream":  # kernels ask commands for bold
            output.text = re.sub(r"\x1b\[[\d;]*m", "", output.text)
    return notebook


def outputs(notebook: Any) -> Iterator[Any]:
    for cell in notebook.cells:
        yield from cell.get("outputs", ())


def words(notebook: Any) -> list[list[str]]:
    """What each cell says, but for its numbers: their last digits are the machine's."""
    number = r"[-+−]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?[KMBT]?\b"
    shown = (
        [output.get("text") or output.get("data", {}).get(kind, "")]
        for output in outputs(notebook)
        for kind in ("text/plain", "text/html")
    )
    return [[re.sub(r"[─\s]+", " ", re.sub(number, "#", text)) for text in said] for said in shown]


@pytest.mark.long
@pytest.mark.parametrize("path", [*map(with_its_data, TUTORIALS)], ids=lambda path: path.stem)
def test_it_runs_and_says_what_is_committed(path: Path, tmp_path: Path) -> None:
    """If only words differ: `python -m tests.test_tutorials`, and look at what has changed."""
    made, committed = executed(path, tmp_path), read(path)
    kinds = [[sorted(o.get("data", {o.output_type: 0})) for o in outputs(n)] for n in (made, committed)]
    assert kinds[0] == kinds[1]
    assert words(made) == words(committed)


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_what_is_committed_is_clean(path: Path) -> None:
    notebook, text = read(path), path.read_text("utf-8")
    nbformat.validate(notebook)
    assert len(text) < LARGEST
    without_pictures = re.sub(r'"image/png": "[^"]*"', "", text)
    for leak in (r"/tmp\b", r"/home/", r"/root/", r"/work/", r"\bat 0x[0-9a-f]+", r"\bhttp://", r"Traceback"):
        assert re.search(leak, without_pictures) is None, leak
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert all(output.output_type != "error" and not output.get("metadata") for output in outputs(notebook))
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert all(set(cell.metadata) <= {"tags"} for cell in notebook.cells)
    drawn = [cell for cell in code if re.search(r"^gs\.\w+_figure\(", cell.source, re.MULTILINE)]
    assert len(drawn) >= 3
    assert all(any("image/png" in output.get("data", {}) for output in cell.outputs) for cell in drawn)


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_it_teaches_and_its_checks_are_here(path: Path) -> None:
    code = [cell.source for cell in read(path).cells if cell.cell_type == "code"]
    assert not any(re.search(r"^assert ", source, re.MULTILINE) for source in code)
    assert sum(text.count("assert ") for text in checks(path).values()) >= 15


def test_there_are_two() -> None:
    assert [path.stem for path in TUTORIALS] == ["fit-your-own-runs", "read-a-law-critically"]


# ---------------------------------------------------------------- writing them


def clean(notebook: Any) -> Any:
    """Without what differs from machine to machine, and with smaller pictures."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for output in outputs(notebook):
        output.pop("metadata", None)
        if output.output_type != "stream":
            output.metadata = {}
        if "image/png" in output.get("data", {}):
            picture = base64.b64decode(output.data["image/png"])
            output.data["image/png"] = base64.b64encode(compressed(picture)).decode()
    return notebook


def compressed(png: bytes) -> bytes:
    """The same picture, packed as tightly as zlib can."""
    chunks, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        chunks.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + length]))
        at += 12 + length
    pixels = zlib.compress(zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT")), 9)
    packed = [*(c for c in chunks if c[0] not in {b"IDAT", b"IEND"}), (b"IDAT", pixels), (b"IEND", b"")]
    return png[:8] + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in packed
    )


if __name__ == "__main__":
    for tutorial in TUTORIALS:
        with tempfile.TemporaryDirectory() as scratch:
            nbformat.write(clean(executed(tutorial, Path(scratch))), tutorial)
