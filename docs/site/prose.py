"""Plain prose with `code` in it, as help texts and docstrings have it, in Markdown and in reStructuredText.

Nothing but backticks is markup there: a star, a bar or an underscore is meant. `docs/laws.md` in prose becomes a link
with the title of that page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
_PAGE = re.compile(r"`?docs/([a-z-]+)\.md`?")


def _apart(text: str) -> list[tuple[bool, str]]:
    """Code and prose in turn."""
    parts, at = [], 0
    for match in _CODE.finditer(text):
        parts += [(False, text[at : match.start()]), (True, match[2])]
        at = match.end()
    return [*parts, (False, text[at:])]


def markdown(text: str, up: str = "") -> str:
    """One paragraph as Markdown; `up` leads from its page to the top of the site."""

    def plain(prose: str) -> str:
        escaped = re.sub(r"([\\*_\[\]<>|~$#])", r"\\\1", prose)
        return _PAGE.sub(lambda page: f"[]({up}{page[1]}.md)", escaped)

    linked = _PAGE.sub(lambda page: page[0].strip("`"), text)
    return "".join(f"`{part}`" if code else plain(part) for code, part in _apart(linked))


def _rst(paragraph: str) -> str:
    def plain(prose: str) -> str:
        escaped = re.sub(r"([\\*|])", r"\\\1", prose)
        escaped = re.sub(r"_(?!\w)", r"\\_", escaped)
        return _PAGE.sub(lambda page: f":doc:`/{page[1]}`", escaped)

    said = ""
    linked = _PAGE.sub(lambda page: page[0].strip("`"), paragraph)
    for code, part in _apart(linked):
        if code:
            said += ("\\ " if said[-1:].isalnum() else "") + f"``{part.replace(chr(10), ' ')}``"
        elif part:
            said += ("\\ " if said and part[0].isalnum() else "") + plain(part)
    return said


def rst(lines: Sequence[str]) -> list[str]:
    """A docstring's lines as reStructuredText: paragraphs, lists, blocks of code, examples."""
    blocks = re.split(r"\n[ ]*\n", "\n".join(lines).strip("\n"))
    found: list[str] = []
    for block in blocks:
        if block.lstrip().startswith(">>> "):
            found.append(".. code-block:: pycon\n\n" + "\n".join(f"   {line}" for line in block.splitlines()))
        elif block.startswith(("    ", "  ")):
            found.append("::\n\n" + "\n".join(f"   {line}" for line in block.splitlines()))
        else:
            found.append(_rst(block))
    return "\n\n".join([*found, ""]).splitlines()
