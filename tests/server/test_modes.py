"""The mode set while it runs holds until it is taken back, and is shown with what the configuration says."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.server.conftest import PATIENCE, Thing
from tests.server.test_approvals import closed
from tests.server.test_door import problem
from watchkeeper.decide import Modes
from watchkeeper.server import Runtime
from watchkeeper.server.modes import hidden

Client = httpx.AsyncClient


@pytest.fixture(autouse=True)
async def as_configured(runtime: Runtime) -> AsyncIterator[None]:
    """Other tests share the server."""
    yield
    async with runtime.store.transaction() as transaction:
        await transaction.set("modes", {})


@pytest.fixture
async def ada(address: str, operator: Client) -> AsyncIterator[Client]:
    """An operator who is no admin."""
    made = await operator.post("/api/tokens", json={"role": "operator", "name": "ada"})
    headers = {"Authorization": f"Bearer {made.json()['token']}"}
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=PATIENCE, verify=False) as client:
        yield client


async def test_one_resource_may_be_healed_without_asking_while_the_rest_waits(
    thing: Thing, operator: Client, runtime: Runtime
) -> None:
    told = {"mode": "auto", "resource": thing.slug, "note": "tonight"}
    for _ in range(2):
        answer = await operator.put("/api/mode", json=told)
        assert answer.status_code == 200, answer.text
    assert (answer.json()["mode"], answer.json()["configured"]) == ("approve", "approve")
    (mine,) = [one for one in answer.json()["modes"] if one["resource"] == thing.id]
    assert (mine["mode"], mine["note"], mine["configured"]) == ("auto", "tonight", "approve")
    thing.put(1.0)
    begun = await thing.event("fix.started")
    assert (await closed(runtime, begun.subject)).approved_by == ""
    assert thing.changes == [0.2]
    changes = [e for e in await runtime.store.events(kinds=("mode.changed",)) if e.resource == thing.id]
    assert [(e.data["from"], e.data["to"], e.by) for e in changes] == [
        ("as configured: approve", "auto", runtime.operator.id)
    ]
    again = await operator.delete("/api/mode", params={"resource": thing.slug})
    assert [one for one in again.json()["modes"] if one["resource"] == thing.id] == []


async def test_taken_back_for_one_resource_what_holds_for_everything_holds_for_it_and_is_said(
    thing: Thing, operator: Client, runtime: Runtime
) -> None:
    for told in ({"mode": "observe"}, {"mode": "approve", "resource": thing.slug}):
        assert (await operator.put("/api/mode", json=told)).status_code == 200
    await operator.delete("/api/mode", params={"resource": thing.slug})
    *_, last = [e for e in await runtime.store.events(kinds=("mode.changed",)) if e.resource == thing.id]
    assert last.text.endswith(f"sets the mode for {thing.slug} as it is for everything: observe")


async def test_a_stricter_mode_stops_it_at_once_and_is_shown_wherever_the_mode_is(
    thing: Thing, ada: Client, viewer: Client, runtime: Runtime
) -> None:
    assert (await ada.put("/api/mode", json={"mode": "observe"})).status_code == 200
    status = (await viewer.get("/api/resources/status")).json()
    assert (status["mode"], status["modes"][0]["configured"]) == ("observe", "approve")
    assert (await viewer.get("/api/policy")).json()["mode"] == "observe"
    assert (await viewer.get("/api/settings")).json()["overruled"][0]["mode"] == "observe"
    thing.put(1.0)
    assert "it would run memo_set" in (await thing.event("fix.would")).text
    assert await Modes(runtime.store, "auto").overall() == "observe"  # after a restart, whatever the file says then
    assert (await ada.delete("/api/mode")).json()["mode"] == "approve"
    assert (await thing.approval())["plan"]["author"] == "runbook:high#1"
    assert thing.changes == []


async def test_more_than_the_configuration_allows_takes_an_admin(
    thing: Thing, ada: Client, operator: Client, viewer: Client
) -> None:
    said = problem(await ada.put("/api/mode", json={"mode": "auto"}), 403)
    assert "takes an admin" in said["detail"]
    problem(await viewer.put("/api/mode", json={"mode": "observe"}), 401)
    await operator.put("/api/mode", json={"mode": "observe"})
    own = {"mode": "approve", "resource": thing.slug}
    assert "more permissive than observe" in problem(await ada.put("/api/mode", json=own), 403)["detail"]
    problem(await operator.put("/api/mode", json={"mode": "approve", "resource": "nobody"}), 404)
    problem(await operator.put("/api/mode", json={"mode": "yolo"}), 422)


async def test_the_settings_are_shown_without_secrets(viewer: Client, runtime: Runtime) -> None:
    told = (await viewer.get("/api/settings")).json()["settings"]
    assert (told["mode"], told["policy"]["changes_per_hour"]) == ("approve", 100)
    assert runtime.token not in str(told)
    assert hidden({"resources": [{"password": "hunter2", "settings": {"api_key": "x", "token": "env:T"}}]}) == {
        "resources": [{"password": "•••", "settings": {"api_key": "•••", "token": "env:T"}}]
    }
    assert hidden({"webhook": {"url": "https://ada:pw@host/x"}}) == {"webhook": {"url": "https://•••@host/x"}}
