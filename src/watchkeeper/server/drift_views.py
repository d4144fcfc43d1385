"""What the API shows of what is live and not declared."""

from datetime import datetime

from pydantic import BaseModel


class UndeclaredView(BaseModel):
    """One setting that is live and not declared; `text` tells it, `line` is what would have to stand in `where`."""

    resource: str
    setting: str
    declared: str | None
    live: str
    where: str
    line: str
    why_not: str
    since: datetime | None
    fix: str | None
    by: str
    was: str = ""
    """What it was before it was first seen to change, where what is declared cannot be read any more."""
    text: str


class PatchView(BaseModel):
    """A unified diff of one file; the names in it are relative to the root directory."""

    file: str
    diff: str
    note: str


class DriftPage(BaseModel):
    """What drifts, the patches that would declare it, and what could not be asked."""

    items: list[UndeclaredView]
    patches: list[PatchView]
    silent: list[str]
