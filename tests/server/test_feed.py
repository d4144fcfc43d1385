"""The history as a page, and as a stream that goes on."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx

from tests.server.conftest import PATIENCE
from watchkeeper.domain import Event, now
from watchkeeper.server import Runtime


async def say(runtime: Runtime, *texts: str, incident: str | None = None) -> list[int]:
    """Events with these texts; their numbers."""
    await runtime.store.emit(*(Event("test.said", "test", text, now(), incident=incident) for text in texts))
    found = await runtime.store.events(kinds=["test.said"], limit=len(texts), newest=True)
    return [event.seq for event in found]


async def heard(answer: httpx.Response) -> AsyncIterator[dict[str, str]]:
    """What a browser's EventSource would make of the stream."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif not line:
            if "data" in fields:
                yield fields
            fields = {}


async def texts(client: httpx.AsyncClient, count: int, path: str = "/api/events", **headers: str) -> list[str]:
    """The texts of the next `test.said` events of the stream."""
    got: list[str] = []
    headers = {"Accept": "text/event-stream"} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with asyncio.timeout(PATIENCE), client.stream("GET", path, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for fields in heard(answer):
            if fields["event"] == "test.said":
                got.append(json.loads(fields["data"])["text"])
                assert json.loads(fields["data"])["seq"] == int(fields["id"])
            if len(got) == count:
                return got
    raise AssertionError("the stream ended")


async def test_a_stream_resumes_after_the_last_event_heard(viewer: httpx.AsyncClient, runtime: Runtime) -> None:
    first, *_ = await say(runtime, "one", "two", "three")
    assert await texts(viewer, 2, Last_Event_ID=str(first)) == ["two", "three"]
    assert await texts(viewer, 2, path=f"/api/events?after={first}") == ["two", "three"]


async def test_the_last_event_heard_counts_more_than_the_address(viewer: httpx.AsyncClient, runtime: Runtime) -> None:
    first, second, _ = await say(runtime, "one", "two", "three")
    assert await texts(viewer, 1, path=f"/api/events?after={first}", Last_Event_ID=str(second)) == ["three"]


async def test_a_new_stream_begins_with_what_comes_next(viewer: httpx.AsyncClient, runtime: Runtime) -> None:
    await say(runtime, "old")
    got: list[str] = []
    async with (
        asyncio.timeout(PATIENCE),
        viewer.stream("GET", "/api/events", headers={"Accept": "text/event-stream"}) as answer,
    ):
        await say(runtime, "new")
        async for fields in heard(answer):
            if fields["event"] == "test.said":
                got.append(json.loads(fields["data"])["text"])
                break
    assert got == ["new"]


async def test_a_stream_of_one_incident_has_no_other(viewer: httpx.AsyncClient, runtime: Runtime) -> None:
    (before, *_) = await say(runtime, "before")
    await say(runtime, "other", incident="inc-other")
    await say(runtime, "mine", incident="inc-mine")
    assert await texts(viewer, 1, path=f"/api/events?incident=inc-mine&after={before}") == ["mine"]


async def test_many_streams_hear_the_same(address: str, runtime: Runtime) -> None:
    (before, *_) = await say(runtime, "before")
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE, verify=False) as one:
        listening = [asyncio.create_task(texts(one, 3, Last_Event_ID=str(before))) for _ in range(5)]
        await asyncio.sleep(0)
        for text in ("a", "b", "c"):
            await say(runtime, text)
        assert await asyncio.gather(*listening) == [["a", "b", "c"]] * 5


async def test_a_page_has_the_newest_oldest_first_and_a_cursor(viewer: httpx.AsyncClient, runtime: Runtime) -> None:
    first, second, third = await say(runtime, "one", "two", "three")
    page = (await viewer.get("/api/events", params={"after": first, "limit": 1})).json()
    assert ([event["text"] for event in page["items"]], page["next"]) == (["two"], str(second))
    page = (await viewer.get("/api/events", params={"after": page["next"]})).json()
    assert page["items"][0]["seq"] == third
    newest = (await viewer.get("/api/events", params={"limit": 2})).json()
    assert newest["items"][-1]["seq"] >= third
    assert newest["items"][0]["seq"] < newest["items"][1]["seq"]
