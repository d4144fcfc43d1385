"""What holds for every channel: its own place, its own filters; what is refused is kept, what flaps is told once."""

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import standardwebhooks

from tests.domain.making import CACHE
from tests.notify.conftest import Notifies, Story
from tests.notify.loopback import Asked, Loopback, Said
from tests.notify.test_silences import silence
from watchkeeper.domain import Event, Incident, Principal, now
from watchkeeper.notify import Silences, deliverer
from watchkeeper.notify.flapping import State, states
from watchkeeper.settings.notify import FlappingSettings
from watchkeeper.store import Store
from watchkeeper.telemetry import Metrics

ADA = Principal("person", "ada", "admin")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def taken(asked: Asked) -> Said:
    return Said(204)


def hook(server: Loopback, name: str = "one", **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "webhook", "url": f"{server.url}/{name}", **more}


def kinds(asked: list[Asked]) -> list[str]:
    return [one.json["kind"] for one in asked]


async def test_each_request_is_signed_so_that_any_library_of_standard_webhooks_verifies_it(
    notifies: Notifies, story: Callable[..., Story], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    async with Loopback(taken).listening() as server:
        await notifies(hook(server, secret="env:HOOK_SECRET"))
        await story().opened()
        (asked,) = await server.until(1)
    verified = standardwebhooks.Webhook(SECRET).verify(asked.body.decode(), dict(asked.headers))

    assert verified["incident"] == "inc-1"
    assert asked.headers["webhook-id"] == f"wk-{verified['id']}"
    with pytest.raises(standardwebhooks.webhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(asked.body.decode() + " ", dict(asked.headers))


async def test_a_channel_that_is_away_holds_up_no_other_and_the_others_are_told(
    notifies: Notifies, story: Callable[..., Story], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliverer, "SILENT", 0.0)
    async with Loopback(taken).listening() as server:
        away = hook(server, "away") | {"url": "http://127.0.0.1:1/"}
        one = await notifies(away, hook(server))
        await story().opened()
        got = await server.until(2)
        standings = {standing.name: standing for standing in await one.standings()}

    assert kinds(got) == ["incident.opened", "channel.silent"]
    assert "the channel away cannot be told anything" in got[1].json["text"]
    assert standings["away"].waiting == 1
    assert standings["away"].problem == "nobody can be reached there"


async def test_filters_choose_by_severity_environment_and_kind_and_what_was_told_is_told_to_its_end(
    notifies: Notifies, story: Callable[..., Story], kept: Store
) -> None:
    async with Loopback(taken).listening() as server:
        await notifies(
            hook(server, "grave", severities=["critical"]),
            hook(server, "elsewhere", environments=["production"]),
            hook(server, "asked", events=["approvals"]),
        )
        await (await story("inc-mild", "warning").opened()).closed()
        grave = await story("inc-grave").opened()
        await grave.tell("approval.requested", "it waits", subject="apr-1")
        await grave.closed()
        await kept.emit(Event("approval.expired", "apr-2", "it waited in vain", now(), incident="inc-grave"))
        got = await server.until(7)
    told = {name: [] for name in ("/grave", "/elsewhere", "/asked")}
    for asked in got:
        told[asked.path].append(asked.json["kind"])

    assert told["/grave"] == ["incident.opened", "approval.requested", "incident.closed", "approval.expired"]
    assert told["/elsewhere"] == []
    assert told["/asked"] == ["approval.requested", "incident.closed", "approval.expired"]


async def test_a_message_that_alone_is_not_taken_is_set_aside_and_the_others_go_out_once(
    notifies: Notifies, story: Callable[..., Story], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliverer, "STUCK", 0.0)
    metrics = Metrics()
    poisoned = Loopback(lambda asked: Said(500 if asked.json["incident"] == "inc-poison" else 204))
    async with poisoned.listening() as server:
        one = await notifies(hook(server), metrics=metrics)
        await story("inc-poison").opened()
        await story("inc-well").opened()
        async with asyncio.timeout(60):
            while not (dead := await one.dead()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await story("inc-last").opened()
        async with asyncio.timeout(60):
            while "inc-last" not in [asked.json["incident"] for asked in server.asked]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    went = [asked.json["incident"] for asked in server.asked if asked.json["incident"] != "inc-poison"]

    assert went == ["inc-well", "inc-last"]
    assert [letter.incident for letter in dead] == ["inc-poison"]
    assert "again and again" in dead[0].reason
    text = metrics.text().decode()
    assert 'watchkeeper_notifications_dead{channel="one"} 1.0' in text
    assert 'watchkeeper_notifications_total{channel="one",outcome="delivered"}' in text


async def test_a_dead_letter_is_dismissed_or_sent_again_and_stays_in_the_history(
    notifies: Notifies, story: Callable[..., Story], kept: Store
) -> None:
    async with Loopback(taken).listening() as server:
        one = await notifies(hook(server))
        server.answers = [Said(410), Said(410)]
        await story("inc-1").opened()
        await story("inc-2").opened()
        async with asyncio.timeout(60):
            while len(await one.dead()) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        second, first = await one.dead()
        await one.dismiss(second, ADA)
        server.answers = [Said(503)]
        (still,) = await one.retry([first], ADA)
        assert (still.status, still.reason.split()[0], still.attempts) == ("dead", "503", 2)
        (sent,) = await one.retry([still], ADA)
    history = [event.kind for event in await kept.events(kinds=("notification.dead", "notification.dismissed"))]

    assert sent.status == "delivered"
    assert await one.dead() == []
    assert history == ["notification.dead", "notification.dead", "notification.dismissed"]


async def test_at_the_end_of_a_silence_what_still_stands_is_told(
    notifies: Notifies, story: Callable[..., Story], kept: Store
) -> None:
    silences = Silences(kept)
    async with Loopback(taken).listening() as server:
        await notifies(hook(server))
        one = silence()
        await silences.add(one, Event("silence.started", one.id, "", now()))
        await (await story("inc-over").opened()).closed()
        await story("inc-stands").opened()
        await kept.emit(Event("breaker.opened", "grow", "it failed", now()))
        await server.until(1)  # no silence keeps that back, and it came last
        await silences.end(one, "person:ada")
        got = [asked.json for asked in await server.until(3)]

    assert [said["kind"] for said in got] == ["breaker.opened", "silence.ended", "incident.opened"]
    assert got[2]["incident"] == "inc-stands"
    assert "still stands after the silence" in got[2]["text"]


async def test_what_flaps_is_told_once_and_once_when_that_is_over(
    notifies: Notifies, story: Callable[..., Story], kept: Store
) -> None:
    async with Loopback(taken).listening() as server:
        await notifies(hook(server), flapping={"times": 3, "within": 600})
        one = await story().opened()
        for _ in range(5):
            await one.closed()
            await one.reopened()
        await one.tell("incident.escalated", "somebody must look")
        ended = one.incident.close("healed", now() - timedelta(seconds=601))
        await kept.save(ended, Event("incident.closed", "inc-1", "healed", now(), incident="inc-1"))
        got = kinds(await server.until(9))
        again = await kept.events(kinds=("incident.steady",))

    assert got == [
        "incident.opened",
        *["incident.closed", "incident.reopened"] * 2,
        "incident.closed",
        "incident.flapping",
        "incident.escalated",
        "incident.steady",
    ]
    assert len(again) == 1
    assert "it was back 5 times" in again[0].text


def test_what_comes_back_seldom_does_not_flap() -> None:
    said = FlappingSettings(times=3, within=60)
    back = [Event("incident.reopened", "i", "", now() + timedelta(seconds=50 * n), incident="i") for n in range(6)]

    assert all(state.since is None for state in states(back, said))
    close = [Event("incident.reopened", "i", "", now() + timedelta(seconds=20 * n), incident="i") for n in range(4)]
    assert [state.times for state in states(close, said)] == [0, 0, 3, 4]
    over = [*close, Event("incident.steady", "i", "", now(), incident="i")]
    assert states(over, said)[-1] == State()


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
async def test_apprise_tells_others(notifies: Notifies, kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Loopback(taken).listening() as server:
        monkeypatch.setenv("APPRISE", server.url.replace("http://", "json://") + "/notify")
        one = await notifies({"name": "phone", "kind": "apprise", "urls": ["env:APPRISE"]})
        await kept.save(
            Incident("inc-1", "full on cache", CACHE.id, (CACHE.id,), now()),
            Event("incident.opened", "inc-1", "It is full.", now(), incident="inc-1", resource=CACHE.id),
        )
        (asked,) = await server.until(1)

    assert (asked.json["title"], asked.json["type"]) == ("full on cache", "failure")
    assert "It is full." in asked.json["message"]
    assert os.environ["APPRISE"] not in str(await one.standings())
