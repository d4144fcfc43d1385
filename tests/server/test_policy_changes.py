"""Policy changed while it runs holds from the next step on, never loosens silently, is told, and goes back."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.server.conftest import Thing
from tests.server.test_approvals import closed
from tests.server.test_door import problem
from tests.server.test_modes import ada  # noqa: F401
from watchkeeper.decide import Amendments
from watchkeeper.server import Runtime

Client = httpx.AsyncClient
PATH = "/api/policy"


@pytest.fixture(autouse=True)
async def as_configured(runtime: Runtime) -> AsyncIterator[None]:
    """Other tests share the server."""
    yield
    async with runtime.store.transaction() as transaction:
        await transaction.set("policy", None)
        await transaction.set("modes", {})
    await runtime.decide.amendments.load()


async def test_a_stricter_cell_holds_back_the_next_fix_and_lets_it_go_on_when_it_is_taken_back(
    thing: Thing, operator: Client, viewer: Client, runtime: Runtime
) -> None:
    await operator.put("/api/mode", json={"mode": "auto", "resource": thing.slug})
    told = await operator.put(PATH, json={"table": {"lab": {"reversible": "ask"}}, "note": "a freeze"})
    assert told.status_code == 200, told.text
    assert (told.json()["table"]["lab"]["reversible"], told.json()["configured"]["lab"]["reversible"]) == (
        "ask",
        "allow",
    )
    assert told.json()["changed"]["looser"] == []
    thing.put(1.0)
    asked = await thing.event("approval.requested")
    assert "lab" in asked.text
    assert thing.changes == []
    shown = (await viewer.get("/api/settings")).json()["policy"]
    assert (shown["table"], shown["note"], shown["by"]) == (
        {"lab": {"reversible": "ask"}},
        "a freeze",
        runtime.operator.id,
    )
    assert (await operator.delete(PATH)).json()["changed"] is None
    await operator.post(f"/api/approvals/{asked.subject}/approve", json={})
    begun = await thing.event("fix.started")
    await closed(runtime, begun.subject)
    story = (await viewer.get(f"{PATH}/history")).json()["changes"]
    assert story[-2]["text"].endswith("sets policy to lab/reversible ask: a freeze")
    assert story[-1]["text"].endswith("sets policy to as configured")


async def test_what_is_denied_meanwhile_is_not_done_though_it_was_approved(thing: Thing, operator: Client) -> None:
    thing.put(1.0)
    asked = await thing.event("approval.requested")
    await operator.put(PATH, json={"table": {"lab": {"reversible": "deny"}}})
    await operator.post(f"/api/approvals/{asked.subject}/approve", json={})
    await thing.event("incident.escalated")
    assert thing.changes == []


async def test_nothing_is_loosened_silently_and_what_destroys_is_never_freed(
    operator: Client, runtime: Runtime
) -> None:
    looser = {"table": {"production": {"reversible": "allow"}}}
    refused = await operator.put(PATH, json=looser)
    assert problem(refused, 409)
    assert "production/reversible would be allow, the configuration says ask" in refused.json()["detail"]
    assert problem(await operator.put(PATH, json=looser | {"loosen": True}), 409)  # and no word why
    meant = await operator.put(PATH, json=looser | {"loosen": True, "note": "the migration"})
    assert meant.json()["changed"]["looser"] == ["production/reversible would be allow, the configuration says ask"]
    (event,) = await runtime.store.events(kinds=("policy.changed",), limit=1, newest=True)
    assert "more permissive than the configuration" in event.text
    assert event.text.endswith(": the migration")
    stricter = await operator.put(PATH, json={"changes_per_hour": 1})  # what was meant before needs no new word
    assert (stricter.json()["changes_per_hour"], stricter.json()["table"]["production"]["reversible"]) == (1, "allow")
    free = {"table": {"lab": {"destructive": "allow"}}, "loosen": True, "note": "whatever"}
    assert problem(await operator.put(PATH, json=free), 403)
    assert problem(await operator.put(PATH, json={"cooldown": 1}), 409)
    assert problem(await operator.put(PATH, json={}), 422)


async def test_what_a_change_would_mean_is_told_before_it_is_made(operator: Client, runtime: Runtime) -> None:
    await operator.put(PATH, json={"changes_per_hour": 5})
    wanted = {"table": {"production": {"reversible": "allow", "disruptive": "deny"}}, "cooldown": 1, "two_people": []}
    told = (await operator.post(f"{PATH}/preview", json=wanted)).json()
    assert "production/reversible: ask → allow" in told["changes"]
    assert any(one.startswith("rest between fixes of one resource: ") for one in told["changes"])
    assert told["looser"][0] == "production/reversible would be allow, the configuration says ask"
    assert (told["table"]["production"]["disruptive"], told["refused"]) == ("deny", None)
    free = {"table": {"lab": {"destructive": "allow"}}}
    refused = (await operator.post(f"{PATH}/preview", json=free)).json()
    assert "only the configuration" in refused["refused"]
    present = (await operator.get(PATH)).json()
    assert (present["table"]["production"]["reversible"], present["changes_per_hour"]) == ("ask", 5)


async def test_only_an_admin_sets_it(ada: Client, viewer: Client, runtime: Runtime) -> None:  # noqa: F811
    stricter = {"table": {"lab": {"reversible": "deny"}}}
    assert problem(await ada.put(PATH, json=stricter), 403)
    assert problem(await viewer.put(PATH, json=stricter), 401)
    assert problem(await ada.delete(PATH), 403)
    assert problem(await ada.post(f"{PATH}/preview", json=stricter), 403)
    assert runtime.decide.amendments.standing is None


async def test_it_holds_after_a_restart_and_its_last_change_is_taken_back(operator: Client, runtime: Runtime) -> None:
    await operator.put(PATH, json={"changes_per_hour": 5})
    await operator.put(PATH, json={"changes_per_hour": 2, "table": {"canary": {"disruptive": "deny"}}})
    anew = Amendments(runtime.store, runtime.decide.amendments.configured)
    await anew.load()
    assert (anew.policy.settings.changes_per_hour, anew.policy.table["canary"]["disruptive"]) == (2, "deny")
    undone = await operator.post(f"{PATH}/undo", json={})
    assert (undone.json()["changes_per_hour"], undone.json()["changed"]["table"]) == (5, {})
