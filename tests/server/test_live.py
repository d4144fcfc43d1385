"""The live feed: everything that happens, to everybody who follows, from where they left off."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.server.conftest import PATIENCE, Thing
from tests.server.test_door import problem
from tests.server.test_feed import heard, say
from watchkeeper.domain import Event, now
from watchkeeper.server import Runtime
from watchkeeper.server.live import socket as over_socket
from watchkeeper.server.live import stream as over_stream

ELSEWHERE = {"X-Forwarded-For": "203.0.113.9"}
"""What a proxy on this machine says of somebody who comes from another."""


class Socket:
    """A client, as one would write it."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def next(self, kind: str = "") -> dict[str, Any]:
        """The next message of this type, or of any."""
        async with asyncio.timeout(PATIENCE):
            while True:
                said = json.loads(await self.connection.recv())
                if kind in ("", said["type"]):
                    return said

    async def events(self, *kinds: str) -> list[dict[str, Any]]:
        """Until each of these kinds has come, in this order; other events may come between."""
        got: list[dict[str, Any]] = []
        for kind in kinds:
            while (event := (await self.next("event"))["event"])["kind"] != kind:
                pass
            got.append(event)
        return got

    async def ended(self) -> tuple[int, str]:
        """The code and the reason with which the server ends it."""
        async with asyncio.timeout(PATIENCE):
            try:
                while True:
                    await self.connection.recv()
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else 1006, closed.rcvd.reason if closed.rcvd else ""


@asynccontextmanager
async def following(address: str, query: str = "", **more: Any) -> AsyncIterator[Socket]:
    url = f"{address.replace('http', 'ws', 1)}/api/live{query}"
    async with connect(url, open_timeout=PATIENCE, compression=None, proxy=None, **more) as connection:
        yield Socket(connection)


async def status_of_handshake(address: str, **more: Any) -> int:
    try:
        async with following(address, **more):
            return 101
    except InvalidStatus as refused:
        answer = refused.response
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code


def texts(events: list[dict[str, Any]]) -> list[str]:
    return [event["text"] for event in events]


# What is told --------------------------------------------------------------------------------------------------------


async def test_health_alert_incident_approval_and_each_step_are_told_as_they_happen(
    thing: Thing, address: str, operator: httpx.AsyncClient
) -> None:
    async with following(address, f"?resource={thing.slug}") as client:
        await client.next("subscribed")
        thing.put(1.0)
        asked = (await client.events("approval.requested"))[0]
        await operator.post(f"/api/approvals/{asked['subject']}/approve", json={})
        told = [(await client.next("event"))["event"]]
        while told[-1]["kind"] != "incident.closed":
            told.append((await client.next("event"))["event"])

    steps = ["approval.approved", "fix.started", "fix.step.intended", "fix.step.done", "fix.healed", "incident.closed"]
    assert [event["kind"] for event in told if event["kind"] in steps] == steps
    assert {"health.changed", "alert.resolved"} <= {event["kind"] for event in told}


async def test_health_that_changes_is_told_with_what_it_was(thing: Thing, address: str) -> None:
    async with following(address, f"?kinds=health.*&resource={thing.slug}") as client:
        await client.next("subscribed")
        thing.put(1.0)
        (event,) = await client.events("health.changed")

    assert event["data"] == {"before": "HEALTHY", "after": "DEGRADED", "state": "running"}
    assert event["resource"] == thing.id


async def test_what_is_new_is_told_once_it_was_looked_at(things: Any, address: str) -> None:
    async with following(address, "?kinds=health.*") as client:
        await client.next("subscribed")
        made = await things()
        while (event := (await client.events("health.changed"))[0])["resource"] != made.id:
            pass

    assert (event["seq"], event["data"]["before"], event["data"]["after"]) == (0, None, "HEALTHY")


@pytest.mark.parametrize(
    ("query", "heard_of"),
    [
        ("?kinds=test.*", ["a", "b", "c", "d"]),
        ("?kinds=test.said&kinds=nothing", ["a", "b", "d"]),
        ("?kinds=*.other", ["c"]),
        ("?incident=inc-live", ["b"]),
        ("?kinds=test.*&environment=staging", ["d"]),
        ("?kinds=test.*&resource=local/staging/memo/far", ["d"]),
        ("?kinds=test.*&resource=local/*/memo/f?r", ["d"]),
    ],
)
async def test_only_what_is_asked_for_is_told(query: str, heard_of: list[str], address: str, runtime: Runtime) -> None:
    """The same of what is missed and of what comes."""
    (before, *_) = await say(runtime, "before")
    told = (
        Event("test.said", "test", "a", now()),
        Event("test.said", "test", "b", now(), incident="inc-live"),
        Event("test.other", "test", "c", now()),
        Event("test.said", "test", "d", now(), resource="local/staging/memo/far"),
        Event("test.end", "test", "end", now(), incident="inc-live", resource="local/staging/memo/far"),
    )
    await runtime.store.emit(*told)

    end = [] if query in ("?kinds=test.said&kinds=nothing", "?kinds=*.other") else ["end"]
    async with following(address, f"{query}&after={before}") as client:
        got = [(await client.next("event"))["event"] for _ in [*heard_of, *end]]
        assert texts(got) == [*heard_of, *end]
        await runtime.store.emit(*told)
        got = [(await client.next("event"))["event"] for _ in [*heard_of, *end]]
        assert texts(got) == [*heard_of, *end]


# Where it goes on ----------------------------------------------------------------------------------------------------


async def test_who_comes_back_misses_nothing(address: str, runtime: Runtime) -> None:
    (before, *_) = await say(runtime, "before")
    await say(runtime, "one")
    async with following(address, f"?kinds=test.said&after={before}") as client:
        assert (await client.next())["type"] == "subscribed"
        first = (await client.next("event"))["event"]
    await say(runtime, "two")
    async with following(address, f"?kinds=test.said&after={first['seq']}") as client:
        await say(runtime, "three")
        assert [(await client.next("event"))["event"]["text"] for _ in "23"] == ["two", "three"]


async def test_a_long_history_is_told_in_order_and_without_gap_while_it_grows(address: str, runtime: Runtime) -> None:
    (before, *_) = await say(runtime, "before")
    await runtime.store.emit(*(Event("test.many", "test", str(n), now()) for n in range(700)))

    async def grow() -> None:
        for n in range(700, 760):
            await runtime.store.emit(Event("test.many", "test", str(n), now()))

    async with following(address, f"?kinds=test.many&after={before}") as client:
        growing = asyncio.create_task(grow())
        got = [(await client.next("event"))["event"]["text"] for _ in range(760)]
        await growing

    assert got == [str(n) for n in range(760)]


async def test_a_frame_says_anew_what_is_wanted(address: str, runtime: Runtime) -> None:
    (before, *_) = await say(runtime, "old", "older")
    async with following(address, "?kinds=nothing.at.all") as client:
        await client.next("subscribed")
        await client.connection.send(json.dumps({"after": before, "kinds": "test.said"}))
        assert (await client.next("subscribed"))["after"] == before
        assert (await client.next("event"))["event"]["text"] == "older"


async def test_a_stream_of_server_sent_events_goes_on_where_it_broke(
    viewer: httpx.AsyncClient, runtime: Runtime
) -> None:
    first, *_ = await say(runtime, "one", "two", "three")
    got: list[str] = []
    async with (
        asyncio.timeout(PATIENCE),
        viewer.stream("GET", "/api/live?kinds=test.*&after=0", headers={"Last-Event-ID": str(first)}) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        async for fields in heard(answer):
            got.append(json.loads(fields["data"])["text"])
            if len(got) == 2:
                break
    assert got == ["two", "three"]


async def test_what_there_is_can_be_had_without_waiting(viewer: httpx.AsyncClient, runtime: Runtime) -> None:
    first, *_ = await say(runtime, "one", "two")
    answer = await viewer.get("/api/live", params={"kinds": "test.said", "after": first, "follow": "false"})
    assert "event: test.said" in answer.text
    assert answer.text.rstrip().rpartition("\n\n")[2].split("\n")[1] == "event: end"


@pytest.mark.parametrize("after", ["4611686018427387904", "99999999999"])
async def test_a_cursor_of_another_history_is_told(after: str, viewer: httpx.AsyncClient, address: str) -> None:
    said = problem(await viewer.get("/api/live", params={"after": after}), 422)
    assert "beyond the end" in said["detail"]
    async with following(address, f"?after={after}") as client:
        assert (await client.ended())[0] == 4422


# How much ------------------------------------------------------------------------------------------------------------


async def test_one_event_is_read_once_however_many_follow(address: str, runtime: Runtime) -> None:
    asked: list[str] = []

    def count(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        if "FROM events" in statement:
            asked.append(statement)

    engine = runtime.store._engine.sync_engine
    clients = [following(address, "?kinds=test.said") for _ in range(60)]
    there = await asyncio.gather(*(client.__aenter__() for client in clients))
    try:
        await asyncio.gather(*(client.next("subscribed") for client in there))
        sa.event.listen(engine, "before_cursor_execute", count)
        await runtime.store.emit(Event("test.said", "test", "to all", now()))
        got = await asyncio.gather(*(client.next("event") for client in there))
    finally:
        sa.event.remove(engine, "before_cursor_execute", count)
        await asyncio.gather(*(client.__aexit__(None, None, None) for client in clients))

    assert [one["event"]["text"] for one in got] == ["to all"] * 60
    assert len(asked) < 30


async def test_nothing_is_read_while_nobody_follows(runtime: Runtime, address: str) -> None:
    async with following(address) as client:
        await client.next("subscribed")
    async with asyncio.timeout(PATIENCE):
        while "live" in {task.get_name() for task in asyncio.all_tasks()}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not runtime.live.followers


async def test_who_reads_too_slowly_is_cut_off_with_the_reason_and_can_go_on(
    address: str, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime.live, "room", 20)
    (before, *_) = await say(runtime, "before")
    host, port = address.removeprefix("http://").split(":")
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
    slow.connect((host, int(port)))
    slow.sendall(
        f"GET /api/live?kinds=test.said&after={before} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    )
    slow.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=slow, limit=65536)
    cut = runtime.metrics.live_cut
    had = cut._value.get()
    number = 0
    async with asyncio.timeout(PATIENCE):
        while cut._value.get() == had:
            await say(runtime, *(f"{n} {'x' * 50_000}" for n in range(number, number + 10)))
            number += 10
        got = b""
        while piece := await reader.read(1 << 20):
            got += piece
    writer.close()
    last = json.loads(got.decode().rpartition("event: cut\ndata: ")[2].partition("\n")[0])
    numbers = [int(line.split('"text":"')[1].split(" ")[0]) for line in got.decode().split("\n") if '"text":"' in line]

    assert "too slow" in last["reason"]
    assert numbers == list(range(len(numbers)))
    async with following(address, f"?kinds=test.said&after={last['after']}", max_size=None) as client:
        rest = [int((await client.next("event"))["event"]["text"].split(" ")[0]) for _ in range(number - len(numbers))]
    assert rest == list(range(len(numbers), number))


async def test_there_is_a_bound_to_how_many_follow(
    address: str, viewer: httpx.AsyncClient, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with following(address) as client:
        await client.next("subscribed")
        monkeypatch.setattr(runtime.live, "most", runtime.live.followers)
        refused = await viewer.get("/api/live")
        said = problem(refused, 429)
        assert int(refused.headers["retry-after"]) > 0
        async with following(address) as other:
            code, reason = await other.ended()
    assert (code, reason) == (1013, said["detail"])


async def test_a_sign_of_life_says_how_far_it_is(
    address: str, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(over_socket, "HEARTBEAT", 0.1)
    async with following(address, "?kinds=nothing.at.all") as client:
        (number,) = await say(runtime, "not for you")
        while (await client.next("heartbeat"))["after"] < number:
            pass


# Who may -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
    ],
)
async def test_a_page_from_elsewhere_opens_no_socket(headers: dict[str, str], address: str) -> None:
    if "Host" in headers:
        host, port = address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        writer.write(f"GET /api/live HTTP/1.1\r\nHost: {headers['Host']}\r\n{upgrade}{key}\r\n".encode())
        assert b" 403 " in await reader.readline()
        writer.close()
    else:
        assert await status_of_handshake(address, origin=headers["Origin"]) == 403


async def test_a_page_of_our_own_opens_one(address: str) -> None:
    assert await status_of_handshake(address, origin=address) == 101


async def test_a_wrong_token_opens_no_socket(address: str) -> None:
    assert await status_of_handshake(address, additional_headers={"Authorization": "Bearer wrong"}) == 401


async def test_from_another_machine_a_token_is_needed_in_a_header_or_the_first_frame(
    address: str, runtime: Runtime, viewer: httpx.AsyncClient
) -> None:
    problem(await viewer.get("/api/live", headers=ELSEWHERE), 401)
    async with following(address, additional_headers=ELSEWHERE) as client:
        await client.connection.send("{}")
        assert (await client.ended())[0] == 4401
    async with following(address, additional_headers=ELSEWHERE) as client:
        await client.connection.send(json.dumps({"token": "wrong"}))
        assert (await client.ended())[0] == 4401
    async with following(address, additional_headers=ELSEWHERE) as client:
        await client.connection.send(json.dumps({"token": runtime.token}))
        await client.next("subscribed")
    token = {"Authorization": f"Bearer {runtime.token}"}
    async with following(address, additional_headers=ELSEWHERE | token) as client:
        await client.next("subscribed")


async def test_a_token_that_is_revoked_ends_what_it_opened(
    address: str, operator: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(over_socket, "HEARTBEAT", 0.1)
    monkeypatch.setattr(over_stream, "HEARTBEAT", 0.1)
    made = (await operator.post("/api/tokens", json={"role": "viewer", "name": "live"})).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    async with (
        following(address, additional_headers=headers) as client,
        httpx.AsyncClient(base_url=address, headers=headers, timeout=PATIENCE, verify=False) as other,
        other.stream("GET", "/api/live") as answer,
    ):
        await client.next("subscribed")
        await operator.delete(f"/api/tokens/{made['view']['id']}")
        code, reason = await client.ended()
        assert "no more" in (await anext(f async for f in heard(answer) if f["event"] == "cut"))["data"]
    assert code in (1013, 4401)
    assert "no more" in reason
