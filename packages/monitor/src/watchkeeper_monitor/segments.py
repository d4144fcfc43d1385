"""Parts of the traffic: what each of them waits for, and what comes in."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from watchkeeper_monitor.numbers import Numbers, Shares

if TYPE_CHECKING:
    from watchkeeper_monitor.profile import Profile

_SUMS = ("tokens", "unknown_tokens", "values", "missing")
_PARTS: dict[str, Any] = {"latency": Numbers, "input_length": Numbers, "confidence": Shares}


class Segment:
    """What was counted of one segment; mergeable."""

    __slots__ = (*_SUMS, *_PARTS)

    def __init__(self) -> None:
        self.tokens = 0
        self.unknown_tokens = 0
        self.values = 0
        """Values of features."""
        self.missing = 0
        """Those of them that were None or NaN."""
        self.latency = Numbers()
        self.input_length = Numbers()
        self.confidence = Shares()

    def given(self, values: Iterable[Any]) -> None:
        """Count values of features."""
        for value in values:
            self.values += 1
            self.missing += value is None or (type(value) is float and value != value)

    def merge(self, other: "Segment") -> None:
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _PARTS:
            getattr(self, name).merge(getattr(other, name))

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _SUMS} | {name: getattr(self, name).to_dict() for name in _PARTS}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Segment":
        made = cls()
        for name in _SUMS:
            setattr(made, name, content[name])
        for name, part in _PARTS.items():
            setattr(made, name, part.from_dict(content[name]))
        return made


@dataclass(frozen=True, slots=True)
class SegmentFigures:
    """System and data quality of one segment; NaN where nothing was said."""

    predictions: int
    latency_p50_seconds: float
    latency_p95_seconds: float
    latency_p99_seconds: float
    confidence_mean: float
    input_length_mean: float
    oov_rate: float
    missing_ratio: float
    """Of the values of its features."""


def segment_figures(profile: "Profile") -> dict[str, SegmentFigures]:
    """Of each segment whose parts are kept, the largest first."""
    return {
        name: _figures(times, profile.by_segment[name])
        for name, times in profile.segments.top(100)
        if name in profile.by_segment
    }


def _figures(predictions: int, of: Segment) -> SegmentFigures:
    return SegmentFigures(
        predictions,
        of.latency.quantile(0.5),
        of.latency.quantile(0.95),
        of.latency.quantile(0.99),
        of.confidence.mean,
        of.input_length.mean,
        of.unknown_tokens / of.tokens if of.tokens else math.nan,
        of.missing / of.values if of.values else math.nan,
    )
