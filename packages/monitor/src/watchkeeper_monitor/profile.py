"""The mergeable summary of what a model did: what a monitor keeps, and what replicas send."""

import math
from collections.abc import Mapping
from typing import Any

from watchkeeper_monitor.counts import Counts
from watchkeeper_monitor.numbers import Numbers, Shares
from watchkeeper_monitor.ranking import Rankings
from watchkeeper_monitor.segments import Segment
from watchkeeper_monitor.truth import Truth

FORMAT = 1
"""Rises when an older reader would misread what is written."""
FEATURES = 200
"""Features that are kept; what further ones hold is counted as rejected."""
_SUMS = ("predictions", "numeric", "escalated", "escalation_known", "tokens", "unknown_tokens")
_PARTS: dict[str, Any] = {
    "classes": Counts,
    "outputs": Numbers,
    "confidence": Shares,
    "input_length": Numbers,
    "latency": Numbers,
    "cost": Numbers,
    "satisfaction": Numbers,
    "errors": Counts,
    "rejects": Counts,
    "counters": Counts,
    "missing": Counts,
    "segments": Counts,
    "segments_labelled": Counts,
    "segments_correct": Counts,
    "truth": Truth,
    "rankings": Rankings,
}
_LATER = ("rankings",)
"""Parts that profiles of older monitors lack."""


class Profile:
    """Everything that was counted of one version of a model, in bounded memory.

    Profiles of one model and version merge, in any order and however the traffic was split, to the profile of
    all of it: counts exactly, sums of floating-point numbers to rounding.
    """

    def __init__(self, model: str, version: str) -> None:
        self.model = model
        self.version = version
        self.began = math.inf
        """When the first of it was counted, in seconds since 1970; infinite while there is nothing."""
        self.ended = -math.inf
        self.predictions = 0
        self.numeric = 0
        """Predictions that were numbers (regression)."""
        self.escalated = 0
        self.escalation_known = 0
        self.tokens = 0
        self.unknown_tokens = 0
        """Tokens that are not in the vocabulary."""
        self.classes = Counts()
        self.outputs = Numbers()
        self.confidence = Shares()
        self.input_length = Numbers()
        self.latency = Numbers()
        self.cost = Numbers()
        self.satisfaction = Numbers()
        self.errors = Counts(100)
        self.rejects = Counts(100)
        """What could not be counted, by reason."""
        self.counters = Counts(100)
        self.missing = Counts(FEATURES)
        """Missing values by feature."""
        self.segments = Counts(100)
        self.by_segment: dict[str, Segment] = {}
        """Of those that `segments` keeps."""
        self.segments_labelled = Counts(100)
        self.segments_correct = Counts(100)
        self.truth = Truth()
        self.rankings = Rankings()
        self.numbers: dict[str, Numbers] = {}
        """Numeric features."""
        self.categories: dict[str, Counts] = {}
        """Categorical features."""

    def seen(self, at: float) -> None:
        """Something was counted at this time (seconds since 1970)."""
        self.began = min(self.began, at)
        self.ended = max(self.ended, at)

    def segment(self, name: str, times: int = 1) -> Segment | None:
        """Count predictions of a segment; None where there are too many to have parts of their own."""
        full = self.segments.full
        self.segments.add(name, times)
        if self.segments.full and (not full or name not in self.by_segment):
            self._forget_segments()
        if name not in self.segments.kept:
            return None
        return self.by_segment.setdefault(name, Segment())

    def _forget_segments(self) -> None:
        """A name that was let go never comes back: what is left is exact, in whatever order it came."""
        for name in [each for each in self.by_segment if each not in self.segments.kept]:
            del self.by_segment[name]

    def merge(self, other: "Profile") -> None:
        """Add what another has counted. Raises ValueError when it is of another model or version."""
        if (self.model, self.version) != (other.model, other.version):
            raise ValueError(
                f"profiles of {self.model} {self.version} and {other.model} {other.version} cannot be merged"
            )
        self.began, self.ended = min(self.began, other.began), max(self.ended, other.ended)
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _PARTS:
            getattr(self, name).merge(getattr(other, name))
        for name, numbers in other.numbers.items():
            self.numbers.setdefault(name, Numbers()).merge(numbers)
        for name, counts in other.categories.items():
            self.categories.setdefault(name, Counts(counts.limit)).merge(counts)
        for name, segment in other.by_segment.items():
            if name in self.segments.kept:
                self.by_segment.setdefault(name, Segment()).merge(segment)
        if self.segments.full:
            self._forget_segments()

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; `from_dict` takes it back."""
        return {
            "format": FORMAT,
            "model": self.model,
            "version": self.version,
            "began": self.began if math.isfinite(self.began) else None,
            "ended": self.ended if math.isfinite(self.ended) else None,
            **{name: getattr(self, name) for name in _SUMS},
            **{name: getattr(self, name).to_dict() for name in _PARTS},
            "numbers": {name: each.to_dict() for name, each in sorted(self.numbers.items())},
            "categories": {name: each.to_dict() for name, each in sorted(self.categories.items())},
            "by_segment": {name: each.to_dict() for name, each in sorted(self.by_segment.items())},
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Profile":
        """Raises ValueError when it was written by a newer monitor, in a format that is not known here."""
        if content["format"] > FORMAT:
            raise ValueError(
                f"this profile has format {content['format']}, from a newer watchkeeper-monitor; format {FORMAT} is "
                "the newest known here: upgrade watchkeeper-monitor"
            )
        made = cls(content["model"], content["version"])
        if content["began"] is not None:
            made.began, made.ended = content["began"], content["ended"]
        for name in _SUMS:
            setattr(made, name, content[name])
        for name, part in _PARTS.items():
            if name in content or name not in _LATER:
                setattr(made, name, part.from_dict(content[name]))
        made.numbers = {name: Numbers.from_dict(each) for name, each in content["numbers"].items()}
        made.categories = {name: Counts.from_dict(each) for name, each in content["categories"].items()}
        made.by_segment = {name: Segment.from_dict(each) for name, each in content.get("by_segment", {}).items()}
        return made


def summed(*parts: Profile) -> Profile:
    """All of them, of one model and version, as a value of its own."""
    made = Profile(parts[0].model, parts[0].version)
    for part in parts:
        made.merge(part)
    return made
