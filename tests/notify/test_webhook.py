"""People are told over a real connection; a receiver that is down delays nobody."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from watchkeeper.domain import Event, now
from watchkeeper.notify import Notifier, Silences, backlog, deliverer
from watchkeeper.settings.notify import NotifySettings
from watchkeeper.store import Masker, Store

API = "http://127.0.0.1:8000"
ASKED = Event(
    "approval.requested",
    "apr-1",
    "redis_purge (reversible) waits for a person",
    now(),
    incident="inc-1",
    resource="docker/lab/redis/cache",
    data={"by_hand": ["redis-cli MEMORY PURGE"]},
)


def webhook(url: str, api: str, store: Store, silences: Silences | None = None, **more: Any) -> Notifier:
    """With `notify.webhook` alone."""
    said = NotifySettings.model_validate({"webhook": {"url": url, **more}})
    return Notifier(said, api, store, silences or Silences(store))


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
    monkeypatch.setattr(deliverer, "PAUSE", 0.001)
    monkeypatch.setattr(deliverer, "LONGEST", 0.01)
    made = Receiver()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    yield made
    server.close()
    await server.wait_closed()


@pytest.fixture
async def store(database: str) -> AsyncIterator[Store]:
    masker = Masker()
    masker.learn("hunter22")
    async with Store.open(database, masker) as opened:
        yield opened


@pytest.fixture
async def told(receiver: Receiver, store: Store) -> AsyncIterator[Notifier]:
    made = webhook(receiver.url, API, store)
    await made.start()
    yield made
    await made.stop()


async def texts(receiver: Receiver, number: int) -> list[str]:
    told = [(await receiver.next())["text"] for _ in range(number)]
    return [re.sub(r"^\[watchkeeper\] (?:\S+, )?(?:inc-\S+: )?", "", text) for text in told]


def numbered(number: int, **changes: Any) -> Event:
    return replace(ASKED, kind="incident.closed", text=str(number), **changes)


async def test_of_what_waits_for_a_person_it_tells_how_to_decide(
    told: Notifier, receiver: Receiver, store: Store
) -> None:
    await store.emit(ASKED)
    got = await receiver.next()
    assert "watchkeeper approve apr-1" in got["text"]
    assert "watchkeeper reject apr-1" in got["text"]
    assert got["data"] == {"by_hand": ["redis-cli MEMORY PURGE"]}
    assert (got["kind"], got["incident"], got["resource"]) == ("approval.requested", "inc-1", "docker/lab/redis/cache")
    assert got["links"] == {
        "report": f"{API}/api/incidents/inc-1/report?format=html",
        "incident": f"{API}/api/incidents/inc-1",
    }


@pytest.mark.parametrize("kind", ["incident.opened", "incident.escalated", "incident.closed", "fix.would"])
async def test_of_the_life_of_an_incident_it_tells(kind: str, told: Notifier, receiver: Receiver, store: Store) -> None:
    await store.emit(replace(ASKED, kind=kind))
    assert (await receiver.next())["kind"] == kind


async def test_it_does_not_tell_every_step(told: Notifier, receiver: Receiver, store: Store) -> None:
    await store.emit(replace(ASKED, kind="fix.step.done"), ASKED)
    assert (await receiver.next())["kind"] == "approval.requested"
    assert receiver.requests == 1


@pytest.mark.parametrize("kind", ["fix.inconclusive", "fix.not_healed"])
async def test_of_a_fix_by_hand_that_is_not_proven_it_tells_and_an_incident_tells_of_its_own(
    kind: str, told: Notifier, receiver: Receiver, store: Store
) -> None:
    await store.emit(replace(ASKED, kind=kind), replace(ASKED, kind=kind, subject="fix-2", incident=None))
    got = await receiver.next()
    assert (got["kind"], got["incident"]) == (kind, None)
    assert got["links"] == {"fix": f"{API}/api/fixes/fix-2"}
    assert receiver.requests == 1


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_a_receiver_in_trouble_is_tried_again_until_it_takes_it(
    status: int, told: Notifier, receiver: Receiver, store: Store
) -> None:
    receiver.answers = [status] * 8
    await store.emit(ASKED)
    assert (await receiver.next())["kind"] == "approval.requested"
    assert receiver.requests == 9


async def test_a_refusal_is_not_repeated_and_what_comes_after_is_told(
    told: Notifier, receiver: Receiver, store: Store
) -> None:
    receiver.answers = [400]
    await store.emit(ASKED, numbered(1))
    assert (await receiver.next())["kind"] == "incident.closed"
    assert receiver.requests == 2


async def test_what_was_not_delivered_before_a_crash_is_delivered_after_it_once_and_in_order(
    receiver: Receiver, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = webhook(receiver.url, API, store)
    await killed.start()
    await store.emit(numbered(1))
    first = await receiver.next()
    receiver.answers = [503] * 1000
    await store.emit(numbered(2))
    async with asyncio.timeout(10):
        while receiver.requests < 3:  # it is at it  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    monkeypatch.setattr(deliverer, "LAST_SECONDS", 0.0)
    await killed.stop()  # nothing is kept in memory: all there is afterwards is the store
    await store.emit(numbered(3))
    receiver.answers = []

    again = webhook(receiver.url, API, store)
    await again.start()
    second, third = await receiver.next(), await receiver.next()
    await again.stop()
    assert [got["text"][-1] for got in (first, second, third)] == ["1", "2", "3"]
    assert first["id"] < second["id"] < third["id"]
    assert receiver.got.empty()


async def test_killed_between_delivery_and_its_record_it_tells_again_with_the_same_id(
    receiver: Receiver, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = webhook(receiver.url, API, store)
    await killed.start()

    async def die(seq: int) -> None:
        raise deliverer._Ended

    monkeypatch.setattr(deliverer, "LAST_SECONDS", 0.0)
    one = killed.deliverers["webhook"]
    monkeypatch.setattr(one, "_told", die)
    await store.emit(numbered(1))
    first = await receiver.next()
    await store.release(one._lease)
    again = webhook(receiver.url, API, store)
    await again.start()
    assert (await receiver.next())["id"] == first["id"]
    await again.stop()
    await killed.stop()


async def test_a_store_with_a_history_is_not_told_from_its_beginning(receiver: Receiver, store: Store) -> None:
    await store.emit(numbered(1))
    made = webhook(receiver.url, API, store)
    await made.start()
    await store.emit(numbered(2))
    assert await texts(receiver, 1) == ["2"]
    await made.stop()


async def test_what_is_old_or_too_much_is_summed_up_in_one_message(
    receiver: Receiver, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "MOST", 2)
    before = webhook(receiver.url, API, store)
    await before.start()
    await before.stop()
    await store.emit(*(numbered(n, at=now() - timedelta(hours=30)) for n in range(3)), *map(numbered, range(3, 7)))

    made = webhook(receiver.url, API, store)
    await made.start()
    summary = await receiver.next()
    assert summary["kind"] == "notifications.summary"
    assert "5 notifications" in summary["text"]
    assert summary["data"]["kinds"] == {"incident.closed": 5}
    assert await texts(receiver, 2) == ["5", "6"]
    await made.stop()
    assert receiver.got.empty()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/nobody", "http://[bad", "not a url"])
async def test_a_dead_receiver_delays_neither_hearing_nor_the_end(
    url: str, receiver: Receiver, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliverer, "LAST_SECONDS", 0.05)
    made = webhook(url, API, store)
    await made.start()
    async with asyncio.timeout(10):
        await store.emit(*[ASKED] * 100)
        await made.stop()


async def test_of_two_on_one_store_one_tells(receiver: Receiver, store: Store) -> None:
    both = [webhook(receiver.url, API, store) for _ in range(2)]
    for one in both:
        await one.start()
    await store.emit(*map(numbered, range(5)))
    assert await texts(receiver, 5) == list("01234")
    for one in both:
        await one.stop()
    assert receiver.got.empty()


async def test_what_was_heard_before_the_end_is_still_delivered(receiver: Receiver, store: Store) -> None:
    made = webhook(receiver.url, API, store)
    await made.start()
    await store.emit(ASKED)
    await made.stop()
    assert receiver.got.qsize() == 1


async def test_no_secret_goes_out(told: Notifier, receiver: Receiver, store: Store) -> None:
    await store.emit(replace(ASKED, text="AUTH hunter22", data={"by_hand": ["redis-cli -a hunter22"]}))
    got = await receiver.next()
    assert "hunter22" not in json.dumps(got)
    assert "AUTH •••" in got["text"]
