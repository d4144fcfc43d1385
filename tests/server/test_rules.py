"""A rule changed while it runs is judged by at once, is told with who changed it, and goes back."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from tests.server.conftest import Thing
from tests.server.memo import SAMPLE
from tests.server.test_door import problem
from tests.server.test_modes import ada  # noqa: F401
from watchkeeper.server import Runtime
from watchkeeper.watch.rulebook import EVERYTHING, Rulebook

Client = httpx.AsyncClient
HIGH = "/api/rules/memo-high"


@pytest.fixture(autouse=True)
async def as_configured(runtime: Runtime) -> AsyncIterator[None]:
    """Other tests share the server."""
    yield
    async with runtime.store.transaction() as transaction:
        await transaction.set("rules", [])
    await runtime.watch.rulebook.load()


async def firing(runtime: Runtime, thing: Thing, wanted: bool) -> None:
    """Until a look finds it so."""
    async for at in runtime.watch.settle((thing.id,), 30.0):
        if bool(at.firing) is wanted:
            return
    raise AssertionError(f"{thing.slug}: firing is not {wanted}")


async def test_another_threshold_for_one_resource_holds_for_it_alone_from_the_next_look_on(
    things: Callable[..., Any], operator: Client, runtime: Runtime
) -> None:
    mine, other = await things(), await things()
    told = await operator.put(HIGH, json={"resource": mine.slug, "threshold": 1.5, "note": "a load test"})
    assert told.status_code == 200, told.text
    (change,) = told.json()["changes"]
    assert (change["resource"], change["when"], change["note"]) == (mine.id, "reading.level > 1.5", "a load test")
    assert (told.json()["when"], told.json()["configured"]["when"]) == ("reading.level > 0.9", "reading.level > 0.9")
    for thing in (mine, other):
        thing.put(1.0)
    await firing(runtime, other, True)
    await runtime.watch.look((mine.id,))
    assert not runtime.watch.situation((mine.id,)).firing
    undone = await operator.post(f"{HIGH}/undo", json={"resource": mine.slug})
    assert undone.json()["changes"] == []
    await firing(runtime, mine, True)
    texts = [event["text"] for event in undone.json()["history"]][-2:]
    assert "to when reading.level > 1.5: a load test" in texts[0]
    assert texts[1].endswith(f"sets the rule memo-high for {mine.slug} as configured")


async def test_a_rule_switched_off_ends_its_alert_and_its_incident(
    thing: Thing, operator: Client, runtime: Runtime
) -> None:
    thing.put(1.0)
    await thing.event("incident.opened")
    off = await operator.put(HIGH, json={"resource": thing.slug, "enabled": False})
    assert off.status_code == 200, off.text
    await thing.event("incident.closed")
    assert (await thing.incident())["outcome"] != "healed"
    assert thing.changes == []


async def test_who_may_only_operate_switches_nothing_off_for_everything(
    ada: Client,  # noqa: F811
    viewer: Client,
    runtime: Runtime,
) -> None:
    assert problem(await ada.put(HIGH, json={"enabled": False}), 403)
    assert (await viewer.put(HIGH, json={"severity": "info"})).status_code == 401
    milder = await ada.put(HIGH, json={"severity": "warning", "for": "5m"})
    assert (milder.json()["severity"], milder.json()["for_seconds"]) == ("warning", 300.0)
    shown = (await viewer.get("/api/rules")).json()["items"]
    assert [rule["severity"] for rule in shown if rule["rule"] == "memo-high"] == ["warning"]
    assert (await ada.delete(HIGH)).json()["severity"] == "critical"


@pytest.mark.parametrize(
    "wrong",
    [
        {"when": "reading.levl > 1.0"},
        {"when": "reading.level +"},
        {"when": "reading.level"},
        {"for": "8d"},
        {"for": "soon"},
        {"threshold": -1},
        {"threshold": 1, "when": "reading.level > 1.0"},
        {"severity": "loud"},
        {},
    ],
)
async def test_what_no_rule_can_be_is_refused(operator: Client, wrong: dict[str, Any]) -> None:
    assert (await operator.put(HIGH, json=wrong)).status_code == 422
    assert (await operator.get(HIGH)).json()["changes"] == []


async def test_no_threshold_is_put_into_a_condition_of_several_parts(operator: Client) -> None:
    said = problem(await operator.put("/api/rules/memo-odd", json={"threshold": 1}), 422)
    assert "not just one comparison" in said["detail"]
    assert (await operator.put("/api/rules/memo-hgh", json={"threshold": 1})).status_code == 404


async def test_it_holds_after_a_restart(thing: Thing, operator: Client, runtime: Runtime) -> None:
    await operator.put(HIGH, json={"threshold": 1.5})
    book = runtime.watch.rulebook
    again = Rulebook(book.configured, {"memo": SAMPLE}, runtime.store)
    await again.load()
    assert [rule.when.source for rule in again.rules if rule.id == "memo-high"] == ["reading.level > 1.5"]
    assert again.adjustments["memo-high", EVERYTHING].said.by == runtime.operator.id
