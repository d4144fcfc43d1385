"""PagerDuty's side of an incident, against a server that takes only what PagerDuty's documentation describes."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.notify.conftest import KEY, Notifies, Story
from tests.notify.loopback import FakePagerDuty, Said
from watchkeeper.domain import LOOP, Event, Principal, now
from watchkeeper.store import Store

ADA = Principal("person", "ada", "admin")


@pytest.fixture
async def pagerduty() -> AsyncIterator[FakePagerDuty]:
    async with FakePagerDuty().listening() as server:
        assert isinstance(server, FakePagerDuty)
        yield server


def channel(server: FakePagerDuty, **more: Any) -> dict[str, Any]:
    return {"name": "oncall", "kind": "pagerduty", "key": "env:PD_KEY", "url": f"{server.url}/v2/enqueue", **more}


async def test_an_incident_is_one_alert_from_its_opening_to_its_end(
    pagerduty: FakePagerDuty, notifies: Notifies, story: Callable[..., Story]
) -> None:
    await notifies(channel(pagerduty))
    one = await story().opened()
    await one.tell("fix.started", "runbook:full begins", subject="fix-1")
    await pagerduty.until(2)
    await one.closed()
    opened, begun, closed = [asked.json for asked in await pagerduty.until(3)]

    assert pagerduty.actions == ["trigger", "acknowledge", "resolve"]
    assert {event["dedup_key"] for event in (opened, begun, closed)} == {"inc-1"}
    assert opened["routing_key"] == KEY
    said = opened["payload"]
    assert (said["severity"], said["group"], said["component"], said["class"]) == ("critical", "lab", "cache", "full")
    assert said["summary"] == "full on cache: It is full."
    assert opened["client_url"] == "http://127.0.0.1:8000/api/incidents/inc-1/report?format=html"
    assert pagerduty.alerts == {"inc-1": "resolved"}


async def test_what_was_acknowledged_and_needs_a_person_after_all_pages_anew(
    pagerduty: FakePagerDuty, notifies: Notifies, story: Callable[..., Story]
) -> None:
    await notifies(channel(pagerduty))
    one = await story().opened()
    await one.tell("fix.started", subject="fix-1")
    await one.tell("incident.escalated", "nothing left that could help")
    await pagerduty.until(4)

    assert pagerduty.actions == ["trigger", "acknowledge", "resolve", "trigger"]
    assert pagerduty.paged == ["full on cache: It is full.", "full on cache: nothing left that could help"]


async def test_where_wanted_nobody_is_paged_before_it_needs_a_person(
    pagerduty: FakePagerDuty, notifies: Notifies, story: Callable[..., Story]
) -> None:
    await notifies(channel(pagerduty, page="person"))
    await (await story("inc-well").opened()).closed()
    asks = await story("inc-asks").opened()
    await asks.tell("approval.requested", "grow waits for a person", subject="apr-1")
    (asked,) = await pagerduty.until(1)

    assert asked.json["dedup_key"] == "inc-asks"
    assert "watchkeeper approve apr-1" in asked.json["payload"]["custom_details"]["next"]


async def test_what_was_over_before_it_could_be_told_pages_nobody(
    pagerduty: FakePagerDuty, notifies: Notifies, story: Callable[..., Story], kept: Store
) -> None:
    first = await notifies(channel(pagerduty))
    await first.stop()
    await (await story("inc-brief").opened()).closed()
    await story("inc-stands").opened()
    await notifies(channel(pagerduty))
    (asked,) = await pagerduty.until(1)

    assert asked.json["dedup_key"] == "inc-stands"


async def test_the_end_of_what_was_paged_is_told_however_old_it_is(
    pagerduty: FakePagerDuty, notifies: Notifies, story: Callable[..., Story], kept: Store
) -> None:
    first = await notifies(channel(pagerduty))
    one = await story().opened()
    await pagerduty.until(1)
    await first.stop()
    one.incident = one.incident.close("healed", now())
    ago = now() - timedelta(hours=30)
    await kept.save(one.incident, Event("incident.closed", "inc-1", "healed", ago, incident="inc-1"))
    await notifies(channel(pagerduty))
    await pagerduty.until(2)

    assert pagerduty.actions == ["trigger", "resolve"]


async def test_only_what_is_grave_enough_pages_also_where_that_joins_later(
    pagerduty: FakePagerDuty, notifies: Notifies, story: Callable[..., Story], kept: Store
) -> None:
    await notifies(channel(pagerduty, severities=["critical"]))
    mild = await story("inc-mild", "warning").opened()
    await mild.closed()
    grows = await story("inc-grows", "warning").opened()
    grows._severity = "critical"
    await grows.opened()  # its alert is critical now; an incident is as grave as its worst
    await grows.tell("alert.firing", "down fires on cache", subject="alr-2")
    (asked,) = await pagerduty.until(1)

    assert (asked.json["dedup_key"], asked.json["payload"]["severity"]) == ("inc-grows", "critical")


async def test_its_own_troubles_are_alerts_that_end(pagerduty: FakePagerDuty, notifies: Notifies, kept: Store) -> None:
    await notifies(channel(pagerduty))
    await kept.emit(Event("source.silent", "prom", "the source prom is silent", now()))
    await kept.emit(Event("source.tells", "prom", "it tells again", now()))
    await pagerduty.until(2)

    assert pagerduty.actions == ["trigger", "resolve"]
    assert pagerduty.alerts == {"watchkeeper/source/prom": "resolved"}


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_it_cannot_take_now_it_takes_later(
    status: int, pagerduty: FakePagerDuty, notifies: Notifies, story: Callable[..., Story]
) -> None:
    await notifies(channel(pagerduty))
    pagerduty.answers = [Said(status, headers=("Retry-After: 0",))] * 4
    await story().opened()
    await pagerduty.until(1)

    assert pagerduty.alerts == {"inc-1": "triggered"}


async def test_what_it_will_never_take_is_a_dead_letter_with_its_reason_until_it_is_sent_again(
    pagerduty: FakePagerDuty, notifies: Notifies, story: Callable[..., Story], kept: Store
) -> None:
    one = await notifies(channel(pagerduty))
    why = {"status": "invalid event", "message": "Event object is invalid", "errors": ["Length of 'routing_key'"]}
    pagerduty.answers = [Said(400, why)]
    await story().opened()
    async for event in kept.follow():
        if event is not None and event.kind == "notification.dead":
            break
    (letter,) = await one.dead()
    assert "Length of 'routing_key'" in letter.reason
    assert [standing.dead for standing in await one.standings()] == [1]

    (again,) = await one.retry([letter], ADA)
    assert again.status == "delivered"
    assert await one.dead() == []
    assert pagerduty.alerts == {"inc-1": "triggered"}


async def test_a_test_opens_an_alert_and_resolves_it(pagerduty: FakePagerDuty, notifies: Notifies) -> None:
    one = await notifies(channel(pagerduty))
    answer = await one.test("oncall", ADA)

    assert answer.result == "delivered"
    assert pagerduty.actions == ["trigger", "resolve"]
    assert "a test" in pagerduty.paged[0]
    assert (await one.deliverers["oncall"].channel.check()).result == "delivered"


async def test_a_key_is_never_shown(pagerduty: FakePagerDuty, notifies: Notifies, kept: Store) -> None:
    one = await notifies(channel(pagerduty))

    assert kept.masker.text(f"key {KEY}") == "key •••"
    assert KEY not in str(await one.standings())
    assert LOOP.name not in (await one.standings())[0].where
