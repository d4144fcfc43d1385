"""Alerts that others raise: each finds its resource, is kept and told once, and makes us look at once.

What our own rules then see is what counts: an outside alert opens no incident and starts no fix.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from watchkeeper.domain import Event, Incident, NotFound, Resource, now
from watchkeeper.domain.outside import Heard, OutsideAlert
from watchkeeper.sources import Directory, KnownAs, known_as
from watchkeeper.store import Store
from watchkeeper.watch.watch import Watch

EXPLICIT = "watchkeeper_resource"
"""A label that says outright which resource is meant, by slug or id."""
SHOWN = 3
ACTIVE = ("open", "diagnosing", "awaiting_approval", "fixing", "verifying", "escalated")


class Outside:
    """The one place where alerts from outside come in."""

    def __init__(self, store: Store, watch: Watch) -> None:
        self._store = store
        self._watch = watch
        self._known: dict[str, tuple[str, KnownAs]] = {}

    async def hear(self, told: Sequence[OutsideAlert]) -> Heard:
        """Keep and place what one request tells. Raises StoreAway: then its sender tells it again."""
        counts = {"firing": 0, "resolved": 0, "repeated": 0, "unmatched": 0}
        directory = await self._directory()
        for one in {alert.id: alert for alert in told}.values():
            before = await self._store.find(OutsideAlert, one.id)
            placed = self._placed(one, directory)
            after = before.heard_again(placed) if before else placed
            if before is None and placed.status == "resolved":
                counts["resolved"] += 1
                continue  # nothing is known of its beginning, and there is nothing to look for
            begins = after.status == "firing" and (before is None or before.status == "resolved")
            ends = before is not None and before.status == "firing" and after.status == "resolved"
            counts["firing" if begins else "resolved" if ends else "repeated"] += 1
            counts["unmatched"] += not after.resource
            events = [await self._event(after, "firing" if begins else "resolved")] if begins or ends else []
            await self._store.save(after, *events)
            if begins and (watcher := self._watch.watchers.get(after.resource)):
                watcher.poke()
        return Heard(**counts)

    async def firing(self, at: datetime) -> list[OutsideAlert]:
        """Those taken to fire now, the newest first."""
        return [one for one in await self._store.select(OutsideAlert, status="firing", limit=1000) if one.fires(at)]

    async def of(self, incident: Incident) -> list[OutsideAlert]:
        """What was told from outside of the incident's resources while it lasted, the oldest first."""
        end = incident.closed_at or now()
        found = [
            one
            for key in incident.resources
            for one in await self._store.select(OutsideAlert, resource=key, limit=100)
            if one.within(incident.opened_at, end)
        ]
        return sorted(found, key=lambda one: (one.began_at, one.id))

    async def _event(self, alert: OutsideAlert, what: str) -> Event:
        about = self._watch.fleet.resources.get(alert.resource)
        said = f": {alert.summary}" if alert.summary and what == "firing" else ""
        where = f" on {about.slug}" if about else ""
        text = f"{alert.sender} tells: {alert.name} {'fires' if what == 'firing' else 'resolved'}{where}{said}"
        active = await self._store.select(Incident, status=ACTIVE) if about else []
        joined = next((one.id for one in active if alert.resource in one.resources), None)
        resource = alert.resource or None
        return Event(f"outside.{what}", alert.id, text, now(), by=alert.sender, incident=joined, resource=resource)

    # Which resource is meant -------------------------------------------------------------------------------------

    def _placed(self, alert: OutsideAlert, directory: Directory) -> OutsideAlert:
        """With the resource it tells of, or why none is found."""
        said = alert.resource or alert.labels.get(EXPLICIT, "")
        if said:
            try:
                return replace(alert, resource=self._watch.fleet.resource(said).id)
            except NotFound as problem:
                return replace(alert, resource="", unmatched=problem.what)
        meant = _served(directory.meant(alert.labels))
        if len(meant) == 1:
            return replace(alert, resource=meant[0].id)
        how = f"it may be {', '.join(one.slug for one in meant[:SHOWN])}" if meant else "nothing watched is called so"
        return replace(alert, unmatched=f"{how}; the label {EXPLICIT} with a slug says which is meant")

    async def _directory(self) -> Directory:
        """Of everything that is watched now; each host is asked once for each incarnation."""
        found = self._watch.fleet.found
        self._known = {key: one for key, one in self._known.items() if key in found}
        directory = Directory()
        for resource, host, _ in tuple(found.values()):
            state, known = self._known.get(resource.id, ("", None))
            if known is None or state != resource.incarnation:
                known = await known_as(resource, host)
                self._known[resource.id] = (resource.incarnation, known)
            directory.add(resource, known.addresses, known.names)
        return directory


def _served(found: Sequence[Resource]) -> list[Resource]:
    """Without what carries another of them: of a service and its container the service is meant."""
    carriers = {resource.runs_on for resource in found}
    return [resource for resource in found if resource.id not in carriers]
