"""Where the shares of a row of counts changed: the kernel of onset.

The likelihood-ratio test of a change in a multinomial sequence (Chen and Gupta, "Parametric Statistical Change Point
Analysis", 2012, 4.2), by binary segmentation; unlike ADWIN it sees a change of the whole distribution, not of its mean.
"""

import math

import numpy as np
from numpy.typing import NDArray

from watchkeeper_monitor.drift import FLOOR, chi_squared_p_value

Counts2 = NDArray[np.int64]
"""Windows by bins, oldest first."""
CHANCE = 0.002
"""Probability of naming a change where there is none, in one row (the usual delta of ADWIN)."""
LEAST = 30
"""Rows on each side of a change."""
MOST_CHANGES = 20


def change_points(counts: Counts2) -> list[int]:
    """The windows that something new begins with, whatever its size, oldest first."""
    found: list[int] = []
    todo = [(0, counts.shape[0])]
    while todo and len(found) < MOST_CHANGES:
        start, end = todo.pop(0)
        place = _best(counts[start:end])
        if place is not None:
            found.append(start + place)
            todo += [(start, start + place), (start + place, end)]
    return sorted(found)


def _best(counts: Counts2) -> int | None:
    """Where a row is best cut in two, or None where that may well be chance."""
    if counts.shape[0] < 2:
        return None
    counts = counts[:, counts.any(0)]
    before = counts.cumsum(0)[:-1]
    total = counts.sum(0)
    after = total - before
    rows = before.sum(1)
    fits = (rows >= LEAST) & (total.sum() - rows >= LEAST)
    if not fits.any() or total.size < 2:
        return None
    gain = np.where(fits, 2 * (_likelihood(before) + _likelihood(after) - _likelihood(total[None])), -1.0)
    place = int(gain.argmax())
    p = chi_squared_p_value(float(gain[place]), total.size - 1) * int(fits.sum())
    return place + 1 if p < CHANCE else None


def _likelihood(counts: Counts2) -> NDArray[np.float64]:
    """Log likelihood of each row under its own shares."""
    shares = counts / np.maximum(1, counts.sum(1, keepdims=True))
    return (counts * np.log(np.where(counts > 0, shares, 1.0))).sum(1)


def population_shift(before: NDArray[np.int64], after: NDArray[np.int64]) -> float:
    """PSI of two rows of counts, without what chance alone gives: (bins - 1) (1/n + 1/m) on average."""
    n, m = max(1, int(before.sum())), max(1, int(after.sum()))
    p, q = np.maximum(before / n, FLOOR), np.maximum(after / m, FLOOR)
    bins = int(((before + after) > 0).sum())
    return max(0.0, float(((q - p) * np.log(q / p)).sum()) - max(0, bins - 1) * (1 / n + 1 / m))


def cohens_h(before: float, after: float) -> float:
    """Distance of two rates; from 0.2 on a small effect, from 0.5 a medium one (Cohen, 1988, chapter 6)."""
    return abs(2 * math.asin(math.sqrt(after)) - 2 * math.asin(math.sqrt(before)))
