"""What people say about incidents and fixes: rows, so that it holds after a crash."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Said:
    """Who said it, when, and why where they told."""

    by: str
    at: datetime
    note: str = ""

    @property
    def told(self) -> str:
        return f"{self.by.partition(':')[2] or self.by}" + (f": {self.note}" if self.note else "")


@dataclass(frozen=True, slots=True)
class Stop:
    """That a fix goes no further. `id` is the fix's. Read before each of its steps, and before it is judged.

    `undo`: whether what was done is taken back then, where it has an undo; else it is left as it is.
    """

    id: str
    said: Said
    undo: bool = False

    @property
    def at(self) -> datetime:
        return self.said.at

    @property
    def told(self) -> str:
        return f"stopped by {self.said.told}"
