"""What is distilled from a plan that healed: for the same fault wherever it is, for no other, and never blindly."""

from dataclasses import replace

import pytest

from tests.llm.conftest import CACHE, REGISTRY, case
from watchkeeper.connectors.definitions import parse_runbook
from watchkeeper.decide.learning import Lesson, NotDistilled, distilled
from watchkeeper.decide.runbooks import matching
from watchkeeper.domain import LOOP, Alert, Decision, Diagnosis, Fix, Plan, Resource, Runbook, Step, StepRecord, now
from watchkeeper.domain.plan import Effect
from watchkeeper.domain.situation import Situation

FAULTS = ("redis-down", "redis-too-many-clients", "redis-slow")


def drawn(*steps: Step, at: Situation | None = None) -> Lesson:
    at = at or case(maxmemory_bytes=float(16 << 20))[1]
    (alert,) = at.alerts
    diagnosis = Diagnosis(CACHE, "cache has too little room.", "local/lab/redis/cache is full {now}.", author="llm:x#1")
    plan = Plan("llm:x#1", steps, now(), diagnosis)
    allowed = Decision("allow", "lab/reversible", "")
    records = tuple(StepRecord(n, one.tool, CACHE, one.arguments, "done") for n, one in enumerate(steps))
    fix = Fix("fix-1", "inc-1", plan, LOOP, allowed, "closed", now(), now(), {CACHE: at.readings[CACHE]}, {}, records)
    warning = replace(alert, id="al-2", rule="redis-beside", severity="warning")
    return distilled(fix, [alert, warning], at.resources[CACHE], REGISTRY.tools, lambda text: text)


def room(value: int) -> Step:
    return Step("redis_set_maxmemory", CACHE, {"value": value}, "cache needs more", "", Effect.REVERSIBLE)


def runbook(lesson: Lesson) -> Runbook:
    redis = REGISTRY.kind("redis")
    return parse_runbook(lesson.text, name="learned", kind="redis", sample=redis.sample, tools=redis.tools)


def test_it_is_for_the_same_fault_under_another_name_and_for_three_others_it_is_not() -> None:
    book = runbook(drawn(room(48 << 20)))

    def of(rule: str) -> list[Runbook]:
        at = case()[1]
        other = "docker/production/redis/orders"
        alerts: tuple[Alert, ...] = tuple(replace(alert, rule=rule, resource=other) for alert in at.alerts)
        elsewhere = replace(at, resources={other: Resource(other, "orders")}, alerts=alerts)
        return matching(other, elsewhere, [book])

    assert of("redis-odd") == [book]
    assert [of(rule) for rule in FAULTS] == [[], [], []]


def test_a_figure_that_the_reading_explains_becomes_an_expression_and_names_are_left_out() -> None:
    book = runbook(drawn(room(48 << 20)))
    ((step,),) = book.ladder
    assert step.expressions["value"].source == "reading.maxmemory_bytes * 3.0"
    assert (book.cause, step.why, book.confirm) == ("The redis has too little room.", "The redis needs more", "")


def test_what_nothing_explains_stays_as_it_was_and_a_person_is_asked_each_time() -> None:
    lesson = drawn(room(47_000_123))
    assert lesson.doubts
    book = runbook(lesson)
    assert book.ladder[0][0].arguments == {"value": 47_000_123}
    assert "redis_set_maxmemory takes value = 47000123 as it was then" in book.confirm
    assert "Before you accept it" in book.page


def test_a_share_is_of_no_size() -> None:
    lesson = drawn(Step("redis_expire_cache_keys", CACHE, {"down_to_ratio": 0.65}, "", "", Effect.DISRUPTIVE))
    assert (lesson.doubts, runbook(lesson).ladder[0][0].arguments) == ((), {"down_to_ratio": 0.65})


def test_a_plan_for_more_than_one_resource_makes_none() -> None:
    beside = replace(room(48 << 20), resource="local/lab/redis/other")
    with pytest.raises(NotDistilled, match="more than its root"):
        drawn(room(48 << 20), beside)
