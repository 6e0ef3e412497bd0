"""What can be wrong with documents and with a corpus."""

from __future__ import annotations

from gemstones.errors import Failure, UserError
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


class ChangedWhileReadError(Failure):
    """A file of text is not what it was when the build began: what was read of it is worth nothing."""

    def __init__(self, path: object) -> None:
        self.path = str(path)
        super().__init__(
            f"{one_line(path, 300)} was changed while the corpus was built, and may be changing still: build from a "
            "copy of it, or name files and folders without it"
        )

    def __reduce__(self) -> tuple[type[ChangedWhileReadError], tuple[str]]:
        # As it was made: an exception is pickled with its message alone.
        return type(self), (self.path,)
