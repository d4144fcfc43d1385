"""A cause and those who suffer from it are one incident, and only the cause is acted on."""

from collections.abc import Callable
from typing import Any

import httpx

from tests.server.conftest import Thing
from watchkeeper.domain import Event


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


async def test_a_second_fault_is_handled_while_the_victim_of_the_first_has_yet_to_recover(
    things: Callable[..., Any], operator: httpx.AsyncClient
) -> None:
    cache: Thing = await things()
    orders: Thing = await things()
    shop: Thing = await things(depends_on=(cache.id, orders.id))
    cache.put(0.95)
    first = await cache.approval()
    shop.put(0.95)
    await shop.event("alert.firing")
    orders.put(0.95)
    second = await orders.approval()
    await operator.post(f"/api/approvals/{first['id']}/approve", json={})
    await cache.event("fix.executed")
    await operator.post(f"/api/approvals/{second['id']}/approve", json={})
    await orders.event("fix.executed")
    assert (await shop.incident())["status"] != "closed"
    shop.put(0.1)
    await cache.event("incident.closed")
    await orders.event("incident.closed")
    assert [(await one.incident())["roots"] for one in (cache, orders)] == [[cache.id], [orders.id]]


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


async def asked_after(event: Event, thing: Thing, operator: httpx.AsyncClient) -> str:
    """The approval that waits for a plan on it, once it is asked for."""
    await thing.event("approval.requested", after=event.seq)
    found = (await operator.get("/api/approvals")).json()["items"]
    return next(one["id"] for one in found if one["plan"]["steps"][0]["resource"] == thing.id)


async def test_what_waits_for_a_person_is_withdrawn_when_the_cause_turns_out_to_be_another(
    things: Callable[..., Any], operator: httpx.AsyncClient
) -> None:
    store: Thing = await things()
    shop: Thing = await things(depends_on=(store.id,))
    shop.put(0.95)
    asked = await shop.approval()
    store.put(0.95)
    await asked_after(await store.event("alert.firing"), store, operator)
    approvals = (await operator.get("/api/approvals", params={"status": "all"})).json()["items"]
    (was,) = [one for one in approvals if one["id"] == asked["id"]]
    assert (was["status"], was["note"]) == ("void", f"the cause turned out to be {store.slug}")


async def test_two_open_incidents_become_one_when_their_cause_shows_and_each_keeps_its_history(
    things: Callable[..., Any], operator: httpx.AsyncClient
) -> None:
    store: Thing = await things()
    web: Thing = await things(depends_on=(store.id,))
    shop: Thing = await things(depends_on=(store.id,))
    web.put(0.95)
    await web.approval()
    shop.put(0.95)
    asked = await shop.approval()
    first, second = await web.incident(), await shop.incident()
    assert first["id"] != second["id"]
    store.put(0.95)
    fired = await store.event("alert.firing")
    merged = await shop.event("incident.merged")
    assert merged.incident == second["id"]
    (was,) = [one for one in await shop.incidents() if one["id"] == second["id"]]
    assert (was["status"], was["outcome"], was["merged_into"]) == ("closed", "merged", first["id"])
    assert (await operator.post(f"/api/approvals/{asked['id']}/approve", json={})).status_code == 409
    shown = (await operator.get(f"/api/incidents/{first['id']}")).json()
    assert shown["incident"]["absorbed"] == [second["id"]]
    assert {alert["resource"] for alert in shown["incident"]["alerts"]} == {store.id, web.id, shop.id}
    told = (await operator.get(f"/api/incidents/{second['id']}")).json()
    assert [e["kind"] for e in told["events"]][-2:] == ["approval.void", "incident.merged"]
    await operator.post(f"/api/approvals/{await asked_after(fired, store, operator)}/approve", json={})
    await store.event("fix.executed")
    web.put(0.1)
    shop.put(0.1)
    await store.event("incident.closed")
    assert (web.changes, shop.changes, len(store.changes)) == ([], [], 1)


async def test_an_incident_whose_fix_is_at_work_is_merged_only_when_that_is_judged(
    things: Callable[..., Any], operator: httpx.AsyncClient
) -> None:
    store: Thing = await things()
    web: Thing = await things(depends_on=(store.id,))
    shop: Thing = await things(depends_on=(store.id,))
    web.put(0.95)
    await web.approval()
    shop.put(0.75)
    asked = await shop.approval()
    own = (await shop.incident())["id"]
    await operator.post(f"/api/approvals/{asked['id']}/approve", json={})
    await shop.begun()
    store.put(0.95)
    await asked_after(await store.event("alert.firing"), store, operator)
    (here,) = [one for one in await shop.incidents() if one["id"] == own]
    assert (here["status"], here["merged_into"]) == ("fixing", None)
    shop.let_go()
    await shop.event("incident.merged", "incident.closed")
    kinds = [e["kind"] for e in (await operator.get(f"/api/incidents/{own}")).json()["events"]]
    assert kinds.index("fix.executed") < max(
        n for n, kind in enumerate(kinds) if kind in ("incident.merged", "incident.closed")
    )


async def test_a_fix_is_not_blamed_for_what_was_there_before_and_what_it_was_not_for(
    thing: Thing, operator: httpx.AsyncClient
) -> None:
    thing.wear(1.0)
    alone = await thing.event("incident.escalated")
    thing.put(0.95)
    asked = await thing.approval()
    await operator.post(f"/api/approvals/{asked['id']}/approve", json={})
    goes_on = await thing.event("incident.goes_on")
    assert goes_on.text == "runbook:high#1 healed, but memo-worn fires still"
    await thing.event("incident.escalated", after=goes_on.seq)
    assert thing.changes == [0.2]
    assert (await thing.incident())["id"] == alone.subject
    thing.wear(0.0)
    await thing.event("incident.closed")
    assert (await thing.incident())["outcome"] == "healed"
