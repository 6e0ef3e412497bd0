"""Values by column as options write them, like N=1B,T=100B."""

from __future__ import annotations

from gemstones.errors import InvalidRequest
from gemstones.lists import listed


def values_by_column(text: str | None, option: str) -> dict[str, str]:
    """What `text` gives each column; empty for None. Raises `InvalidRequest` for a part without a value, or twice.

    >>> values_by_column("N=1B,T=100B", "--at")
    {'N': '1B', 'T': '100B'}
    """
    values: dict[str, str] = {}
    for item in [] if text is None else listed(text, option, "N=1B,T=100B"):
        name, sign, value = (part.strip() for part in item.partition("="))
        if not (sign and name and value):
            raise InvalidRequest(
                f"{option} {text!r}: {name!r} has no value: write it like N=1B,T=100B, and decimals with a point, "
                "N=1.5B"
            )
        if name in values:
            raise InvalidRequest(f"{option} {text!r} gives {name} twice: give each column one value")
        values[name] = value
    return values
