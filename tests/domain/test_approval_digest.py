"""An approval is bound to what was shown: whatever of it changes makes it void."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.domain.making import CACHE, plan, resource, step
from watchkeeper.domain import Effect

INCARNATIONS = {CACHE.id: "first"}
FACTS = {"0": "holds"}
SHOWN = plan(step(value=10))


def digest(of=SHOWN, incarnations=INCARNATIONS, facts=FACTS) -> str:
    return of.digest(incarnations, facts)


def test_the_same_plan_has_the_same_digest() -> None:
    assert digest() == digest(plan(step(value=10)))


@given(value=st.one_of(st.integers(), st.text(), st.booleans(), st.none(), st.lists(st.integers(), max_size=3)))
def test_another_argument_gives_another_digest(value: object) -> None:
    same = isinstance(value, int) and not isinstance(value, bool) and value == 10
    assert (digest(plan(step(value=value))) == digest()) is same


def test_another_effect_gives_another_digest() -> None:
    assert digest(plan(step(effect=Effect.DESTRUCTIVE, value=10))) != digest()


def test_another_incarnation_gives_another_digest() -> None:
    assert digest(incarnations={CACHE.id: "recreated"}) != digest()


def test_a_resource_that_is_gone_gives_another_digest() -> None:
    assert digest(incarnations={}) != digest()


def test_other_facts_give_another_digest() -> None:
    assert digest(facts={"0": "refused"}) != digest()


def test_another_tool_resource_or_order_gives_another_digest() -> None:
    other = resource("sessions")
    assert digest(plan(step("shrink", value=10))) != digest()
    assert digest(plan(step(of=other, value=10)), {other.id: "first"}) != digest()
    one, two = step("a"), step("b")
    assert digest(plan(one, two)) != digest(plan(two, one))


def test_what_was_not_part_of_it_does_not_matter() -> None:
    assert digest(incarnations=INCARNATIONS | {"docker/lab/redis/other": "x"}) == digest()
    assert digest(replace(SHOWN, author="runbook:other#2")) == digest()
