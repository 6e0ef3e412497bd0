"""What makes pictures of charts, with the font that it brings.

vl-convert opens a font that is installed anew for every letter that it draws, a third of the time; the
same font, Liberation Sans, that it brings it has in memory. So folders of installed fonts that have that one are hidden
from it. Other installed fonts stay in sight, for letters that this one lacks.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

BROUGHT = "LiberationSans*"
"""Files of the font that vl-convert brings, where it is installed too."""
SYSTEM = Path("/etc/fonts/fonts.conf")
"""Where a Linux says which folders have fonts."""
SETTING = "FONTCONFIG_FILE"
_EMPTY = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'


@lru_cache(maxsize=1)
def painter() -> Any:
    """vl-convert, which has looked for fonts; whoever has set up fonts for themselves has theirs."""
    import vl_convert

    own = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "fontconfig" / "fonts.conf"
    if sys.platform != "linux" or SETTING in os.environ or own.exists() or not SYSTEM.exists():
        return vl_convert
    with tempfile.NamedTemporaryFile("w", suffix=".conf", encoding="utf-8") as file:
        file.write(configuration(folders(SYSTEM.read_text(encoding="utf-8", errors="replace"))))
        file.flush()
        os.environ[SETTING] = file.name  # read with the first picture, once
        try:
            vl_convert.svg_to_png(_EMPTY)
        finally:
            del os.environ[SETTING]
    return vl_convert


def folders(system: str) -> list[Path]:
    """Folders that the configuration `system` names and those below them, without those of the font that is brought."""
    named = re.findall(r'<dir(?: prefix="([a-z]*)")?>([^<]+)</dir>', system)
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    roots = [Path(data if prefix == "xdg" else "", name).expanduser() for prefix, name in named]
    return list(_without(root for root in roots if root.is_dir()))


def _without(roots: Iterable[Path]) -> Iterator[Path]:
    for root in roots:
        if next(root.rglob(BROUGHT), None) is None:
            yield root
        elif next(root.glob(BROUGHT), None) is None:
            yield from _without(sorted(path for path in root.iterdir() if path.is_dir()))


def configuration(shown: Iterable[Path]) -> str:
    """For fontconfig: fonts are in the folders `shown`."""
    dirs = "".join(f"<dir>{escape(str(path))}</dir>" for path in shown)
    return f'<?xml version="1.0"?><fontconfig>{dirs}</fontconfig>'
