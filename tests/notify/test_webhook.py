"""People are told over a real connection; a receiver that is down delays nobody."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.domain.making import T0
from watchkeeper.domain import Event
from watchkeeper.notify import Webhook, webhook
from watchkeeper.store import Masker, Store

API = "http://127.0.0.1:8000"
ASKED = Event(
    "approval.requested",
    "apr-1",
    "redis_purge (reversible) waits for a person",
    T0,
    incident="inc-1",
    resource="docker/lab/redis/cache",
    data={"by_hand": ["redis-cli MEMORY PURGE"]},
)


class Receiver:
    """A real HTTP server that answers as it is told, and keeps what it was sent."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.got: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.requests = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = next(int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-len"))
                body = json.loads(await reader.readexactly(size))
                self.requests += 1
                status = self.answers.pop(0) if self.answers else 200
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
                await writer.drain()
                if status == 200:
                    await self.got.put(body)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            return await self.got.get()


@pytest.fixture
async def receiver(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Receiver]:
    monkeypatch.setattr(webhook, "PAUSE", 0.001)
    made = Receiver()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    yield made
    server.close()
    await server.wait_closed()


@pytest.fixture
async def told(receiver: Receiver) -> AsyncIterator[Webhook]:
    made = Webhook(receiver.url, API)
    made.start()
    yield made
    await made.stop()


async def test_of_what_waits_for_a_person_it_tells_how_to_decide(told: Webhook, receiver: Receiver) -> None:
    told.hear(ASKED)
    got = await receiver.next()
    assert "watchkeeper approve apr-1" in got["text"]
    assert "watchkeeper reject apr-1" in got["text"]
    assert got["data"] == {"by_hand": ["redis-cli MEMORY PURGE"]}
    assert (got["kind"], got["incident"], got["resource"]) == ("approval.requested", "inc-1", "docker/lab/redis/cache")
    assert got["links"] == {"incident": f"{API}/api/incidents/inc-1"}


@pytest.mark.parametrize("kind", ["incident.opened", "incident.escalated", "incident.closed", "fix.would"])
async def test_of_the_life_of_an_incident_it_tells(kind: str, told: Webhook, receiver: Receiver) -> None:
    told.hear(replace(ASKED, kind=kind))
    assert (await receiver.next())["kind"] == kind


async def test_it_does_not_tell_every_step(told: Webhook, receiver: Receiver) -> None:
    told.hear(replace(ASKED, kind="fix.step.done"))
    told.hear(ASKED)
    assert (await receiver.next())["kind"] == "approval.requested"
    assert receiver.requests == 1


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_a_receiver_in_trouble_is_tried_again_until_it_takes_it(
    status: int, told: Webhook, receiver: Receiver
) -> None:
    receiver.answers = [status, status]
    told.hear(ASKED)
    assert (await receiver.next())["kind"] == "approval.requested"
    assert receiver.requests == 3


async def test_a_refusal_is_not_repeated_and_what_comes_after_is_told(told: Webhook, receiver: Receiver) -> None:
    receiver.answers = [400]
    told.hear(ASKED)
    told.hear(replace(ASKED, kind="incident.closed"))
    assert (await receiver.next())["kind"] == "incident.closed"
    assert receiver.requests == 2


async def test_what_cannot_be_delivered_is_let_go_and_what_comes_after_is_told(
    told: Webhook, receiver: Receiver
) -> None:
    receiver.answers = [500] * webhook.TRIES
    told.hear(ASKED)
    told.hear(replace(ASKED, kind="incident.closed"))
    assert (await receiver.next())["kind"] == "incident.closed"


async def test_what_cannot_be_sent_at_all_ends_nothing(told: Webhook, receiver: Receiver) -> None:
    told.hear(replace(ASKED, data={"odd": object()}))
    told.hear(replace(ASKED, kind="incident.closed"))
    assert (await receiver.next())["kind"] == "incident.closed"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/nobody", "http://[bad", "not a url"])
async def test_a_dead_receiver_delays_neither_hearing_nor_the_end(
    url: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "LAST_SECONDS", 0.05)
    made = Webhook(url, API)
    made.start()
    async with asyncio.timeout(10):
        for _ in range(100):
            made.hear(ASKED)
        await made.stop()


async def test_beyond_its_queue_the_oldest_is_dropped(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "KEPT", 2)
    made = Webhook(receiver.url, API)
    for number in range(4):
        made.hear(replace(ASKED, text=str(number)))
    made.start()
    assert [(await receiver.next())["text"][:15] for _ in range(2)] == ["[watchkeeper] 2", "[watchkeeper] 3"]
    await made.stop()


async def test_what_was_heard_before_the_end_is_still_delivered(receiver: Receiver) -> None:
    made = Webhook(receiver.url, API)
    made.start()
    made.hear(ASKED)
    await made.stop()
    assert receiver.got.qsize() == 1


async def test_no_secret_goes_out(told: Webhook, receiver: Receiver, tmp_path: Path) -> None:
    masker = Masker()
    masker.learn("hunter22")
    async with Store.open(f"sqlite+aiosqlite:///{tmp_path / 'w.db'}", masker) as store:
        store.listen(told.hear)
        await store.emit(replace(ASKED, text="AUTH hunter22", data={"by_hand": ["redis-cli -a hunter22"]}))
        got = await receiver.next()
    assert "hunter22" not in json.dumps(got)
    assert "AUTH •••" in got["text"]
