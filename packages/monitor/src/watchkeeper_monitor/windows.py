"""Short windows against long references: all columns at once, each exactly as the kernels of `drift` have it.

Of a hundred thousand values a window of a thousand needs little: most points lie so far from where the distance is
largest, or from their own quantile, that bounds out of a table decide. Only the rest is looked up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchkeeper_monitor.drift import FLOOR, Floats, Sorted

CELLS = 1 << 14
"""Equal cells between the reference's 0.1 % and 99.9 % quantiles: what the table of bounds is made of."""
CROWDED = 256
"""Values of one cell, from which on a column (of few whole numbers, or with very long tails) is compared by itself."""
LEAST, LONGEST = 50, 5000
"""Rows of a window; and the reference has ten times as many at least."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of one column; the shares are the caller's to compare."""

    shares: Floats
    kolmogorov_smirnov: float
    wasserstein: float
    outside: float


class Windows:
    """The numeric columns of a reference, of equal length, made ready for short windows."""

    def __init__(self, numbers: Mapping[str, Sorted]) -> None:
        longest = max((each.values.size for each in numbers.values()), default=0)
        tables: dict[str, tuple[float, float, NDArray[np.int32]]] = {}
        for name, each in numbers.items():
            if each.values.size == longest >= 10 * LEAST and (table := _table(each.values)) is not None:
                tables[name] = table
        self.names = list(tables)
        self.rows = {name: row for row, name in enumerate(self.names)}
        self.size = longest
        self._of = [numbers[name] for name in self.names]
        self._low = np.array([[tables[name][0]] for name in self.names])
        self._scale = np.array([[tables[name][1]] for name in self.names])
        made = [tables[name][2] for name in self.names]
        self._starts = np.concatenate(made) if made else np.zeros(0, np.int32)
        self._first = (np.arange(len(made)) * (CELLS + 3))[:, None].astype(np.int32)
        self._middle = np.array([[each.middle] for each in self._of])
        self._ties = [bool((each.values[1:] == each.values[:-1]).any()) for each in self._of]
        self._bins = [each.edges.size + 1 for each in self._of]
        most = max(self._bins, default=0)
        self._keys = [
            np.concatenate(
                (
                    each.values[:1],
                    each.edges,
                    np.full(most - each.edges.size, np.nextafter(each.values[-1], np.inf)),
                )
            )
            for each in self._of
        ]
        self._quantiles: tuple[int, Floats, Floats, Floats, Floats] | None = None

    def compare(self, columns: Mapping[str, NDArray[Any]]) -> dict[str, Found]:
        """What can be compared here; what is left out is for the kernels, one by one."""
        if not self.names:
            return {}
        numeric = [name for name in self.names if name in columns and columns[name].dtype.kind in "fiu"]
        rows = max((columns[name].size for name in numeric), default=0)
        if not LEAST <= rows <= min(LONGEST, self.size // 10):
            return {}
        values = np.zeros((len(self.names), rows))
        for name in numeric:
            if columns[name].size == rows:
                values[self.rows[name]] = columns[name]
        values.sort(axis=1)
        whole = np.isfinite(values[:, -1]) & np.isfinite(values[:, 0])
        values[~whole] = 0.0
        names = [name for name in numeric if columns[name].size == rows and whole[self.rows[name]]]
        distances, areas = self._distances(values)
        below = np.stack([row.searchsorted(keys) for row, keys in zip(values, self._keys, strict=True)])
        outside = (below[:, 0] + rows - below[:, -1]) / rows
        below[:, 0], below[:, -1] = 0, rows
        shares = (below[:, 1:] - below[:, :-1]) / rows
        made: dict[str, Found] = {}
        for name in names:
            row = self.rows[name]
            made[name] = Found(shares[row, : self._bins[row]], distances[row], areas[row], float(outside[row]))
        return made

    def _distances(self, values: Floats) -> tuple[list[float], list[float]]:
        """Kolmogorov–Smirnov and Wasserstein of each row."""
        size, number = self.size, values.shape[1]
        within = values - self._low  # each array is made once and changed where it lies: it stays in the cache
        within *= self._scale
        np.maximum(within, -1.0, out=within)
        np.minimum(within, CELLS, out=within)
        within += 1.0
        cells = within.astype(np.int32)
        cells += self._first
        low = self._starts.take(cells)
        cells += 1
        high = self._starts.take(cells)
        low, high = np.divide(low, size, out=within), high / size
        steps = np.arange(number + 1, dtype=np.float64) / number
        gap = high - low
        np.subtract(low, steps[:-1], out=low)  # the least that the distance can be at each point
        np.subtract(steps[1:], high, out=high)
        apart = np.maximum(low, high, out=low)
        gap += apart
        wanted = gap >= apart.max(1)[:, None]
        edge, start, end, areas = self._at(number)
        width = size / number
        own = values - self._middle
        areas = np.abs(np.subtract(areas, np.multiply(own, width, out=high), out=high), out=high)
        inside = (values > start) & (values < end)
        wanted |= inside
        row, place = np.nonzero(wanted)
        right, left, at = self._looked_up(values[row, place], np.searchsorted(row, np.arange(len(self._of) + 1)))
        apart = np.maximum(steps[place + 1] - right / size, left / size - steps[place])
        distances = np.maximum.reduceat(apart, np.searchsorted(row, np.arange(len(self._of))))
        under = own[row, place] * (right - place * width) - (at - edge[row, place])
        over = edge[row, place + 1] - at - own[row, place] * ((place + 1) * width - right)
        cut = inside[row, place]
        areas[row[cut], place[cut]] = (np.abs(under) + np.abs(over))[cut]
        return distances.tolist(), (areas.sum(1) / size).tolist()

    def _looked_up(
        self, points: Floats, cuts: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
        """How many values of each row are not above its points, how many below, and the running sums there."""
        right, left, at = np.empty(points.size, np.int64), np.empty(points.size, np.int64), np.empty(points.size)
        ends = cuts.tolist()
        for each, ties, start, end in zip(self._of, self._ties, ends, ends[1:], strict=False):
            of_row = points[start:end]
            right[start:end] = found = each.values.searchsorted(of_row, "right")
            at[start:end] = each.sums.take(found)
            left[start:end] = (
                each.values.searchsorted(of_row) if ties else found - (each.values.take(found - 1) == of_row)
            )
        left[right == 0] = 0  # below all values: the one before them is no value
        return right, left, at

    def _at(self, number: int) -> tuple[Floats, Floats, Floats, Floats]:
        """Of windows of this length: running sums at their quantiles; between each two the first and last value, and
        how much the sums grow.
        """
        if self._quantiles is None or self._quantiles[0] != number:
            at = np.arange(number + 1) * self.size / number
            whole = np.minimum(np.floor(at).astype(np.int64), self.size - 1)
            last = np.maximum(np.ceil(at[1:] - 1e-9).astype(np.int64) - 1, 0)
            edge = np.stack([each.sums[whole] + (at - whole) * (each.values[whole] - each.middle) for each in self._of])
            start = np.stack([each.values[whole[:-1]] for each in self._of])
            end = np.stack([each.values[last] for each in self._of])
            self._quantiles = (number, edge, start, end, edge[:, 1:] - edge[:, :-1])
        return self._quantiles[1:]


def _table(values: Floats) -> tuple[float, float, NDArray[np.int32]] | None:
    """Where the cells begin, how many there are in one unit, and how many values lie below each cell.

    The cell of a value never falls as the value rises, whatever the rounding: so the bounds hold.
    """
    low, high = values[values.size // 1000], values[values.size - 1 - values.size // 1000]
    if not high > low or not np.isfinite(scale := CELLS / (high - low)):
        return None
    cells = (((values - low) * scale).clip(-1.0, CELLS) + 1.0).astype(np.int64)
    counts = np.bincount(cells, minlength=CELLS + 2)
    if counts.max() > max(CROWDED, values.size // 100):
        return None
    starts = np.zeros(CELLS + 3, np.int32)
    np.cumsum(counts, out=starts[1:])
    return float(low), float(scale), starts


def distances_of_shares(pairs: Sequence[tuple[Floats, Floats]]) -> list[tuple[float, float, float]]:
    """PSI, KL and Jensen–Shannon of many (reference, current) rows of shares, as `drift` has each of them."""
    longest = max((before.size for before, _ in pairs), default=0)
    p, q, there = np.zeros((3, len(pairs), max(1, longest)))
    for row, (before, after) in enumerate(pairs):
        p[row, : before.size], q[row, : before.size], there[row, : before.size] = before, after, 1.0
    middle = np.where(p + q > 0, (p + q) / 2, 1.0)
    tiny = np.finfo(np.float64).tiny
    halves = p * np.log2(np.maximum(p, tiny) / middle) + q * np.log2(np.maximum(q, tiny) / middle)
    far = np.sqrt(np.maximum(0.0, halves.sum(1) / 2))
    p, q = np.maximum(p, FLOOR), np.maximum(q, FLOOR)
    ratio = np.log(q / p) * there
    psi = ((q - p) * ratio).sum(1)
    p, q = p * there, q * there
    of_p, of_q = (np.where(there[:, 0] > 0, each.sum(1), 1.0) for each in (p, q))
    # Of the shares made to sum to 1 again: sum(q/Q * log((q/Q) / (p/P))).
    kl = (q * ratio).sum(1) / of_q + np.log(of_p / of_q)
    return list(zip(psi.tolist(), kl.tolist(), far.tolist(), strict=True))
