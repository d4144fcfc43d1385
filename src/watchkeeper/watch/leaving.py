"""From when to when an incident's root was not watched although Watchkeeper ran, as where `only` left it out."""

from collections.abc import Container
from datetime import datetime

from watchkeeper.domain import Event, Incident
from watchkeeper.domain.unwatched import AGAIN, LEFT
from watchkeeper.store import Store
from watchkeeper.watch.correlation import RELAPSE

OPEN = ("open", "diagnosing", "awaiting_approval", "fixing", "verifying", "escalated")


async def noted(store: Store, watched: Container[str], at: datetime) -> None:
    """At a start, once it is known what is watched: in each incident that is open, or may come back, it is written that
    its root is not watched from here on, or is again."""
    ended = await store.select(Incident, status=("closed",), limit=100)
    recent = [one for one in ended if one.closed_at and at - one.closed_at <= RELAPSE]
    for incident in (*await store.select(Incident, status=OPEN), *recent):
        told = await store.events(kinds=(LEFT, AGAIN), incident=incident.id, limit=1, newest=True)
        left = told[0] if told and told[0].kind == LEFT else None
        text = "it is not watched from here on"
        data: dict[str, object] = {"quiet": True}  # `up` says at its start what is left open
        if incident.root in watched:
            if left is None:
                continue
            text = "it is watched again"
            data["away_since"] = left.at.isoformat()
        elif left is not None:
            continue
        kind = AGAIN if left else LEFT
        await store.emit(Event(kind, incident.id, text, at, incident=incident.id, resource=incident.root, data=data))
