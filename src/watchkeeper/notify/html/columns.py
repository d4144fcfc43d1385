"""The charts of a period: how incidents ended, and how long detection and repair took, over time."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from watchkeeper.domain import Alert, Incident
from watchkeeper.domain.figures import figure
from watchkeeper.notify.figures import lasting
from watchkeeper.notify.html.chart import Placed
from watchkeeper.notify.html.scale import DAY, ticks

ENDINGS = {
    "healed": "healed without a person",
    "approved": "healed with a person’s word",
    "recovered": "recovered, not by Watchkeeper, or removed",
    "person": "handed to a person",
    "open": "not over",
}
MOST = 31
_LEAST = 0.01
_POWERS = (0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 6 * 3600.0, DAY * 1.0, 7.0 * DAY, 70.0 * DAY)
_LENGTHS = (600, 1800, 3600, 3 * 3600, 6 * 3600, DAY, 7 * DAY, 28 * DAY)


@dataclass(slots=True)
class Bucket:
    """What began within a part of the period; times in seconds."""

    begin: datetime
    end: datetime
    label: str
    endings: dict[str, int] = field(default_factory=dict[str, int])
    detect: list[float] = field(default_factory=list[float])
    repair: list[float] = field(default_factory=list[float])

    def said(self, of: str) -> tuple[str, str]:
        """Median and worst, in words."""
        values: list[float] = getattr(self, of)
        return (figure(statistics.median(values), "seconds"), figure(max(values), "seconds")) if values else ("—", "—")


@dataclass(frozen=True, slots=True)
class Columns:
    """A chart of columns, drawn: bars with their styles, or medians with the worst above."""

    size: str
    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    bars: tuple[tuple[Placed, float], ...]
    spans: tuple[tuple[float, float, float], ...]
    """Where each is across, its median and its worst."""
    x_ticks: tuple[Placed, ...]
    y_ticks: tuple[Placed, ...]


def buckets(
    since: datetime,
    until: datetime,
    incidents: Sequence[Incident],
    kinds: Mapping[str, str],
    alerts: Sequence[Alert],
) -> list[Bucket]:
    """Parts of equal length, at most 31; what began before the period stands in the first."""
    span = max((until - since).total_seconds(), 1.0)
    length = next((one for one in _LENGTHS if span / one <= MOST - 1), math.ceil(span / (MOST - 1) / DAY) * DAY)
    at = math.floor(since.timestamp() / length) * length
    form = "%d %b" if length >= DAY else "%H:%M" if span <= DAY else "%d %b %H:%M"
    found: list[Bucket] = []
    while at < until.timestamp():
        begin = datetime.fromtimestamp(at, UTC)
        found.append(Bucket(begin, begin + timedelta(seconds=length), begin.strftime(form)))
        at += length

    def of(moment: datetime) -> Bucket:
        return found[min(max(int((moment.timestamp() - found[0].begin.timestamp()) // length), 0), len(found) - 1)]

    for one in incidents:
        bucket = of(one.opened_at)
        bucket.endings[kinds[one.id]] = bucket.endings.get(kinds[one.id], 0) + 1
        if one.outcome == "healed" and (took := lasting(one)) is not None:
            bucket.repair.append(took)
    for alert in alerts:
        if alert.firing_at is not None and since <= alert.firing_at <= until:
            of(alert.firing_at).detect.append(max(0.0, (alert.firing_at - alert.pending_at).total_seconds()))
    return found


def _frame(found: Sequence[Bucket], size: str) -> tuple[float, float, float, float, float, list[Placed]]:
    """Width, left, right, top, bottom, and the labels below."""
    width, left, right = (720.0, 62.0, 708.0) if size == "wide" else (360.0, 54.0, 352.0)
    each = (right - left) / len(found)
    room = max(1, math.ceil((92 if " " in found[0].label and ":" in found[0].label else 52) / each))
    labels = [
        Placed(round(left + each * (number + 0.5), 1), text=bucket.label)
        for number, bucket in enumerate(found)
        if number % room == 0
    ]
    return width, left, right, 12.0, 182.0 if size == "wide" else 162.0, labels


def stacked(found: Sequence[Bucket], size: str) -> Columns:
    """How many incidents ended in which way."""
    width, left, right, top, bottom, labels = _frame(found, size)
    each = (right - left) / len(found)
    scale = ticks(max(1.0, *(float(sum(bucket.endings.values())) for bucket in found)))
    high = (bottom - top) / scale[-1]
    bars: list[tuple[Placed, float]] = []
    for number, bucket in enumerate(found):
        base = bottom
        wide = min(each * 0.7, 44.0)
        for kind in ENDINGS:
            if count := bucket.endings.get(kind, 0):
                tall = round(count * high, 1)
                base = round(base - tall, 1)
                at = round(left + each * (number + 0.5) - wide / 2, 1)
                bars.append((Placed(at, base, round(wide, 1), str(count), kind), tall))
    y_ticks = tuple(Placed(left, round(bottom - value * high, 1), text=f"{value:g}") for value in scale)
    return Columns(size, width, bottom + 26, left, right, top, bottom, tuple(bars), (), tuple(labels), y_ticks)


def times(found: Sequence[Bucket], of: str, size: str) -> Columns:
    """Median (a dot) and worst (a ring) of `detect` or `repair`."""
    width, left, right, top, bottom, labels = _frame(found, size)
    each = (right - left) / len(found)
    values: list[list[float]] = [getattr(bucket, of) for bucket in found]
    seen = [max(value, _LEAST) for one in values for value in one]
    scale = _steps(min(seen), max(seen))
    share = _share(scale)

    def y(value: float) -> float:
        return round(bottom - (bottom - top) * share(value), 1)

    spans = tuple(
        (round(left + each * (number + 0.5), 1), y(statistics.median(one)), y(max(one)))
        for number, one in enumerate(values)
        if one
    )
    y_ticks = tuple(Placed(left, y(v), text=figure(v, "seconds")) for v in scale)
    return Columns(size, width, bottom + 26, left, right, top, bottom, (), spans, tuple(labels), y_ticks)


def _steps(low: float, high: float) -> list[float]:
    """Ticks: evenly spaced, or by powers where the worst is more than thirty times the best."""
    if high <= 30 * low:
        return ticks(high)
    first = max((one for one in _POWERS if one <= low), default=_POWERS[0])
    last = min((one for one in _POWERS if one >= high), default=_POWERS[-1])
    return [one for one in _POWERS if first <= one <= last]


def _share(scale: Sequence[float]) -> Callable[[float], float]:
    """How high up a value stands, from 0 to 1."""
    if scale[0] == 0.0:
        return lambda value: min(value / scale[-1], 1.0)
    low, high = math.log(scale[0]), math.log(scale[-1])
    return lambda value: min(max((math.log(max(value, _LEAST)) - low) / (high - low), 0.0), 1.0)
