"""Each scenario stands in a file, written before it is run, and names are helped with."""

import pytest

from watchkeeper_lab.errors import BadInputError, LabError
from watchkeeper_lab.faults import BY_STACK
from watchkeeper_lab.scenario import Root, parse, scenario, scenarios
from watchkeeper_lab.stack import SHOP, STACKS, TICKETS, Stack, stack

GOOD = """
name: x
kind: fault
description: Something breaks.
root: {kind: redis, service: redis}
accepted_tools: [redis_restart]
expect: healed
"""


@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
def test_every_scenario_can_be_injected_and_every_injector_has_a_scenario(stack: Stack) -> None:
    assert set(scenarios(stack)) == set(BY_STACK[stack.name])


@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
def test_file_and_scenario_have_the_same_name_and_faults_have_tools(stack: Stack) -> None:
    for name, one in scenarios(stack).items():
        assert one.name == name
        assert one.description.endswith(".")
        assert bool(one.accepted_tools) == (one.expect == "healed") or one.expect == "escalated"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("redis-kiled", "redis-killed"), ("redis-memory-full", "redis-memory-full-headroom"), ("paused", "redis-paused")],
)
def test_a_near_miss_names_the_right_one(typed: str, meant: str) -> None:
    with pytest.raises(BadInputError, match=typed) as caught:
        scenario(typed)
    assert meant in caught.value.hint


def test_a_name_like_none_lists_them_all() -> None:
    with pytest.raises(BadInputError) as caught:
        scenario("zzzzzz")
    assert all(name in caught.value.hint for name in scenarios())


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (GOOD + "colour: red\n", "unknown key `colour`"),
        (GOOD.replace("name: x\n", ""), "'name'"),
        (GOOD.replace("kind: fault", "kind: control"), "do not fit together"),
        (GOOD.replace("expect: healed", "expect: no_action"), "do not fit together"),
        (GOOD.replace("expect: healed", "expect: nothing"), "do not fit together"),
        (GOOD.replace("[redis_restart]", "[]"), "takes tools|do not fit together"),
        (GOOD.replace("service: redis", "service: oracle"), "no service `oracle`"),
        (GOOD + "ends: {redis: burnt}\n", "burnt"),
        (GOOD + "ends: {kafka: stopped}\n", "no service `kafka`"),
        (GOOD + "survives: [cockroach]\n", "cockroach"),
        (GOOD + "unless_logged: PANIC\n", "excuses nothing"),
        (GOOD + "needs: container\n", "takes a `because`|do not fit"),
        ("just text", "not a mapping"),
    ],
)
def test_a_wrong_file_is_refused(wrong: str, complaint: str) -> None:
    with pytest.raises(LabError, match=complaint):
        parse(wrong, "x.yaml")


def test_a_right_file_is_read() -> None:
    found = parse(GOOD, "x.yaml")
    assert found.roots == (Root("redis", "redis"),)
    assert (found.name, found.ends, found.accepted_tools) == ("x", {}, frozenset({"redis_restart"}))


def test_several_at_once_have_several_roots_and_a_fault_may_be_one_to_escalate() -> None:
    two = GOOD.replace(
        "root: {kind: redis, service: redis}",
        "roots: [{kind: redis, service: redis}, {kind: postgres, service: postgres}]",
    )
    assert [root.service for root in parse(two, "x.yaml").roots] == ["redis", "postgres"]
    hopeless = GOOD.replace("expect: healed", "expect: escalated").replace("[redis_restart]", "[]")
    assert parse(hopeless + "survives: [query]\n", "x.yaml").expect == "escalated"


def test_the_second_stack_has_a_third_of_the_faults_and_nearly_all_controls_of_the_first() -> None:
    first, second = scenarios(SHOP), scenarios(TICKETS)
    shared = first.keys() & second.keys()
    faults = [one for one in first.values() if one.expect == "healed" and not one.unforeseen]
    assert 3 * sum(not first[name].is_control for name in shared) >= len(faults)
    controls = {one.name for one in first.values() if one.is_control and not one.is_long}
    assert controls - shared == {"network-burst", "network-slow-peer"}, "the network is broken under the shop alone"


def test_a_stack_that_is_not_known_is_helped_with() -> None:
    with pytest.raises(BadInputError) as caught:
        stack("ticket")
    assert "tickets" in caught.value.hint


def test_a_service_of_another_stack_is_none_of_this_one() -> None:
    with pytest.raises(LabError, match="no service `redis`"):
        parse(GOOD, "x.yaml", TICKETS)
