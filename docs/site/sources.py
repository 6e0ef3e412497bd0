"""The pages of the repository in one folder for Sphinx, with the links between them kept.

A page of `docs/` is at the top, so that `docs/laws.md` is `laws.html`; a page of another folder keeps its path.
Whatever else a page links to (a script, a picture, a suite file) is copied beside it: the site is whole without the
repository.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]
PATTERNS = (
    "docs/*.md",
    "docs/tutorials/*.ipynb",
    "benchmarks/*.md",
    "studies/*/*.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LOG.md",
)
"""The pages of the site, among them those that are read on their own too."""

_FENCE = re.compile(r"^(`{3,}).*?^\1`*$", re.MULTILINE | re.DOTALL)
_ADDRESS = re.compile(
    r"`+[^`\n]*`+|\[[^\]\n]*\]\([^)\n]*\)|[<\"(]https?://|(?P<bare>https?://[^\s|,;)>\"]*[^\s|,;.)>\"])"
)
_PATH_AS_TEXT = re.compile(r"\[((?:[\w./-]+/)?[\w-]+\.md)\]\(((?:[^)\s#]*/)?[\w.-]+\.md)(?=\))")
"""A link whose text is a path: on the site it has the title of that page."""
_LINK = re.compile(r"(\]\(|\bsrcset=\"|\bsrc=\")(?![a-z]+:|#)([^)\s#\"]+)")


def pages() -> list[Path]:
    """Every page of the repository that is a page of the site."""
    found = [path for pattern in PATTERNS for path in sorted(ROOT.glob(pattern))]
    return [path for path in found if not path.name.startswith("my-")]  # what readers of tutorials make


def place(path: Path) -> PurePosixPath:
    """Where a file of the repository is in the folder of sources: those of `docs/` at the top."""
    relative = PurePosixPath(path.relative_to(ROOT).as_posix())
    return PurePosixPath(*relative.parts[1:]) if relative.parts[0] == "docs" else relative


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """The text of a Markdown page with `change` applied to all that is not a block of code."""
    parts, at = [], 0
    for fence in _FENCE.finditer(text):
        parts += [change(text[at : fence.start()]), fence.group()]
        at = fence.end()
    return "".join([*parts, change(text[at:])])


def linked(text: str, path: Path) -> Iterator[Path]:
    """The files of the repository that a page's text links to, as they are found from the page at `path`."""
    for match in _LINK.finditer(_FENCE.sub("", text)):
        yield Path(os.path.normpath(path.parent / match[2]))


def with_links(text: str, path: Path) -> str:
    """The text of the page at `path`, with every link to a file as it is in the folder of sources."""
    here = place(path).parent

    def moved(match: re.Match[str]) -> str:
        target = place(Path(os.path.normpath(path.parent / match[2])))
        return match[1] + PurePosixPath(os.path.relpath(target, here)).as_posix()

    def changed(prose: str) -> str:
        return _ADDRESS.sub(_link, _LINK.sub(moved, _PATH_AS_TEXT.sub(r"[](\2", prose)))

    return outside_code(text, changed)


def _link(match: re.Match[str]) -> str:
    """A bare address as a link; code, and what is a link already, as it is."""
    return f"<{match['bare']}>" if match["bare"] else match[0]


def write_if_new(path: Path, text: str) -> None:
    """Write a page unless it says the same already: Sphinx reads again what is newer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def gather(folder: Path) -> None:
    """Write every page of the repository, and what it links to, below `folder`."""
    whole = pages()
    for path in whole:
        text = path.read_text("utf-8")
        if path.suffix == ".ipynb":
            notebook = json.loads(text)
            prose = [cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
            found = [one for cell in prose for one in linked("".join(cell["source"]), path)]
            for cell in prose:
                cell["source"] = with_links("".join(cell["source"]), path)
            text = json.dumps(notebook, ensure_ascii=False, indent=1)
        else:
            found = list(linked(text, path))
            text = with_links(text, path)
        write_if_new(folder / place(path), text)
        for file in found:
            if file not in whole and file.is_file():
                (folder / place(file)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, folder / place(file))
