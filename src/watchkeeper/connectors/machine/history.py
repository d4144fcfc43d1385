"""What a machine's counters were lately: rates over a window, not from one look to the next. Pure.

A look every 200 ms while an alert is pending must not make a rate jump; so it is taken over the last minute.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

WINDOW = 60.0
"""Seconds over which a rate is taken."""
LEAST = 15.0
"""Seconds without which no rate is told: a burst at the start is none."""
KEPT = 600.0
"""Seconds for which counters are kept: within so long, something happened `lately`."""
_GAP = 4.5
_GROWTH = 3600.0
"""Seconds over which a filesystem's growth is taken."""
_GROWN = 1200.0
"""Seconds without which its growth is not told."""
_GROWTH_GAP = 60.0


@dataclass
class History:
    """Counters by name, sampled about every five seconds; times by a clock that does not jump."""

    _samples: deque[tuple[float, Mapping[str, float]]] = field(default_factory=deque[tuple[float, Mapping[str, float]]])
    _sizes: deque[tuple[float, Mapping[str, float]]] = field(default_factory=deque[tuple[float, Mapping[str, float]]])
    _now: tuple[float, Mapping[str, float]] = field(default_factory=lambda: (0.0, {}))

    def add(self, at: float, counters: Mapping[str, float], available: Mapping[str, float]) -> None:
        """The counters of a look, and what is available of each filesystem."""
        self._now = (at, counters)
        if not self._samples or at - self._samples[-1][0] >= _GAP:
            self._samples.append((at, counters))
        if not self._sizes or at - self._sizes[-1][0] >= _GROWTH_GAP:
            self._sizes.append((at, available))
        while self._samples[0][0] < at - KEPT - _GAP:
            self._samples.popleft()
        while self._sizes[0][0] < at - _GROWTH - _GROWTH_GAP:
            self._sizes.popleft()

    def increase(self, name: str, within: float = KEPT) -> float:
        """By how much a counter grew within so many seconds, since it is watched; 0 where it began anew."""
        at, present = self._now
        before = next((seen for then, seen in self._samples if then >= at - within and name in seen), None)
        return max(0.0, present[name] - before[name]) if before and name in present else 0.0

    def over(self, *names: str) -> dict[str, float] | None:
        """By how much each of them grew over the last minute, and the seconds under the empty name; None where they
        are not known for long enough, or began anew."""
        at, present = self._now
        times = [then for then, _ in self._samples]
        index = bisect_left(times, at - WINDOW)
        if index >= len(times) or at - times[index] < LEAST:
            return None
        then, before = self._samples[index]
        if not all(name in before and name in present for name in names):
            return None
        grown = {name: present[name] - before[name] for name in names}
        return None if min(grown.values(), default=0.0) < 0 else {"": at - then, **grown}

    def lowest(self, name: str, within: float) -> float | None:
        """The least value within so many seconds."""
        at, present = self._now
        seen = [values[name] for then, values in self._samples if then >= at - within and name in values]
        return min([*seen, present[name]]) if name in present else None

    def full_in(self, mount: str) -> float | None:
        """Seconds until nothing of a filesystem is available, as it went in the last hour; None where it does not
        shrink steadily. Each third must have shrunk: one large file that was written is no trend."""
        seen = [(at, free[mount]) for at, free in self._sizes if mount in free]
        if len(seen) < 4 or seen[-1][0] - seen[0][0] < _GROWN:
            return None
        third = len(seen) // 3
        marks = (seen[0], seen[third], seen[2 * third], seen[-1])
        rates = [(before[1] - after[1]) / (after[0] - before[0]) for before, after in pairwise(marks)]
        slowest = min(rates)
        return seen[-1][1] / slowest if slowest > 0 else None
