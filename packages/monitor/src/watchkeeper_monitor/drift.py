"""How far two samples of one column lie apart: the kernels.

Each agrees with SciPy, or with the plain formula, to rounding; `tests/monitor/test_drift.py` holds them side by side.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BINS = 10
"""Bins of PSI, KL and Jensen–Shannon: deciles of the reference (Siddiqi, "Credit Risk Scorecards", 2006)."""
FLOOR = 1e-4
"""The least share of a bin in a ratio: an empty bin would make PSI and KL infinite."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """A numeric column made ready for comparing: sorted, without what is not finite."""

    values: Floats
    edges: Floats
    """Inner edges of the bins: deciles."""
    sums: Floats
    """Running sums of the distances from the middle value, 0 first: of the values themselves they would lose digits."""
    own: Floats
    """Its shares of its own bins."""

    @property
    def middle(self) -> float:
        return float(self.values[self.values.size // 2])

    @classmethod
    def of(cls, values: Floats) -> "Sorted":
        there = np.isfinite(values)
        finite = values.copy() if there.all() else values[there]
        finite.sort()
        if not finite.size:
            return cls(finite, finite, np.zeros(1), np.zeros(1))
        places = (np.arange(1, BINS) * finite.size) // BINS
        sums = np.zeros(finite.size + 1)
        np.cumsum(finite - finite[finite.size // 2], out=sums[1:])
        edges = np.unique(finite[places])
        return cls(finite, edges, sums, _shares(finite, edges))

    def shares(self, edges: Floats) -> Floats:
        """Share of the values in each bin; a bin is closed below."""
        return _shares(self.values, edges)


def _shares(values: Floats, edges: Floats) -> Floats:
    inner = np.searchsorted(values, edges, side="left")
    return np.diff(np.concatenate(([0], inner, [values.size]))) / max(1, values.size)


def psi(reference: Floats, current: Floats) -> float:
    """Population stability index of two rows of shares: from 0.1 on a shift, from 0.25 on a large one."""
    p, q = np.maximum(reference, FLOOR), np.maximum(current, FLOOR)
    return float(((q - p) * np.log(q / p)).sum())


def kl(reference: Floats, current: Floats) -> float:
    """Kullback–Leibler divergence of the current shares from the reference's, in nats."""
    p, q = np.maximum(reference, FLOOR), np.maximum(current, FLOOR)
    p, q = p / p.sum(), q / q.sum()
    return float((q * np.log(q / p)).sum())


def jensen_shannon(reference: Floats, current: Floats) -> float:
    """Jensen–Shannon distance to base 2: 0 the same, 1 nothing in common (Endres and Schindelin, 2003)."""
    middle = (reference + current) / 2

    def half(shares: Floats) -> float:
        there = shares > 0
        return float((shares[there] * np.log2(shares[there] / middle[there])).sum())

    return math.sqrt(max(0.0, (half(reference) + half(current)) / 2))


def places_of(a: Floats, b: Floats) -> NDArray[np.int64]:
    """How many of the longer are not above each point of the shorter (of equal lengths `a` is that); both sorted."""
    short, long = (a, b) if a.size <= b.size else (b, a)
    return np.searchsorted(long, short, side="right")


def kolmogorov_smirnov(a: Floats, b: Floats, places: NDArray[np.int64] | None = None) -> float:
    """Largest distance of the two distribution functions; both sorted. `places`: of `places_of`, where it is known.

    Looked for at the points of the shorter: between two of them its own function stays and the other's only rises.
    """
    short, long = (a, b) if a.size <= b.size else (b, a)
    right = places_of(a, b) if places is None else places
    left, met = right, long[np.maximum(right - 1, 0)] == short
    if met.any():
        left = right.copy()
        left[met] = np.searchsorted(long, short[met], side="left")
    # Of equal points the last has the function's value and the first its limit from below.
    ties = _ties(short)
    own = np.arange(short.size + 1) / short.size
    last = np.searchsorted(short, short, side="right") / short.size if ties else own[1:]
    first = np.searchsorted(short, short, side="left") / short.size if ties else own[:-1]
    return float(max(np.abs(last - right / long.size).max(), np.abs(left / long.size - first).max()))


def _ties(values: Floats) -> bool:
    return bool((values[1:] == values[:-1]).any())


def wasserstein(a: Sorted, b: Sorted, places: NDArray[np.int64] | None = None) -> float:
    """First Wasserstein distance: the area between the two distribution functions. `places`: of `places_of`.

    Between neighbouring points of the shorter its function is constant, and the area below the other's is a difference
    of running sums: the longer one costs no more than one running sum.
    """
    longer = a if a.values.size > b.values.size else b
    long, short = longer.values, (b if longer is a else a).values
    middle, sums = longer.middle, longer.sums
    found = places_of(a.values, b.values) if places is None else places
    points = np.concatenate(([min(long[0], short[0])], short, [max(long[-1], short[-1])]))
    ranks = np.concatenate(([0], found, [long.size]))
    levels = np.arange(short.size + 1) / short.size
    # Where the longer one's function crosses the level, within the interval between two neighbouring points. Whether
    # values on an edge lie before or behind it makes no difference to an area.
    crossing = np.ceil(levels * long.size - 1e-9).astype(np.int64)
    crossed = np.where(crossing > 0, long[np.maximum(crossing, 1) - 1], points[0])
    low, high, from_rank, to_rank = points[:-1], points[1:], ranks[:-1], ranks[1:]
    cut, at_cut = np.minimum(np.maximum(crossed, low), high), np.minimum(np.maximum(crossing, from_rank), to_rank)
    from_sum, cut_sum, to_sum = sums[from_rank], sums[at_cut], sums[to_rank]
    before = from_rank * (cut - low) + (at_cut - from_rank) * (cut - middle) - (cut_sum - from_sum)
    behind = at_cut * (high - cut) + (to_rank - at_cut) * (high - middle) - (to_sum - cut_sum)
    under = levels * (cut - low) - before / long.size
    over = behind / long.size - levels * (high - cut)
    return float(np.abs(under).sum() + np.abs(over).sum())


def ks_p_value(distance: float, n: int, m: int) -> float:
    """Kolmogorov's limiting distribution: how likely so large a distance is where nothing has changed."""
    x = distance * math.sqrt(n * m / (n + m))
    if x < 0.2:
        return 1.0
    if x < 1.18:  # the other series converges slowly here (Marsaglia, Tsang, Wang, 2003)
        v = math.exp(-(math.pi**2) / (8 * x * x))
        return 1 - math.sqrt(2 * math.pi) / x * (v + v**9 + v**25 + v**49)
    v = math.exp(-2 * x * x)
    return 2 * (v - v**4 + v**9 - v**16)


def chi_squared(reference: NDArray[np.int64], current: NDArray[np.int64]) -> tuple[float, int]:
    """Statistic and degrees of freedom of the test that two rows of counts have the same shares."""
    both = reference + current
    n, m = int(reference.sum()), int(current.sum())
    there = np.flatnonzero(both)
    if not n or not m:
        return 0.0, 0
    # Of two rows the sum of (counted - expected)² / expected comes to this.
    apart = reference[there] / n - current[there] / m
    return float((apart * apart / both[there]).sum()) * n * m, there.size - 1


def chi_squared_p_value(statistic: float, freedom: int) -> float:
    """The upper tail: regularised incomplete gamma function Q (Press et al., "Numerical Recipes", 6.2)."""
    if freedom < 1 or statistic <= 0:
        return 1.0
    a, x = freedom / 2, statistic / 2
    scale = a * math.log(x) - x - math.lgamma(a)
    if x < a + 1:
        term = total = 1 / a
        n = a
        while term > total * 1e-16:
            n += 1
            term *= x / n
            total += term
        return max(0.0, 1 - total * math.exp(scale))
    b = x + 1 - a
    c, d = 1e300, 1 / b
    h = d
    for i in range(1, 100_000):
        an = -i * (i - a)
        b += 2
        d = 1 / (an * d + b)
        c = b + an / c
        h *= d * c
        if abs(d * c - 1) < 1e-16:
            break
    return h * math.exp(scale) if scale > -745 else 0.0


def adjusted(p_values: list[float]) -> list[float]:
    """Corrected for how many there are: false discovery rate (Benjamini and Hochberg, 1995)."""
    number = len(p_values)
    made, least = [1.0] * number, 1.0
    for rank, place in sorted(enumerate(sorted(range(number), key=p_values.__getitem__), 1), reverse=True):
        least = min(least, p_values[place] * number / rank)
        made[place] = least
    return made
