"""However much is watched, it is read page by page: the worst first, nothing twice, nothing left out."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.server.conftest import PATIENCE, Thing
from watchkeeper.domain import Event, Health, now
from watchkeeper.server import Runtime
from watchkeeper.server.resources import _by_health
from watchkeeper.server.status_views import StatusView


async def pages(viewer: httpx.AsyncClient, path: str, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        page = (await viewer.get(f"{path}?limit={limit}{after}")).raise_for_status().json()
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["next"] is None:
            return found
        after = f"&after={page['next']}"


async def test_all_pages_together_are_everything_once(viewer: httpx.AsyncClient, things: Callable[..., Any]) -> None:
    made = {(await things()).id for _ in range(3)}
    for path in ("/api/resources", "/api/resources/status"):
        whole = [item["id"] for item in (await viewer.get(path)).json()["items"]]
        paged = [item["id"] for item in await pages(viewer, path, 2)]
        assert sorted(paged) == sorted(whole)
        assert made <= set(paged)
        assert len(set(paged)) == len(paged)


async def test_the_first_page_of_the_status_has_the_worst_and_tells_of_all(
    viewer: httpx.AsyncClient, things: Callable[..., Any]
) -> None:
    ill: Thing = (await things(), await things())[1]
    ill.put(99)
    await ill.event("incident.opened")
    async with asyncio.timeout(PATIENCE):
        while True:  # its incident is told of a moment before
            page = (await viewer.get("/api/resources/status?limit=1")).json()
            if [item["health"] for item in page["items"]] in (["FAILED"], ["DEGRADED"]):
                break
    assert page["next"] is not None
    assert page["total"] == sum(page["counts"].values()) > 1
    assert sum(page["counts"].get(name, 0) for name in ("FAILED", "DEGRADED")) >= 1


def test_what_is_not_known_comes_before_what_is_well() -> None:
    views = [StatusView.model_construct(health=health, kind="redis", slug="cache") for health in Health]
    assert [view.health for view in sorted(views, key=_by_health)] == ["FAILED", "DEGRADED", "UNKNOWN", "HEALTHY"]


async def test_what_is_no_cursor_is_refused(viewer: httpx.AsyncClient, thing: Thing) -> None:
    for cursor in ("nonsense", "e30", "WzFd", "Imgi"):
        for path in ("/api/resources", "/api/resources/status"):
            answer = await viewer.get(f"{path}?after={cursor}")
            assert answer.status_code == 422, (path, cursor)
            assert "not a cursor" in answer.json()["title"] + answer.json().get("detail", "")


async def test_a_page_that_was_given_a_moment_ago_shows_what_has_changed_since(
    viewer: httpx.AsyncClient, things: Callable[..., Any], runtime: Runtime
) -> None:
    async def page() -> dict[str, Any]:
        return {item["id"]: item for item in (await viewer.get("/api/resources")).json()["items"]}

    first = await things()
    assert (await page())[first.id]["health"] == "HEALTHY"
    second = await things()
    assert second.id in await page()
    first.put(99)
    async for _ in runtime.watch.settle((first.id,), PATIENCE):
        seen, shown = runtime.watch.health(first.id).value, (await page())[first.id]["health"]
        assert shown in (seen, runtime.watch.health(first.id).value)
        if shown != "HEALTHY":
            break
    found = (await first.event("incident.opened")).incident
    assert (await page())[first.id]["incident"] == found


async def test_what_waits_is_read_page_by_page(viewer: httpx.AsyncClient, things: Callable[..., Any]) -> None:
    made: list[Thing] = [await things(), await things()]
    for thing in made:
        thing.put(1.0)
    wanted = {(await thing.approval())["id"] for thing in made}
    found: list[str] = []
    before: dict[str, str] = {}
    while True:
        page = (await viewer.get("/api/approvals", params={"limit": 1, **before})).raise_for_status().json()
        found += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        before = {"before": page["next"]}
    assert wanted <= set(found)
    assert len(found) == len(set(found))


async def test_a_long_story_has_its_beginning_its_end_and_a_word_of_what_is_left_out_between(
    viewer: httpx.AsyncClient, thing: Thing, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watchkeeper.server.incidents.BEGINNING", 3)
    monkeypatch.setattr("watchkeeper.server.incidents.NEWEST", 4)
    thing.put(1.0)
    key = (await thing.approval())["incident"]
    async with runtime.store.transaction() as transaction:
        for number in range(20):
            await transaction.emit(Event("fix.step.said", key, f"line {number}", now(), incident=key))
    story = (await viewer.get(f"/api/incidents/{key}")).json()
    gap = story["events_left_out_after"]
    assert [event["seq"] for event in story["events"]].index(gap) == 2
    assert [event["text"] for event in story["events"]][3:] == [f"line {number}" for number in range(16, 20)]

    between = (await viewer.get(f"/api/events?incident={key}&after={gap}&limit=1000")).json()["items"]
    assert "line 15" in [event["text"] for event in between]
    report = (await viewer.get(f"/api/incidents/{key}/report")).text
    assert all(f"line {number}\n" in report for number in range(20))


async def test_what_happened_to_a_resource_is_read_page_by_page(viewer: httpx.AsyncClient, thing: Thing) -> None:
    thing.put(1.0)
    await thing.approval()
    path = f"/api/resources/{thing.slug}/events"
    whole = [event["seq"] for event in (await viewer.get(path)).json()["items"]]
    first = (await viewer.get(f"{path}?limit=1")).json()
    second = (await viewer.get(f"{path}?limit=1&before={first['next']}")).json()
    assert [event["seq"] for event in (*first["items"], *second["items"])] == whole[:2]
