"""The logs of everything, searched and followed."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.server.conftest import PATIENCE, Thing
from tests.server.test_door import problem
from tests.server.test_feed import heard
from watchkeeper.domain import LogLine, Resource, now
from watchkeeper.server import Runtime

HOUR = timedelta(hours=1)


async def keep(runtime: Runtime, *lines: LogLine) -> None:
    async with runtime.store.transaction(alone=False) as transaction:
        await transaction.keep_logs(lines)


def texts(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [line["text"] for line in answer.json()["items"]]


@pytest.fixture
async def said(thing: Thing, runtime: Runtime) -> str:
    """Four lines, two of a thing and two of what is gone; a word that is in all of them."""
    at, word = now(), f"said-by-{thing.slug}"
    await keep(
        runtime,
        LogLine(at - 2 * HOUR, "WARNING", f"{word} slow", thing.id),
        LogLine(at - HOUR, "ERROR", f"{word} OUT of memory 100%", thing.id),
        LogLine(at, "WARNING", f"{word} also slow", "docker/lab/gone/far"),
        LogLine(at, "CRITICAL", f"{word} it is over", "docker/lab/gone/far"),
    )
    return word


async def test_lines_of_everything_are_found_by_what_they_hold(viewer: httpx.AsyncClient, said: str) -> None:
    all_of_them = [f"{said} it is over", f"{said} also slow", f"{said} OUT of memory 100%", f"{said} slow"]
    for query, found in (
        ({}, all_of_them),
        ({"level": "ERROR"}, [all_of_them[0], all_of_them[2]]),
        ({"level": "CRITICAL"}, all_of_them[:1]),
        ({"text": f"{said.upper()} out OF"}, [all_of_them[2]]),
        ({"text": f"{said} OUT of memory 100%"}, [all_of_them[2]]),
        ({"text": f"{said}%"}, []),
        ({"since": (now() - 1.5 * HOUR).isoformat()}, all_of_them[:3]),
        ({"until": (now() - 0.5 * HOUR).isoformat()}, all_of_them[2:]),
    ):
        assert texts(await viewer.get("/api/logs", params={"text": said} | query)) == found, query


async def test_lines_of_one_resource_are_those_of_no_other(viewer: httpx.AsyncClient, said: str, thing: Thing) -> None:
    query = {"resource": thing.slug, "text": said}
    assert texts(await viewer.get("/api/logs", params=query)) == [f"{said} OUT of memory 100%", f"{said} slow"]
    problem(await viewer.get("/api/logs", params={"resource": "nothing-of-that-name"}), 404)


async def test_the_lines_of_what_runs_on_it_are_its_own_for_they_have_one_log(
    viewer: httpx.AsyncClient, said: str, thing: Thing, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = Resource("docker/lab/gone/far", "far", runs_on=thing.id)
    found = {**runtime.watch.fleet.resources, inside.id: inside}
    monkeypatch.setattr(type(runtime.watch.fleet), "resources", property(lambda _: found))
    assert len(texts(await viewer.get("/api/logs", params={"resource": thing.slug, "text": said}))) == 4


async def test_pages_go_on_where_the_one_before_ended(viewer: httpx.AsyncClient, said: str) -> None:
    query: dict[str, Any] = {"text": said, "limit": 3}
    first = await viewer.get("/api/logs", params=query)
    rest = await viewer.get("/api/logs", params=query | {"before": first.json()["next"]})
    assert texts(first) + texts(rest) == texts(await viewer.get("/api/logs", params={"text": said}))
    assert rest.json()["next"] is None


async def test_lines_are_followed_as_they_come(viewer: httpx.AsyncClient, said: str, runtime: Runtime) -> None:
    first = (await viewer.get("/api/logs", params={"text": said})).json()["items"][-1]["seq"]
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(first)}
    got: list[str] = []
    async with (
        asyncio.timeout(PATIENCE),
        viewer.stream("GET", f"/api/logs?level=ERROR&text={said.upper()}", headers=headers) as answer,
    ):
        async for fields in heard(answer):
            got.append(json.loads(fields["data"])["text"])
            if len(got) == 2:
                await keep(runtime, LogLine(now(), "ERROR", f"{said} and more", "docker/lab/gone/far"))
            if len(got) == 3:
                break
    assert got == [f"{said} OUT of memory 100%", f"{said} it is over", f"{said} and more"]
