"""When a bout of failures is over: shown by what was answered since, not by waiting until it has left a window."""

import math
from collections import deque
from dataclasses import dataclass, field

LEAST = 20
"""Answers in a row that are needed at least, however much failed before; ours."""
CALM = 2.0
"""Seconds since the last failure that are needed at least, however many answers there are; ours."""


WINDOW = 30.0
"""Seconds of failures from which it is told how often it fails."""
_MOST = 1000
"""Failures from which that is told at most: the last."""


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
    _failures: deque[tuple[float, int]] = field(default_factory=deque[tuple[float, int]])
    """When, and how many answers came since the one before."""
    _between: int = 0
    """The sum of those answers."""
    _row: int = 0

    def took(self, at: float, *, failed: bool) -> None:
        """One more was asked for at that time, and answered or not."""
        if failed:
            self._failures.append((at, self._row))
            self._between += self._row
            self._row = 0
            while self._failures[0][0] < at - WINDOW or len(self._failures) > _MOST:
                self._between -= self._failures.popleft()[1]
            return
        if not self._failures:
            return  # what was answered before the first failure says nothing of it
        self._row += 1
        last = self._failures[-1][0]
        if self._row >= self.needed and at - last >= CALM:
            self.over = last

    @property
    def needed(self) -> int:
        """Answers in a row after which it is over."""
        if not self._failures:
            return 0
        number = len(self._failures)
        tried = number + self._between - self._failures[0][1]  # from the first failure to the last
        return max(LEAST, math.ceil(3 * tried / number))

    def standing(self, at: float) -> bool:
        """Whether a failure of that time is part of a bout that is not over."""
        return at > self.over
