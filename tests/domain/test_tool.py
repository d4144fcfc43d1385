from collections.abc import Mapping
from typing import Annotated, Any

import pytest
from annotated_types import Ge, Le
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.making import CACHE, plan, reading, situation, step
from watchkeeper.domain import Effect, Reading, Tool, WatchkeeperError, tool
from watchkeeper.domain.situation import effect_of


@tool(Effect.REVERSIBLE)
async def grow(session: object, value: Annotated[int, Ge(10), Le(100)], why: str = "") -> None:
    """Make it larger.

    The second paragraph.
    """


def test_arguments_are_parsed_and_defaults_filled_in() -> None:
    assert grow.parse({"value": 12}) == {"value": 12, "why": ""}


@pytest.mark.parametrize(("value", "said"), [(9, "greater than or equal to 10"), (101, "less than or equal to 100")])
def test_an_argument_out_of_bounds_is_named_with_its_bound(value: int, said: str) -> None:
    with pytest.raises(WatchkeeperError) as told:
        grow.parse({"value": value})
    assert "value" in told.value.what
    assert said in told.value.what
    assert "watchkeeper tools show grow" in told.value.next_step


@pytest.mark.parametrize("arguments", [{}, {"value": "many"}, {"value": 20, "size": 3}, {"value": 10.5}])
def test_an_argument_that_does_not_fit_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(WatchkeeperError, match="grow cannot be called so"):
        grow.parse(arguments)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(WatchkeeperError) as told:
        grow.parse({"value": 1, "sise": 2})
    assert "value: " in told.value.what
    assert "sise: " in told.value.what


def test_the_first_line_of_the_docstring_describes_it() -> None:
    assert grow.description.splitlines()[0] == "Make it larger."


def test_a_tool_without_a_docstring_is_refused() -> None:
    async def mute(session: object) -> None: ...

    with pytest.raises(TypeError, match="docstring"):
        tool(Effect.READ)(mute)


def made(declared: Effect, now: Effect | None = None, fails: bool = False) -> Tool[Any]:
    def effect_now(_: Reading) -> Effect:
        if fails or now is None:
            raise KeyError("persistence_enabled")
        return now

    async def act(session: object) -> None:
        """Act."""

    return tool(declared, effect_now=effect_now if now or fails else None)(act)


@given(declared=st.sampled_from(Effect), now=st.sampled_from(Effect))
def test_an_effect_is_never_gentler_than_declared(declared: Effect, now: Effect) -> None:
    found = made(declared, now).effect_on(reading(CACHE))
    assert found.rank == max(declared.rank, now.rank)


@given(declared=st.sampled_from(Effect), now=st.sampled_from(Effect))
def test_without_a_reading_the_harshest_effect_is_taken(declared: Effect, now: Effect) -> None:
    assert made(declared, now).effect_on(None) is Effect.DESTRUCTIVE


def test_an_effect_that_the_reading_cannot_tell_is_the_harshest() -> None:
    assert made(Effect.REVERSIBLE, fails=True).effect_on(reading(CACHE)) is Effect.DESTRUCTIVE


def test_a_tool_whose_effect_is_fixed_needs_no_reading() -> None:
    assert made(Effect.REVERSIBLE).effect_on(None) is Effect.REVERSIBLE


@given(said=st.sampled_from(Effect), now=st.sampled_from(Effect))
def test_the_effect_of_a_step_is_never_gentler_than_its_plan_says(said: Effect, now: Effect) -> None:
    tools = {"act": made(Effect.READ, now)}
    effects = effect_of(plan(step("act", effect=said)), tools, situation(CACHE, readings=(reading(),)))
    assert effects == {0: max(said, now, key=lambda effect: effect.rank)}


def test_the_effect_of_a_plan_is_that_of_its_harshest_step() -> None:
    steps = (step(effect=Effect.READ), step(effect=Effect.DISRUPTIVE), step(effect=Effect.REVERSIBLE))
    assert plan(*steps).effect is Effect.DISRUPTIVE


def test_the_first_precondition_that_does_not_hold_is_told() -> None:
    def never(_: Reading, arguments: Mapping[str, Any]) -> str:
        return f"not {arguments['value']}"

    def fine(_: Reading, __: Mapping[str, Any]) -> None:
        return None

    async def act(session: object, value: int) -> None:
        """Act."""

    guarded = tool(Effect.REVERSIBLE, requires=(fine, never))(act)
    assert guarded.refusal(reading(), {"value": 3}) == "not 3"


def test_a_precondition_that_the_reading_cannot_answer_refuses() -> None:
    def needs_room(found: Reading, _: Mapping[str, Any]) -> str | None:
        return None if found.metrics["room_bytes"] > 0 else "there is no room"

    async def act(session: object) -> None:
        """Act."""

    guarded = tool(Effect.REVERSIBLE, requires=(needs_room,))(act)
    assert "room_bytes" in (guarded.refusal(reading(), {}) or "")
