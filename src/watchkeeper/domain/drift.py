"""Drift: what is live and is not what the user's own configuration declares; and the patch that would declare it."""

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

_SECRET = re.compile(
    r"(?i)(passw(or)?d|requirepass|masterauth|secret|token|api_?key|credential|private_?key|access_?key)"
)
_UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1 << 10, "m": 1000**2, "mb": 1 << 20, "g": 1000**3, "gb": 1 << 30}


@dataclass(frozen=True, slots=True)
class Edit:
    """Characters `start` to `end` of a file's content become `text`."""

    file: str
    content: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Declared:
    """One setting, live and as declared. `key` is its name among the changes that are noticed; `declared` is None where
    the declaration does not set it or cannot be seen. `line` is what would have to stand there."""

    key: str
    setting: str
    live: str
    declared: str | None
    where: str
    """The file, or in words what `line` would have to stand in."""
    line: str
    edit: Edit | None = None
    why_not: str = ""
    """Why there is no patch."""
    certain: bool = True
    """False where live and declared may differ without anybody having changed it."""
    lost: bool = False
    """It may be declared where nobody can read it any more: on a command line that the server has written over."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One setting that is live and not declared."""

    resource: str
    setting: str
    declared: str | None
    live: str
    where: str
    line: str
    why_not: str = ""
    since: datetime | None = None
    fix: str | None = None
    by: str = ""
    was: str = ""
    """What it was before it was first seen to change, where what is declared cannot be read any more."""

    @property
    def text(self) -> str:
        who = f"by {self.fix}" if self.fix else "not by Watchkeeper" if self.by else "by whom is not known"
        declared = f"declared {self.declared}" if self.declared is not None else "not declared"
        declared = f"{self.was} before it was changed" if self.was else declared
        return f"{self.setting}: {declared}, live {self.live}, {who}"


@dataclass(frozen=True, slots=True)
class Patch:
    """A unified diff of one file, its names relative to the root directory."""

    file: str
    diff: str
    note: str = ""


def size(text: str, *, binary: bool = False) -> int | None:
    """Bytes in `128mb`, `1g`. `binary`: compose's way, where k is 1024 too; else Redis' (k 1000, kb 1024).

    >>> size("128mb"), size("1k"), size("256m", binary=True), size("${LIMIT}")
    (134217728, 1000, 268435456, None)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.strip("'\" ").lower())
    unit = match[2] if match else ""
    if binary and unit in ("k", "m", "g"):
        unit += "b"
    return int(float(match[1]) * _UNITS[unit]) if match and unit in _UNITS else None


def patches(edits: Sequence[Edit], hides: Callable[[str], bool]) -> list[Patch]:
    """One diff a file. `hides` says whether a text holds a secret: then it is shown with less around it."""
    by_file: dict[str, list[Edit]] = {}
    for edit in edits:
        by_file.setdefault(edit.file, []).append(edit)
    made: list[Patch] = []
    for file, wanted in sorted(by_file.items()):
        content = wanted[0].content
        changed = content
        for edit in sorted((e for e in wanted if e.content == content), key=lambda e: e.start, reverse=True):
            changed = changed[: edit.start] + edit.text + changed[edit.end :]
        if changed != content:
            made.append(_patch(file, content, changed, hides))
    return made


def _patch(file: str, before: str, after: str, hides: Callable[[str], bool]) -> Patch:
    name = file.lstrip("/")
    for context in (3, 2, 1, 0):
        lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), name, name, n=context)
        diff = "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
        body = diff.partition("@@")[2]
        if not _SECRET.search(body) and not hides(body):
            note = "" if context else "a secret is near, so nothing around it is shown: git apply --unidiff-zero"
            return Patch(file, diff, note)
    return Patch(file, "", "a secret stands in the very line: change it by hand")
