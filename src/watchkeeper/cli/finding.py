"""One line of `watchkeeper doctor`."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """`missing` is something it can do without; `broken` is not; `more` is more than it needs."""

    subject: str
    state: Literal["ok", "missing", "broken", "more"]
    found: str
    advice: str = ""
