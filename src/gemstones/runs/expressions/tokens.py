"""Text → the pieces of an expression, one at a time, and errors that point at the character.

What is read depends on what can stand there: a known column `val-loss` is one name where a value is expected, and
where an operator is expected `-` is minus.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NoReturn

from gemstones.errors import InvalidRequest
from gemstones.runs.one_line import one_line

LONGEST_TEXT = 100_000
"""Characters of one expression."""

SYMBOLS = {
    **{sign: sign for sign in ("+", "-", "*", "/", "//", "%", "^", "=", "!=", "<", "<=", ">", ">=")},
    **{"**": "^", "==": "=", "<>": "!=", "&": "and", "&&": "and", "|": "or", "||": "or"},
    **{"−": "-", "×": "*", "·": "*", "÷": "/", "≤": "<=", "≥": ">=", "≠": "!="},
}
"""Operators as they are written, and their names."""

WORDS = frozenset({"and", "or", "not", "in", "between", "like", "ilike", "is"})
"""Operators that are words, in any case."""

_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"[^\W\d]\w*")
_LONG_WORD = re.compile(r"[\w./:@#-]+")
_SYMBOL = re.compile("|".join(re.escape(sign) for sign in sorted(SYMBOLS, key=len, reverse=True)))
_NUMBER = re.compile(
    r"(?:[1-9][0-9]{0,2}(?:_[0-9]{3})+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?)"
    r"[KMBGTPEZYkmbgtpezy]?(?![\w.])"
)
_PIECE = re.compile(rf"[\w.]+|{_SYMBOL.pattern}|\S")
"""What an error shows of the place that it points at."""
_QUOTED = {quote: re.compile(f"{quote}((?:[^{quote}]|{quote}{quote})*){quote}") for quote in "'\"`"}
_OPENING = "'\"`()+-−,"
"""What a name may begin with only in quotes, for a value may."""
_RESERVED = frozenset({"not", "null", "true", "false"})
"""Words that are no column where a value is expected, unless quoted."""


class Tokens:
    """A text, the known names of columns, and how far the text has been read."""

    def __init__(self, text: str, names: Iterable[str], what: str) -> None:
        self.text, self.what, self.at = text, what, 0
        self.names = dict.fromkeys(names)
        self._bare = {name for name in self.names if name and not (name[0] in _OPENING or name[0].isspace())}
        self._lengths = sorted({len(name) for name in self._bare}, reverse=True)
        if len(text) > LONGEST_TEXT:
            raise InvalidRequest(
                f"{what} {one_line(text, 60)!r} has {len(text):,} characters: at most {LONGEST_TEXT:,} are read"
            )

    def error(self, at: int, rule: str, longest: int = 40) -> NoReturn:
        """Refuse the text, pointing at the character `at`."""
        raise InvalidRequest(self.message(at, rule, longest))

    def message(self, at: int, rule: str, longest: int = 40) -> str:
        """`rule` with the text and the character that it is about."""
        piece = _PIECE.match(self.text, at)
        found = repr(one_line(piece[0], longest)) if piece else "the end"
        return f"{self.what} {one_line(self.text)!r}: character {at + 1}, {found}: {rule}"

    def skip(self) -> int:
        """Pass over spaces; where the next piece starts."""
        space = _SPACE.match(self.text, self.at)
        self.at = space.end() if space else self.at
        return self.at

    def ended(self) -> bool:
        """Whether nothing is left."""
        return self.skip() == len(self.text)

    def take(self, sign: str) -> bool:
        """Read `sign` if it is next."""
        self.skip()
        if not self.text.startswith(sign, self.at):
            return False
        self.at += len(sign)
        return True

    def word(self) -> str:
        """The word that is next, in small letters and not yet read; empty if there is none."""
        match = _WORD.match(self.text, self.skip())
        return match[0].lower() if match else ""

    def take_word(self, *words: str) -> str:
        """Read the next word if it is one of `words`; it, or nothing."""
        word = self.word()
        if word not in words:
            return ""
        self.at += len(word)
        return word

    def operator(self) -> tuple[str, int]:
        """The name of the operator that is next and the characters that it takes, not yet read; or nothing."""
        word = self.word()
        if word in WORDS:
            return word, len(word)
        sign = _SYMBOL.match(self.text, self.at)
        return (SYMBOLS[sign[0]], len(sign[0])) if sign else ("", 0)

    def number(self) -> str:
        """The number that is next, not yet read; empty if there is none."""
        match = _NUMBER.match(self.text, self.skip())
        return match[0] if match else ""

    def known_name(self) -> str:
        """The longest known column that is next, not yet read; empty if there is none."""
        at = self.skip()
        for length in self._lengths:
            name = self.text[at : at + length]
            if name in self._bare and name.lower() not in _RESERVED:
                after = self.text[at + length : at + length + 1]
                if not (_joined(name[-1]) and _joined(after)):
                    return name
        return ""

    def quoted(self) -> tuple[str, str]:
        """Read the quoted text that is next: the quote and what is inside; nothing if there is none."""
        at = self.skip()
        quote = self.text[at : at + 1]
        if quote not in _QUOTED:
            return "", ""
        match = _QUOTED[quote].match(self.text, at)
        if match is None:
            self.error(
                at, f"the quote is not closed: end it with {quote} (a {quote} inside is written twice)"
            )
        self.at = match.end()
        return quote, match[1].replace(quote * 2, quote)

    def long_word(self) -> str:
        """What is next and may be meant as one name: letters, digits and `_./:@#-`."""
        match = _LONG_WORD.match(self.text, self.skip())
        return match[0] if match else ""


def _joined(character: str) -> bool:
    return character.isalnum() or character == "_"
