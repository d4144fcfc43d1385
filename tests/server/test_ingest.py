"""Alerts that others raise: placed, kept once, shown beside the incident; by themselves they start nothing."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.server.conftest import Thing
from tests.server.test_door import problem
from watchkeeper.domain import Fix, Incident, now
from watchkeeper.server import Runtime

BEGAN = now() - timedelta(minutes=5)


def alert(fingerprint: str, *, fires: bool = True, began: datetime = BEGAN, **labels: str) -> dict[str, Any]:
    """As Alertmanager writes it."""
    return {
        "status": "firing" if fires else "resolved",
        "labels": {"alertname": "HighLevel", "severity": "critical"} | labels,
        "annotations": {"summary": "The level is high."},
        "startsAt": began.isoformat(),
        "endsAt": "0001-01-01T00:00:00Z" if fires else now().isoformat(),
        "generatorURL": "http://prometheus:9090/graph",
        "fingerprint": fingerprint,
    }


async def tell(client: httpx.AsyncClient, *alerts: Any, **more: Any) -> dict[str, Any]:
    body = {"version": "4", "status": "firing", "receiver": "watchkeeper", "alerts": list(alerts)} | more
    answer = await client.post("/api/ingest/alertmanager", json=body)
    assert answer.status_code == 200, answer.text
    return {name: number for name, number in answer.json().items() if number}


async def known(client: httpx.AsyncClient, fingerprint: str) -> dict[str, Any]:
    items = (await client.get("/api/outside-alerts", params={"status": "all", "limit": 500})).json()["items"]
    return next(item for item in items if item["fingerprint"] == fingerprint)


async def test_an_outside_alert_alone_opens_nothing_and_changes_nothing(
    thing: Thing, operator: httpx.AsyncClient, viewer: httpx.AsyncClient, runtime: Runtime
) -> None:
    assert await tell(operator, alert("alone", service=thing.name)) == {"firing": 1}
    kept = await known(viewer, "alone")
    assert (kept["resource"], kept["status"], kept["severity"]) == (thing.id, "firing", "critical")
    told = await thing.event("outside.firing")
    assert (told.by, told.incident) == ("alertmanager", None)
    assert told.text == f"alertmanager tells: HighLevel fires on {thing.slug}: The level is high."
    await runtime.watch.look((thing.id,))
    assert [one for one in await runtime.store.select(Incident) if thing.id in one.resources] == []
    assert [fix for fix in await runtime.store.select(Fix) if thing.id in fix.plan.resources] == []
    assert thing.changes == []


async def test_the_same_alert_is_one_however_often_it_is_sent_and_ends_once(
    thing: Thing, operator: httpx.AsyncClient, viewer: httpx.AsyncClient, runtime: Runtime
) -> None:
    first = alert("again", service=thing.name)
    assert await tell(operator, first, first) == {"firing": 1}
    assert await tell(operator, first) == {"repeated": 1}
    assert (await known(viewer, "again"))["times"] == 2
    over = alert("again", fires=False, service=thing.name)
    assert await tell(operator, over) == {"resolved": 1}
    assert await tell(operator, over) == {"repeated": 1}
    assert await tell(operator, first) == {"repeated": 1}  # sent before it ended, and late
    assert (await known(viewer, "again"))["status"] == "resolved"
    kinds = [event.kind for event in await runtime.store.events(resources=(thing.id,)) if "outside" in event.kind]
    assert kinds == ["outside.firing", "outside.resolved"]
    assert await tell(operator, alert("again", began=now(), service=thing.name)) == {"firing": 1}
    assert (await known(viewer, "again"))["times"] == 1


async def test_the_end_of_what_was_never_told_is_nothing(operator: httpx.AsyncClient) -> None:
    assert await tell(operator, alert("unheard", fires=False)) == {"resolved": 1}
    items = (await operator.get("/api/outside-alerts", params={"status": "all", "limit": 500})).json()["items"]
    assert "unheard" not in {item["fingerprint"] for item in items}


async def test_it_stands_beside_the_incident_that_our_own_look_opened(
    thing: Thing, operator: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    thing.put(1.5)
    incident = (await thing.approval())["incident"]
    await tell(operator, alert("beside", service=thing.name))
    detail = (await viewer.get(f"/api/incidents/{incident}")).json()
    assert [one["fingerprint"] for one in detail["outside"]] == ["beside"]
    assert "outside.firing" in {event["kind"] for event in detail["events"]}


async def test_what_is_meant_is_said_outright_or_told_why_it_is_not_known(
    thing: Thing, operator: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    assert await tell(operator, alert("said", watchkeeper_resource=thing.slug)) == {"firing": 1}
    assert (await known(viewer, "said"))["resource"] == thing.id
    assert await tell(operator, alert("nobody", service="nobody-here")) == {"firing": 1, "unmatched": 1}
    assert "watchkeeper_resource" in (await known(viewer, "nobody"))["unmatched"]
    assert await tell(operator, alert("typo", watchkeeper_resource=f"{thing.slug}x")) == {"firing": 1, "unmatched": 1}
    assert f"did you mean '{thing.slug}'" in (await known(viewer, "typo"))["unmatched"]


async def test_what_cannot_be_read_is_said_and_the_rest_is_taken(operator: httpx.AsyncClient) -> None:
    broken = alert("broken") | {"startsAt": "yesterday"}
    told = await tell(operator, alert("whole"), broken, 7, truncatedAlerts=3)
    assert (told["firing"], told["left_out"]) == (1, 3)
    assert told["wrong"][0].startswith("alerts[1].startsAt: ")
    assert told["wrong"][1].startswith("alerts[2].: ")
    many = await tell(operator, *(alert(f"many-{number}", service="x" * 2000) for number in range(3)))
    assert many == {"firing": 3, "unmatched": 3}


@pytest.mark.parametrize(
    "body",
    [{"version": "3", "alerts": []}, {"version": "4"}, [], {"version": "4", "alerts": [{"status": "firing"}]}],
)
async def test_what_is_no_webhook_of_alertmanager_is_refused(body: Any, operator: httpx.AsyncClient) -> None:
    problem(await operator.post("/api/ingest/alertmanager", json=body), 422)


async def test_only_who_may_change_things_may_tell(viewer: httpx.AsyncClient) -> None:
    problem(await viewer.post("/api/ingest/alertmanager", json={"version": "4", "alerts": []}), 401)


async def test_another_form_is_understood_by_its_mapping(
    thing: Thing, operator: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    body = {"incidents": [{"id": "c-1", "title": "Slow", "open": True, "host": thing.name}, {"id": "c-2", "open": "?"}]}
    answer = await operator.post("/api/ingest/cloud", json=body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["firing"], told["wrong"]) == (
        1,
        ["alerts[1]: fires: 'alert.open' gives '?', which is neither true nor false"],
    )
    kept = await known(viewer, "c-1")
    assert (kept["sender"], kept["name"], kept["resource"]) == ("cloud", "Slow", thing.id)
    said = problem(await operator.post("/api/ingest/clout", json=body), 404)
    assert "cloud" in said["detail"]
    problem(await operator.post("/api/ingest/cloud", json={"incidents": 3}), 422)
