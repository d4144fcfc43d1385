"""The score counts what happened, and invents nothing."""

from dataclasses import replace
from typing import Any

import pytest

from tests.domain.making import T0, after, plan, step
from watchkeeper.domain import Decision
from watchkeeper.domain.proposal import Proposal, same, score
from watchkeeper.domain.spoken import spoken

ALLOWED = Decision("allow", "lab/reversible", "")


def proposal(incident: str = "inc-1", *, seconds: float | None = None, ending: Any = "unwell", **more: Any) -> Proposal:
    given: dict[str, Any] = {"held": "observe", "policy": ALLOWED, "decided_at": T0, "after_seconds": 1.0} | more
    made = Proposal(f"wld-{incident}", incident, plan(), **given)
    return made if seconds is None else made.end(ending, after(seconds), "it ended")


def test_what_was_never_tried_has_no_likelihood() -> None:
    assert proposal().history == "never tried here on this kind of resource"
    assert "2 of 3" in proposal(healed_before=2, tried_before=3).history


def test_time_saved_is_counted_only_where_it_did_not_recover_by_itself() -> None:
    counted = score(
        [
            proposal("a", seconds=100, ending="same"),
            proposal("b", seconds=40, ending="recovered"),
            proposal("c"),
            proposal("d", seconds=1000, ending="other", policy=Decision("deny", "not-permitted", "")),
        ],
        after(10),
    )

    assert counted.saved_seconds == 110
    assert (counted.proposals, counted.same, counted.other, counted.recovered, counted.unwell) == (4, 1, 1, 1, 1)
    assert (counted.allowed, counted.denied) == (3, 1)


@pytest.mark.parametrize(("seconds", "needless"), [(5, True), (50, False)])
def test_a_plan_was_needless_where_it_was_well_before_it_would_have_been_through(
    seconds: float, needless: bool
) -> None:
    ended = proposal(seconds=seconds, ending="recovered", takes_seconds=10)

    assert ended.needless is needless
    assert score([ended], after(60)).needless == needless


def test_an_incident_counts_once_each_time_it_came() -> None:
    first = proposal("a", seconds=10, ending="same")
    later = replace(first, id="wld-2", decided_at=after(2))
    back = replace(first, id="wld-3", episode=1)

    assert score([later, first, back], after(20)).proposals == 2
    assert score([later, first], after(20)).saved_seconds == 10


@pytest.mark.parametrize(
    ("change", "alike"),
    [
        (("maxmemory", "8", "12"), True),
        (("maxmemory", "8", "4"), False),
        (("maxmemory-policy", "noeviction", "allkeys-lru"), False),
        (("started", "a", "b"), False),
    ],
)
def test_a_person_did_the_same_where_it_is_the_same_setting_in_the_same_direction(
    change: tuple[str, str, str], alike: bool
) -> None:
    assert same(plan(step("redis_set_maxmemory", value=10)), *change) is alike


def test_a_start_is_the_same_where_the_plan_would_have_started_it() -> None:
    assert same(plan(step("docker_restart")), "started", "a", "b")


def test_times_are_said_as_a_person_says_them() -> None:
    assert [spoken(s) for s in (4.2, 52, 114, 840, 7200)] == ["4.2 s", "52 s", "1 min 54 s", "14 min", "2.0 h"]
