"""Sphinx's settings; the folder of sources is made by `docs.site`, and nothing is fetched from a network."""

from __future__ import annotations

import re

import gemstones
from docs.site.prose import rst

project = "gemstones"
author = "The Gemstones authors"
copyright = "2026, the Gemstones authors, MIT licence"  # noqa: A001 - Sphinx's name
release = version = gemstones.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc"]
exclude_patterns = ["**/README.txt"]
root_doc = "index"
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", ".*"),
    ("std:option", ".*"),
]  # types of others, and of modules that are not public
smartquotes = False  # what is quoted is typed in a terminal

myst_enable_extensions = ["attrs_inline", "colon_fence"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # tutorials are shown as they are committed; the tests run them
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "inherited-members": True, "undoc-members": False}
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
autodoc_type_aliases = {name: name for name in ("ArrayLike", "FloatArray", "Runs")}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
add_module_names = False
toc_object_entries = False

html_theme = "furo"
html_title = "gemstones"
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_theme_options = {
    "navigation_with_keys": True,
    "light_css_variables": {"color-brand-primary": "#0b5cad", "color-brand-content": "#0b5cad"},
    "dark_css_variables": {"color-brand-primary": "#7db8f0", "color-brand-content": "#7db8f0"},
}
pygments_style = "default"
pygments_dark_style = "github-dark"


def _docstring(app: object, what: str, name: str, of: object, options: object, lines: list[str]) -> None:
    """Docstrings are plain prose with `code`."""
    lines[:] = rst(lines)


def _signature(
    app: object,
    what: str,
    name: str,
    of: object,
    options: object,
    signature: str | None,
    returned: str | None,
) -> tuple[str | None, str | None]:
    """A default that is made anew each time is three dots, which parse."""
    return re.sub(r"<[^<>]*>", "...", signature) if signature else signature, returned


def setup(app: object) -> dict[str, bool]:
    """Connect what turns docstrings into reStructuredText."""
    app.connect("autodoc-process-docstring", _docstring)  # type: ignore[attr-defined]
    app.connect("autodoc-process-signature", _signature)  # type: ignore[attr-defined]
    return {"parallel_read_safe": True}
