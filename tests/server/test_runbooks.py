"""A runbook written anew while it runs is acted upon at once, told with who wrote it, and goes back."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.server.conftest import Thing
from tests.server.memo import HIGH
from tests.server.test_approvals import closed
from tests.server.test_door import problem
from tests.server.test_modes import ada  # noqa: F401
from watchkeeper.decide.handbook import Handbook
from watchkeeper.server import Runtime

Client = httpx.AsyncClient
PATH = "/api/runbooks/high"
GENTLER = HIGH.replace("{value: 0.2}", "{value: 0.4}")
BROKEN = """---
when: alerts.exists(a, a.rule == "memo-high")
cause: Somebody put it up.
ladder:
  - [{tool: memo_sett, with: {value: 0.2}}]
  - [{tool: memo_set, with: {value: 3}}]
healed: reading.levle < 0.5
---
# High
"""


@pytest.fixture(autouse=True)
async def as_packaged(runtime: Runtime) -> AsyncIterator[None]:
    """Other tests share the server."""
    yield
    async with runtime.store.transaction() as transaction:
        await transaction.set("runbooks", [])
        await transaction.set("modes", {})
    await runtime.decide.handbook.load()


async def written(client: Client, text: str, note: str = "") -> httpx.Response:
    tag = (await client.get(PATH)).headers["etag"]
    return await client.put(PATH, json={"text": text, "note": note}, headers={"If-Match": tag})


async def test_what_is_written_heals_the_next_incident_and_goes_back(
    thing: Thing, operator: Client, viewer: Client, runtime: Runtime
) -> None:
    assert (await viewer.get(PATH)).json()["text"] == HIGH
    told = await written(operator, GENTLER, "0.2 was too much")
    assert told.status_code == 200, told.text
    assert (told.json()["origin"], told.json()["text"]) == ("changed", GENTLER)
    await operator.put("/api/mode", json={"mode": "auto", "resource": thing.slug})
    thing.put(1.0)
    begun = await thing.event("fix.started")
    await closed(runtime, begun.subject)
    assert thing.changes == [0.4]
    again = await operator.delete(PATH)
    assert (again.json()["origin"], again.json()["text"]) == ("packaged", HIGH)
    story = (await viewer.get(f"{PATH}/history")).json()
    assert [(one["text"], one["note"]) for one in story["changes"]][-2:] == [(GENTLER, "0.2 was too much"), (None, "")]
    assert {one["by"] for one in story["changes"]} == {runtime.operator.id}


async def test_each_fault_is_told_with_its_line_and_nothing_is_changed(operator: Client) -> None:
    refused = await written(operator, BROKEN)
    assert problem(refused, 422)
    found = {(one["line"], one["what"].partition(":")[0]) for one in refused.json()["faults"]}
    assert found == {(5, "ladder"), (6, "ladder"), (7, "healed")}
    assert "did you mean `memo_set`" in refused.json()["detail"]
    assert "line 5: " in refused.json()["detail"]
    for text, line in (
        ("no front matter", 1),
        ("---\nwhen: 'true'\n---\n", 1),
        ("---\nwhen: [\n---\n", 3),
        (HIGH.replace("cause:", "couse:"), 3),
    ):
        refused = await written(operator, text)
        assert refused.status_code == 422, refused.text
        assert line in {one["line"] for one in refused.json()["faults"]}, refused.text
    assert (await operator.get(PATH)).json()["origin"] == "packaged"


async def test_two_who_write_at_once_do_not_lose_each_others_change(operator: Client) -> None:
    tag = (await operator.get(PATH)).headers["etag"]
    assert (await operator.put(PATH, json={"text": GENTLER}, headers={"If-Match": tag})).status_code == 200
    assert problem(await operator.put(PATH, json={"text": HIGH}, headers={"If-Match": tag}), 412)
    assert problem(await operator.put(PATH, json={"text": HIGH}), 428)
    assert (await operator.get(PATH)).json()["text"] == GENTLER


async def test_only_an_admin_writes(ada: Client, viewer: Client) -> None:  # noqa: F811
    assert problem(await written(ada, GENTLER), 403)
    assert problem(await ada.delete(PATH), 403)
    assert problem(await written(viewer, GENTLER), 401)
    assert (await viewer.get(PATH)).json()["text"] == HIGH


async def test_a_new_one_is_asked_first_and_gone_when_it_is_taken_back(operator: Client, runtime: Runtime) -> None:
    path = "/api/runbooks/high-at-night"
    assert problem(await operator.put(path, json={"text": HIGH}), 404)
    made = await operator.put(path, json={"text": HIGH, "kind": "memo"})
    assert made.status_code == 200, made.text
    assert next(book.name for book in runtime.registry.runbooks) == "high-at-night"
    assert (await operator.delete(path)).status_code == 200
    assert problem(await operator.get(path), 404)
    back = await operator.post(f"{path}/undo", json={"kind": "memo"})
    assert back.json()["origin"] == "changed"
    assert problem(await operator.put("/api/runbooks/drafts", json={"text": HIGH, "kind": "memo"}), 409)


async def test_the_last_change_alone_is_taken_back_and_all_of_it_holds_after_a_restart(
    operator: Client, runtime: Runtime
) -> None:
    await written(operator, GENTLER)
    await written(operator, GENTLER.replace("0.4", "0.3"))
    undone = await operator.post(f"{PATH}/undo", json={})
    assert undone.json()["text"] == GENTLER
    runtime.registry.change(())
    await Handbook(runtime.registry, runtime.store).load()
    assert (await operator.get(PATH)).json()["text"] == GENTLER


async def test_a_page_that_holds_a_secret_is_refused(operator: Client, runtime: Runtime) -> None:
    runtime.store.masker.learn("correct-horse-battery")
    refused = await written(operator, HIGH + "\nlog in with correct-horse-battery\n")
    assert problem(refused, 422)
    assert "correct-horse-battery" not in refused.text
