"""Words of a text that a model knows, and those it does not."""

import re
from collections.abc import Iterable
from typing import Any

from watchkeeper_monitor.rare import LONGEST_TEXT

KNOWN, UNKNOWN = "known", "unknown"
"""What words are counted as where they are compared with a reference's."""
_WORD = re.compile(r"\w+")


def vocabulary_of(words: Iterable[str]) -> frozenset[str]:
    """Words as they are looked up: in lower case."""
    return frozenset(word.lower() for word in words)


def of_texts(texts: Iterable[Any], vocabulary: frozenset[str]) -> dict[str, int]:
    """How many words of these texts are known, and how many are not; each text as far as `track` looks at it."""
    words = unknown = 0
    for text in texts:
        if text is not None:
            more, new = counted(str(text)[:LONGEST_TEXT], vocabulary)
            words, unknown = words + more, unknown + new
    return {KNOWN: words - unknown, UNKNOWN: unknown}


def counted(text: str, vocabulary: frozenset[str]) -> tuple[int, int]:
    """How many words a text has, and how many of them are not in the vocabulary."""
    words = _WORD.findall(text.lower())
    return len(words), sum(word not in vocabulary for word in words)
