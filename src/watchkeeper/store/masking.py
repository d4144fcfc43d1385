"""Secrets stay home: known secret values are masked before anything is written."""

import re
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any, cast

from pydantic_core import to_jsonable_python

_SECRET_NAME = re.compile(r"(?i)(passw(or)?d|secret|token|api_?key|credential|private_?key|access_?key)")
_NAMES_A_FILE = re.compile(r"(?i)_(file|path)$")
_PATH = re.compile(r"(/[\w.@-]+)+")
"""Where a secret is kept (`DB_PASSWORD_FILE=/run/secrets/db`) is none: who looks for a typo has to see it."""
_URL_PASSWORD = re.compile(r"(?P<start>[a-z][a-z0-9+.-]*://[^\s:/@]*:)(?P<secret>[^\s@/]+)(?=@)")
MASK = "•••"
SHORTEST = 4
"""Shorter values are not masked: they would blot out ordinary text."""
NAMES = frozenset(
    [
        "id",
        "slug",
        "name",
        "resource",
        "resources",
        "root",
        "rule",
        "kind",
        "tool",
        "incident",
        "cured",
        "others",
        "mended",
        "merged_into",
        "absorbed",
        "fix",
        "fixes",
        "open_fix",
        "approval",
        "subject",
        "author",
        "by",
        "approved_by",
        "decided_by",
        "policy",
        "approvers",
        "digest",
        "incarnation",
        "depends_on",
        "runs_on",
        "tried",
        "refused",
        "neighbours",
        "metrics",
        "healed",
        "status",
        "outcome",
        "severity",
        "health",
        "effect",
        "role",
        "level",
    ]
)
"""Fields of our own values that name something or are one of a few words. They are left as they are: with a password
like `redis` nothing would be found again. A tool's arguments and all free text are masked."""


class Masker:
    """Replaces every known secret, and every password in a URL, in whatever passes through.

    >>> masker = Masker(); masker.learn("hunter22"); masker.text("AUTH hunter22 via redis://:pw@host")
    'AUTH ••• via redis://:•••@host'
    """

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def learn(self, *secrets: str) -> None:
        """Values never to be shown again."""
        fresh = {secret for secret in secrets if len(secret) >= SHORTEST} - self._secrets
        if fresh:
            self._secrets |= fresh
            longest_first = sorted(self._secrets, key=len, reverse=True)
            self._pattern = re.compile("|".join(re.escape(secret) for secret in longest_first))

    def learn_environment(self, variables: Mapping[str, str], names: Collection[str] = ()) -> None:
        """Take the values whose names say that they are secret, and passwords inside URLs.

        A value that is one of `names`, what the thing itself is called, is no secret: everything would be blotted out.
        """
        for name, value in variables.items():
            found = [match["secret"] for match in _URL_PASSWORD.finditer(value)]
            if _SECRET_NAME.search(name) and not (_NAMES_A_FILE.search(name) and _PATH.fullmatch(value)):
                found.append(value)
            self.learn(*(secret for secret in found if secret not in names))

    def count(self, text: str) -> tuple[str, int]:
        """The same as `text`, with how many places were masked."""
        masked, known = self._pattern.subn(MASK, text) if self._pattern else (text, 0)
        masked, passwords = _URL_PASSWORD.subn(_without_password, masked)
        return masked, known + passwords

    def text(self, text: str) -> str:
        masked = self._pattern.sub(MASK, text) if self._pattern else text
        return _URL_PASSWORD.sub(_without_password, masked) if "://" in masked else masked

    def value(self, value: Any) -> Any:
        """The same for anything made of dicts, lists and strings, and for our own values, whose NAMES are left."""
        if isinstance(value, Enum | datetime | int | float | None):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self._key(key, item): self.value(item) for key, item in cast("Mapping[Any, Any]", value).items()}
        if isinstance(value, list):
            return [self.value(item) for item in cast("list[Any]", value)]
        if isinstance(value, tuple):
            return tuple(self.value(item) for item in cast("tuple[Any, ...]", value))
        if _ours(value):
            free = {field.name: getattr(value, field.name) for field in fields(value) if field.name not in NAMES}
            return replace(value, **{name: self.value(item) for name, item in free.items()})
        return self.value(to_jsonable_python(value, fallback=str))

    def hides(self, value: Any) -> bool:
        """Whether anything in it would be masked."""
        plain = to_jsonable_python(value, fallback=str)
        return self.value(plain) != plain

    def _key(self, key: Any, item: Any) -> Any:
        """What holds values of ours has their ids as keys."""
        return key if _ours(item) or not isinstance(key, str) else self.text(key)


def _without_password(match: re.Match[str]) -> str:
    return match["start"] + MASK


def _ours(value: Any) -> bool:
    return (
        is_dataclass(value) and not isinstance(value, type) and type(value).__module__.startswith("watchkeeper.domain.")
    )
