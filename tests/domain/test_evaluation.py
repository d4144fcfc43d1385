"""The figures of an evaluation are what happened, and small numbers are called small."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from watchkeeper.domain import (
    LOOP,
    Alert,
    Decision,
    Effect,
    Fix,
    Health,
    Incident,
    Plan,
    Said,
    Step,
    StepRecord,
    Stop,
    Verdict,
    VerdictOutcome,
)
from watchkeeper.domain.evaluation import counts, evaluate, rate, times
from watchkeeper.notify.figures import figures

MONDAY = datetime(2026, 3, 2, 12, tzinfo=UTC)
ROOT = "docker/lab/redis/cache"


def at(seconds: float) -> datetime:
    return MONDAY + timedelta(seconds=seconds)


def fix(key: str, start: float, outcome: VerdictOutcome = "healed", incident: str | None = "inc-1") -> Fix:
    """Planned 1 s before it starts; acts for 2 s from 1 s on, is judged for 3 s."""
    plan = Plan("runbook:full#1", (Step("redis_flush", ROOT),), at(start - 1))
    step = StepRecord(0, "redis_flush", ROOT, {}, "done", started_at=at(start + 1))
    made = Fix(key, incident, plan, LOOP, Decision("allow", "lab", ""), "closed", at(start), at(600), steps=(step,))
    return replace(made, verdict=Verdict(outcome, ()), executed_at=at(start + 3), finished_at=at(start + 6))


def alert(pending: float, firing: float) -> Alert:
    made = Alert(f"alr-{pending}", "redis-full", ROOT, "critical", Health.FAILED, "firing", at(pending))
    return replace(made, firing_at=at(firing), incident="inc-1")


def test_each_part_of_a_repair_has_its_time() -> None:
    found = evaluate([], [fix("fix-1", 10)], [alert(0, 4)], "day")
    medians = {name: spans.median for name, spans in found.seconds.items()}
    assert medians == {"detect": 4, "decide": 5, "wait": 2, "act": 2, "verify": 3, "repair": 16}


def test_a_second_fix_decides_from_the_end_of_the_first() -> None:
    found = evaluate([], [fix("fix-2", 20), fix("fix-1", 10, "not_healed")], [alert(0, 4)], "day")
    assert (found.fixes.healed, found.fixes.tried) == (1, 2)
    assert found.seconds["decide"].median == (5 + 3) / 2  # 19 - 16
    assert (found.seconds["detect"].count, found.seconds["repair"].median) == (1, 26)


def test_what_came_back_is_timed_from_its_new_sign() -> None:
    found = evaluate([], [fix("fix-1", 10), fix("fix-2", 110)], [alert(0, 4), alert(100, 104)], "day")
    assert found.seconds["repair"].median == 16


def test_what_is_no_try_is_counted_beside() -> None:
    stopped = replace(fix("fix-1", 10, "inconclusive"), stopped=Stop("fix-1", Said("person:ada", MONDAY)))
    idle = fix("fix-2", 20, "inconclusive")
    idle = replace(idle, steps=(replace(idle.steps[0], status="refused"),))
    back = fix("fix-3", 30)
    back = replace(back, plan=replace(back.plan, undoes="fix-1"))
    running = replace(fix("fix-4", 40), status="executed", verdict=None)
    found = evaluate([], [stopped, idle, back, running], [], "day")
    assert (found.fixes.tried, found.stopped, found.refused, found.taken_back) == (0, 1, 1, 1)
    assert found.fixes.said == "none yet"


def test_fixes_are_grouped_by_what_one_wants_to_know() -> None:
    fixes = [fix(f"fix-{n}", 10 + 86400 * n, incident=None) for n in (0, 1, 7)]
    days = evaluate([], fixes, [], "day").over_time
    weeks = evaluate([], fixes, [], "week").over_time
    assert [group.name for group in days] == ["2026-03-02", "2026-03-03", "2026-03-09"]
    assert [(group.name, group.fixes.tried) for group in weeks] == [("2026-03-02", 2), ("2026-03-09", 1)]
    by = evaluate([], fixes, [], "day").by
    assert {name: [group.name for group in groups] for name, groups in by.items()} == {
        "author": ["runbook:full#1"],
        "tool": ["redis_flush"],
        "rule": [],
        "resource": [ROOT],
        "environment": ["lab"],
    }


def test_incidents_are_counted_by_how_they_ended() -> None:
    open_ = Incident("inc-1", "", ROOT, (ROOT,), MONDAY)
    closed = Incident("inc-2", "", ROOT, (ROOT,), MONDAY).close("recovered", MONDAY)
    assert evaluate([open_, closed, closed], [], [], "day").incidents == {"open": 1, "recovered": 2}


@pytest.mark.parametrize("tried", range(1, 10))
def test_few_are_no_rate(tried: int) -> None:
    made = rate(tried, tried)
    assert (made.rate, "no rate" in made.said) == (None, True)
    assert made.low < 0.75  # however well they went
    assert times([1.0] * tried).p90 is None


def test_many_are_one_with_its_interval() -> None:
    made = rate(81, 263)  # Newcombe (1998), Statistics in Medicine 17, table I, method 3
    assert (round(made.rate or 0, 4), round(made.low, 4), round(made.high, 4)) == (0.308, 0.2553, 0.3662)
    assert times([float(n) for n in range(1, 12)]).p90 == 10


def test_what_another_fault_hindered_is_no_try_wherever_a_rate_is_told() -> None:
    tried = fix("fix-2", 100)
    broke = replace(fix("fix-1", 10), verdict=Verdict("not_healed", (), hindered=("alr-other",)))
    found = evaluate([], [broke, tried], [], "day")
    assert (found.fixes.healed, found.fixes.tried, found.hindered) == (1, 1, 1)
    assert [(group.name, group.fixes.tried) for group in found.by["author"]] == [("runbook:full#1", 1)]
    assert [counts(one) for one in (broke, tried)] == [False, True]
    harsh = (Step("redis_flush", ROOT, effect=Effect.DESTRUCTIVE),)
    changing = [replace(one, plan=replace(one.plan, steps=harsh)) for one in (broke, tried)]
    told = figures([], changing, [], MONDAY, at(1000))
    assert (told.did_not_help, [(cure.tried, cure.healed, cure.not_healed) for cure in told.cures]) == (0, [(1, 1, 0)])
