"""A logarithmic histogram whose quantiles have a bounded relative error, and which merges exactly.

The buckets are those of DDSketch (Masson, Rim, Lee, "DDSketch: a fast and fully-mergeable quantile sketch with
relative-error guarantees", VLDB 2019): bucket i holds values in (g^(i-1), g^i] with g = (1+e)/(1-e).
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Histogram:
    """Counts non-negative numbers; memory grows with the logarithm of their range, not with their number.

    `error` is the relative error of a quantile (0.01: within 1 %). Values below `SMALLEST` count as zero. Two
    histograms of equal error merge to exactly what one would have held.

    >>> h = Histogram()
    >>> for value in range(1, 101): h.record(value)
    >>> abs(h.quantile(0.5) - 50) <= 0.01 * 50
    True
    """

    SMALLEST = 1e-9
    __slots__ = ("_gamma", "_log", "buckets", "count", "error", "maximum", "minimum", "total", "zeros")

    def __init__(self, error: float = 0.01) -> None:
        if not 0 < error < 1:
            raise ValueError(f"error must lie between 0 and 1, not {error}")
        self.error = error
        self._gamma = (1 + error) / (1 - error)
        self._log = math.log(self._gamma)
        self.buckets: dict[int, int] = {}
        self.zeros = 0
        self.count = 0
        self.total = 0.0
        self.minimum = math.inf
        self.maximum = -math.inf

    def record(self, value: float, times: int = 1) -> None:
        """Count a value. Raises ValueError for what is negative or not finite: it has no bucket."""
        if not (value >= 0 and math.isfinite(value)):
            raise ValueError(f"a histogram counts finite numbers from 0 on, not {value}")
        if value < self.SMALLEST:
            self.zeros += times
        else:
            bucket = math.ceil(math.log(value) / self._log)
            self.buckets[bucket] = self.buckets.get(bucket, 0) + times
        self.count += times
        self.total += value * times
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)

    def record_all(self, values: "NDArray[np.float64]") -> None:
        """Count an array; all of it must be finite and not negative."""
        import numpy as np

        if not values.size:
            return
        least, most = float(values.min()), float(values.max())
        counted = values if least >= self.SMALLEST else values[values >= self.SMALLEST]
        self.zeros += values.size - counted.size
        if counted.size:
            places = np.ceil(np.log(counted) / self._log).astype(np.int64)
            lowest = int(places.min())
            times = np.bincount(places - lowest)
            filled = np.flatnonzero(times)
            buckets = self.buckets
            for bucket, more in zip((filled + lowest).tolist(), times[filled].tolist(), strict=True):
                buckets[bucket] = buckets.get(bucket, 0) + more
        self.count += values.size
        self.total += float(values.sum())
        self.minimum = min(self.minimum, least)
        self.maximum = max(self.maximum, most)

    def middles(self) -> list[tuple[float, int]]:
        """(value in the middle of the bucket, how many), from the smallest on."""
        counted = [(2 * self._gamma**bucket / (self._gamma + 1), n) for bucket, n in sorted(self.buckets.items())]
        return [(0.0, self.zeros), *counted] if self.zeros else counted

    def quantile(self, q: float) -> float:
        """The value below which a share `q` (0..1) lies, within the relative error; NaN when nothing was counted."""
        if not 0 <= q <= 1:
            raise ValueError(f"a quantile lies between 0 and 1, not {q}")
        return self.ranked(q * (self.count - 1)) if self.count else math.nan

    def ranked(self, rank: float) -> float:
        """The value that `rank` others lie below, within the relative error."""
        seen = self.zeros
        if rank < seen:
            return 0.0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if rank < seen:
                middle = 2 * self._gamma**bucket / (self._gamma + 1)
                return min(max(middle, self.minimum), self.maximum)
        return self.maximum

    def merge(self, other: "Histogram") -> None:
        """Add what another has counted. Raises ValueError when their errors differ."""
        if other.error != self.error:
            raise ValueError(f"histograms of error {self.error} and {other.error} cannot be merged")
        for bucket, times in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + times
        self.zeros += other.zeros
        self.count += other.count
        self.total += other.total
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; `from_dict` takes it back."""
        return {
            "error": self.error,
            "buckets": {str(bucket): times for bucket, times in sorted(self.buckets.items())},
            "zeros": self.zeros,
            "count": self.count,
            "total": self.total,
            "minimum": self.minimum if self.count else None,
            "maximum": self.maximum if self.count else None,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Histogram":
        made = cls(content["error"])
        made.buckets = {int(bucket): times for bucket, times in content["buckets"].items()}
        made.zeros, made.count, made.total = content["zeros"], content["count"], content["total"]
        if made.count:
            made.minimum, made.maximum = content["minimum"], content["maximum"]
        return made
