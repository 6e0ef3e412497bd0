"""The text of an HTML page, with the standard library's tolerant parser.

Scripts, styles and navigation are dropped, entities decoded, blocks put on lines of their own; white space
is that of a browser: runs of it are one space, but for `<pre>`.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

DROPPED = frozenset({"script", "style", "nav", "template", "noscript", "svg"})
"""Elements whose content is not text of the page."""

BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd", "details",
    "dialog", "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2",
    "h3", "h4", "h5", "h6", "head", "header", "hgroup", "hr", "html", "legend", "li", "main", "menu",
    "ol", "optgroup", "option", "p", "pre", "section", "summary", "table", "tbody", "tfoot", "thead",
    "title", "tr", "ul",
})  # fmt: skip
"""Elements that begin and end a line (HTML Living Standard §15.3.3, and `br`)."""

CELLS = frozenset({"td", "th"})
"""Elements apart from their neighbours, on the same line."""

_SPACES = re.compile(r"[ \t\n\r\f]+")
_EMPTY_LINES = re.compile(r"\n{3,}")


def html_text(page: str) -> str:
    """The text of `page`, without surrounding white space.

    >>> html_text("<p>a &amp; b<script>x()</script><p>c")
    'a & b\\nc'
    """
    parser = _Text()
    parser.feed(page)
    parser.close()
    return parser.text()


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._dropped: list[str] = []  # open elements, from the outermost dropped one
        self._preformatted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._dropped or tag in DROPPED:
            # Only the same names nest: what is left open inside must not hide the end.
            if not self._dropped or tag == self._dropped[0]:
                self._dropped.append(tag)
            return
        self._separate(tag)
        if tag == "pre":
            self._preformatted += 1

    def handle_endtag(self, tag: str) -> None:
        if self._dropped:
            if tag == self._dropped[0]:
                self._dropped.pop()
            return
        self._separate(tag)
        if tag == "pre":
            self._preformatted = max(0, self._preformatted - 1)

    def handle_data(self, data: str) -> None:
        if not self._dropped:
            self._parts.append(data if self._preformatted else _SPACES.sub(" ", data))

    def _separate(self, tag: str) -> None:
        if tag in BLOCKS:
            self._parts.append("\n")
        elif tag in CELLS:
            self._parts.append(" ")

    def text(self) -> str:
        joined = "".join(self._parts)
        lines = (line.rstrip() for line in joined.split("\n"))
        return _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip()
