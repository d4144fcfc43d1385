"""The time, which does not jump while something is being handled.

Durations (`for`, settling, deadlines, limits) compare times. A system clock that is set by an hour would end or stretch
them all. So the present is the system's time at the start, moved on by the monotonic clock; small differences are
taken over gently, and a jump when nobody holds the clock.
"""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime

JUMP = 2.0
"""Seconds by which the system's clock must be off to count as set rather than as drifting."""
SLEW = 0.05
"""Share of the time that has passed by which a drift is taken over at most: the present never goes backwards."""


class Clock:
    """`wall` and `steady` give seconds: the one seam for whoever substitutes a clock."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self.wall = wall
        self.steady = steady
        self._offset = wall() - steady()
        self._followed = steady()
        self._held = 0

    def now(self) -> datetime:
        """The present, aware, in UTC."""
        return datetime.fromtimestamp(self._offset + self.steady(), UTC)

    @property
    def off(self) -> float:
        """Seconds by which the system's clock is ahead of this one."""
        return self.wall() - self.steady() - self._offset

    @contextmanager
    def held(self) -> Generator[None]:
        """No jump is taken over meanwhile."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    def follow(self) -> float:
        """Called now and then: take over the system's time. Returns the seconds of a jump taken over, else 0."""
        off = self.off
        passed = self.steady() - self._followed
        self._followed += passed
        if abs(off) < JUMP:
            most = SLEW * passed
            self._offset += max(-most, min(most, off))
            return 0.0
        if self._held:
            return 0.0
        self._offset += off
        return off


clock = Clock()
"""The one of this process."""


def now() -> datetime:
    """The present, aware, in UTC."""
    return clock.now()
