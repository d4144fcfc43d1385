"""How right and how sure a model was of each class, on labelled data: what shares of classes that change do to both."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchkeeper_monitor.counts import bounded

MOST = 1000
"""Classes that are told apart; the rarest are left out."""
Floats = NDArray[np.float64]


class ByClass:
    """Labelled predictions by predicted class.

    What is known of a class of few labels is drawn to what is known of all, by as much as classes differ (random
    effects: DerSimonian and Laird, Controlled Clinical Trials 1986).
    """

    def __init__(self, rows: Mapping[str, Sequence[float]], doubt: float, spread: float) -> None:
        """`rows`: how many, how many more than the calibration says were right, and their summed confidence.

        `doubt`: variance of being right about the calibration; `spread`: of confidence within a class. Raises
        ValueError for what is none of that.
        """
        self.rows = {name: (float(n), float(more), float(sure)) for name, (n, more, sure) in rows.items()}
        self.doubt, self.spread = float(doubt), float(spread)
        numbers = [doubt, spread, *(each for row in self.rows.values() for each in row)]
        if not self.rows or not all(map(math.isfinite, numbers)) or doubt < 0 or spread < 0:
            raise ValueError("classes of a calibration have how many, how many more were right, summed confidence")
        if any(n < 1 or abs(more) > n or not 0 <= sure <= n * (1 + 1e-9) for n, more, sure in self.rows.values()):
            raise ValueError("a class of a calibration has more right, or more confidence, than it has labels")
        self._places = {name: place for place, name in enumerate(self.rows)}
        number, more, sure = np.array(list(self.rows.values())).T
        self._offsets, self._offset_errors, self._offsets_differ = _drawn(number, more / number, 0.0, self.doubt)
        self._usual = float(sure.sum() / number.sum())
        self._sure, self._sure_errors, self._sure_differ = _drawn(number, sure / number, self._usual, self.spread)

    @classmethod
    def of(cls, predicted: NDArray[Any], sure: Floats, right: NDArray[np.bool_], expected: Floats) -> "ByClass":
        """`expected`: the probability of being right that the calibration gives each."""
        names, places = np.unique(np.array([bounded(str(each)) for each in predicted]), return_inverse=True)
        number = np.bincount(places)
        more, total = np.bincount(places, right - expected), np.bincount(places, sure)
        means = (total / number)[places]
        kept = np.argsort(-number, kind="stable")[:MOST]
        rows = {str(names[each]): (int(number[each]), float(more[each]), float(total[each])) for each in kept}
        return cls(rows, float((expected * (1 - expected)).mean()), float(((sure - means) ** 2).mean()))

    def offset(self, classes: Mapping[str, int]) -> tuple[float, float]:
        """By how much more is right where these are the predicted classes; with its variance."""
        shares, new = self._shares(classes)
        return float(shares @ self._offsets), float(shares**2 @ self._offset_errors) + self._offsets_differ * new

    def confidence(self, classes: Mapping[str, int], number: float) -> tuple[float, float]:
        """The mean confidence that these predicted classes explain, and its variance, for so many predictions."""
        shares, new = self._shares(classes)
        mean = float(shares @ self._sure) + (1 - float(shares.sum())) * self._usual
        error = self.spread / number + float(shares**2 @ self._sure_errors) + self._sure_differ * new
        return mean, error

    def _shares(self, classes: Mapping[str, int]) -> tuple[Floats, float]:
        """Of each class that is known, and the summed squares of the others' shares."""
        total = sum(classes.values())
        shares, new = np.zeros(len(self._places)), 0.0
        for name, times in classes.items():
            if (place := self._places.get(name)) is None:
                new += (times / total) ** 2
            else:
                shares[place] = times / total
        return shares, new

    def to_dict(self) -> dict[str, Any]:
        return {
            "rows": {name: list(row) for name, row in self.rows.items()},
            "doubt": self.doubt,
            "spread": self.spread,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "ByClass":
        return cls(content["rows"], content["doubt"], content["spread"])


def _drawn(number: Floats, means: Floats, middle: float, variance: float) -> tuple[Floats, Floats, float]:
    """Means of groups drawn to the middle of all; the variance of each; by how much groups differ, squared."""
    own = variance / number
    differ = max(0.0, float((number * ((means - middle) ** 2 - own)).sum() / number.sum()))
    if not differ:
        return np.full_like(means, middle), np.zeros_like(means), 0.0
    return middle + (means - middle) * differ / (differ + own), differ * own / (differ + own), differ
