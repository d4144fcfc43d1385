"""What `track` is rarely told: taken apart from the rest, so that nobody else pays for it."""

from collections.abc import Mapping
from typing import Any, TypedDict

LONGEST_TEXT = 10_000
"""Characters of a text that are looked at."""
DEPTH = 100
"""Items of a ranking that are kept, from the top."""
Extra = tuple[Any, Any, Any, Any, Any, Any, Any]
"""Escalated, cost, text, true label, segment, features, id."""


class Rare(TypedDict, total=False):
    """The rest of `Monitor.track`'s arguments; all may be left out."""

    escalated: bool | None
    """Whether it was handed to a person."""
    cost: float | None
    """In any one currency."""
    text: str | None
    """Looked at for its length and unknown words, and never kept."""
    true_label: Any
    """The truth, where it is known already."""
    segment: str | None
    """Part of the traffic that has figures of its own."""
    features: Mapping[str, Any] | None
    """What the model was given, by name: numbers or categories."""
    id: str | None
    """The caller's own, for a label that comes by id."""


def track(
    input_length: int | None,
    *,
    escalated: bool | None = None,
    cost: float | None = None,
    text: str | None = None,
    true_label: Any = None,
    segment: str | None = None,
    features: Mapping[str, Any] | None = None,
    id: str | None = None,
) -> tuple[int | None, Extra]:
    """The length of the input, and what was given besides. Named as Python's own error for a wrong name tells it."""
    if isinstance(text, str):
        input_length = len(text) if input_length is None else input_length
        text = text[:LONGEST_TEXT]
    return input_length, (escalated, cost, text, true_label, segment, features, id)
