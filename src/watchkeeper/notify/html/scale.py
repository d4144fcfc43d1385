"""Round ticks of a scale, of figures and of time."""

import math
from datetime import UTC, datetime, timedelta

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_BINARY = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
_TIMES = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
DAY = 86_400


def ticks(high: float, of: str = "", low: float = 0.0, most: int = 5) -> list[float]:
    """Round values from at or below `low` to at or above `high`.

    >>> ticks(0.998, "ratio"), ticks(256 * 1024**2, "bytes")
    ([0.0, 0.25, 0.5, 0.75, 1.0], [0.0, 67108864.0, 134217728.0, 201326592.0, 268435456.0])
    """
    span = max(high - low, 1e-9)
    base = 1024.0 if of == "bytes" else 10.0
    steps = _BINARY if of == "bytes" else _STEPS
    unit_of_step = base ** math.floor(math.log(span / (most - 1), base))
    step = next((unit_of_step * s for s in steps if span / (unit_of_step * s) <= most - 1 + 1e-9), unit_of_step * base)
    if not of and step < 1 and high == int(high):
        step = 1.0
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [number * step for number in range(first, last + 1)]


def moments(begin: datetime, end: datetime, most: int = 6) -> list[tuple[datetime, str]]:
    """Round times between two, with how they are written; days where it is about days. In UTC."""
    span = (end - begin).total_seconds()
    step = next((s for s in _TIMES if span / s <= most), None)
    if step is None:
        step = math.ceil(span / most / DAY) * DAY
    at = datetime.fromtimestamp(math.ceil(begin.timestamp() / step) * step, UTC)
    form = "%d %b" if step >= DAY else "%H:%M" if step >= 60 else "%H:%M:%S"
    found: list[tuple[datetime, str]] = []
    while at <= end:
        day = form == "%H:%M" and span > DAY / 2 and at.hour == 0 and at.minute == 0
        found.append((at, at.strftime("%d %b" if day else form)))
        at += timedelta(seconds=step)
    return found
