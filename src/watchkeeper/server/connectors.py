"""`/api/connectors`: what is installed, and how each behaves."""

from collections import Counter

from fastapi import APIRouter

from watchkeeper.domain import Event, now
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Here, Operator, Viewer
from watchkeeper.server.views import ConnectorView, Page

router = APIRouter(prefix="/api/connectors", tags=["connectors"])


def _views(runtime: Runtime) -> dict[str, ConnectorView]:
    watched = Counter(watcher.resource.kind for watcher in runtime.watch.watchers.values())
    conducts = runtime.watch.supervision.conducts
    known = {
        connector.kind: ConnectorView(
            name=connector.kind,
            resources=watched[connector.kind],
            tools=len(connector.tools),
            rules=len(connector.rules),
            standing=("quarantined" if conduct.quarantined else conduct.standing),
            problem=conduct.problem,
            since=conduct.since,
            offences=dict(conduct.offences),
            last_offence=conduct.last_offence or None,
        )
        for connector in runtime.registry
        for conduct in (conducts[connector.kind],)
    }
    broken = {
        name: ConnectorView(name=name, standing="broken", problem=problem)
        for name, problem in runtime.registry.broken.items()
    }
    return known | broken


@router.get("")
async def list_connectors(runtime: Here, _: Viewer) -> Page[ConnectorView]:
    """Each connector with its standing: `good`, `probation`, `quarantined`, or `broken` where it cannot be loaded."""
    return Page(items=list(_views(runtime).values()))


@router.post("/{name}/release")
async def release_connector(name: str, runtime: Here, who: Operator) -> ConnectorView:
    """End a connector's quarantine at once."""
    kind = runtime.registry.kind(name).kind
    conduct = runtime.watch.supervision.of(kind)
    if conduct.standing != "good":
        conduct.release(who.name)
        text = f"the connector {kind} was released by {who.name}"
        await runtime.store.emit(Event("connector.released", kind, text, now(), who.id))
        for watcher in runtime.watch.watchers.values():
            if watcher.resource.kind == kind:
                watcher.poke()
    return _views(runtime)[kind]
