"""What a person asks for: a fix now, a look, a change."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.server.conftest import PATIENCE, Thing
from tests.server.test_approvals import ENDED, closed
from tests.server.test_door import problem
from watchkeeper.domain import Fix, Incident, now
from watchkeeper.server import Runtime


async def test_a_healthy_resource_is_left_alone(thing: Thing, operator: httpx.AsyncClient) -> None:
    said = problem(await operator.post("/api/fixes/trigger", json={"resource": thing.slug}), 409)
    assert "left alone" in said["detail"]
    assert thing.changes == []


async def test_a_fix_asked_for_does_now_what_waited_for_a_person(
    thing: Thing, operator: httpx.AsyncClient, runtime: Runtime
) -> None:
    thing.put(1.0)
    waiting = await thing.approval()
    answer = await operator.post("/api/fixes/trigger", json={"resource": thing.slug})
    assert (answer.status_code, answer.json()["fix_id"]) == (202, waiting["fix"])
    assert (await closed(runtime, waiting["fix"])).verdict.outcome == "healed"  # type: ignore[union-attr]
    await thing.event(*ENDED)
    assert thing.changes == [0.2]


async def test_a_fix_can_be_asked_for_after_a_person_was_called(
    thing: Thing, operator: httpx.AsyncClient, runtime: Runtime
) -> None:
    thing.put(1.0)
    for _ in range(2):
        waiting = await thing.approval()
        await operator.post(f"/api/approvals/{waiting['id']}/reject", json={})
        await thing.event("plan.refused", after=(await thing.event("approval.requested")).seq)
    await thing.event("incident.escalated")
    answers = await asyncio.gather(
        *(operator.post("/api/fixes/trigger", json={"resource": thing.slug}) for _ in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409]
    (begun,) = [answer.json()["fix_id"] for answer in answers if answer.status_code == 202]
    assert (await closed(runtime, begun)).verdict.outcome == "healed"  # type: ignore[union-attr]
    assert (await thing.event("incident.closed")).kind == "incident.closed"
    assert thing.changes == [0.2]
    assert [fix.id for fix in await runtime.store.select(Fix) if thing.id in fix.plan.resources] == [begun]


async def test_what_may_be_coming_back_is_not_called_recovered(
    thing: Thing, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watchkeeper.loop.RECOVERY", 0.3)
    thing.put(0.85)
    async with asyncio.timeout(PATIENCE):
        while not runtime.watch.situation((thing.id,)).alerts:
            await runtime.watch.look((thing.id,))
    incident = Incident("inc-rising", "It was high", thing.id, (thing.id,), now())
    verdict = await runtime.loop._recovered(incident)
    assert (verdict.outcome, verdict.reasons) == ("not_healed", (f"memo-rising is pending on {thing.slug}",))


async def test_a_look_answers_at_once(thing: Thing, operator: httpx.AsyncClient) -> None:
    answer = await operator.post("/api/mcp/tools/memo_show", json={"resource": thing.slug})
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["output"]) == ("done", {"level": 0.1, "note": ""})
    assert answer.json()["fix_id"] is None


async def test_a_look_that_hangs_is_cut_off(thing: Thing, operator: httpx.AsyncClient) -> None:
    said = problem(await operator.post("/api/mcp/tools/memo_hang", json={"resource": thing.slug}), 409)
    assert "no result within 0.1 s" in said["detail"]


async def test_what_a_look_shows_holds_no_secret(thing: Thing, operator: httpx.AsyncClient, runtime: Runtime) -> None:
    runtime.store.masker.learn("hunter-22-hunter")
    body = {"resource": thing.slug, "arguments": {"note": "AUTH hunter-22-hunter"}}
    answer = await operator.post("/api/mcp/tools/memo_show", json=body)
    assert answer.json()["output"]["note"] == "AUTH •••"


async def test_a_change_becomes_a_fix_with_a_verdict(
    thing: Thing, operator: httpx.AsyncClient, viewer: httpx.AsyncClient, runtime: Runtime
) -> None:
    body = {"resource": thing.slug, "arguments": {"value": 0.4}}
    answer = await operator.post("/api/mcp/tools/memo_set", json=body)
    assert answer.json()["status"] == "running"
    await closed(runtime, answer.json()["fix_id"])
    shown = (await viewer.get(f"/api/fixes/{answer.json()['fix_id']}")).json()
    assert (shown["verdict"]["outcome"], shown["plan"]["author"].split(":")[0]) == ("healed", "human")
    assert (shown["steps"][0]["before"], shown["steps"][0]["after"]) == (0.1, 0.4)
    assert thing.changes == [0.4]


async def test_a_change_that_makes_it_ill_is_taken_back(
    thing: Thing, operator: httpx.AsyncClient, runtime: Runtime
) -> None:
    body = {"resource": thing.slug, "arguments": {"value": 1.5}}
    answer = await operator.post("/api/mcp/tools/memo_set", json=body)
    done = await closed(runtime, answer.json()["fix_id"])
    assert done.verdict is not None
    assert done.verdict.outcome == "not_healed"
    assert thing.changes == [1.5, 0.1]
    assert [record.status for record in done.undo] == ["done"]


async def test_what_was_called_by_hand_and_did_not_help_is_never_said_to_have_healed(
    thing: Thing, operator: httpx.AsyncClient, runtime: Runtime
) -> None:
    thing.put(1.5)
    await thing.approval()
    body = {"resource": thing.slug, "arguments": {"value": 1.2}}
    answer = await operator.post("/api/mcp/tools/memo_set", json=body)
    done = await closed(runtime, answer.json()["fix_id"])
    assert done.verdict is not None
    assert done.verdict.outcome == "not_healed"
    assert done.verdict.reasons == (f"memo-high is firing on {thing.slug}",)
    assert (thing.changes, done.undo) == ([1.2], ())  # nothing got worse: it stays as the person wanted it


async def test_an_incident_that_a_person_ended_with_a_tool_is_not_said_to_have_recovered_by_itself(
    thing: Thing, operator: httpx.AsyncClient, runtime: Runtime
) -> None:
    thing.put(1.5)
    await thing.approval()
    body = {"resource": thing.slug, "arguments": {"value": 0.2}}
    fix = (await operator.post("/api/mcp/tools/memo_set", json=body)).json()["fix_id"]
    ended = await thing.event("incident.closed")
    incident = await runtime.store.get(Incident, ended.subject)
    assert incident.outcome == "by_human"
    assert fix in incident.reason


async def test_what_was_tried_in_vain_is_done_again_when_a_person_asks_for_it(
    thing: Thing, operator: httpx.AsyncClient, runtime: Runtime
) -> None:
    thing.put(1.0)
    incident = (await thing.approval())["incident"]
    await thing.event("approval.requested")
    for _ in range(2):
        waiting = await thing.approval()
        await operator.post(f"/api/approvals/{waiting['id']}/reject", json={"note": "not now"})
        await thing.event("plan.refused", after=(await thing.event("approval.requested")).seq)
    escalated = await thing.event("incident.escalated")
    assert "rejected it at" in escalated.text
    assert "not now" in escalated.text
    tried = await runtime.store.get(Incident, incident)
    await runtime.store.save(replace(tried, tried=tried.refused))
    answer = await operator.post("/api/fixes/trigger", json={"resource": thing.slug})
    assert answer.status_code == 202, answer.text
    assert (await closed(runtime, answer.json()["fix_id"])).verdict.outcome == "healed"  # type: ignore[union-attr]


async def test_what_policy_denies_is_not_done(things: Callable[..., Any], operator: httpx.AsyncClient) -> None:
    production: Thing = await things()
    forbidden: Thing = await things(may_act=False)
    body = {"resource": forbidden.slug, "arguments": {"value": 0.4}}
    said = problem(await operator.post("/api/mcp/tools/memo_set", json=body), 403)
    assert "not-permitted" in said["detail"]
    assert f"{{name: {forbidden.slug}, kind: memo, act: true}}" in said["detail"]
    assert production.changes == forbidden.changes == []


async def test_what_cannot_be_called_so_is_said(thing: Thing, operator: httpx.AsyncClient) -> None:
    said = problem(
        await operator.post("/api/mcp/tools/memo_set", json={"resource": thing.slug, "arguments": {"value": 3}}), 400
    )
    assert "less than or equal to 2" in said["detail"]
    said = problem(await operator.post("/api/mcp/tools/memo_est", json={"resource": thing.slug}), 404)
    assert "memo_set" in said["detail"]


async def test_one_fix_at_a_time_is_done_in_a_neighbourhood(
    things: Callable[..., Any], operator: httpx.AsyncClient, runtime: Runtime
) -> None:
    below: Thing = await things()
    above: Thing = await things(depends_on=(below.id,))
    slow = {"resource": below.slug, "arguments": {"value": 0.2}}
    first = (await operator.post("/api/mcp/tools/memo_slow", json=slow)).json()["fix_id"]
    await below.begun()
    quick = {"resource": above.slug, "arguments": {"value": 0.3}}
    second = (await operator.post("/api/mcp/tools/memo_set", json=quick)).json()["fix_id"]
    below.let_go()
    one, two = await asyncio.gather(closed(runtime, first), closed(runtime, second))
    assert one.finished_at is not None
    assert two.steps[0].started_at is not None
    assert one.finished_at <= two.steps[0].started_at


async def test_tools_tell_their_effect_and_arguments(viewer: httpx.AsyncClient, thing: Thing) -> None:
    tools = {tool["name"]: tool for tool in (await viewer.get("/api/mcp/tools")).json()["items"]}
    assert tools["memo_set"]["effect"] == "reversible"
    assert tools["memo_set"]["has_undo"]
    assert tools["memo_set"]["input_schema"]["properties"]["value"]["maximum"] == 2
    runbook = (await viewer.get("/api/runbooks/high")).json()
    assert runbook["ladder"] == [
        [{"tool": "memo_set", "with": {"value": 0.2}}],
        [{"tool": "memo_set", "with": {"value": 0.1}}],
    ]
