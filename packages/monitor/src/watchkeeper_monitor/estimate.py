"""How right a model probably is where labels are not there yet: from its confidence, calibrated where they were.

As confidence-based performance estimation (CBPE; NannyML's documentation, 2022): the mean of the probabilities that
predictions are right. Each is read off an isotonic calibration (Zadrozny and Elkan, KDD 2002) on labelled data. It
holds as long as confidence means what it meant there: not for inputs of a kind that the model never saw.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchkeeper_monitor.figures import Share, Z, share
from watchkeeper_monitor.numbers import Shares
from watchkeeper_monitor.truth import Truth

LEAST = 200
"""Labels that a calibration is made of at least."""
GROUPS = 40
"""Groups of equal size that labelled data is made into."""

Point = tuple[float, int, int]
"""Mean confidence, how many, how many of them right."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate, no measurement: nothing of it was compared with a label."""

    accuracy: Share
    """Of the latest predictions. Its interval knows of chance, not of inputs that are new in kind."""
    calibrated_on: int
    """Labelled predictions that it was calibrated on."""
    calibrated_by: str
    """`reference`, `labels` (that came to this model before), or empty: there is no estimate."""
    doubts: list[str]
    """Inputs, or the confidence itself, that are not as they were there: then it is often too high."""


NOTHING = Estimate(share(0, 0), 0, "", [])
NO_INPUT = ("prediction", "latency_seconds", "accuracy", "error_rate", "escalation_rate")
"""What says nothing of inputs: a change of it alone is no doubt."""


class Calibration:
    """What share of predictions of some confidence was right.

    >>> random = np.random.default_rng(0)
    >>> sure = random.random(5000)
    >>> calibration = Calibration.from_data(sure, random.random(5000) < sure**2)
    >>> abs(float(calibration.of(np.array([0.8]))[0]) - 0.64) < 0.06
    True
    """

    def __init__(self, points: Iterable[Sequence[Any]]) -> None:
        """Raises ValueError for what is no calibration."""
        self.points: list[Point] = sorted((float(x), int(n), int(right)) for x, n, right in points if n)
        if any(not 0 <= x <= 1 or not 0 <= right <= n for x, n, right in self.points):
            raise ValueError("a calibration has points of mean confidence (0 to 1), how many, how many of them right")
        self.labelled = sum(n for _, n, _ in self.points)
        self._confidence = np.array([x for x, _, _ in self.points])
        self._right, self._weight = _isotonic(self.points)

    @classmethod
    def from_data(cls, confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> "Calibration":
        known = (confidence >= 0) & (confidence <= 1)
        order = np.argsort(confidence[known], kind="stable")
        groups = np.array_split(order, min(GROUPS, max(1, order.size)))
        sure, hits = confidence[known], right[known]
        return cls((sure[each].mean(), each.size, hits[each].sum()) for each in groups if each.size)

    @classmethod
    def from_truth(cls, truth: Truth) -> "Calibration":
        """Of labels that came: by tenths of confidence."""
        return cls((min(1.0, total / n), n, right) for n, right, total in truth.calibration if n)

    def of(self, confidence: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of being right."""
        return np.interp(confidence, self._confidence, self._right)

    def estimate(self, shares: Shares, by: str) -> Estimate:
        """Of predictions with these confidences."""
        times = np.array(shares.bins, np.float64)
        total = float(times.sum())
        if self.labelled < LEAST or not total:
            return NOTHING
        middles = np.maximum(0.0, (np.arange(times.size) - 0.5) / shares.BINS)
        right = self.of(middles)
        value = float((times * right).sum() / total)
        # Chance in the predictions, and in the labels each level of the calibration was made of.
        chance = float((times * right * (1 - right)).sum()) / total**2
        levels = np.searchsorted(self._confidence, middles).clip(0, self._confidence.size - 1)
        mass = np.bincount(levels, times, minlength=self._confidence.size) / total
        learned = 0.0
        for level in np.unique(self._right):
            here = self._right == level
            p = (level * self._weight[here][0] + 1) / (self._weight[here][0] + 2)
            learned += float(mass[here].sum()) ** 2 * p * (1 - p) / self._weight[here][0]
        half = Z * math.sqrt(chance + learned)
        return Estimate(Share(value, max(0.0, value - half), min(1.0, value + half), int(total)), self.labelled, by, [])


def _isotonic(points: Sequence[Point]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pool adjacent violators (Ayer et al., 1955): the share right of each point, never falling; out of how many."""
    blocks: list[list[float]] = []
    for _, n, right in points:
        blocks.append([float(n), float(right), 1.0])
        while len(blocks) > 1 and blocks[-2][1] * blocks[-1][0] >= blocks[-1][1] * blocks[-2][0]:
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    shares = [right / n for n, right, size in blocks for _ in range(int(size))]
    return np.array(shares), np.array([n for n, _, size in blocks for _ in range(int(size))])


def estimated(
    shares: Shares, reference: Calibration | None, truth: Truth, shifted: Iterable[str], changed: Iterable[str]
) -> Estimate:
    """By the reference's labels; without them by those that came to this model.

    `shifted`: columns that lie apart from the reference. `changed`: streams that are not as they were before.
    """
    if reference is not None and reference.labelled >= LEAST:
        made = reference.estimate(shares, "reference")
    else:
        made, shifted = Calibration.from_truth(truth).estimate(shares, "labels"), changed
    if not made.calibrated_by:
        return made
    return replace(made, doubts=sorted(each for each in shifted if each not in NO_INPUT))
