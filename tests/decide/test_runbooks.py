"""From a ladder to the next plan: the gentlest rung that can help now."""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import pytest
from annotated_types import Ge, Le

from tests.domain.making import CACHE, alert, incident, reading, resource, situation
from watchkeeper.decide.runbooks import plan_from_runbooks, supposed_cause
from watchkeeper.decide.shell import by_hand
from watchkeeper.domain import (
    Alert,
    Condition,
    Effect,
    Incident,
    Plan,
    Reading,
    Resource,
    Runbook,
    RungStep,
    Tool,
    tool,
)


def closed_while_busy(found: Reading, _: Mapping[str, Any]) -> str | None:
    return "it is busy" if found.metrics.get("busy", 0.0) else None


@tool(Effect.REVERSIBLE, by_hand="redis-cli -h {host} SET {value}")
async def grow(session: object, value: Annotated[int, Ge(10), Le(100)] = 10) -> None:
    """Make it larger.

    More of that.
    """


@tool(Effect.DISRUPTIVE, requires=(closed_while_busy,))
async def purge(session: object) -> None:
    """Purge it."""


@tool(Effect.DISRUPTIVE, effect_now=lambda _: Effect.DESTRUCTIVE, by_hand="kill {pattern}")
async def flush(session: object, pattern: str = "") -> None:
    """Flush it."""


TOOLS: dict[str, Tool[Any]] = {known.name: known for known in (grow, purge, flush)}


def rung(name: str, why: str = "", **arguments: Any) -> RungStep:
    expressions = {k: Condition(v[1:]) for k, v in arguments.items() if isinstance(v, str) and v.startswith("=")}
    return RungStep(name, {k: v for k, v in arguments.items() if k not in expressions}, why, expressions)


def runbook(*rungs: tuple[RungStep, ...], when: str = "full", name: str = "full", **more: Any) -> Runbook:
    condition = Condition(f'alerts.exists(a, a.rule == "{when}")')
    given: dict[str, Any] = {"kind": "redis", "cause": "It outgrew.", "healed": None, "page": ""} | more
    return Runbook(name=name, when=condition, ladder=rungs, **given)


LADDER = runbook((rung("grow", value=20),), (rung("purge"),), (rung("flush"),))


def planned(
    *books: Runbook,
    known: Incident | None = None,
    root: Resource = CACHE,
    alerts: tuple[Alert, ...] | None = None,
    **metrics: float,
) -> tuple[Plan | None, tuple[str, ...]]:
    at = situation(root, readings=(reading(root, **metrics),), alerts=alerts if alerts is not None else (alert(root),))
    return plan_from_runbooks(root.id, known or incident(root), at, books or (LADDER,), TOOLS)


def author(*books: Runbook, **more: Any) -> str | None:
    plan, _ = planned(*books, **more)
    return plan.author if plan else None


def test_the_gentlest_rung_comes_first() -> None:
    assert author() == "runbook:full#1"


def test_rungs_come_in_order_as_each_was_tried() -> None:
    tried: tuple[str, ...] = ()
    order: list[str | None] = []
    for _ in range(4):
        plan, _ = planned(known=incident(tried=tried))
        order.append(plan.author if plan else None)
        tried = (*tried, plan.key) if plan else tried
    assert order == ["runbook:full#1", "runbook:full#2", "runbook:full#3", None]


def test_a_rung_that_was_refused_is_passed_over_and_said() -> None:
    plan, passed = planned(known=incident(refused=(f"runbook:full#1@{CACHE.id}",)))
    assert plan is not None
    assert plan.author == "runbook:full#2"
    assert passed == ("grow: refused here before",)


def test_a_rung_tried_on_another_resource_is_not_passed_over() -> None:
    assert author(known=incident(tried=("runbook:full#1@docker/lab/redis/other",))) == "runbook:full#1"


def test_a_rung_whose_precondition_does_not_hold_is_skipped_and_said() -> None:
    plan, passed = planned(known=incident(tried=(f"runbook:full#1@{CACHE.id}",)), busy=1.0)
    assert plan is not None
    assert plan.author == "runbook:full#3"
    assert passed == ("grow: tried here before", "purge: it is busy")


def test_a_rung_that_needs_what_is_not_known_is_skipped() -> None:
    plan, passed = planned(runbook((rung("grow", value="= reading.room"),), (rung("purge"),)))
    assert plan is not None
    assert plan.author == "runbook:full#2"
    assert "reading.room is not known of cache" in passed[0]


@pytest.mark.parametrize("room", [5.0, 1000.0, float("inf"), float("nan")])
def test_a_rung_whose_argument_is_out_of_bounds_is_skipped(room: float) -> None:
    assert author(runbook((rung("grow", value="= reading.room"),), (rung("purge"),)), room=room) == "runbook:full#2"


def test_a_cause_is_no_less_known_where_no_rung_can_help() -> None:
    book = runbook((rung("grow", value="= reading.room"),))
    plan, passed = planned(book)
    told = supposed_cause(
        CACHE.id, situation(CACHE, readings=(reading(CACHE),), alerts=(alert(CACHE),)), [book], passed
    )
    assert plan is None
    assert told is not None
    assert told.cause == book.cause
    assert told.ruled_out == ("grow: value cannot be worked out: reading.room is not known of cache",)


def test_an_argument_that_is_no_number_is_skipped() -> None:
    book = runbook((rung("grow", value="= reading.room / reading.none"),), (rung("purge"),))
    assert author(book, room=1.0, none=0.0) == "runbook:full#2"


def test_an_expression_becomes_the_argument() -> None:
    plan, _ = planned(runbook((rung("grow", value="= reading.room * 2.0"),)), room=21.0)
    assert plan is not None
    assert plan.steps[0].arguments == {"value": 42}


def test_of_a_rung_all_steps_must_be_possible() -> None:
    assert author(runbook((rung("grow"), rung("purge")), (rung("flush"),)), busy=1.0) == "runbook:full#2"


def test_a_step_says_what_it_does_why_and_how_by_hand() -> None:
    box = resource(runs_on="docker/lab/container/shop-cache-1")
    plan, _ = planned(runbook((rung("grow", value=20), rung("flush", why="Last of all."))), root=box)
    assert plan is not None
    first, last = plan.steps
    assert (first.why, first.by_hand) == ("Make it larger.", "redis-cli -h shop-cache-1 SET 20")
    assert (last.why, last.effect) == ("Last of all.", Effect.DESTRUCTIVE)


def test_a_plan_carries_its_diagnosis_and_what_it_passed_over() -> None:
    plan, _ = planned(known=incident(tried=(f"runbook:full#1@{CACHE.id}",)))
    assert plan is not None
    assert plan.diagnosis is not None
    assert (plan.diagnosis.root, plan.diagnosis.cause) == (CACHE.id, "It outgrew.")
    assert plan.diagnosis.ruled_out == ("grow: tried here before",)
    assert any("full" in evidence.what for evidence in plan.diagnosis.evidence)


def test_the_proof_a_runbook_wants_goes_with_the_plan() -> None:
    plan, _ = planned(runbook((rung("grow"),), healed=Condition("reading.used < 0.5")))
    assert plan is not None
    assert plan.healed == "reading.used < 0.5"


def test_a_runbook_for_another_alert_or_kind_is_not_used() -> None:
    assert author(runbook((rung("grow"),), when="down")) is None
    assert author(runbook((rung("grow"),), kind="postgres")) is None


def test_when_one_ladder_is_used_up_the_next_that_matches_is_taken() -> None:
    used = incident(tried=(f"runbook:full#1@{CACHE.id}",))
    assert author(runbook((rung("grow"),)), runbook((rung("purge"),), name="other"), known=used) == "runbook:other#1"


def test_alerts_that_only_pend_call_for_nothing() -> None:
    assert author(alerts=(alert(status="pending", firing_at=None),)) is None


def test_alerts_of_others_call_for_nothing_here() -> None:
    other = resource("other")
    at = situation(CACHE, other, readings=(reading(),), alerts=(alert(other),))
    assert plan_from_runbooks(CACHE.id, incident(), at, (LADDER,), TOOLS)[0] is None


def test_a_stop_nobody_explained_needs_a_person() -> None:
    plan, _ = planned(alerts=(alert(confirm=True, why="Who stopped it?"),))
    assert plan is not None
    assert plan.confirm == "Who stopped it?"


def test_a_runbook_may_always_want_a_person() -> None:
    plan, _ = planned(runbook((rung("grow"),), confirm="It costs money."))
    assert plan is not None
    assert plan.confirm == "It costs money."


def test_without_a_reading_nothing_is_planned() -> None:
    at = situation(CACHE, alerts=(alert(),))
    plan, passed = plan_from_runbooks(CACHE.id, incident(), at, (LADDER,), TOOLS)
    assert plan is None
    assert len(passed) == 3


@pytest.mark.parametrize("pattern", ["cache:*", "$(reboot)", "a b; rm -rf /", "it's"])
def test_a_command_by_hand_is_safe_to_paste(pattern: str) -> None:
    assert shlex.split(by_hand(flush, CACHE, {"pattern": pattern}, {})) == ["kill", pattern]


def test_a_host_with_a_strange_name_is_safe_to_paste() -> None:
    strange = resource(runs_on="docker/lab/container/x; reboot")
    assert shlex.split(by_hand(grow, strange, {"value": 20}, {})) == ["redis-cli", "-h", "x; reboot", "SET", "20"]


def test_a_plan_says_which_alerts_it_is_for() -> None:
    slow = alert(rule="slow", severity="warning")
    plan, _ = planned(LADDER, alerts=(slow, alert()))
    assert plan is not None
    assert plan.aims == ("full",)
    either = replace(LADDER, when=Condition('alerts.exists(a, a.rule in ["full", "slow"])'))
    plan, _ = planned(either, alerts=(slow, alert()))
    assert plan is not None
    assert plan.aims == ("slow", "full")
    both = Condition('alerts.exists(a, a.rule == "full") && alerts.exists(a, a.rule == "slow")')
    plan, _ = planned(replace(LADDER, when=both), alerts=(slow, alert(), alert(rule="other")))
    assert plan is not None
    assert plan.aims == ("slow", "full")
