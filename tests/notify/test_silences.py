"""What people are not told of, and that they are told so."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.making import CACHE, alert, resource
from tests.notify.test_webhook import API, Receiver, receiver, texts, webhook
from watchkeeper.domain import Event, Silence, Window, now
from watchkeeper.notify import Notifier, Silences
from watchkeeper.store import Store, new_id

__all__ = ["receiver"]
ORDERS = resource("orders")


def silence(on: str = "cache", **more: Any) -> Silence:
    given: dict[str, Any] = {"rule": "", "severity": "", "reason": "", "by": "person:ada"} | more
    begins = given.pop("begins", now() - timedelta(seconds=1))
    return Silence(new_id("sil"), on, begins=begins, ends=given.pop("ends", begins + timedelta(hours=1)), **given)


matchers = st.tuples(
    st.sampled_from(["", "all", "cache", "c*", "docker/lab/*", "orders"]),
    st.sampled_from(["", "full", "fu*", "slow"]),
    st.sampled_from(["", "warning", "critical"]),
)


@given(
    matchers,
    st.sampled_from([CACHE, ORDERS]),
    st.sampled_from(["full", "slow"]),
    st.sampled_from(["warning", "critical"]),
)
@settings(deadline=None)
def test_an_alert_is_silenced_when_all_that_is_said_matches(
    said: tuple[str, str, str], on: Any, rule: str, severity: str
) -> None:
    where, which, grave = said
    meant = {
        "resource": where in ("", "all", "docker/lab/*", on.slug) or (where == "c*" and on is CACHE),
        "rule": which in ("", rule) or (which == "fu*" and rule == "full"),
        "severity": grave in ("", severity),
    }
    assert silence(where, rule=which, severity=grave).matches(on, rule, severity) == all(meant.values())


@pytest.fixture
async def store(database: str) -> AsyncIterator[Store]:
    async with Store.open(database) as opened:
        async with opened.transaction() as transaction:
            for one in (CACHE, ORDERS):
                await transaction.put_resource(one)
        yield opened


@pytest.fixture
async def silences(store: Store) -> AsyncIterator[Silences]:
    made = Silences(store)
    made.start()
    yield made
    await made.stop()


@pytest.fixture
async def told(receiver: Receiver, store: Store, silences: Silences) -> AsyncIterator[Notifier]:
    made = webhook(receiver.url, API, store, silences)
    await made.start()
    yield made
    await made.stop()


async def opened(
    store: Store, on: Any, *, incident: str = "inc-1", rule: str = "full", kind: str = "incident.opened"
) -> None:
    """An incident, with its alert, and the event that tells of it."""
    fires = alert(on, rule=rule, at=now(), incident=incident, id=f"alr-{incident}-{on.slug}-{rule}")
    text = f"{kind} {rule} on {on.slug}"
    await store.save(fires, Event(kind, incident, text, now(), incident=incident, resource=on.id))


async def add(silences: Silences, one: Silence) -> Silence:
    await silences.add(one, Event("silence.started", one.id, "", now()))
    return one


async def test_what_is_silenced_is_not_told_and_its_end_says_how_much_it_was(
    told: Notifier, receiver: Receiver, store: Store, silences: Silences
) -> None:
    one = await add(silences, silence())
    await opened(store, CACHE)
    await store.emit(Event("incident.closed", "inc-1", "closed", now(), incident="inc-1", resource=CACHE.id))
    await opened(store, ORDERS, incident="inc-2")
    assert await texts(receiver, 1) == ["incident.opened full on orders"]
    assert sum((await silences.kept_back(one.id)).values()) == 2
    await silences.end(one, "person:ada")
    (line,) = await texts(receiver, 1)
    assert line.startswith(f"the silence {one.id} (cache) is over: 2 messages were kept back")
    assert "1 × incident.opened" in line
    await opened(store, CACHE, incident="inc-3")
    assert await texts(receiver, 1) == ["incident.opened full on cache"]
    kept = await store.events(kinds=("notification.silenced",))
    assert {event.subject for event in kept} == {one.id}


async def test_an_incident_with_an_alert_that_is_not_silenced_is_told(
    told: Notifier, receiver: Receiver, store: Store, silences: Silences
) -> None:
    await add(silences, silence("", rule="full"))
    await opened(store, CACHE)
    await opened(store, ORDERS, rule="slow", kind="incident.reopened")
    assert await texts(receiver, 1) == ["incident.reopened slow on orders"]


@pytest.mark.parametrize("approvals", [False, True])
async def test_a_request_for_approval_is_told_unless_it_was_said_otherwise(
    approvals: bool, told: Notifier, receiver: Receiver, store: Store, silences: Silences
) -> None:
    await add(silences, silence("all", approvals=approvals))
    await opened(store, CACHE)
    await store.emit(Event("approval.requested", "apr-1", "it waits", now(), incident="inc-1"))
    await store.emit(Event("breaker.opened", "grow", "it failed", now()))
    assert [text.split(" —")[0] for text in await texts(receiver, 2 - approvals)] == ["it waits", "it failed"][
        approvals:
    ]


async def test_a_silence_that_kept_nothing_back_ends_without_a_word(
    told: Notifier, receiver: Receiver, store: Store, silences: Silences
) -> None:
    await silences.end(await add(silences, silence()), "person:ada")
    await opened(store, CACHE)
    assert await texts(receiver, 1) == ["incident.opened full on cache"]


async def test_a_silence_ends_by_itself_in_time_and_only_once(store: Store, silences: Silences) -> None:
    one = await add(silences, silence(ends=now() + timedelta(seconds=0.2)))
    async for event in store.follow():
        if event is not None and event.kind == "silence.ended":
            break
    assert (await store.get(Silence, one.id)).status == "over"
    await silences.end(one, "person:ada")
    assert len(await store.events(kinds=("silence.ended",))) == 1


async def test_one_whose_time_passed_while_nothing_ran_ends_at_the_start(store: Store) -> None:
    past = now() - timedelta(hours=2)
    await store.save(silence(begins=past, ends=past + timedelta(hours=1)))
    made = Silences(store)
    made.start()
    async for event in store.follow():
        if event is not None and event.kind == "silence.ended":
            break
    await made.stop()


async def test_what_is_delivered_late_is_judged_by_when_it_happened(store: Store, silences: Silences) -> None:
    one = silence()
    await store.save(one)
    await opened(store, CACHE)
    (event,) = await store.events(kinds=("incident.opened",))
    await silences.end(one, "person:ada")
    found = await silences.keeps_back(event)
    assert found is not None
    assert found.id == one.id


async def test_a_quiet_maintenance_window_keeps_back_what_happens_within_it_and_tells_it_at_its_end(
    told: Notifier, receiver: Receiver, store: Store, silences: Silences
) -> None:
    begins = now() - timedelta(seconds=1)
    window = Window("mnt-1", ("cache",), begins, begins + timedelta(hours=1), "a new disk", "person:ada", quiet=True)
    loud = Window("mnt-2", ("orders",), begins, begins + timedelta(hours=1), "", "person:ada")

    async def standing(_: Any) -> list[Window]:
        return [window, loud]

    silences.windows = standing
    await opened(store, CACHE)
    await opened(store, ORDERS, incident="inc-2")
    assert await texts(receiver, 1) == ["incident.opened full on orders"]
    (one,) = await store.select(Silence)
    assert (one.resource, one.reason, one.ends) == ("cache", "maintenance mnt-1: a new disk", window.ends)
    silences.windows = None
    await silences.end_with(window, "person:ada")
    (line,) = await texts(receiver, 1)
    assert line.startswith(f"the silence {one.id} (cache) is over: 1 message was kept back")
