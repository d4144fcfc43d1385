"""Numbers of either sign, and shares between 0 and 1, in summaries that merge exactly."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from watchkeeper_monitor.histogram import Histogram

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Numbers:
    """Numbers of either sign: one histogram of each sign, and how much was no number."""

    __slots__ = ("invalid", "negative", "positive")

    def __init__(self) -> None:
        self.positive = Histogram()
        self.negative = Histogram()
        self.invalid = 0
        """NaN, infinite, or not a number at all."""

    @property
    def count(self) -> int:
        return self.positive.count + self.negative.count

    @property
    def total(self) -> float:
        return self.positive.total - self.negative.total

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else math.nan

    @property
    def minimum(self) -> float:
        return -self.negative.maximum if self.negative.count else self.positive.minimum

    @property
    def maximum(self) -> float:
        return self.positive.maximum if self.positive.count else -self.negative.minimum

    def record(self, value: float) -> None:
        if not math.isfinite(value):
            self.invalid += 1
        elif value < 0:
            self.negative.record(-value)
        else:
            self.positive.record(value)

    def record_all(self, values: "NDArray[np.float64]") -> None:
        """Count an array; what is not finite is `invalid`."""
        import numpy as np

        if values.size and values.min() >= 0 and values.max() < math.inf:
            self.positive.record_all(values)
            return
        finite = values[np.isfinite(values)]
        self.invalid += values.size - finite.size
        below = finite < 0
        if below.any():
            self.negative.record_all(-finite[below])
            finite = finite[~below]
        self.positive.record_all(finite)

    def quantile(self, q: float) -> float:
        """The value below which a share `q` (0..1) lies, within 1 %; NaN of nothing."""
        if not self.count:
            return math.nan
        rank = math.floor(q * (self.count - 1))
        if rank < self.negative.count:
            return -self.negative.ranked(self.negative.count - 1 - rank)
        return self.positive.ranked(rank - self.negative.count)

    def buckets(self) -> list[tuple[float, int]]:
        """(value in the middle of the bucket, how many), from the smallest value on."""
        below = [(-value, times) for value, times in reversed(self.negative.middles())]
        return below + self.positive.middles()

    def merge(self, other: "Numbers") -> None:
        self.positive.merge(other.positive)
        self.negative.merge(other.negative)
        self.invalid += other.invalid

    def to_dict(self) -> dict[str, Any]:
        return {
            "positive": self.positive.to_dict(),
            "negative": self.negative.to_dict(),
            "invalid": self.invalid,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Numbers":
        made = cls()
        made.positive = Histogram.from_dict(content["positive"])
        made.negative = Histogram.from_dict(content["negative"])
        made.invalid = content["invalid"]
        return made


class Shares:
    """Shares between 0 and 1 in 200 bins of 0.005, each closed above: `at_most(0.95)` is exact."""

    BINS = 200
    __slots__ = ("bins", "total")

    def __init__(self) -> None:
        self.bins = [0] * (self.BINS + 1)
        """`bins[0]` holds exact zeros, `bins[i]` what lies in ((i-1)/200, i/200]."""
        self.total = 0.0

    @property
    def count(self) -> int:
        return sum(self.bins)

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else math.nan

    def record_all(self, values: "NDArray[np.float64]") -> None:
        """Count an array of shares; all must lie between 0 and 1."""
        import numpy as np

        # 0.07 * 200 is 14.000000000000002: without the margin a share on an edge would go one bin too high.
        places = np.ceil(values * self.BINS - 1e-9).astype(np.int64)
        counts = np.bincount(places, minlength=self.BINS + 1)
        self.bins = (counts + self.bins).tolist()
        self.total += float(values.sum())

    def at_most(self, share: float) -> int:
        """How many are not above `share`, a multiple of 0.005."""
        return sum(self.bins[: round(share * self.BINS) + 1])

    def quantile(self, q: float) -> float:
        """The value below which a share `q` (0..1) lies, to 0.005; NaN of nothing."""
        rank, seen = q * (self.count - 1), 0
        for place, times in enumerate(self.bins):
            seen += times
            if times and rank < seen:
                return max(0.0, (place - 0.5) / self.BINS)
        return math.nan

    def merge(self, other: "Shares") -> None:
        self.bins = [mine + theirs for mine, theirs in zip(self.bins, other.bins, strict=True)]
        self.total += other.total

    def to_dict(self) -> dict[str, Any]:
        return {"bins": {str(i): times for i, times in enumerate(self.bins) if times}, "total": self.total}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Shares":
        made = cls()
        for place, times in content["bins"].items():
            made.bins[int(place)] = times
        made.total = content["total"]
        return made
