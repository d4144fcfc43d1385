"""What bears another id since the last start, because the configuration calls its environment otherwise now."""

from collections.abc import Awaitable, Callable, Mapping

from watchkeeper.domain import Alert, Event, Resource, now
from watchkeeper.store import Store


async def retire(
    store: Store, found: Mapping[str, Resource], vanished: Callable[[Resource], Awaitable[None]]
) -> list[Resource]:
    """End what was known under another environment and is found under a new one: its alerts resolve, its incidents are
    over, and what is wrong still alerts under the new id. What is merely not found now stays: its host may be away."""
    present = {_same(resource): resource for resource in found.values()}
    old = [r for r in await store.resources() if r.id not in found and _same(r) in present]
    for resource in old:
        called = present[_same(resource)].id
        async with store.transaction() as transaction:
            await transaction.put_resource(resource, gone=True)
            text = f"{resource.slug} is called {called} now"
            await transaction.emit(Event("resource.gone", resource.id, text, now(), resource=resource.id))
        for alert in await store.select(Alert, resource=resource.id, status="firing"):
            event = Event("alert.resolved", alert.id, text, now(), incident=alert.incident, resource=resource.id)
            await store.save(alert.resolve(now()), event)
        await vanished(resource)
    return old


def _same(resource: Resource) -> tuple[str, str, str]:
    return resource.provider, resource.kind, resource.name
