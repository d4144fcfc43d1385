"""What people and agents did with tools beside an incident, outside of its own fixes."""

from watchkeeper.domain import Fix, Incident, now
from watchkeeper.store.store import Store

MOST = 200


async def fixes_beside(store: Store, incident: Incident) -> list[Fix]:
    """Fixes of no incident on what this one is about, begun while it was open; the oldest first. Of the newest `MOST`
    there are."""
    end = incident.closed_at or now()
    return [
        fix
        for fix in reversed(await store.select(Fix, incident=None, limit=MOST))
        if incident.opened_at <= fix.started_at <= end and set(fix.plan.resources) & set(incident.resources)
    ]
