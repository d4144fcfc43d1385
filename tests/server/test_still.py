"""What keeps the hands still: windows, cooldowns, breakers, limits; from a fault to the step that is not taken."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.server.conftest import PATIENCE, Thing
from tests.server.test_approvals import closed
from tests.server.test_door import problem
from watchkeeper.domain import Event, Fix, Incident, now
from watchkeeper.notify.telling import TOLD, Composer, wanted
from watchkeeper.server import Runtime

ENDED = ("incident.closed", "incident.escalated")


@pytest.fixture
def auto(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """As the same server in mode auto."""
    monkeypatch.setattr(runtime.decide.modes, "configured", "auto")
    return runtime


async def begin(operator: httpx.AsyncClient, thing: Thing, **more: Any) -> dict[str, Any]:
    body = {"resources": [thing.slug], "for": "1h", "reason": "a move"} | more
    answer = await operator.post("/api/maintenance", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def end(operator: httpx.AsyncClient, window: dict[str, Any]) -> None:
    assert (await operator.post(f"/api/maintenance/{window['id']}/end")).status_code == 200


async def test_within_maintenance_a_fault_is_held_and_at_its_end_it_goes_on(
    thing: Thing, operator: httpx.AsyncClient, viewer: httpx.AsyncClient, auto: Runtime
) -> None:
    window = await begin(operator, thing)
    thing.put(1.0)
    held = await thing.event("incident.maintenance")
    assert held.text.startswith("maintenance until ")
    assert "a move" in held.text
    assert held.kind in TOLD, "people hear that nothing will be done"
    assert (await thing.incident())["reason"] == held.text
    status = (await viewer.get("/api/resources/status")).json()
    (mine,) = [item for item in status["items"] if item["id"] == thing.id]
    assert mine["maintenance"].startswith("maintenance until ")
    assert (mine["advice"]["decision"]["outcome"], mine["advice"]["decision"]["policy"]) == ("deny", "maintenance")
    assert window["id"] in {one["id"] for one in status["maintenance"]}
    assert thing.changes == []

    await auto.loop.heal(await auto.store.get(Incident, held.subject))  # as after any other look
    told = await auto.store.events(kinds=("incident.diagnosed",), incident=held.subject)
    assert len(told) == 1, "nothing has changed: it is told once"
    await end(operator, window)
    assert (await thing.event(*ENDED)).kind == "incident.closed"
    assert thing.changes == [0.2]


async def test_at_the_end_of_a_window_nobody_need_wake_it(
    thing: Thing, operator: httpx.AsyncClient, auto: Runtime
) -> None:
    await begin(operator, thing, **{"for": "2s"})
    thing.put(1.0)
    await thing.event("incident.maintenance")
    assert (await thing.event(*ENDED)).kind == "incident.closed"
    assert thing.changes == [0.2]


async def test_another_resource_is_not_held(
    things: Callable[..., Any], operator: httpx.AsyncClient, auto: Runtime
) -> None:
    still, free = await things(), await things()
    window = await begin(operator, still)
    free.put(1.0)
    assert (await free.event(*ENDED)).kind == "incident.closed"
    await end(operator, window)


async def test_a_persons_own_call_within_a_window_is_done_with_a_warning(
    thing: Thing, operator: httpx.AsyncClient, runtime: Runtime
) -> None:
    window = await begin(operator, thing)
    body = {"resource": thing.slug, "arguments": {"value": 0.3}}
    answer = (await operator.post("/api/mcp/tools/memo_set", json=body)).json()
    assert answer["warnings"][0].startswith("maintenance until ")
    done = await closed(runtime, answer["fix_id"])
    assert done.steps[0].status == "done"
    assert done.decision.warnings == tuple(answer["warnings"])
    await end(operator, window)
    answer = (await operator.post("/api/mcp/tools/memo_set", json=body)).json()
    assert answer["warnings"] == []
    await closed(runtime, answer["fix_id"])


async def test_what_is_approved_within_a_window_is_done(thing: Thing, operator: httpx.AsyncClient) -> None:
    thing.put(1.0)
    waiting = await thing.approval()
    window = await begin(operator, thing)
    await operator.post(f"/api/approvals/{waiting['id']}/approve", json={})
    assert (await thing.event(*ENDED)).kind == "incident.closed"
    assert thing.changes == [0.2]
    await end(operator, window)


async def test_a_fix_that_is_at_work_when_a_window_begins_takes_no_further_step(
    thing: Thing, operator: httpx.AsyncClient, runtime: Runtime, auto: Runtime
) -> None:
    thing.put(0.75)
    await thing.begun()
    window = await begin(operator, thing)
    thing.let_go()
    stopped = await thing.event("fix.step.refused")
    assert "policy maintenance: maintenance until" in stopped.text
    assert 0.3 not in thing.changes
    await end(operator, window)
    thing.put(0.1)
    await thing.event(*ENDED)


async def test_a_window_is_ended_once_and_one_of_the_configuration_not_at_all(
    thing: Thing, operator: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    window = await begin(operator, thing)
    problem(await viewer.post(f"/api/maintenance/{window['id']}/end"), 401)
    await end(operator, window)
    problem(await operator.post(f"/api/maintenance/{window['id']}/end"), 409)
    problem(await operator.post("/api/maintenance/mnt-none/end"), 404)


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ({"for": "1h"}, 422, "resources"),
        ({"resources": [], "for": "1h"}, 422, "resources"),
        ({"resources": ["all"]}, 422, "either `for` or `until`"),
        ({"resources": ["all"], "for": "soon"}, 422, "not a duration"),
        ({"resources": ["all"], "for": "999d"}, 422, "366d"),
        ({"resources": ["all"], "until": "2020-01-01T00:00:00Z"}, 422, "future"),
        ({"resources": ["nowhere"], "for": "1h"}, 404, "nowhere"),
    ],
)
async def test_a_window_that_cannot_be_is_refused_in_words(
    operator: httpx.AsyncClient, body: dict[str, Any], status: int, why: str
) -> None:
    assert why in problem(await operator.post("/api/maintenance", json=body), status)["detail"]


async def failed(runtime: Runtime, thing: Thing, key: str, incident: str) -> None:
    """As a fix tells that did not help."""
    steps = [{"tool": "memo_set", "resource": thing.id, "status": "done"}]
    data: dict[str, object] = {"steps": steps, "holds_back": True}
    await runtime.store.emit(Event("fix.not_healed", key, "not_healed", now(), incident=incident, data=data))


async def test_after_a_failed_fix_nothing_more_is_done_there_by_itself_for_a_while(
    thing: Thing, operator: httpx.AsyncClient, auto: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto.decide.policy.settings, "cooldown", 3.0)
    await failed(auto, thing, "fix-before", "inc-before")
    thing.put(1.0)
    held = await thing.event("incident.cooldown")
    assert held.text.startswith("cooldown until ")
    assert f"fix-before has failed here or nearby, on {thing.id}" in held.text
    assert thing.changes == []
    assert (await thing.event(*ENDED)).kind == "incident.closed"
    assert held.at < datetime.now(UTC)
    assert thing.changes == [0.2]


async def test_in_a_cooldown_a_person_may_act(thing: Thing, operator: httpx.AsyncClient, auto: Runtime) -> None:
    await failed(auto, thing, "fix-before", "inc-before")
    thing.put(1.0)
    await thing.event("incident.cooldown")
    answer = (await operator.post("/api/fixes/trigger", json={"resource": thing.slug})).json()
    assert answer["warnings"][0].startswith("cooldown until ")
    assert (await thing.event(*ENDED)).kind == "incident.closed"


async def test_a_cooldown_is_told_with_its_incident_and_gives_way_where_a_person_insists(
    thing: Thing, operator: httpx.AsyncClient, viewer: httpx.AsyncClient, auto: Runtime
) -> None:
    await failed(auto, thing, "fix-before", "inc-before")
    thing.put(1.0)
    held = await thing.event("incident.cooldown")
    assert held.text.endswith(f"`watchkeeper retry {held.subject}` has it go on at once")
    incident = await thing.incident()
    assert incident["held"]["reason"] == incident["reason"] == held.text
    status = (await viewer.get("/api/resources/status")).json()
    (mine,) = [item for item in status["items"] if item["id"] == thing.id]
    assert mine["held"] == held.text
    message = await Composer(auto.store, auto.silences, "http://here").message(held)
    assert wanted(held)
    assert held.kind in TOLD
    assert message.text == held.text
    assert (await operator.post(f"/api/incidents/{held.subject}/retry", json={})).status_code == 200
    assert (await thing.event(*ENDED)).kind == "incident.closed"
    assert thing.changes == [0.2]
    assert (await thing.incident())["held"] is None


async def test_a_tool_that_keeps_failing_is_not_used_until_its_breaker_is_closed(
    thing: Thing, operator: httpx.AsyncClient, viewer: httpx.AsyncClient, auto: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto.decide.policy.settings, "cooldown", 0.0)
    for number in range(3):
        await failed(auto, thing, f"fix-{number}", "inc-before")
    thing.put(1.0)
    refused = await thing.event("plan.refused")
    assert "memo_set failed 3 times in a row" in refused.text
    assert "watchkeeper tools reset memo_set" in refused.text
    assert (await thing.event(*ENDED)).kind == "incident.escalated"
    assert thing.changes == []
    shown = (await viewer.get("/api/mcp/tools/memo_set")).json()["breakers"]
    assert [(one["resource"], one["failures"], one["half_open"]) for one in shown] == [(thing.id, 3, False)]
    assert (await viewer.get("/api/resources/status")).json()["breakers"] == shown

    problem(await viewer.post("/api/mcp/tools/memo_set/reset"), 401)
    assert (await operator.post("/api/mcp/tools/memo_set/reset")).json()["items"] == shown
    problem(await operator.post("/api/mcp/tools/memo_set/reset"), 409)
    problem(await operator.post("/api/mcp/tools/memo_nothing/reset"), 404)
    assert (await viewer.get("/api/mcp/tools/memo_set")).json()["breakers"] == []
    await operator.post("/api/fixes/trigger", json={"resource": thing.slug})
    await thing.event("incident.closed")
    assert thing.changes == [0.2]


async def test_the_limit_is_read_again_before_each_step(
    thing: Thing, operator: httpx.AsyncClient, auto: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    thing.put(0.75)
    await thing.begun()
    monkeypatch.setattr(auto.decide.policy.settings, "changes_per_hour", 1)  # as if another had used it up meanwhile
    thing.let_go()
    assert "limit/changes-per-hour" in (await thing.event("fix.step.refused")).text
    assert 0.3 not in thing.changes
    thing.put(0.1)
    await thing.event(*ENDED)


async def test_over_the_limit_a_person_is_asked_and_what_they_approve_is_done(
    thing: Thing, operator: httpx.AsyncClient, auto: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto.decide.policy.settings, "changes_per_hour", 0)
    thing.put(1.0)
    asked = await thing.event("approval.requested", "incident.escalated")
    assert (asked.kind, thing.changes) == ("approval.requested", [])
    (waits,) = [one for one in (await operator.get("/api/approvals")).json()["items"] if one["id"] == asked.subject]
    assert "unasked it makes none (policy.changes_per_hour). Approve it" in waits["decision"]["reason"]
    assert (await operator.post(f"/api/approvals/{asked.subject}/approve", json={})).status_code == 200
    assert (await thing.event(*ENDED)).kind == "incident.closed"
    assert thing.changes == [0.2]


async def test_a_fix_says_what_came_of_each_of_its_tools(thing: Thing, auto: Runtime) -> None:
    thing.put(1.0)
    healed = await thing.event("fix.healed")
    assert healed.data["steps"] == [{"tool": "memo_set", "resource": thing.id, "status": "done"}]
    assert healed.resource == thing.id
    async with asyncio.timeout(PATIENCE):
        assert (await auto.store.get(Fix, healed.subject)).verdict is not None


async def test_what_is_silenced_is_marked_so_and_acted_on_all_the_same(
    thing: Thing, operator: httpx.AsyncClient, viewer: httpx.AsyncClient, auto: Runtime
) -> None:
    answer = await operator.post("/api/silences", json={"resource": thing.slug, "rule": "memo-*", "for": "1h"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    window = await begin(operator, thing)
    thing.put(1.0)
    await thing.event("incident.maintenance")
    status = (await viewer.get("/api/resources/status")).json()
    (mine,) = [item for item in status["items"] if item["id"] == thing.id]
    assert mine["silenced"] == {"memo-high": made["id"]}
    assert made["id"] in {one["id"] for one in status["silences"]}
    assert (await thing.incident())["silenced"] == made["id"]
    await end(operator, window)
    assert (await thing.event(*ENDED)).kind == "incident.closed"
    assert (await operator.post(f"/api/silences/{made['id']}/expire")).json()["status"] == "over"
    problem(await operator.post(f"/api/silences/{made['id']}/expire"), 409)
    problem(await operator.post("/api/silences/sil-none/expire"), 404)
    problem(await viewer.post("/api/silences", json={"resource": "all", "for": "1h"}), 401)
    assert made["id"] in {one["id"] for one in (await viewer.get("/api/silences?status=all")).json()["items"]}


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ({"for": "1h"}, 422, "say what it is about"),
        ({"resource": "all"}, 422, "either `for` or `until`"),
        ({"severity": "dreadful", "for": "1h"}, 422, "severity"),
        ({"resource": "nowhere", "for": "1h"}, 404, "nowhere"),
        ({"rule": "memo-hihg", "for": "1h"}, 404, "did you mean 'memo-high'"),
    ],
)
async def test_a_silence_that_cannot_be_is_refused_in_words(
    operator: httpx.AsyncClient, body: dict[str, Any], status: int, why: str
) -> None:
    assert why in problem(await operator.post("/api/silences", json=body), status)["detail"]
