"""What is not as it was at the last end: called otherwise, for the configuration names another environment, or gone."""

from collections import Counter
from collections.abc import Awaitable, Callable, Container, Mapping

from watchkeeper.domain import LOOP, Alert, Approval, Event, Incident, Resource, now
from watchkeeper.store import Store, rename
from watchkeeper.watch.fleet import Fleet

Vanished = Callable[[Resource], Awaitable[None]]
ENGINE = "Engine"
"""The provider of containers, in the fleet's problems."""


async def renew(store: Store, fleet: Fleet, vanished: Vanished) -> None:
    """Before anything is watched: what is called otherwise keeps its history, what is gone has an end."""
    fleet.renamed = await follow(store, fleet.resources)
    if not store.shared and ENGINE not in fleet.problems:  # another executor's engine is asked by that one
        await retire(store, fleet.resources, fleet.problems, fleet.left_out, vanished)


async def follow(store: Store, found: Mapping[str, Resource]) -> list[Resource]:
    """Where the same thing is found under another environment, all that is known of it goes with it: what people
    rejected and took back there stays so. Before it is watched. What they are now.

    What is merely not found now stays: its host may be away. Where both were watched, they are two things.
    """
    known = {resource.id: resource for resource in await store.resources()}
    named = Counter(_same(resource) for resource in found.values())
    present = {_same(r): r for r in found.values() if r.id not in known and named[_same(r)] == 1}
    old = [resource for key, resource in known.items() if key not in found and _same(resource) in present]
    for resource in old:
        await _follow(store, resource, present[_same(resource)])
    return [present[_same(resource)] for resource in old]


async def retire(
    store: Store,
    found: Mapping[str, Resource],
    problems: Container[str],
    left_out: Container[tuple[str, str, str]],
    vanished: Vanished,
) -> None:
    """End what was removed while nobody watched, where the engine says so: its alerts, and its incidents. What `only`
    leaves out this time (`left_out`) is there still, and so is what people said of it."""
    known = {resource.id: resource for resource in await store.resources()}
    for resource in known.values():
        there = {resource.id, resource.runs_on} & found.keys()  # what runs in a stopped container may not show
        carrier = known.get(resource.runs_on or "")  # what `only` leaves out is not asked what runs in it
        unasked = _same(resource) in left_out or (carrier is not None and _same(carrier) in left_out)
        if resource.provider != "docker" or there or resource.kind in problems or unasked:
            continue
        text = f"{resource.slug} was removed while nobody watched, or is not to be watched any more"
        async with store.transaction() as transaction:
            await transaction.put_resource(resource, gone=True)
            await transaction.emit(Event("resource.gone", resource.id, text, now(), resource=resource.id))
        for alert in await store.select(Alert, resource=resource.id, status="firing"):
            event = Event("alert.resolved", alert.id, text, now(), incident=alert.incident, resource=resource.id)
            await store.save(alert.resolve(now()), event)
        await vanished(resource)


async def _follow(store: Store, was: Resource, present: Resource) -> None:
    at = now()
    told = f"{was.slug} is called {present.id} now, and was {was.id}: its incidents, and what people said, go with it"
    waiting = [a for a in await store.select(Approval, status="waiting") if was.id in a.plan.resources]
    async with store.transaction() as transaction:
        for approval in waiting:
            await transaction.put(approval.decide("void", LOOP, at, told))
            await transaction.emit(
                Event("approval.void", approval.id, f"{told}; it is asked for anew", at, incident=approval.incident)
            )
            if approval.incident:
                await transaction.put((await store.get(Incident, approval.incident)).unasked())
        await rename(transaction.connection, was.id, present.id)
        text = f"{told}; policy treats it as {present.environment}"
        await transaction.emit(Event("resource.renamed", present.id, text, at, resource=present.id))


def _same(resource: Resource) -> tuple[str, str, str]:
    return resource.provider, resource.kind, resource.name
