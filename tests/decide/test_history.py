"""What policy remembers: read from the events alone."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import migrated
from tests.domain.making import CACHE, after, fix, plan, resource, step
from watchkeeper.decide.history import RESET, TAKEN_BACK, History
from watchkeeper.domain import LOOP, Effect, Event, Fix, Principal, StepRecord, Verdict, now, tool
from watchkeeper.domain.restraint import ToolResult, breakers
from watchkeeper.settings import PolicySettings
from watchkeeper.store import Store

ADA = Principal("person", "ada", "operator")
ORDERS = resource("orders")
results = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=14)


def open_by_the_book(told: Sequence[tuple[str, bool]], limit: int) -> set[str | None]:
    """A counter for each resource and one for all, each set back by what helps; `None` stands for all."""
    rows: dict[str, int] = {}
    overall: list[str] = []
    for where, failed in told:
        rows[where] = rows.get(where, 0) + 1 if failed else 0
        overall = [*overall, where] if failed else []
    found: set[str | None] = {where for where, count in rows.items() if count >= limit}
    return found | ({None} if len(overall) >= limit and len(set(overall)) > 1 else set())


@given(results, st.integers(1, 4))
def test_a_breaker_opens_after_failures_in_a_row_here_or_in_several_places(
    told: list[tuple[str, bool]], limit: int
) -> None:
    made = [
        ToolResult("grow", where, after(number), failed, "it did not help", f"fix-{number}")
        for number, (where, failed) in enumerate(told)
    ]
    found = breakers(made, limit, 60.0)
    assert {one.resource for one in found} == open_by_the_book(told, limit)
    for one in found:
        assert all(result.failed for result in one.failures)
        assert (one.half_open_at - one.opened_at).total_seconds() == 60.0
        assert one.half_open(after(1000))
        assert not one.half_open(one.opened_at)


@given(results)
def test_without_a_limit_there_is_no_breaker(told: list[tuple[str, bool]]) -> None:
    assert breakers([ToolResult("grow", w, after(0), f, "", "") for w, f in told], 0, 60.0) == []


@tool(Effect.REVERSIBLE)
async def grow(session: object) -> None:
    """Grow."""


@tool(Effect.READ)
async def show(session: object) -> None:
    """Show."""


TOOLS = {"grow": grow, "show": show}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(migrated.url(tmp_path / "w.db")) as made:
        yield made


def history(store: Store, **settings: Any) -> History:
    return History(store, PolicySettings(**settings), TOOLS)


def over(outcome: Any, *, id: str = "fix-1", status: Any = "done", on: Any = CACHE, **more: Any) -> Fix:
    """A fix that has just been judged."""
    record = StepRecord(0, "grow", on.id, {}, status)
    ended: dict[str, Any] = {"steps": (record,), "verdict": Verdict(outcome, ("said so",)), "started_at": now()} | more
    return fix(plan(step("grow", on)), id=id, **ended)


async def judged(store: Store, of: History, *fixes: Fix, at: datetime | None = None) -> None:
    for one in fixes:
        told = await of.ended(one)
        await store.save(one, *(replace(event, at=at) if at else event for event in told))


async def acting(
    store: Store, key: str, index: int = 0, *, tool: str = "grow", at: datetime, undo: bool = False
) -> None:
    data: dict[str, object] = {"tool": tool, "index": index, "undo": undo}
    await store.emit(Event("fix.step.acting", key, "", at, resource=CACHE.id, data=data))


async def test_a_change_is_counted_once_for_an_hour_and_looking_and_taking_back_are_none(store: Store) -> None:
    at = now()
    await acting(store, "fix-1", at=at)
    await acting(store, "fix-1", at=at)  # resumed after a crash: still the same step
    await acting(store, "fix-1", 1, at=at)
    await acting(store, "fix-2", at=at, tool="show")
    await acting(store, "fix-3", at=at, undo=True)
    await acting(store, "fix-4", at=at - timedelta(minutes=61))
    assert await history(store).changes((CACHE.id, ORDERS.id), at) == {CACHE.id: 2, ORDERS.id: 0}


async def test_a_failed_fix_cools_down_what_is_near_until_the_time_is_over(store: Store) -> None:
    known = history(store, cooldown=60)
    await judged(store, known, over("not_healed"))
    hold = await known.cooldown((ORDERS.id, CACHE.id), "inc-2", now())
    assert hold is not None
    assert "fix-1 has failed here or nearby" in hold.reason
    assert await known.cooldown((ORDERS.id,), "inc-2", now()) is None
    assert await known.cooldown((CACHE.id,), "inc-2", hold.until + timedelta(seconds=1)) is None
    assert await history(store, cooldown=0).cooldown((CACHE.id,), "inc-2", now()) is None


async def test_the_next_rung_of_the_same_incident_is_not_held_back_until_a_person_has_it(store: Store) -> None:
    known = history(store)
    await judged(store, known, over("not_healed"))
    assert await known.cooldown((CACHE.id,), "inc-1", now()) is None
    await store.emit(Event("incident.escalated", "inc-1", "", now(), incident="inc-1"))
    assert await known.cooldown((CACHE.id,), "inc-1", now()) is not None


async def test_a_person_who_has_it_tried_again_is_not_held_back_by_what_failed_before(store: Store) -> None:
    known = history(store)
    await judged(store, known, over("not_healed"))
    hold = await known.cooldown((CACHE.id,), "inc-2", now())
    assert hold is not None
    assert hold.reason.endswith("`watchkeeper retry inc-2` has it go on at once")
    await store.emit(Event("incident.retried", "inc-2", "", now(), by="agent:bot", incident="inc-2"))
    assert await known.cooldown((CACHE.id,), "inc-2", now()) is not None
    await store.emit(Event("incident.retried", "inc-2", "", now(), by="person:ada", incident="inc-2"))
    assert await known.cooldown((CACHE.id,), "inc-2", now()) is None
    assert await known.cooldown((CACHE.id,), "inc-3", now()) is not None
    await judged(store, known, over("not_healed", id="fix-2"))
    assert await known.cooldown((CACHE.id,), "inc-2", now()) is not None


@pytest.mark.parametrize("kind", ["resource.gone", "resource.recreated"])
async def test_what_was_removed_or_made_anew_holds_nobody(store: Store, kind: str) -> None:
    known = history(store)
    await judged(store, known, over("not_healed"), over("not_healed", id="fix-2", on=ORDERS))
    await store.emit(Event(kind, CACHE.id, "", now(), resource=CACHE.id))
    assert await known.cooldown((CACHE.id,), "inc-2", now()) is None
    assert await known.cooldown((CACHE.id, ORDERS.id), "inc-2", now()) is not None


async def test_what_a_person_took_back_is_asked_for_until_they_change_their_mind(store: Store) -> None:
    known = history(store)
    same, other = plan(step("grow"), aims=("full",)), plan(step("grow"), aims=("slow",))

    async def tell(kind: str, by: str = "person:ada", **data: object) -> None:
        await store.emit(Event(kind, "x", "ada took back grow", now(), by=by, resource=CACHE.id, data=data))

    assert await known.taken_back(same) == ""
    await tell(TAKEN_BACK, aims=["full"])
    assert [await known.taken_back(one) for one in (same, other)] == ["ada took back grow", ""]
    assert await known.taken_back(plan(step("grow", ORDERS), aims=("full",))) == ""
    await tell("fix.healed", aims=["slow"])
    await tell("incident.retried", by="agent:bot")
    assert await known.taken_back(same) != ""
    await tell("fix.healed", aims=["full"])  # only what somebody agreed to can have been begun
    assert await known.taken_back(same) == ""
    await tell(TAKEN_BACK, aims=["full"])
    await tell("incident.retried")
    assert await known.taken_back(same) == ""


async def test_what_healed_since_ends_the_cooldown(store: Store) -> None:
    known = history(store)
    await judged(store, known, over("inconclusive"), over("healed", id="fix-2"))
    assert await known.cooldown((CACHE.id,), "inc-2", now()) is None


@pytest.mark.parametrize(
    "harmless",
    [over("not_healed", status="refused"), over("not_healed", principal=ADA, incident=None)],
    ids=["nothing was done", "a person tried something"],
)
async def test_what_says_nothing_of_automation_cools_nothing_down(store: Store, harmless: Fix) -> None:
    known = history(store)
    await judged(store, known, harmless)
    assert await known.cooldown((CACHE.id,), "inc-2", now()) is None


async def test_a_breaker_opens_is_told_once_and_is_closed_by_what_helps(store: Store) -> None:
    known = history(store)
    await judged(store, known, *(over("not_healed", id=f"fix-{n}") for n in range(4)))
    opened = [event for event in await store.events() if event.kind.startswith("breaker.")]
    assert [(event.kind, event.subject, event.resource) for event in opened] == [("breaker.opened", "grow", CACHE.id)]
    hold = await known.breaker("grow", CACHE.id, now())
    assert hold is not None
    assert "watchkeeper tools reset grow" in hold.reason
    assert await known.breaker("grow", ORDERS.id, now()) is None
    await judged(store, known, over("healed", id="fix-9"))
    assert await known.breaker("grow", CACHE.id, now()) is None
    assert (await store.events())[-1].kind == "breaker.closed"


async def test_failures_in_several_places_open_it_for_all(store: Store) -> None:
    known = history(store)
    await judged(
        store,
        known,
        over("not_healed"),
        over("not_healed", id="fix-2", on=ORDERS),
        over("healed", id="fix-3", status="failed"),
    )
    assert await known.breaker("grow", resource("third").id, now()) is not None


async def test_no_data_counts_neither_way_and_old_failures_not_at_all(store: Store) -> None:
    known = history(store)
    await judged(store, known, over("not_healed"), over("inconclusive", id="fix-2"), over("not_healed", id="fix-3"))
    assert await known.breakers() == []
    old = now() - timedelta(seconds=3601)
    await judged(store, known, over("not_healed", id="fix-4"), at=old)
    assert await known.breakers() == []


async def test_a_reset_forgets_the_failures(store: Store) -> None:
    known = history(store)
    await judged(store, known, *(over("not_healed", id=f"fix-{n}") for n in range(3)))
    await store.emit(Event(RESET, "grow", "", now()))
    assert await known.breakers() == []
    await judged(store, known, over("not_healed", id="fix-8"))
    assert await known.breakers() == []


async def test_half_open_one_fix_at_a_time_tries_the_tool(store: Store) -> None:
    known = history(store, breaker_reset=0.0)
    await judged(store, known, *(over("not_healed", id=f"fix-{n}") for n in range(3)))
    assert await known.breaker("grow", CACHE.id, now()) is None
    first = over("healed", id="fix-5", status="acting", principal=LOOP)
    await store.save(replace(first, status="running", verdict=None))
    second = replace(first, id="fix-6", started_at=now())
    assert await known.breaker("grow", CACHE.id, now(), first) is None
    hold = await known.breaker("grow", CACHE.id, now(), second)
    assert hold is not None
    assert "tried again by fix-5" in hold.reason
