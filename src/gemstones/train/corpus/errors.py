"""What can be wrong with documents and with a corpus."""

from __future__ import annotations

from gemstones.errors import UserError
from gemstones.runs.one_line import one_line


class InvalidCorpus(UserError):
    """Text or token shards that cannot be used: names file and line, as far as they apply."""

    def __init__(self, rule: str, *, file: object = "", line: int | None = None) -> None:
        where = [
            part
            for part in (one_line(file, 300) if file else "", f"line {line}" if line is not None else "")
            if part
        ]
        super().__init__(f"{', '.join(where)}: {rule}" if where else rule)
