"""Shares with their intervals, and the figures of a classifier."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Z = 1.959963984540054
"""Standard deviations that a normal value is within with 95 % probability."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share, and where the true one lies with 95 % confidence. NaN of nothing."""

    value: float
    low: float
    high: float
    of: int
    """How many it is a share of."""

    def __str__(self) -> str:
        if not self.of:
            return "no data"
        return f"{self.value:.1%} ({self.low:.1%} to {self.high:.1%}, of {self.of:,})"


def share(part: int, of: int) -> Share:
    """With Wilson's interval (E. B. Wilson, JASA 1927), which is honest for few and for extreme shares."""
    if not of:
        return Share(math.nan, math.nan, math.nan, 0)
    p, z2 = part / of, Z * Z
    middle = (p + z2 / (2 * of)) / (1 + z2 / of)
    half = Z / (1 + z2 / of) * math.sqrt(max(0.0, p * (1 - p)) / of + z2 / (4 * of * of))
    return Share(p, max(0.0, middle - half), min(1.0, middle + half), of)


def mean(total: float, squares: float, of: int) -> Share:
    """Of scores between 0 and 1, given their sum and the sum of their squares.

    The interval is that of Agresti and Coull ("Approximate is better than exact", The American Statistician 1998) taken
    from shares to scores: two more of 0 and two of 1 are counted, or few equal scores would seem certain.
    """
    if not of:
        return Share(math.nan, math.nan, math.nan, 0)
    number = of + 4
    middle = (total + 2) / number
    half = Z * math.sqrt(max(0.0, (squares + 2) / number - middle * middle) / number)
    value = min(1.0, max(0.0, total / of))  # sums of floating-point numbers may come out a little beside
    return Share(value, min(value, max(0.0, middle - half)), max(value, min(1.0, middle + half)), of)


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """How well one class is predicted."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int
    """How often it was the truth."""


def class_figures(pairs: Iterable[tuple[str, str]]) -> list[ClassFigures]:
    """Of (truth, prediction), each class that is one of them; 0 where nothing can be divided by (as scikit-learn)."""
    true: dict[str, int] = {}
    predicted: dict[str, int] = {}
    hits: dict[str, int] = {}
    for truth, said in pairs:
        true[truth] = true.get(truth, 0) + 1
        predicted[said] = predicted.get(said, 0) + 1
        if truth == said:
            hits[truth] = hits.get(truth, 0) + 1
    return counted_figures(true, predicted, hits)


def counted_figures(
    true: Mapping[str, int], predicted: Mapping[str, int], hits: Mapping[str, int]
) -> list[ClassFigures]:
    """The same of how often each class was the truth, was predicted, and was both."""
    made: list[ClassFigures] = []
    for name in sorted(true.keys() | predicted.keys()):
        hit, support, called = hits.get(name, 0), true.get(name, 0), predicted.get(name, 0)
        if support or called:
            made.append(
                ClassFigures(
                    name,
                    hit / called if called else 0.0,
                    hit / support if support else 0.0,
                    2 * hit / (support + called),
                    support,
                )
            )
    return made


def macro_f1(classes: list[ClassFigures]) -> float:
    """The plain mean over classes; NaN of none."""
    return sum(each.f1 for each in classes) / len(classes) if classes else math.nan


def weighted_f1(classes: list[ClassFigures]) -> float:
    """The mean over classes, weighted by how often each was the truth; NaN of none."""
    support = sum(each.support for each in classes)
    return sum(each.f1 * each.support for each in classes) / support if support else math.nan
