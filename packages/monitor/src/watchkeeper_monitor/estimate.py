"""How right a model probably is where labels are not there yet: from its confidence, calibrated where they were.

As confidence-based performance estimation (CBPE; NannyML's documentation, 2022): the mean of the probabilities that
predictions are right. Each is read off an isotonic calibration (Zadrozny and Elkan, KDD 2002) on labelled data; what is
predicted oftener than there is righter or wronger as its class was (`known_classes`). It holds as long as confidence
means what it meant there. Where confidence fell although the same is predicted, inputs are of another kind, and then no
figure is given: it would be too high.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchkeeper_monitor.byclass import ByClass
from watchkeeper_monitor.figures import Share, Z, share
from watchkeeper_monitor.numbers import Shares
from watchkeeper_monitor.profile import Profile
from watchkeeper_monitor.truth import Truth

LEAST = 200
"""Labels that a calibration is made of at least."""
GROUPS = 40
"""Groups of equal size that labelled data is made into."""

FELL, ROSE = -0.1, 0.25
"""How far confidence may lie from what the predicted classes explain, in standard deviations; and the second where it
is not known how sure each class was. Falling matters sooner: inputs that are new make a model unsure."""
SURELY = 4.0
"""Standard errors by which it does, too."""
Point = tuple[float, int, int]
"""Mean confidence, how many, how many of them right."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate, no measurement: nothing of it was compared with a label."""

    accuracy: Share
    """Of the latest predictions; nothing where it is `withdrawn`."""
    calibrated_on: int
    """Labelled predictions that it was calibrated on."""
    calibrated_by: str
    """`reference`, `labels` (that came to this model before), or empty: there is nothing to estimate by."""
    doubts: list[str]
    """Inputs, or the confidence itself, that are not as they were there: then it is often too high."""
    withdrawn: str = ""
    """Why none is given although it could be reckoned."""


NOTHING = Estimate(share(0, 0), 0, "", [])
NO_INPUT = ("prediction", "latency_seconds", "accuracy", "ndcg@10", "error_rate", "escalation_rate")
"""What says nothing of inputs: a change of it alone is no doubt."""


class Calibration:
    """What share of predictions of some confidence was right.

    >>> random = np.random.default_rng(0)
    >>> sure = random.random(5000)
    >>> calibration = Calibration.from_data(sure, random.random(5000) < sure**2)
    >>> abs(float(calibration.of(np.array([0.8]))[0]) - 0.64) < 0.06
    True
    """

    def __init__(self, points: Iterable[Sequence[Any]], known_classes: ByClass | None = None) -> None:
        """Raises ValueError for what is no calibration."""
        self.points: list[Point] = sorted((float(x), int(n), int(right)) for x, n, right in points if n)
        if any(not 0 <= x <= 1 or not 0 <= right <= n for x, n, right in self.points):
            raise ValueError("a calibration has points of mean confidence (0 to 1), how many, how many of them right")
        self.labelled = sum(n for _, n, _ in self.points)
        self.known_classes = known_classes
        self._confidence = np.array([x for x, _, _ in self.points])
        self._right, self._weight = _isotonic(self.points)

    @classmethod
    def from_data(
        cls, confidence: NDArray[np.float64], right: NDArray[np.bool_], predicted: Sequence[str] | None = None
    ) -> "Calibration":
        """`predicted`: the class of each, so that shares of classes may change."""
        known = (confidence >= 0) & (confidence <= 1)
        order = np.argsort(confidence[known], kind="stable")
        groups = np.array_split(order, min(GROUPS, max(1, order.size)))
        sure, hits = confidence[known], right[known]
        made = cls((sure[each].mean(), each.size, hits[each].sum()) for each in groups if each.size)
        if predicted is not None and sure.size >= LEAST:
            made.known_classes = ByClass.of(np.array(predicted, object)[known], sure, hits, made.of(sure))
        return made

    @classmethod
    def from_truth(cls, truth: Truth) -> "Calibration":
        """Of labels that came: by tenths of confidence."""
        return cls((min(1.0, total / n), n, right) for n, right, total in truth.calibration if n)

    def of(self, confidence: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of being right."""
        return np.interp(confidence, self._confidence, self._right)

    def estimate(self, shares: Shares, by: str, classes: Mapping[str, int] | None = None) -> Estimate:
        """Of predictions with these confidences, and of these classes."""
        times = np.array(shares.bins, np.float64)
        total = float(times.sum())
        if self.labelled < LEAST or not total:
            return NOTHING
        middles = np.maximum(0.0, (np.arange(times.size) - 0.5) / shares.BINS)
        right = self.of(middles)
        value = float((times * right).sum() / total)
        # Chance in the predictions, and in the labels each level of the calibration was made of.
        spread = float((times * right * (1 - right)).sum()) / total**2
        levels = np.searchsorted(self._confidence, middles).clip(0, self._confidence.size - 1)
        mass = np.bincount(levels, times, minlength=self._confidence.size) / total
        for level in np.unique(self._right):
            here = self._right == level
            p = (level * self._weight[here][0] + 1) / (self._weight[here][0] + 2)
            spread += float(mass[here].sum()) ** 2 * p * (1 - p) / self._weight[here][0]
        if self.known_classes is not None and classes:
            offset, more = self.known_classes.offset(classes)
            value, spread = min(1.0, max(0.0, value + offset)), spread + more
        half = Z * math.sqrt(spread)
        accuracy = Share(value, max(0.0, value - half), min(1.0, value + half), int(total))
        why = self._unlike(shares.mean, float((times * middles**2).sum() / total), total, classes or {})
        return Estimate(share(0, 0) if why else accuracy, self.labelled, by, [], why)

    def _unlike(self, mean: float, squares: float, number: float, classes: Mapping[str, int]) -> str:
        """Why confidence does not mean what it meant; empty where nothing tells that."""
        usual = sum(x * n for x, n, _ in self.points) / self.labelled
        spread = max(1e-6, sum((x - usual) ** 2 * n for x, n, _ in self.points) / self.labelled)
        low, error = -ROSE, spread / self.labelled + max(0.0, squares - mean * mean) / number
        if self.known_classes is not None and classes:
            low = FELL
            usual, error = self.known_classes.confidence(classes, number)
        apart = mean - usual
        if abs(apart) <= SURELY * math.sqrt(error) or low <= apart / math.sqrt(spread) <= ROSE:
            return ""
        explained = "the predicted classes explain" if low == FELL else "where it was calibrated"
        return f"confidence is {mean:.2f}, {usual:.2f} {explained}: inputs or the model are of another kind"


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
    lately: Profile, reference: Calibration | None, truth: Truth, shifted: Iterable[str], changed: Iterable[str]
) -> Estimate:
    """By the reference's labels; without them by those that came to this model.

    `shifted`: columns that lie apart from the reference. `changed`: streams that are not as they were before.
    """
    classes = None if lately.classes.full else lately.classes.kept
    if reference is not None and reference.labelled >= LEAST:
        made = reference.estimate(lately.confidence, "reference", classes)
    else:
        made, shifted = Calibration.from_truth(truth).estimate(lately.confidence, "labels", classes), changed
    if not made.calibrated_by:
        return made
    return replace(made, doubts=sorted(each for each in shifted if each not in NO_INPUT))
