"""A cause and those who suffer from it are one incident, and only the cause is acted on."""

from collections.abc import Callable
from typing import Any

import httpx

from tests.server.conftest import Thing


async def test_a_victim_joins_its_cause_and_is_left_alone_until_it_is_well_again(
    things: Callable[..., Any], operator: httpx.AsyncClient
) -> None:
    store: Thing = await things()
    shop: Thing = await things(depends_on=(store.id,))
    store.put(0.95)
    asked = await store.approval()
    shop.put(0.95)
    await shop.event("alert.firing")
    one = await shop.incident()
    assert (one["id"], one["root"]) == ((await store.incident())["id"], store.id)
    await operator.post(f"/api/approvals/{asked['id']}/approve", json={})
    await store.event("fix.executed")
    shop.put(0.1)  # what suffers recovers by itself, later than its cause
    await store.event("incident.closed")
    assert (await store.incident())["outcome"] == "healed"
    assert shop.changes == []
    assert len(store.changes) == 1


async def test_two_that_only_share_a_victim_are_two_incidents(things: Callable[..., Any]) -> None:
    cache: Thing = await things()
    orders: Thing = await things()
    shop: Thing = await things(depends_on=(cache.id, orders.id))
    cache.put(0.95)
    await cache.event("alert.firing")
    shop.put(0.95)
    await shop.event("alert.firing")
    orders.put(0.95)
    await orders.event("alert.firing")
    first, second = await cache.incident(), await orders.incident()
    assert first["id"] != second["id"]
    assert (await shop.incident())["id"] == first["id"]


async def test_a_victim_that_showed_first_joins_when_its_cause_shows(things: Callable[..., Any]) -> None:
    store: Thing = await things()
    shop: Thing = await things(depends_on=(store.id,))
    shop.put(0.62)
    await shop.event("alert.firing")
    assert await shop.incidents() == []
    store.put(0.95)
    await store.event("incident.opened")
    one = await shop.incident()
    assert (one["root"], len(one["alerts"])) == (store.id, 2)
