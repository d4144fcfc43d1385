"""Which alerts are an incident's. One that was no incident of its own may belong to one later: a victim may show before
its cause does."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from watchkeeper.domain import Alert, Resource
from watchkeeper.store import Store
from watchkeeper.watch.correlation import WINDOW, place, suffering
from watchkeeper.watch.watcher import Watcher


def unclaimed(
    cause: Alert, watchers: Mapping[str, Watcher], resources: Mapping[str, Resource], at: datetime
) -> list[Alert]:
    """Firing alerts of no incident, begun lately, on what needs the cause's resource or is at the same place."""
    if cause.resource not in resources:
        return []
    near = suffering(cause.resource, resources) | place(cause.resource, resources)
    return [
        alert
        for key in sorted(near)
        if key in watchers
        for alert in watchers[key].alerts.values()
        if alert.status == "firing"
        and alert.incident is None
        and alert.id != cause.id
        and (not alert.own_cause or alert.resource in place(cause.resource, resources))
        and at - (alert.firing_at or alert.pending_at) <= WINDOW
    ]


async def alerts_of(store: Store, incident: str) -> list[Alert]:
    """Those that fire, however many were resolved since, and of the resolved the latest."""
    firing = await store.select(Alert, incident=incident, status="firing")
    return [*firing, *await store.select(Alert, incident=incident, status="resolved")]


def keep(alerts: Iterable[Alert], watchers: Mapping[str, Watcher]) -> None:
    """Each as its watcher has it from now on, unless it is over meanwhile."""
    for alert in alerts:
        known = watchers[alert.resource].alerts if alert.resource in watchers else {}
        if alert.rule in known and known[alert.rule].id == alert.id:
            known[alert.rule] = alert
