"""What waited unanswered is counted, with what then happened; the report on a time tells it."""

from datetime import timedelta
from typing import Any

import httpx

from tests.server.conftest import Thing
from watchkeeper.domain import now
from watchkeeper.server import Runtime


async def told(viewer: httpx.AsyncClient, runtime: Runtime, thing: Thing) -> dict[str, Any]:
    assert runtime.desk.score is not None
    await runtime.desk.score.settled()
    page = (await viewer.get("/api/report", params={"format": "json"})).json()
    (mine,) = [p for p in page["proposals"] if p["plan"]["steps"][0]["resource"] == thing.id]
    return mine


async def test_what_nobody_answered_before_it_recovered_is_scored(
    thing: Thing, viewer: httpx.AsyncClient, runtime: Runtime
) -> None:
    thing.put(0.95)
    await thing.approval()
    thing.put(0.1)
    await thing.event("incident.closed")

    mine = await told(viewer, runtime, thing)
    assert (mine["held"], mine["ending"], mine["status"]) == ("unanswered", "recovered", "ended")
    assert mine["policy"]["outcome"] == "allow"
    assert "no change was seen" in mine["what"]
    assert mine["seconds"] >= 0
    listed = (await viewer.get("/api/evaluation/proposals")).json()["items"]
    (shown,) = [one for one in listed if one["id"] == mine["id"]]
    assert (shown["held"], shown["ending"], shown["policy"]["outcome"]) == ("unanswered", "recovered", "allow")
    assert (shown["steps"][0]["tool"], shown["then"], shown["what"]) == ("memo_set", [], mine["what"])
    older = (await viewer.get("/api/evaluation/proposals", params={"before": shown["at"]})).json()["items"]
    assert shown["id"] not in [one["id"] for one in older]


async def test_the_report_is_a_page_by_default_and_of_the_last_day(viewer: httpx.AsyncClient) -> None:
    answer = await viewer.get("/api/report")

    assert answer.headers["content-type"].startswith("text/markdown")
    assert answer.text.startswith("*Watchkeeper, ")


async def test_what_was_before_is_not_in_it(thing: Thing, viewer: httpx.AsyncClient) -> None:
    thing.put(0.95)
    await thing.approval()
    thing.put(0.1)
    await thing.event("incident.closed")
    since = (now() + timedelta(seconds=1)).isoformat()
    page = (await viewer.get("/api/report", params={"since": since, "format": "json"})).json()

    assert not [i for i in page["incidents"] if thing.id in i["resources"]]


async def test_a_time_that_is_none_is_refused(viewer: httpx.AsyncClient) -> None:
    assert (await viewer.get("/api/report", params={"since": "soon"})).status_code == 422
