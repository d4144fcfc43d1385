"""Answers of a bounded size, which say what they leave out: what an agent reads costs money."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

LARGEST = 12_000
"""Characters of an answer as JSON: about 4,000 tokens."""
_STAGES = ((200, 2000), (100, 1000), (50, 500), (20, 300), (10, 200), (5, 100), (2, 60))
"""How many items a list may have, and characters a text; the gentlest that fits is taken."""


DEEPEST = 10
"""Levels of nesting."""


class _TooMany(Exception):
    """More parts than characters are allowed: there is no need to write it down to know that it does not fit."""


def bounded(value: Any, largest: int = LARGEST) -> tuple[Any, list[str]]:
    """The value, cut to about so many characters, and a sentence for each cut. Types stay what they were.

    >>> bounded({"lines": ["a"] * 300})[1]
    ['lines: 100 of 300 left out']
    """
    for items, characters in _STAGES:
        knife = _Knife(items, characters, largest)
        try:
            cut = knife.cut(value, "", 0)
        except _TooMany:
            continue
        if len(json.dumps(cut, ensure_ascii=False, default=str)) <= largest:
            return cut, _few(knife.said)
    return None, [f"all of it: it is larger than {largest} characters however it is cut"]


def _few(said: list[str]) -> list[str]:
    return said if len(said) <= 8 else [*said[:8], f"and {len(said) - 8} more cuts"]


def sound(text: str) -> str:
    """Without halves of characters, which no message can carry: what a server keeps need not be text."""
    return text if text.isascii() else text.encode(errors="replace").decode()


class _Knife:
    """Cuts lists and mappings to so many items, texts to so many characters, and says where."""

    def __init__(self, items: int, characters: int, largest: int) -> None:
        self._items = items
        self._characters = characters
        self._left = largest
        self.said: list[str] = []

    def cut(self, value: Any, path: str, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise _TooMany
        if isinstance(value, str):
            if len(value) > self._characters:
                rest = len(value) - self._characters
                self.said.append(f"{path or 'text'}: {rest} of {len(value)} characters left out")
                value = value[: self._characters] + "…"
            return sound(value)
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, Mapping | list | tuple) and depth >= DEEPEST:
            self.said.append(f"{path}: left out, it is nested too deeply")
            return None
        if isinstance(value, Mapping):
            pairs = self._first(path, list(cast("Mapping[str, Any]", value).items()))
            return {
                sound(str(name)): self.cut(item, f"{path}.{name}" if path else str(name), depth + 1)
                for name, item in pairs
            }
        if isinstance(value, list | tuple):
            whole = self._first(path, cast("Sequence[Any]", value))
            return [self.cut(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(whole)]
        return value

    def _first(self, path: str, whole: Sequence[Any]) -> Sequence[Any]:
        if len(whole) > self._items:
            self.said.append(f"{path or 'answer'}: {len(whole) - self._items} of {len(whole)} left out")
        return whole[: self._items]
