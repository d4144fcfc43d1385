"""What a person was called for they are not called for again with each further alert."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.notify.loopback import FakeSlack, Posted
from tests.server.conftest import PATIENCE, Thing
from watchkeeper.domain import Alert, Event, Health, Incident, Said, now
from watchkeeper.domain.rule import Severity
from watchkeeper.handing import handing, taking_up
from watchkeeper.server import Runtime

AT = now()


async def told(runtime: Runtime, key: str, *kinds: str) -> list[Event]:
    """What people are told of it."""
    events = await runtime.store.events(incident=key, kinds=kinds or None, limit=1000)
    return [event for event in events if not event.quiet]


async def test_a_further_alert_joins_what_a_person_has_with_one_update(
    thing: Thing, runtime: Runtime, slack: FakeSlack
) -> None:
    thing.wear(1.0)
    handed = await thing.event("incident.escalated")
    key = handed.subject
    for _ in range(2):  # also where it comes and goes
        thing.put(0.62)
        again = await thing.event("incident.escalated", after=handed.seq)
        thing.put(0.1)
        handed = await thing.event("alert.resolved", after=again.seq)
    assert again.quiet
    (joined,) = await told(runtime, key, "incident.joined")
    assert joined.text.startswith(f"memo-odd fires on {thing.slug}, too (warning), and it is with a person already: ")
    assert len(await told(runtime, key, "incident.escalated")) == 1
    assert await told(runtime, key, "incident.reopened") == []
    assert (await thing.incident())["status"] == "escalated"
    thing.wear(0.0)
    await thing.event("incident.closed")
    async with asyncio.timeout(PATIENCE), slack._came:
        await slack._came.wait_for(lambda: any("recovered" in said.text for said in thread(slack, key)))
    assert sum(bool(said.reply_broadcast) for said in thread(slack, key)) == 1
    assert sum("memo-odd" in said.text for said in thread(slack, key)) == 1


def thread(slack: FakeSlack, key: str) -> list[Posted]:
    """What was told of an incident beside its own message."""
    root = {ts for ts, said in slack.posted.items() if said.thread_ts is None and key in str(said.blocks)}
    return [said for said in slack.posted.values() if said.thread_ts in root]


async def test_what_can_be_done_about_a_further_alert_is_asked_for(thing: Thing) -> None:
    thing.wear(1.0)
    handed = await thing.event("incident.escalated")
    thing.put(0.95)
    asked = await thing.approval()
    assert asked["incident"] == handed.subject


def one(severity: Severity, rule: str = "slow", **more: Any) -> Alert:
    return Alert(f"alr-{rule}", rule, "cache", severity, Health.DEGRADED, "firing", AT, "It is slow.", **more)


def event(alert: Alert) -> Event:
    return Event("alert.firing", alert.id, "", AT)


HANDED = Incident("inc-1", "slow on cache", "cache", ("cache",), AT).escalate("nothing knows this")


@pytest.mark.parametrize(
    ("known", "comes", "kinds", "loud"),
    [
        ("warning", one("warning", "full"), ["incident.joined"], False),
        ("warning", one("critical", "full"), ["alert.firing"], True),
        ("critical", one("critical", "full"), ["incident.joined"], False),
        ("warning", one("warning"), [], False),
        ("warning", one("critical"), ["alert.firing"], True),
    ],
)
def test_a_person_is_called_again_for_what_is_graver(
    known: Severity, comes: Alert, kinds: list[str], loud: bool
) -> None:
    again, events = taking_up(HANDED, comes, event(comes), [one(known)], "cache")
    assert again.active
    assert [one.kind for one in events if not one.quiet] == kinds
    escalated, said = handing(again, "nothing knows this")
    assert (escalated.status, said.quiet) == ("escalated", not loud)
    again, _ = taking_up(escalated, one("warning"), event(comes), [one("critical")], "cache")
    _, said = handing(again, "nothing knows this")
    assert (said.quiet, "nothing else is known" in said.text) == (True, True)


def test_what_was_done_about_in_vain_is_told_anew() -> None:
    comes = one("warning", "full")
    again, _ = taking_up(HANDED, comes, event(comes), [one("warning")], "cache")
    _, said = handing(replace(again, handed=False), "it did not help")
    assert not said.quiet


def test_what_a_person_has_taken_over_stays_with_them_whatever_joins() -> None:
    left = HANDED.leave(Said("person:ada", AT + timedelta(seconds=1)))
    comes = one("critical", "full")
    kept, events = taking_up(left, comes, event(comes), [one("warning")], "cache")
    assert kept.status == "escalated"
    assert [one.kind for one in events if not one.quiet] == ["incident.joined"]
    assert "full fires on cache, too (critical), and ada" in events[0].text
