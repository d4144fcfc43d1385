"""From a fault to a proof with a person in between, over the API."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.server.conftest import PATIENCE, Thing
from tests.server.test_door import problem
from watchkeeper.domain import Approval, Fix
from watchkeeper.server import Runtime

ENDED = ("incident.closed", "incident.escalated")


async def closed(runtime: Runtime, key: str) -> Fix:
    """The fix, once it is closed."""
    async with asyncio.timeout(PATIENCE):
        async for _ in runtime.store.follow(heartbeat=0.2):
            found = await runtime.store.find(Fix, key)
            if found is not None and found.status == "closed":
                return found
    raise AssertionError("unreachable")


async def test_a_fault_waits_for_a_person_and_is_healed_once_approved(
    thing: Thing, operator: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    thing.put(1.0)
    waiting = await thing.approval()
    assert (await thing.incident())["status"] == "awaiting_approval"
    assert waiting["plan"]["steps"][0]["by_hand"] == f"redis-cli SET {thing.slug}:level 0.2"
    assert thing.changes == []

    answer = await operator.post(f"/api/approvals/{waiting['id']}/approve", json={"note": "go"})
    assert answer.json()["status"] == "approved"
    assert (await thing.event(*ENDED)).kind == "incident.closed"
    assert thing.changes == [0.2]

    story = (await viewer.get(f"/api/incidents/{waiting['incident']}")).json()
    assert (story["incident"]["status"], story["incident"]["outcome"]) == ("closed", "healed")
    (done,) = story["fixes"]
    assert (done["id"], done["verdict"]["outcome"], done["steps"][0]["status"]) == (waiting["fix"], "healed", "done")
    assert done["approved_by"].startswith("person:")
    kinds = [event["kind"] for event in story["events"]]
    ordered = [
        "incident.opened",
        "approval.requested",
        "approval.approved",
        "fix.started",
        "fix.healed",
        "incident.closed",
    ]
    assert [kind for kind in kinds if kind in ordered] == ordered

    report = (await viewer.get(f"/api/incidents/{waiting['incident']}/report")).text
    assert "healed" in report
    assert "redis-cli SET" in report
    assert (await viewer.get(f"/api/incidents/{waiting['incident']}/report?format=json")).json()["fixes"][0]["verdict"]


async def test_it_can_be_approved_by_the_id_of_its_incident(thing: Thing, operator: httpx.AsyncClient) -> None:
    thing.put(1.0)
    waiting = await thing.approval()
    assert (await operator.post(f"/api/incidents/{waiting['incident']}/approve", json={})).status_code == 200
    assert (await thing.event(*ENDED)).kind == "incident.closed"


async def test_what_was_decided_is_not_decided_again(thing: Thing, operator: httpx.AsyncClient) -> None:
    thing.put(1.0)
    waiting = await thing.approval()
    await operator.post(f"/api/approvals/{waiting['id']}/approve", json={})
    said = problem(await operator.post(f"/api/approvals/{waiting['id']}/reject", json={}), 409)
    assert "approved" in said["detail"]
    await thing.event(*ENDED)
    assert thing.changes == [0.2]


async def test_of_many_who_decide_at_once_one_does(thing: Thing, operator: httpx.AsyncClient) -> None:
    thing.put(1.0)
    waiting = await thing.approval()
    path = f"/api/approvals/{waiting['id']}"
    answers = await asyncio.gather(
        *(operator.post(f"{path}/{word}", json={}) for word in ("approve", "reject", "approve", "reject") * 2)
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    thing.put(0.1)
    await thing.event(*ENDED)


async def test_after_a_rejection_the_next_rung_is_proposed_and_then_a_person_is_called(
    thing: Thing, operator: httpx.AsyncClient
) -> None:
    thing.put(1.0)
    first = await thing.approval()
    assert first["plan"]["author"] == "runbook:high#1"
    await operator.post(f"/api/approvals/{first['id']}/reject", json={})
    asked = await thing.event("approval.requested", after=(await thing.event("approval.rejected")).seq)
    second = await thing.approval()
    assert second["id"] == asked.subject
    assert second["plan"]["author"] == "runbook:high#2"
    await operator.post(f"/api/approvals/{second['id']}/reject", json={})
    ended = await thing.event(*ENDED)
    assert ended.kind == "incident.escalated"
    assert "Not done: memo_set, memo_set: person:" in ended.text  # both rungs, and once why
    assert thing.changes == []


async def test_what_nobody_decides_in_time_expires_and_a_person_is_called(
    thing: Thing, operator: httpx.AsyncClient, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime.loop._fixing, "_approval_life", timedelta(seconds=0.3))
    thing.put(1.0)
    asked = await thing.event("approval.requested")
    ended = await thing.event(*ENDED)
    assert (ended.kind, "in time" in ended.text) == ("incident.escalated", True)
    assert (await runtime.store.get(Approval, asked.subject)).status == "expired"
    said = problem(await operator.post(f"/api/approvals/{asked.subject}/approve", json={}), 409)
    assert "expired" in said["detail"]
    assert thing.changes == []


async def test_what_was_asked_for_by_an_agent_and_not_decided_expires_too(
    thing: Thing, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from watchkeeper.domain import Principal

    monkeypatch.setattr(runtime.loop._fixing, "_approval_life", timedelta(seconds=0.3))
    agent = Principal("agent", "claude", "agent")
    resource = runtime.watch.resource(thing.id)
    at = await runtime.watch.look((thing.id,))
    plan = runtime.decide.plan_for("memo_set", resource, {"value": 0.3}, agent, at)
    approval = (await runtime.loop.submit(plan, agent)).approval
    assert approval is not None
    async with asyncio.timeout(PATIENCE):
        async for event in runtime.store.follow():
            if event is not None and (event.kind, event.subject) == ("approval.expired", approval.id):
                break
    assert (await runtime.store.get(Approval, approval.id)).status == "expired"
    assert thing.changes == []


async def test_a_fault_that_passes_while_it_waits_is_left_alone(thing: Thing, operator: httpx.AsyncClient) -> None:
    thing.put(1.0)
    waiting = await thing.approval()
    thing.put(0.1)
    ended = await thing.event(*ENDED)
    assert ended.kind == "incident.closed"
    assert (await thing.incident())["outcome"] == "recovered"
    problem(await operator.post(f"/api/approvals/{waiting['id']}/approve", json={}), 409)
    assert thing.changes == []


async def test_what_changed_since_it_was_shown_is_not_done(
    thing: Thing, operator: httpx.AsyncClient, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    thing.put(1.0)
    waiting = await thing.approval()
    approval = await runtime.store.get(Approval, waiting["id"])
    await runtime.store.save(
        Approval(**{name: getattr(approval, name) for name in approval.__slots__} | {"digest": "of something else"})
    )
    await operator.post(f"/api/approvals/{waiting['id']}/approve", json={})
    await thing.event("approval.void")
    assert thing.changes == []
    again = await thing.event("approval.requested", after=(await thing.event("approval.void")).seq)
    assert again.subject != waiting["id"]


async def test_nothing_is_there_to_approve_in_an_incident_that_waits_for_nobody(
    thing: Thing, operator: httpx.AsyncClient
) -> None:
    thing.put(1.0)
    waiting = await thing.approval()
    thing.put(0.1)
    await thing.event(*ENDED)
    problem(await operator.post(f"/api/incidents/{waiting['incident']}/approve", json={}), 409)
    problem(await operator.post("/api/approvals/apr-none/approve", json={}), 404)


async def test_a_resource_that_may_not_be_changed_is_advised_on_and_left(
    things: Callable[..., Any], viewer: httpx.AsyncClient
) -> None:
    thing: Thing = await things(may_act=False)
    thing.put(1.0)
    ended = await thing.event(*ENDED)
    assert ended.kind == "incident.escalated"
    status = (await viewer.get("/api/resources/status")).json()
    (mine,) = [item for item in status["items"] if item["id"] == thing.id]
    assert mine["health"] == "DEGRADED"
    assert mine["advice"]["decision"]["policy"] == "not-permitted"
    assert mine["advice"]["steps"][0]["by_hand"] == f"redis-cli SET {thing.slug}:level 0.2"
    assert thing.changes == []


async def test_a_pause_stops_before_the_next_step_and_a_resume_goes_on(
    thing: Thing, operator: httpx.AsyncClient, runtime: Runtime
) -> None:
    thing.put(0.75)
    waiting = await thing.approval()
    await operator.post(f"/api/approvals/{waiting['id']}/approve", json={})
    await thing.begun()
    try:
        assert (await operator.post("/api/pause")).json() == {"status": "paused"}
        assert (await operator.get("/api/resources/status")).json()["paused"].startswith("paused by")
        thing.let_go()
        stopped = await thing.event("fix.step.refused")
        assert "paused" in stopped.text
        done = await closed(runtime, waiting["fix"])
        assert [step.status for step in done.steps] == ["done", "refused"]
        assert 0.3 not in thing.changes
        problem(
            await operator.post("/api/mcp/tools/memo_set", json={"resource": thing.slug, "arguments": {"value": 0.4}}),
            409,
        )
    finally:
        assert (await operator.post("/api/resume")).json() == {"status": "running"}
    answer = await operator.post("/api/mcp/tools/memo_set", json={"resource": thing.slug, "arguments": {"value": 0.4}})
    await closed(runtime, answer.json()["fix_id"])
    assert thing.changes[-1] == 0.4


async def test_while_paused_a_fault_is_held_and_taken_up_after(thing: Thing, operator: httpx.AsyncClient) -> None:
    await operator.post("/api/pause")
    try:
        thing.put(1.0)
        await thing.event("incident.held")
        assert (await thing.incident())["status"] == "open"
    finally:
        await operator.post("/api/resume")
    await thing.event("approval.requested")


async def test_what_waits_is_asked_for_no_more_once_what_it_is_for_is_over_and_something_else_is_wrong(
    thing: Thing, operator: httpx.AsyncClient
) -> None:
    thing.put(1.0)
    first = await thing.event("approval.requested")
    thing.put(0.75)
    void = await thing.event("approval.void")
    assert (void.subject, void.text) == (first.subject, "memo-high, which memo_set is for, is over")
    second = await thing.event("approval.requested", after=void.seq)
    assert "memo_slow" in second.text
    thing.put(0.1)
    await thing.event("incident.closed")


async def test_what_waits_is_asked_for_no_more_where_all_that_is_wrong_yet_is_for_a_person(
    thing: Thing, operator: httpx.AsyncClient
) -> None:
    thing.put(1.0)
    first = await thing.event("approval.requested")
    thing.put(0.62)  # odd, and no runbook knows of that
    void = await thing.event("approval.void")
    assert (void.subject, void.text) == (first.subject, "memo-high, which memo_set is for, is over")
    thing.put(0.1)
    await thing.event("incident.closed")
