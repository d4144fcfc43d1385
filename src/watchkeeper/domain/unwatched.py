"""Times in which nobody watched: what lasted over one of them lasted at most so long, for nobody saw its end."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from watchkeeper.domain.policy import Event

STARTED = "server.started"
"""Its data say since when nobody had watched: `away_since`."""
SHORTEST = timedelta(seconds=10)
"""A shorter time without anybody is no gap worth telling."""


def gaps(events: Iterable[Event]) -> list[tuple[datetime, datetime]]:
    """From when to when nobody watched, as these events tell."""
    told = [event for event in events if event.kind == STARTED and event.data.get("away_since")]
    return [(datetime.fromisoformat(str(event.data["away_since"])), event.at) for event in told]


def unwatched(events: Iterable[Event], begin: datetime | None, end: datetime | None) -> float:
    """Seconds of a time in which nobody watched; 0 where the time is not known."""
    if begin is None or end is None:
        return 0.0
    found = ((max(begin, since), min(end, until)) for since, until in gaps(events))
    return sum((max(0.0, (until - since).total_seconds()) for since, until in found), 0.0)
