"""Lists on the command line, `a,b,c`: one rule for all of them, also where a comma may stand for something else.

Half of the world writes 1.5e22 as 1,5e22, and anybody 1000000 as 1,000,000. Taken as lists these are two and three
other numbers, so what may be meant so is refused with both ways to write it. A space after the comma makes it a list.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gemstones.errors import InvalidRequest
from gemstones.units import SUFFIXES, read_number

_HEAD = re.compile(r"[+-]?[0-9]{1,3}")
"""What can stand before a decimal comma, or a first separator of thousands."""
_TAIL = re.compile(
    rf"[0-9]+(?P<scale>(?:[eE][+-]?[0-9]+)?\s*[{''.join(SUFFIXES)}{''.join(SUFFIXES).lower()}]?)"
)
"""What can stand behind one."""


def listed(text: str, what: str, like: str) -> tuple[str, ...]:
    """The items of `a,b,c`; raises `InvalidRequest` where one is empty, naming the list `what` and an example, `like`.

    >>> listed("lr, batch", "optimum", "lr,batch")
    ('lr', 'batch')
    """
    items = tuple(item.strip() for item in text.split(","))
    if not any(items):
        raise InvalidRequest(f"{what} {text!r} names nothing: write it like {like}")
    if not all(items):
        raise InvalidRequest(f"{what} {text!r} has a comma with nothing beside it: write it like {like}")
    return items


def listed_numbers(text: str, what: str, like: str, *, counted: bool = False) -> tuple[str, ...]:
    """As `listed`, for numbers: a comma that may be part of a number is refused with both ways to write it.

    `counted` are numbers of things in their thousands and more: there 1,5 is no list of two.

    >>> listed_numbers("50M,100M,2B", "sizes", "50M,2B"), listed_numbers("1, 5e22", "budgets", "1e20,1e22")
    (('50M', '100M', '2B'), ('1', '5e22'))
    """
    if ";" in text:
        raise InvalidRequest(
            f"{what} {text!r}: separate numbers with commas, and write decimals with a point"
        )
    items = listed(text, what, like)
    raw = text.split(",")
    for place in range(len(raw) - 1):
        found = _one_number(raw[place:], counted)
        if found is not None:
            joined, meant = found
            raise InvalidRequest(
                f"{what} {text!r}: {joined!r} may be one number or a list: write {meant}, or {', '.join(items)!r} "
                "with spaces for a list"
            )
    return items


def _one_number(raw: Sequence[str], counted: bool) -> tuple[str, str] | None:
    """The first items as the one number that they may be, as it was written and as it should be; None for a list."""
    head, *tails = raw
    head = head.lstrip()
    match = _TAIL.fullmatch(tails[0].rstrip())
    if match is None or not _HEAD.fullmatch(head):
        return None
    thousands = re.match(r"(?:[0-9]{3},)*[0-9]{3}(?![0-9.])", ",".join(tails))
    # 0.25 and 1.05 as 0,25 and 1,05: nobody begins a number of a list with a zero.
    zero = head.strip("+-0") == "" or (tails[0].startswith("0") and len(match[0]) - len(match["scale"]) > 1)
    if not (counted or zero or match["scale"]):
        return None
    if thousands is not None and head.strip("+-0") and not match["scale"]:
        joined = f"{head},{thousands[0]}"
        return joined, joined.replace(",", "")
    joined = f"{head},{tails[0].rstrip()}"
    meant = joined.replace(",", ".")
    return (joined, meant) if read_number(meant) is not None else None
