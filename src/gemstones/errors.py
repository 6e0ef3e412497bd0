"""What can go wrong, and with which exit status it ends.

    GemstonesError
    ├── UserError             exit 2: the value given, the rule it breaks, the remedy, in one line
    │   ├── InvalidQuantity     a number or a quantity with a suffix that cannot be read
    │   ├── InvalidShape        a shape that breaks a rule of the architecture
    │   ├── InvalidTable        a file or frame of runs: file, row, column and rule
    │   ├── InvalidPath         a path that cannot be read or written as it was named
    │   ├── InvalidRequest      a request that has no meaning for this data or this law
    │   │   └── UnknownArgument   a function has no argument of that name; a TypeError too
    │   └── EdgeOfSearch        an optimum on the edge of the shapes that were searched
    └── Failure               exit 1: nothing the user wrote is wrong
        ├── Unavailable         data that cannot be had: no network, offline mode
        └── MissingExtra        an optional dependency, with the command that installs it

Asserts guard our own logic only; everything a user can cause is one of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from gemstones.remedies import for_caller


class GemstonesError(Exception):
    """Base of every error raised on purpose; `exit_status` is the command line's.

    >>> issubclass(UserError, GemstonesError), issubclass(Failure, GemstonesError)
    (True, True)
    """

    exit_status: ClassVar[int] = 1

    @property
    def said(self) -> str:
        """The message as it is kept in results: what it tells to write are options of the command line."""
        return super().__str__()

    def __str__(self) -> str:
        """The message in the words of whoever called: options on the command line, arguments in Python."""
        return for_caller(self.said)


class UserError(GemstonesError, ValueError):
    """A mistake of the user's, a `ValueError` too: a line with the value, the rule and the remedy; `exit_status` is 2.

    >>> raise InvalidQuantity("tokens -1 must be positive and finite")
    Traceback (most recent call last):
    gemstones.errors.InvalidQuantity: tokens -1 must be positive and finite
    """

    exit_status: ClassVar[int] = 2


class InvalidQuantity(UserError):
    """A quantity that cannot be read."""


class InvalidShape(UserError):
    """A shape that breaks a rule of the architecture."""


class InvalidTable(UserError):
    """Runs that cannot be used: names file, row (counted from 1), column and rule, as far as they apply."""

    def __init__(self, rule: str, *, file: str = "", row: int | None = None, column: str = "") -> None:
        self.rule, self.file, self.row, self.column = rule, file, row, column
        where = [
            part
            for part in (file, f"row {row}" if row is not None else "", column and f"column {column}")
            if part
        ]
        super().__init__(f"{', '.join(where)}: {rule}" if where else rule)


class InvalidPath(UserError):
    """A path that cannot be read or written as it was named: no such folder, no permission, another's file."""


class InvalidRequest(UserError):
    """A request that has no meaning for this data or this law."""


class UnknownArgument(InvalidRequest, TypeError):
    """A function has no argument of that name: says what it is called here, or which there are."""


class EdgeOfSearch(UserError):
    """An optimum on the edge of the searched shapes: the true one may lie outside."""


class Failure(GemstonesError):
    """A failure that is not the user's mistake."""


class Unavailable(Failure):
    """Data that cannot be had from here."""


class MissingExtra(Failure):
    """An optional dependency that is not installed."""

    def __init__(self, extra: str, needed_for: str) -> None:
        self.extra, self.needed_for = extra, needed_for
        super().__init__(f"{needed_for} needs the extra '{extra}': pip install 'gemstones[{extra}]'")

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str]]:
        # As it was made: an exception is pickled with its message alone, and workers send theirs to the caller.
        return type(self), (self.extra, self.needed_for)


@contextmanager
def extra(name: str, needed_for: str) -> Iterator[None]:
    """Imports of an optional dependency: `MissingExtra` where it is not installed."""
    try:
        yield
    except ImportError:
        raise MissingExtra(name, needed_for) from None
