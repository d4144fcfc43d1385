"""How often everything is looked at where it is too much for one process to look at as often as is wanted."""

import time

SPREAD = 0.002
"""Seconds by which the first looks of many new resources are apart."""
MANY = 500
"""Resources up to which the interval is kept whatever it costs."""
BUSY, IDLE = 0.7, 0.5
"""Shares of one core: above the first looks become rarer, below the second more frequent again. The rest is for the
API, discovery, and fixes."""
LATE, PROMPT = 0.5, 0.1
"""Seconds by which the event loop is late, to the same effects; on a machine that is busy with other things."""
RAREST = 60.0
"""Seconds between two looks at a resource at most. What alerts, or is waited for, is looked at quickly as ever."""


LOOK = 0.001
"""Seconds of CPU that a look takes until it is known better (docs/scaling.md)."""


class Pace:
    """`factor` is by how much the interval is stretched; 1 where it is kept. Ask `follow` about every second."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._used = time.process_time()
        self._at = time.monotonic()
        self.factor = 1.0
        self.number = 0

    def expect(self, number: int) -> None:
        """So many are to be looked at from now on: begin where it is likely to end."""
        if number > max(MANY, self.number):
            likely = number * LOOK / (BUSY * self._interval)
            self.factor = max(self.factor, 1.0, min(likely, RAREST / self._interval))

    def follow(self, number: int, slept: float) -> None:
        """`number` resources are looked at, and the caller slept for `slept` seconds, or meant to."""
        used, at = time.process_time(), time.monotonic()
        passed = max(1e-3, at - self._at)
        self.adjust(number, (used - self._used) / passed, passed - slept)
        self._used, self._at = used, at

    def adjust(self, number: int, share: float, late: float) -> None:
        """By what share of a core was used, and how many seconds late the event loop is."""
        self.number = number
        if number <= MANY:
            self.factor = 1.0
        elif share > BUSY or late > LATE:
            self.factor = max(self.factor, min(self.factor * 1.3, RAREST / self._interval))
        elif share < IDLE and late < PROMPT:
            self.factor = max(1.0, self.factor / 1.1)

    @property
    def problem(self) -> str | None:
        """For a person; None where the interval is kept, or nearly."""
        if self.factor < 1.5:
            return None
        return (
            f"{self.number:,} resources are more than this process can look at every {self._interval:g} s: each is "
            f"looked at about every {self._interval * self.factor:.0f} s, and quickly what alerts. Raise "
            "`watch.interval`, watch fewer (`only`), or share them between executors (docs/scaling.md)."
        )
