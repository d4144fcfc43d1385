"""Where nobody looked: a line drawn over it would tell of a fall or a rise that nobody saw. Pure.

As in the console (`web/src/components/gaps.ts`).
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

LONG = 4.0
"""So many times what lies beside it."""
LEAST = 10.0
"""Seconds below which nothing is a gap: one look may take that long."""
KEPT = (59.0, 65.0)
"""Seconds between two readings that are kept of what is well, one a minute, whatever lies beside them."""


def gaps(times: Sequence[datetime]) -> list[int]:
    """The numbers of the times before which there is a gap, by how far they and those beside them are apart: of what is
    old, thinned or well readings are far apart, and so are those beside them."""
    apart = [(after - before).total_seconds() for before, after in pairwise(times)]
    return [
        number + 1
        for number, seconds in enumerate(apart)
        if _gap(seconds, [*apart[max(0, number - 1) : number], *apart[number + 1 : number + 2]])
    ]


def _gap(seconds: float, beside: Sequence[float]) -> bool:
    usual, least = max(beside, default=0.0), LEAST if len(beside) == 2 else KEPT[1]
    return usual > 0 and seconds > max(least, LONG * usual) and not KEPT[0] <= seconds <= KEPT[1]
