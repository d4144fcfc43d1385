"""A runbook that was distilled from a plan that healed, until a person has accepted or discarded it."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from watchkeeper.domain.said import Said

DraftStatus = Literal["draft", "accepted", "discarded"]


@dataclass(frozen=True, slots=True)
class Draft:
    """`text` is the whole file: front matter, and the page for people. Only an accepted one is ever acted upon."""

    id: str
    name: str
    kind: str
    """Of the resources that it is for: `redis`."""
    status: DraftStatus
    at: datetime
    text: str
    author: str
    """Whose plan it was."""
    incident: str
    fixes: tuple[str, ...]
    """Those that were proven to have healed by it, the first first."""
    rules: tuple[str, ...]
    """The alerts for which it is."""
    likeness: str = ""
    """The same for two that do the same about the same, whatever their pages say."""
    doubts: tuple[str, ...] = ()
    """What to look at before it is accepted."""
    said: Said | None = None
    """Who accepted or discarded it."""

    def healed_again(self, fix: str) -> "Draft":
        return replace(self, fixes=tuple(dict.fromkeys((*self.fixes, fix))))

    def decided(self, status: DraftStatus, said: Said, text: str | None = None) -> "Draft":
        return replace(self, status=status, said=said, text=self.text if text is None else text)
