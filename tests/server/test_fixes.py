"""What was done is found again however much was done since, and what a step says is heard while it is at work."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest

from tests.domain.making import CACHE, T0, fix
from tests.server.conftest import Thing
from tests.server.test_acts import changed
from tests.server.test_approvals import closed
from tests.server.test_door import problem
from watchkeeper.act.aloud import MOST, aloud
from watchkeeper.domain import Event, Fix, StepRecord
from watchkeeper.domain.saying import say
from watchkeeper.server import Runtime, searching
from watchkeeper.store import Store, StoreAway

Client = httpx.AsyncClient


async def pages(viewer: Client, **asked: Any) -> list[list[dict[str, Any]]]:
    found: list[list[dict[str, Any]]] = []
    while True:
        page = (await viewer.get("/api/fixes", params=asked)).json()
        found.append(page["items"])
        if page["next"] is None:
            return found
        asked["before"] = page["next"]


async def test_every_fix_is_reached_page_by_page_and_by_what_one_looks_for(
    thing: Thing, operator: Client, viewer: Client, runtime: Runtime, monkeypatch: Any
) -> None:
    one = await runtime.store.get(Fix, await changed(thing, operator, runtime, 0.4))
    author = f"human:{thing.slug}"
    async with runtime.store.transaction() as transaction:  # of years before, one a day
        for day in range(1, 240):
            at = one.started_at - timedelta(days=day)
            plan = replace(one.plan, author=author if day % 100 == 0 else one.plan.author)
            await transaction.put(replace(one, id=f"fix-{thing.slug}-{day}", started_at=at, plan=plan))

    found = await pages(viewer, resource=thing.slug, limit=50)
    assert [len(page) for page in found] == [50, 50, 50, 50, 40]
    assert len({fix["id"] for page in found for fix in page}) == 240
    monkeypatch.setattr(searching, "LOOKED_THROUGH", 100)
    rare = await pages(viewer, author=author)
    assert [fix["id"] for page in rare for fix in page] == [f"fix-{thing.slug}-{day}" for day in (100, 200)]
    assert len(rare) > 1  # no page takes long, and none that is short is taken for the last
    since = (one.started_at - timedelta(days=9, hours=1)).isoformat()
    assert [len(page) for page in await pages(viewer, resource=thing.id, since=since)] == [10]
    assert await pages(viewer, resource=thing.slug, verdict="not healed") == [[], [], []]
    problem(await viewer.get("/api/fixes", params={"verdict": "fine"}), 422)


async def test_what_a_step_says_is_told_while_it_is_at_work_and_what_it_took_afterwards(
    thing: Thing, operator: Client, viewer: Client, runtime: Runtime
) -> None:
    body = {"resource": thing.slug, "arguments": {"value": 0.3}}
    key = (await operator.post("/api/mcp/tools/memo_slow", json=body)).json()["fix_id"]
    said = await thing.event("fix.step.said")
    assert (said.subject, said.data["index"], said.data["said"]) == (key, 0, ["it has begun, and waits to be let go"])
    assert (await runtime.store.get(Fix, key)).steps[0].status == "acting"
    thing.let_go()
    await closed(runtime, key)
    took = {one["tool"]: one for one in (await viewer.get("/api/evaluation/tools")).json()}
    assert took["memo_slow"]["seconds"]["count"] >= 1
    assert took["memo_slow"]["seconds"]["median"] > 0
    told = (await viewer.get("/api/mcp/tools/memo_slow")).json()
    assert (told["settle"], told["timeout"], told["cost"]) == (3.0, 30.0, None)


async def test_a_step_whose_words_cannot_be_kept_is_done_all_the_same(
    thing: Thing, operator: Client, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    emit, refused = Store.emit, list[str]()

    async def no_room(store: Store, *events: Event) -> None:
        if any(event.kind == "fix.step.said" for event in events):
            refused.append(events[0].text)
            raise StoreAway("There is no room.")
        await emit(store, *events)

    monkeypatch.setattr(Store, "emit", no_room)
    body = {"resource": thing.slug, "arguments": {"value": 0.3}}
    key = (await operator.post("/api/mcp/tools/memo_slow", json=body)).json()["fix_id"]
    await thing.event("fix.step.acting")
    thing.let_go()
    await closed(runtime, key)
    assert refused
    assert [record.status for record in (await runtime.store.get(Fix, key)).steps] == ["done"]


async def test_however_much_a_step_says_its_last_word_is_told(runtime: Runtime) -> None:
    record = StepRecord(0, "purge", CACHE.id, {}, "acting")
    one, heard = fix(id="fix-long", incident=None), list[str]()
    async with aloud(runtime.store, one, record, "cache"):
        for number in range(3 * MOST):
            say(f"{number} keys removed")
    for event in await runtime.store.happened(("fix.step.said",), since=T0, resources=[CACHE.id]):
        heard += cast("list[str]", event.data["said"])
    assert len(heard) == MOST + 1
    assert heard[-1] == f"{3 * MOST - 1} keys removed"


@pytest.mark.parametrize("worn", [False, True], ids=["alone", "beside another fault"])
async def test_what_became_well_while_every_step_failed_is_not_put_down_to_the_fix(
    thing: Thing, operator: Client, viewer: Client, worn: bool
) -> None:
    thing.put(0.52)
    asked = await thing.approval()
    await operator.post(f"/api/approvals/{asked['id']}/approve", json={})
    await thing.begun()
    if worn:
        begun = await thing.event("fix.started")
        thing.wear(1.0)
        await thing.event("alert.firing", after=begun.seq)
        thing.wear(0.0)
    thing.put(0.1)  # by somebody else
    thing.let_go()
    await thing.event("incident.closed")
    incident = await thing.incident()
    assert incident["outcome"] == "recovered"
    fix = (await viewer.get(f"/api/fixes/{incident['fixes'][-1]}")).json()
    assert (fix["said"], fix["verdict"]["outcome"]) == ("recovered", "inconclusive")
    assert "memo_stuck failed: It did not move" in fix["verdict"]["reasons"][0]
    told = (await viewer.get(f"/api/incidents/{incident['id']}")).json()["events"]
    assert "plan.hindered" not in [event["kind"] for event in told], "what is well again is not tried once more"
