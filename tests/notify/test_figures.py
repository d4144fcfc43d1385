"""The figures of a period say how often it succeeded, how long that took, and what fixed what."""

import json
from dataclasses import replace
from typing import Any

from tests.domain.making import CACHE, T0, after, alert, fix, incident, plan, step
from tests.notify.test_morning import CLOSED, HEALED, morning
from watchkeeper.domain import Diagnosis, Effect, Fix, StepRecord, Verdict
from watchkeeper.notify.figures import Span, figures
from watchkeeper.notify.morning import morning_json, morning_markdown

NOT_HEALED = Verdict("not_healed", ("it still fires",))


def tried(key: str, of: str = "inc-1", verdict: Verdict = HEALED, took: float = 4, **more: Any) -> Fix:
    made = plan(step(), diagnosis=Diagnosis(CACHE.id, "It is full.", ""), **more)
    done = StepRecord(0, "grow", CACHE.id, {}, "done")
    return replace(fix(made, id=key, incident=of), verdict=verdict, steps=(done,), finished_at=after(took))


def taken_back(of: Fix) -> Fix:
    return replace(of, undo=(StepRecord(0, "grow", CACHE.id, {}, "done", undo_of=0),))


def counted(*incidents: Any, fixes: Any = (), alerts: Any = ()):
    return figures(incidents, fixes, alerts, T0, after(3600))


ESCALATED = replace(incident(id="inc-2", at=after(100)), status="escalated")
RECOVERED = replace(incident(id="inc-3", at=after(10)), status="closed", outcome="recovered", closed_at=after(40))
MERGED = replace(incident(id="inc-4"), status="closed", outcome="merged", closed_at=after(5), merged_into="inc-1")


def test_success_is_counted_over_what_it_acted_on() -> None:
    found = counted(
        CLOSED, ESCALATED, RECOVERED, fixes=[tried("fix-1"), taken_back(tried("fix-2", "inc-2", NOT_HEALED))]
    )
    assert (found.acted, found.healed, found.success_ratio) == (2, 1, 0.5)
    assert found.ended == {"healed": 1, "escalated": 1, "recovered": 1}
    assert (found.did_not_help, found.undone, found.needless) == (1, 1, 0)


def test_to_take_back_what_was_as_before_already_is_not_undone() -> None:
    nothing = replace(tried("fix-1"), undo=(StepRecord(0, "grow", CACHE.id, {}, "done", before=1, after=1, undo_of=0),))
    assert counted(CLOSED, fixes=[nothing]).undone == 0


def test_what_ended_by_itself_after_a_fix_that_did_not_help_was_needless() -> None:
    assert counted(RECOVERED, fixes=[tried("fix-1", "inc-3", NOT_HEALED)]).needless == 1


def test_an_incident_that_became_part_of_another_counts_with_that_one_only() -> None:
    found = counted(CLOSED, MERGED, fixes=[tried("fix-1")])
    assert (found.incidents, found.acted, len(found.places)) == (1, 1, 1)


def test_a_look_up_is_no_change() -> None:
    looked = tried("fix-1")
    looked = replace(looked, plan=plan(step("show", effect=Effect.READ)))
    held_back = replace(tried("fix-2"), steps=(StepRecord(0, "grow", CACHE.id, {}, "refused"),))
    assert counted(CLOSED, fixes=[looked, held_back]).success_ratio is None


def test_times_are_the_median_and_the_worst() -> None:
    slow = replace(CLOSED, id="inc-5", closed_at=after(100))
    told = [alert(at=T0, firing_at=after(4)), alert(rule="slow", at=T0, firing_at=after(8)), alert(rule="odd", at=T0)]
    found = counted(CLOSED, slow, alerts=[*told, alert(rule="old", at=after(-90), firing_at=after(-80))])
    assert found.repair == Span(2, 57.0, 100.0)
    assert found.detect == Span(3, 4.0, 8.0)
    assert counted(ESCALATED).repair == Span(0, None, None)


def test_what_fixed_what_is_told_by_cause_tools_and_author() -> None:
    found = counted(
        CLOSED,
        fixes=[tried("fix-1"), tried("fix-2", took=6), tried("fix-3", verdict=NOT_HEALED, author="runbook:full#2")],
    )
    first, second = found.cures
    assert (first.cause, first.tools, first.author) == ("It is full.", ("grow",), "runbook:full#1")
    assert (first.tried, first.healed, first.median_seconds) == (2, 2, 5.0)
    assert (second.author, second.healed, second.not_healed) == ("runbook:full#2", 0, 1)


def test_a_resource_is_told_with_how_long_it_was_unwell_within_the_period() -> None:
    before = replace(CLOSED, opened_at=after(-60), reopened=2)
    other = replace(ESCALATED, root="docker/lab/redis/orders")
    orders, cache = counted(before, other, fixes=[tried("fix-1")]).places
    assert (orders.with_a_person, orders.unwell_seconds) == (1, 3500.0)
    assert (cache.healed, cache.came_back, cache.fixes, cache.unwell_seconds) == (1, 2, 1, 14.0)


def test_what_came_back_took_as_long_as_it_was_unwell() -> None:
    whole = counted(CLOSED).repair.median
    came_back = replace(CLOSED, opened_at=after(-60), reopened=1, well_seconds=50.0)
    assert (whole, counted(came_back).repair.median) == (14.0, 24.0)


def test_the_report_tells_them_to_people_and_machines() -> None:
    of = morning(incidents=[CLOSED, ESCALATED], fixes=[tried("fix-1")], alerts=[alert(at=T0, firing_at=after(4))])
    told = morning_markdown(of)
    assert "success: 100%: 1 healed of 1 in which something was changed" in told
    assert "to detect: 4.0 s (median of 1), 4.0 s at worst; to repair: 14 s (median of 1), 14 s at worst" in told
    assert "It is full. `grow` (runbook:full#1): healed 1 of 1, 4.0 s (median)" in told
    assert "cache: 2 incidents (1 healed, 1 with a person), 1 fix, unwell for 59 min in all" in told
    machine = json.loads(json.dumps(morning_json(of)))["figures"]
    assert (machine["success_ratio"], machine["repair"]["median"]) == (1.0, 14.0)
    assert machine["cures"][0]["tools"] == ["grow"]
