"""When a bout of failures is over: shown by what was answered since, not by waiting until it has left a window."""

import math
from dataclasses import dataclass

LEAST = 20
"""Answers in a row that are needed at least, however much failed before; ours."""
CALM = 2.0
"""Seconds since the last failure that are needed at least, however many answers there are; ours."""


@dataclass(slots=True)
class Bout:
    """Failures of one kind, or of one upstream, and what was answered between and since. Times are the event loop's.

    It is over after so many answers in a row that, if it still failed as often as it did, at least one of them would
    have failed with 95 % confidence: three by the share that failed (the rule of three; Hanley and Lippman-Hand, "If
    Nothing Goes Wrong, Is Everything All Right?", JAMA 1983).

    >>> bout = Bout()
    >>> for second in range(5): bout.took(float(second), failed=True)
    >>> for tenth in range(50, 100): bout.took(tenth / 10, failed=False)
    >>> bout.standing(4.0)
    False
    """

    over: float = -math.inf
    """Failures up to here are over."""
    _last: float = -math.inf
    _failed: int = 0
    _tried: int = 0
    """How many, up to the last failure of the bout."""
    _row: int = 0

    def took(self, at: float, *, failed: bool) -> None:
        """One more was asked for at that time, and answered or not."""
        if failed:
            self._last = at
            self._failed += 1
            self._tried += self._row + 1
            self._row = 0
            return
        if not self._failed:
            return  # what was answered before the first failure says nothing of it
        self._row += 1
        if self._row >= self.needed and at - self._last >= CALM:
            self.over, self._failed, self._tried, self._row = self._last, 0, 0, 0

    @property
    def needed(self) -> int:
        """Answers in a row after which it is over."""
        return max(LEAST, math.ceil(3 * self._tried / self._failed)) if self._failed else 0

    def standing(self, at: float) -> bool:
        """Whether a failure of that time is part of a bout that is not over."""
        return at > self.over
