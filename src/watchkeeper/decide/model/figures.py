"""Figures in an answer, beside what the same sentence cites: one that does not stand there is told to the reader."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from watchkeeper.decide.model.citing import MARKS, ONE
from watchkeeper.domain.conversation import Doubt

_SENTENCE = re.compile(r"(?:[^.!?\n]|[.!?](?=\S))*[.!?\n]?(?:[ \t]*\[[^\]\n]{1,120}\])*")
_TIMES = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?|\b(?:\d\d-\d\d )?\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?\b"
)
_LISTED = re.compile(r"^\s*(?:[-*] )?\d+[.)] ")
_UNIT = (
    r"%|percent\b|(?:percentage )?points?\b|[kKMGT]i?B\b|[kM]\b|bytes?\b|ms\b|[µu]s\b|seconds?\b|secs?\b|s\b|"
    r"minutes?\b|min\b|hours?\b|h\b"
)
_FIGURE = re.compile(
    r"(?<![\w.:/#-])(?P<said>[-−]?\d{1,3}(?:,\d{3})+(?:\.\d+)?|[-−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)"
    rf"(?:\s?(?P<unit>{_UNIT}))?(?![\w/:-]|\.\d)"
)
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
_THOUSAND, _KIBI = 1000.0, 1024.0
_SIZES = {"k": 1, "K": 1, "M": 2, "G": 3, "T": 4}
_TIMED = {"ms": 1e3, "us": 1e6, "µs": 1e6, "m": 1 / 60, "h": 1 / 3600}
ABOUT = 0.02
"""How far a round figure (14,000) may be off what it stands for, as a share."""


@dataclass(frozen=True, slots=True)
class Stands:
    """What a mark stands for: figures by name, and words."""

    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    text: str = ""

    @property
    def numbers(self) -> list[float]:
        """Those in its words."""
        return [float(one) for one in _NUMBER.findall(_TIMES.sub(" ", self.text).replace(",", ""))]


def doubts(text: str, known: Mapping[str, Stands]) -> tuple[Doubt, ...]:
    """Figures that stand in none of what their sentence cites, rounded or in another unit; differences between two
    cited readings count as cited.

    A sentence is passed over where one of its marks is not in `known`. Times, numbers within names and how many marks
    there are say nothing. It finds invented figures, not wrong conclusions; one that stands there by chance passes.
    """
    found: list[Doubt] = []
    for match in _SENTENCE.finditer(text):
        marks = list(dict.fromkeys(mark for group in MARKS.findall(match[0]) for mark in ONE.findall(group)))
        if not marks or any(mark not in known for mark in marks):
            continue
        words = _TIMES.sub(" ", _LISTED.sub("", MARKS.sub(" ", match[0])))
        values = [*_values(words, [known[mark] for mark in marks]), float(len(marks))]
        for said in _FIGURE.finditer(words):
            if not _stands(said["said"], said["unit"] or "", values):
                found.append(Doubt(" ".join(said[0].split()), tuple(marks)))
    return tuple(dict.fromkeys(found))


def _values(words: str, cited: Sequence[Stands]) -> Iterable[float]:
    """Where a sentence names a metric that was read, figures are its; else any of those cited."""
    names = {name for one in cited for name in one.metrics}
    named = {name for name in names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", words)} or names
    for one in cited:
        yield from (value for name, value in one.metrics.items() if name in named)
        yield from one.numbers
    for one, other in combinations(cited, 2):
        both = named & one.metrics.keys() & other.metrics.keys()
        yield from (abs(one.metrics[name] - other.metrics[name]) for name in both)


def _stands(said: str, unit: str, values: Iterable[float]) -> bool:
    plain = said.replace(",", "").replace("−", "-")
    figure, decimals = abs(float(plain)), len(plain.partition(".")[2].partition("e")[0])
    room = 0.5 * 10**-decimals if "e" not in plain else 0.05 * figure
    if not decimals and figure >= _THOUSAND and plain.endswith("00"):
        room = max(room, ABOUT * figure)
    return any(
        math.isfinite(value) and abs(abs(value) * factor - figure) <= room * (1 + 1e-9)
        for factor in _factors(unit)
        for value in values
    )


def _factors(unit: str) -> list[float]:
    """What a stored figure may have been multiplied by to be said in that unit."""
    if unit == "%" or unit.startswith(("percent", "point")):
        return [100.0, 1.0]
    if unit and unit[0] in _SIZES and unit[1:] in ("", "B", "iB"):
        power = _SIZES[unit[0]]
        return [1.0, _THOUSAND**-power, _KIBI**-power]
    if unit in ("ms", "us", "µs"):
        return [1.0, _TIMED[unit]]
    if unit.startswith(("min", "h")):
        return [1.0, _TIMED[unit[0]]]
    return [1.0]
