"""Times in which nobody watched: what lasted over one of them lasted at most so long, for nobody saw its end."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from watchkeeper.domain.policy import Event

STARTED = "server.started"
"""Its data say since when nobody had watched: `away_since`."""
LEFT, AGAIN = "incident.unwatched", "incident.watched"
"""Of an incident's root, where it is left out while Watchkeeper runs; the data of the second have `away_since`, too."""
SHORTEST = timedelta(seconds=10)
"""A shorter time without anybody is no gap worth telling."""


def gaps(events: Iterable[Event]) -> list[tuple[datetime, datetime]]:
    """From when to when nobody watched, as these events tell, in order; what lies in or beside another is one."""
    left: datetime | None = None
    told: list[tuple[datetime, datetime]] = []
    for event in sorted(events, key=lambda each: each.at):
        if event.kind in (STARTED, AGAIN) and event.data.get("away_since"):
            told.append((datetime.fromisoformat(str(event.data["away_since"])), event.at))
        left = event.at if event.kind == LEFT else None if event.kind == AGAIN else left
    if left is not None:
        told.append((left, datetime.max.replace(tzinfo=UTC)))
    found: list[tuple[datetime, datetime]] = []
    for since, until in sorted(told):
        if found and since <= found[-1][1]:
            found[-1] = (found[-1][0], max(until, found[-1][1]))
        else:
            found.append((since, until))
    return found


def unwatched(events: Iterable[Event], begin: datetime | None, end: datetime | None) -> float:
    """Seconds of a time in which nobody watched; 0 where the time is not known."""
    if begin is None or end is None:
        return 0.0
    found = ((max(begin, since), min(end, until)) for since, until in gaps(events))
    return sum((max(0.0, (until - since).total_seconds()) for since, until in found), 0.0)
