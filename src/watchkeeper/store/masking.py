"""Secrets stay home: known secret values are masked before anything is written."""

import re
from collections.abc import Mapping
from typing import Any, cast

_SECRET_NAME = re.compile(r"(?i)(passw(or)?d|secret|token|api_?key|credential|private_?key|access_?key)")
_URL_PASSWORD = re.compile(r"(?P<start>[a-z][a-z0-9+.-]*://[^\s:/@]*:)(?P<secret>[^\s@/]+)(?=@)")
MASK = "•••"
SHORTEST = 4
"""Shorter values are not masked: they would blot out ordinary text."""


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

    def learn_environment(self, variables: Mapping[str, str]) -> None:
        """Take the values whose names say that they are secret, and passwords inside URLs."""
        for name, value in variables.items():
            if _SECRET_NAME.search(name):
                self.learn(value)
            self.learn(*(match["secret"] for match in _URL_PASSWORD.finditer(value)))

    def text(self, text: str) -> str:
        masked = self._pattern.sub(MASK, text) if self._pattern else text
        return _URL_PASSWORD.sub(lambda match: match["start"] + MASK, masked) if "://" in masked else masked

    def value(self, value: Any) -> Any:
        """The same for anything made of dicts, lists and strings."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in cast("dict[str, Any]", value).items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in cast("list[Any]", value)]
        return value
