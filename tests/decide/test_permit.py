"""What is said of a whole plan, and of a call somebody asks for."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests import migrated
from tests.domain.making import CACHE, plan, reading, resource, situation, step
from tests.watch.fakes import Scripted
from watchkeeper.connectors import Registry
from watchkeeper.decide import PAUSED, Decide, Policy
from watchkeeper.domain import (
    LOOP,
    Effect,
    Hold,
    NotFound,
    Principal,
    Reading,
    Refused,
    Standing,
    WatchkeeperError,
    Window,
    now,
    tool,
)
from watchkeeper.settings import PolicySettings
from watchkeeper.store import Masker, Store

ADA = Principal("person", "ada", "operator")


@tool(Effect.READ)
async def show(session: object, section: str = "all") -> None:
    """Show."""


@tool(Effect.REVERSIBLE, requires=(lambda found, _: "it is busy" if found.metrics.get("busy") else None,))
async def grow(session: object, value: int = 1, note: str = "") -> None:
    """Grow."""


def worse_when_unsaved(found: Reading) -> Effect:
    return Effect.DESTRUCTIVE if found.metrics["unsaved"] else Effect.REVERSIBLE


@tool(Effect.DISRUPTIVE, effect_now=worse_when_unsaved)
async def restart(session: object) -> None:
    """Restart."""


@pytest.fixture
async def decide(tmp_path: Path) -> AsyncIterator[Decide]:
    connector = Scripted()
    connector.tools = (show, grow, restart)
    masker = Masker()
    masker.learn("hunter22")
    async with Store.open(migrated.url(tmp_path / "w.db"), masker) as store:
        yield Decide(Registry([connector]), Policy(PolicySettings(changes_per_hour=2), "auto"), store)


AT = situation(CACHE, readings=(reading(unsaved=0.0),))
UNSAVED = situation(CACHE, readings=(reading(unsaved=1.0),))


async def test_the_strictest_step_decides(decide: Decide) -> None:
    assert decide.permit(plan(step("show", effect=Effect.READ), step("restart")), AT, LOOP).outcome == "allow"
    found = decide.permit(plan(step("show", effect=Effect.READ), step("restart")), UNSAVED, LOOP)
    assert (found.outcome, found.policy) == ("ask", "lab/destructive")


async def test_the_effect_of_this_moment_counts_and_not_that_of_the_plan(decide: Decide) -> None:
    gentle = plan(step("restart", effect=Effect.REVERSIBLE))
    assert decide.permit(gentle, UNSAVED, LOOP).outcome == "ask"


async def test_the_steps_of_a_plan_count_against_the_limit(decide: Decide) -> None:
    assert decide.permit(plan(step(), step()), AT, LOOP).outcome == "allow"
    assert decide.permit(plan(step(), step(), step()), AT, LOOP).policy == "limit/changes-per-hour"
    assert decide.permit(plan(step(), step()), AT, LOOP, standing=Standing({CACHE.id: 1})).outcome == "ask"


async def test_looking_does_not_count_against_the_limit(decide: Decide) -> None:
    looks = [step("show", effect=Effect.READ)] * 5
    assert decide.permit(plan(*looks, step()), AT, LOOP).outcome == "allow"


async def test_nothing_is_permitted_on_what_is_gone(decide: Decide) -> None:
    assert decide.permit(plan(), situation(), LOOP).policy == "gone"


async def test_a_plan_that_wants_a_person_asks_whatever_policy_allows(decide: Decide) -> None:
    found = decide.permit(plan(confirm="Who stopped it?"), AT, LOOP)
    assert (found.outcome, found.policy) == ("ask", "confirm")


async def test_a_change_that_could_not_be_carried_out_from_its_record_is_denied(decide: Decide) -> None:
    assert decide.permit(plan(step(note="hunter22")), AT, LOOP, approved=True).policy == "secret-argument"
    assert decide.permit(plan(step(note="hunter2")), AT, LOOP).outcome == "allow"


async def test_a_call_becomes_a_plan_of_one_step(decide: Decide) -> None:
    made = decide.plan_for("grow", CACHE, {"value": 3}, ADA, AT)
    assert (made.author, made.effect, made.steps[0].arguments) == (
        "human:ada",
        Effect.REVERSIBLE,
        {"value": 3, "note": ""},
    )


async def test_a_call_that_cannot_be_is_refused_in_words(decide: Decide) -> None:
    with pytest.raises(NotFound, match=r"'gorw'; did you mean 'grow'\?"):
        decide.plan_for("gorw", CACHE, {}, ADA, AT)
    with pytest.raises(Refused, match="grow works on a redis; shop is a container"):
        decide.plan_for("grow", resource("shop", kind="container"), {}, ADA, AT)
    with pytest.raises(WatchkeeperError, match="value: "):
        decide.plan_for("grow", CACHE, {"value": "much"}, ADA, AT)
    with pytest.raises(Refused, match="it is busy"):
        decide.plan_for("grow", CACHE, {}, ADA, situation(CACHE, readings=(reading(busy=1.0),)))


async def test_a_pause_is_read_from_the_store(decide: Decide) -> None:
    assert await decide.stopped() is None
    async with decide._store.transaction() as transaction:
        await transaction.set(PAUSED, {"by": "ada"})
    assert await decide.stopped() == "paused by ada"


async def test_what_was_agreed_to_before_a_window_waits_for_its_end_and_within_it_it_does_not(decide: Decide) -> None:
    at = now()
    window = Window("mnt-1", ("cache",), at - timedelta(minutes=1), at + timedelta(hours=1), "a move", "person:ada")
    await decide._store.save(window)
    for agreed_at, outcome in ((None, "deny"), (at - timedelta(minutes=2), "deny"), (at, "allow")):
        standing = await decide.standing(plan(), AT, (), agreed_at=agreed_at)
        said = decide.permit(plan(), AT, LOOP, approved=agreed_at is not None, standing=standing)
        assert (said.outcome, said.until) == (outcome, window.ends if outcome == "deny" else None)
    own = decide.permit(plan(), AT, ADA, approved=True, standing=await decide.standing(plan(), AT, ()))
    assert (own.outcome, own.warnings) == ("allow", (window.said,))


async def test_a_step_that_is_denied_for_good_is_not_waited_for(decide: Decide) -> None:
    gone = step(of=resource("gone"))
    held = Standing(maintenance={CACHE.id: Hold(now(), "maintenance")})
    assert decide.permit(plan(step(), gone), AT, LOOP, standing=held).policy == "gone"
