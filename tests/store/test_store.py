import asyncio
from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from tests.domain.making import CACHE, T0, after, alert, fix, incident, plan, reading, resource, step
from watchkeeper.domain import (
    LOOP,
    Alert,
    Approval,
    Decision,
    Event,
    Fix,
    Incident,
    LogLine,
    NotFound,
    Probe,
    StepRecord,
    Verdict,
)
from watchkeeper.domain.change import Fingerprint
from watchkeeper.store import Store, opening, rename


def event(text: str = "it began", **more: object) -> Event:
    return Event("incident.opened", "inc-1", text, T0, incident="inc-1", **more)  # type: ignore[arg-type]


async def failing(store: Store) -> None:
    async with store.transaction() as transaction:
        await transaction.put(incident())
        await transaction.emit(event())
        raise ZeroDivisionError


def approval(**more: object) -> Approval:
    given: dict[str, object] = {
        "id": "apr-1",
        "incident": "inc-1",
        "fix": "fix-1",
        "plan": plan(step(value=10)),
        "decision": Decision("ask", "production/reversible", "needs a person", frozenset({"operator"})),
        "digest": "d",
        "requested_by": LOOP,
        "created_at": T0,
        "expires_at": after(60),
    }
    return Approval(**given | more)  # type: ignore[arg-type]


def whole_fix() -> Fix:
    """A fix with something in every field."""
    verdict = Verdict(
        "healed", ("3 good looks",), reading(used=0.9), (reading(used=0.1),), Probe("x", T0, True, 0.1, "PING")
    )
    record = StepRecord(0, "grow", CACHE.id, {"value": 10}, "done", {"was": [1, 2.5]}, 2, "ok", None, T0, after(1))
    return replace(
        fix(plan(step(value=10)), before={CACHE.id: reading(used=0.99)}, neighbours={"x/y/z/w": "HEALTHY"}),
        steps=(record,),
        undo=(replace(record, undo_of=0),),
        verdict=verdict,
        executed_at=after(2),
        finished_at=after(3),
        approved_by="person:ada",
    )


async def test_a_value_and_its_event_are_written_together(store: Store) -> None:
    await store.save(incident(), event())
    assert await store.get(Incident, "inc-1") == incident()
    assert [found.text for found in await store.events()] == ["it began"]


async def test_a_transaction_that_fails_leaves_neither_value_nor_event(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        await failing(store)
    assert await store.find(Incident, "inc-1") is None
    assert await store.events() == []


async def test_nobody_hears_of_a_transaction_that_failed(store: Store) -> None:
    heard: list[Event] = []
    store.listen(heard.append)
    with pytest.raises(ZeroDivisionError):
        await failing(store)
    assert heard == []


async def test_listeners_hear_of_an_event_once_it_can_be_read(store: Store) -> None:
    heard: list[Event] = []
    store.listen(heard.append)
    await store.emit(event("one"), event("two"))
    assert heard == await store.events()
    assert [known.seq for known in heard] == [1, 2]


async def test_a_listener_that_fails_hinders_neither_the_writer_nor_the_others(store: Store) -> None:
    heard: list[Event] = []

    def broken(_: Event) -> None:
        raise RuntimeError("no paper")

    store.listen(broken)
    store.listen(heard.append)
    await store.emit(event("one"), event("two"))
    assert [known.text for known in heard] == ["one", "two"]


async def test_following_resumes_by_cursor_and_hears_what_comes(store: Store) -> None:
    await store.emit(event("one"), event("two"))
    feed = store.follow(after=1, heartbeat=30)
    async with asyncio.timeout(5):
        assert (await anext(feed)).text == "two"  # type: ignore[union-attr]
        coming = asyncio.ensure_future(anext(feed))
        await store.emit(event("three"))
        assert (await coming).text == "three"  # type: ignore[union-attr]


async def test_following_misses_nothing_that_comes_while_it_looks(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = store.events

    async def slow(**asked: int) -> list[Event]:
        found = await look(**asked)
        if not await look():
            await store.emit(event("came between"))
        return found

    monkeypatch.setattr(store, "events", slow)
    async with asyncio.timeout(5):
        heard = await anext(store.follow(heartbeat=30))
    assert heard is not None
    assert heard.text == "came between"


async def test_following_tells_that_nothing_happened(store: Store) -> None:
    assert await anext(store.follow(heartbeat=0.01)) is None


async def test_every_value_comes_back_as_it_was(store: Store) -> None:
    values = (whole_fix(), alert(resolved_at=after(9)), approval(decided_by="person:ada", decided_at=after(1)))
    for value in values:
        await store.save(value)
        assert await store.get(type(value), value.id) == value


async def test_saving_again_replaces(store: Store) -> None:
    await store.save(incident())
    await store.save(incident().escalate("nobody knows"))
    assert [known.status for known in await store.select(Incident)] == ["escalated"]


async def test_what_is_not_there_is_not_found(store: Store) -> None:
    assert await store.find(Incident, "inc-9") is None
    with pytest.raises(NotFound, match="no incident inc-9"):
        await store.get(Incident, "inc-9")


async def test_selection_is_by_equal_columns_newest_first(store: Store) -> None:
    for number in range(4):
        await store.save(incident(id=f"inc-{number}", at=after(number), status="open" if number % 2 else "closed"))
    assert [i.id for i in await store.select(Incident)] == ["inc-3", "inc-2", "inc-1", "inc-0"]
    assert [i.id for i in await store.select(Incident, status="open")] == ["inc-3", "inc-1"]
    assert [i.id for i in await store.select(Incident, status=("open", "closed"), limit=1)] == ["inc-3"]
    assert [i.id for i in await store.select(Incident, before=after(2))] == ["inc-1", "inc-0"]


async def test_nothing_is_selected_by_none_but_none(store: Store) -> None:
    await store.save(fix(id="fix-1", incident=None))
    await store.save(fix(id="fix-2", incident="inc-1"))
    assert [known.id for known in await store.select(Fix, incident=None)] == ["fix-1"]


async def test_a_time_in_another_zone_is_the_same_time(store: Store) -> None:
    await store.save(incident(at=after(0)))
    east = timezone(timedelta(hours=5))
    assert await store.select(Incident, before=after(1).astimezone(east)) == [incident()]
    assert await store.select(Incident, before=after(-1).astimezone(east)) == []
    async with store.transaction() as transaction:
        await transaction.keep_readings([reading(at=after(0).astimezone(east))])
    assert len(await store.readings(CACHE.id, since=after(-1), until=after(1))) == 1
    assert len(await store.readings(CACHE.id, since=after(-1).astimezone(east), until=after(1).astimezone(east))) == 1


async def test_events_can_be_asked_for_by_incident_and_from_the_end(store: Store) -> None:
    await store.emit(event("one"), replace(event("two"), incident=None), event("three"))
    assert [known.text for known in await store.events(incident="inc-1")] == ["one", "three"]
    assert [known.text for known in await store.events(limit=2, newest=True)] == ["two", "three"]
    assert [known.text for known in await store.events(after=2)] == ["three"]


async def test_an_event_comes_back_with_its_time_and_data(store: Store) -> None:
    await store.emit(event(data={"tool": "grow", "deep": [1, {"a": None}]}))
    (found,) = await store.events()
    assert (found.at, found.data) == (T0, {"tool": "grow", "deep": [1, {"a": None}]})


async def test_forgetting_old_readings_and_logs_never_touches_what_happened(store: Store) -> None:
    await store.save(incident(), event())
    await store.save(alert())
    await store.save(whole_fix())
    async with store.transaction() as transaction:
        await transaction.keep_readings([reading(at=after(s)) for s in (0, 100)])
        await transaction.keep_logs([LogLine(after(s), "ERROR", f"line {s}", CACHE.id) for s in (0, 100)])
    forgotten = await store.prune(readings_before=after(50), logs_before=after(50))
    assert forgotten == (1, 1)
    assert [r.at for r in await store.readings(CACHE.id, since=T0, until=after(500))] == [after(100)]
    assert [line.text for line in await store.logs(CACHE.id)] == ["line 100"]
    assert await store.get(Incident, "inc-1") == incident()
    assert await store.get(Fix, "fix-1") == whole_fix()
    assert len(await store.events()) == 1


async def test_a_file_opened_again_has_everything(url: str) -> None:
    async with Store.open(url) as store:
        await store.save(incident(), event())
        await store.save(approval())
        async with store.transaction() as transaction:
            await transaction.set("paused", {"by": "ada"})
            await transaction.put_resource(resource("kept"))
            await transaction.put_resource(resource("left"), gone=True)
            await transaction.keep_readings([reading(used=0.5)])
            await transaction.keep_logs([LogLine(T0, "ERROR", "no", CACHE.id)])
    async with Store.open(url) as store:
        assert await store.get(Incident, "inc-1") == incident()
        assert await store.get(Approval, "apr-1") == approval()
        assert [known.text for known in await store.events()] == ["it began"]
        assert await store.setting("paused") == {"by": "ada"}
        assert [known.name for known in await store.resources()] == ["kept"]
        assert await store.readings(CACHE.id, since=T0, until=T0) == [reading(used=0.5)]
        assert await store.logs(CACHE.id) == [LogLine(T0, "ERROR", "no", CACHE.id)]
        await store.emit(event("two"))
        assert [known.seq for known in await store.events()] == [1, 2]


async def test_what_changes_a_schema_is_not_even_loaded_where_it_is_current(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Store.open(url):
        pass
    monkeypatch.setattr(opening, "_migrate", None)
    async with Store.open(url) as store:
        assert await store.events() == []


async def test_a_reading_kept_twice_is_there_once_and_takes_no_other_with_it(store: Store) -> None:
    for batch in ([reading(at=after(0))], [reading(at=after(0)), reading(at=after(1))]):
        async with store.transaction() as transaction:
            await transaction.keep_readings(batch)
    assert [r.at for r in await store.readings(CACHE.id, since=T0, until=after(9))] == [after(0), after(1)]


async def test_only_the_last_lines_of_a_log_are_given_oldest_first(store: Store) -> None:
    async with store.transaction() as transaction:
        await transaction.keep_logs([LogLine(after(n), "ERROR", str(n), CACHE.id) for n in range(5)])
    assert [line.text for line in await store.logs(CACHE.id, limit=2)] == ["3", "4"]
    assert [line.text for line in await store.logs(CACHE.id, since=after(3))] == ["3", "4"]


async def test_writers_do_not_hinder_each_other(store: Store) -> None:
    await asyncio.gather(*(store.save(incident(id=f"inc-{n}"), event(str(n))) for n in range(40)))
    assert len(await store.select(Incident)) == 40
    assert [known.seq for known in await store.events()] == list(range(1, 41))


async def test_a_reader_sees_nothing_that_is_not_committed(store: Store) -> None:
    async with store.transaction() as transaction:
        await transaction.put(incident())
        assert await store.find(Incident, "inc-1") is None
    assert await store.find(Incident, "inc-1") is not None


async def test_all_that_is_kept_of_what_is_called_otherwise_can_be_read_under_its_new_name(store: Store) -> None:
    moved, near = resource("cache", environment="staging"), resource("cache-2")
    looks = [replace(reading(used=0.5 + n / 10), at=after(n)) for n in range(3)]
    other = replace(reading(near), at=T0)
    print_of = Fingerprint(CACHE.id, "1", {"maxmemory": f'"{CACHE.id}"'}, T0)
    async with store.transaction() as transaction:
        await transaction.put_resources([CACHE, near])
        await transaction.keep_readings([*looks, other])
        await transaction.put(print_of)
        await transaction.put(alert())
        await rename(transaction.connection, CACHE.id, moved.id)
    kept = await store.readings(moved.id, since=T0, until=after(60))
    assert kept == [replace(one, resource=moved.id) for one in looks]
    assert await store.readings(CACHE.id, since=T0, until=after(60)) == []
    assert await store.readings(near.id, since=T0, until=after(60)) == [other]
    assert await store.get(Fingerprint, moved.id) == replace(print_of, id=moved.id)
    assert (await store.select(Alert, resource=moved.id)) == [replace(alert(), resource=moved.id)]
