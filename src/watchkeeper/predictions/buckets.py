"""In which piece of time what was counted is kept: the older, the wider, so that the number of rows is bounded."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MINUTE, NARROW, HOUR, DAY = 60, 300, 3600, 86_400
WIDTHS = ((MINUTE, timedelta(minutes=30)), (NARROW, timedelta(hours=6)), (HOUR, timedelta(days=3)))
"""Seconds of a bucket, and the age up to which it stays so; older ones are days."""


@dataclass(frozen=True, slots=True, order=True)
class Bucket:
    at: datetime
    """When it begins."""
    seconds: int

    @property
    def ends(self) -> datetime:
        return self.at + timedelta(seconds=self.seconds)


def bucket(at: datetime, now: datetime) -> Bucket:
    """The one for a time, as wide as its age wants it; what lies in the future counts as now."""
    at = min(at, now)
    for seconds, age in WIDTHS:
        begins = floored(at, seconds)
        if now - begins <= age:
            return Bucket(begins, seconds)
    return Bucket(floored(at, DAY), DAY)


def floored(at: datetime, seconds: int) -> datetime:
    stamp = int(at.timestamp())
    return datetime.fromtimestamp(stamp - stamp % seconds, UTC)


def coarser(old: Bucket, now: datetime) -> Bucket:
    """Where a bucket belongs by now."""
    wanted = bucket(old.at, now)
    return wanted if wanted.seconds > old.seconds else old
