"""Two incidents that turn out to have one cause become one. Each incident's own task merges it: nothing else plans for
it meanwhile, and one whose fix is at work is merged only when that is judged."""

from watchkeeper.domain import LOOP, Alert, Approval, Event, Incident, now
from watchkeeper.incidents import ACTIVE, Desk
from watchkeeper.store import Store
from watchkeeper.watch import Watch
from watchkeeper.watch.correlation import cause_of, has_own_cause
from watchkeeper.watch.joining import alerts_of, keep

FIRING = 10_000
"""Alerts read at most."""


class Merging:
    def __init__(self, store: Store, watch: Watch, desk: Desk) -> None:
        self._store = store
        self._watch = watch
        self._desk = desk

    async def into_cause(self, incident: Incident) -> Incident | None:
        """The incident as it is closed, where another one's root explains it; else None, and nothing is changed."""
        active = await self._store.select(Incident, status=ACTIVE)
        if len(active) < 2 or incident.open_fix:
            return None
        firing: dict[str, list[Alert]] = {}
        for alert in await self._store.select(Alert, status="firing", limit=FIRING):
            if alert.incident:
                firing.setdefault(alert.incident, []).append(alert)
        apart = (incident.id,) if has_own_cause(await alerts_of(self._store, incident.id)) else ()
        cause = cause_of(incident, active, firing, self._watch.fleet.resources, apart)
        return None if cause is None else await self._merge(incident.id, cause.id)

    async def _merge(self, key: str, into: str) -> Incident | None:
        """All in one transaction: its alerts go over, its approvals end, both histories tell it."""
        at = now()
        async with self._desk.joining, self._desk.writing, self._store.transaction() as transaction:
            mine, cause = await self._store.get(Incident, key), await self._store.get(Incident, into)
            if mine.open_fix or "closed" in (mine.status, cause.status):
                return None
            alerts = [a.join(into) for a in await self._store.select(Alert, incident=key, status="firing")]
            for alert in alerts:
                await transaction.put(alert)
            reason = f"it is part of {into}: {cause.title}"
            for approval in await self._store.select(Approval, incident=key, status=("waiting", "approved")):
                if approval.status == "waiting" or approval.id == mine.approval:
                    await transaction.put(approval.decide("void", LOOP, at, reason))
                    await transaction.emit(Event("approval.void", approval.id, reason, at, incident=key))
            merged, cause = mine.merge(into, at, reason), cause.absorb(mine)
            await transaction.put(merged)
            await transaction.put(cause)
            await transaction.emit(Event("incident.merged", key, reason, at, incident=key, resource=mine.root))
            text = f"{key} is part of it: {mine.title}"
            await transaction.emit(Event("incident.absorbed", into, text, at, incident=into, resource=cause.root))
        keep(alerts, self._watch.watchers)
        self._watch.busy.update(cause.resources)
        self._desk.wake(into)
        return merged
