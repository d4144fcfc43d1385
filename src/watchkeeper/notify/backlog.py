"""What could not be told for long: summed up, or told as it stands by now."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from watchkeeper.domain import Event, now
from watchkeeper.domain.notification import Message
from watchkeeper.notify.telling import TOLD

OLD = timedelta(hours=24)
MOST = 100
"""What is older than `OLD`, or lies before the newest so many, is not told one by one."""


def backlog(waiting: Sequence[Event]) -> tuple[list[Event], list[Event]]:
    """What is not told one by one because it is old or too much, and what is, oldest first."""
    since = now() - OLD
    first = next((index for index, event in enumerate(waiting) if event.at >= since), len(waiting))
    first = max(first, len(waiting) - MOST)
    return list(waiting[:first]), list(waiting[first:])


def latest(late: Sequence[Event]) -> list[Event]:
    """The last of each incident, oldest first: how it stands."""
    told = [event for event in late if event.kind in TOLD and not event.quiet]
    last = {event.incident: event for event in told if event.incident is not None}
    return sorted(last.values(), key=lambda event: event.seq)


def summary(told: Sequence[Event]) -> Message:
    counts = Counter(event.kind for event in told)
    which = ", ".join(f"{number} × {kind}" for kind, number in counts.most_common())
    text = (
        f"{len(told)} notifications from {told[0].at:%Y-%m-%d %H:%M} to {told[-1].at:%Y-%m-%d %H:%M} UTC "
        f"could not be delivered then and are not repeated one by one ({which}). See `watchkeeper incidents`."
    )
    data: dict[str, object] = {"first": told[0].seq, "last": told[-1].seq, "kinds": dict(counts)}
    return Message(told[-1].seq, "notifications.summary", text, now(), severity="warning", data=data)
