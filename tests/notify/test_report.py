"""The story of an incident, for people and for machines."""

import json
from dataclasses import replace

from tests.domain.making import CACHE, T0, after, alert, fix, incident, plan, reading, step
from watchkeeper.domain import Decision, Diagnosis, Event, Evidence, Fix, Incident, Probe, StepRecord, Verdict
from watchkeeper.notify import report_json, report_markdown

DIAGNOSIS = Diagnosis(
    CACHE.id,
    "The data outgrew maxmemory.",
    "full on cache",
    (Evidence(CACHE.id, T0, "full: 0.97"),),
    ("redis_flush: keys are not declared",),
    author="runbook:full#1",
)
PLAN = plan(
    replace(step("redis_purge"), by_hand="redis-cli MEMORY PURGE"),
    replace(step("redis_grow", value=10), by_hand="redis-cli CONFIG SET maxmemory 10"),
    replace(step("redis_grow", value=20), by_hand="redis-cli CONFIG SET maxmemory 20"),
    diagnosis=DIAGNOSIS,
)


def record(index: int, tool: str, status: str, took: float, **more: object) -> StepRecord:
    return StepRecord(
        index,
        tool,
        CACHE.id,
        {},
        status,
        started_at=after(5),
        finished_at=after(5 + took),
        **more,  # type: ignore[arg-type]
    )


def story() -> tuple[Incident, list, list[Fix], list[Event]]:
    verdict = Verdict("healed", ("3 good looks in a row", "a write and a read passes"), reading(), (reading(),))
    verdict = replace(verdict, probe=Probe(CACHE.id, T0, True, 0.1, "a write and a read"))
    done = fix(
        PLAN,
        approved_by="person:ada",
        decision=Decision("ask", "mode/approve", "waits"),
        steps=(
            record(0, "redis_purge", "done", 0.25),
            record(1, "redis_grow", "done", 0.5),
            record(2, "redis_grow", "failed", 1.0, error="no room"),
        ),
        undo=(record(1, "undo redis_grow", "done", 0.1, undo_of=1),),
        verdict=verdict,
    )
    told = replace(
        incident(diagnosis=DIAGNOSIS).close("healed", after(9), "3 good looks"),
        fixes=("fix-1",),
    )
    events = [Event("incident.opened", "inc-1", "full on cache", T0, incident="inc-1")]
    return told, [alert(at=after(-2), resolved_at=after(8))], [done], events


def page() -> str:
    return report_markdown(*story())


def test_a_report_begins_with_how_it_ended() -> None:
    assert page().startswith("# inc-1: full on docker/lab/redis/cache\n\n**healed** after 9.0 s")


def test_a_report_names_cause_evidence_and_what_was_passed_over() -> None:
    for said in ("The data outgrew maxmemory.", "full: 0.97", "redis_flush: keys are not declared"):
        assert said in page()


def test_a_report_tells_each_step_with_its_own_result() -> None:
    lines = [line for line in page().splitlines() if line.startswith("- `redis_")]
    assert [line.split(": ", 1)[1] for line in lines] == [
        "done in 0.25 s",
        "done in 0.50 s",
        "failed in 1.00 s — no room",
    ]


def test_a_report_tells_how_to_do_each_step_by_hand() -> None:
    for command in ("MEMORY PURGE", "CONFIG SET maxmemory 10", "CONFIG SET maxmemory 20"):
        assert f"by hand: `redis-cli {command}`" in page()


def test_a_report_tells_who_decided_what_was_undone_and_what_proves_it() -> None:
    assert "policy `mode/approve` asks a person; approved by person:ada" in page()
    assert "- undone: `undo redis_grow` done" in page()
    assert "## Fix fix-1: healed" in page()
    assert "- a write and a read passes" in page()


def test_a_step_that_was_not_begun_says_so() -> None:
    told, alerts, (done,), events = story()
    assert "`redis_purge`" in (text := report_markdown(told, alerts, [replace(done, steps=())], events))
    assert text.count("not begun") == 3


def test_a_report_of_what_just_began_can_be_written() -> None:
    text = report_markdown(incident(), [], [], [])
    assert "**open**" in text


def test_for_machines_it_is_all_there_with_its_times() -> None:
    report = json.loads(json.dumps(report_json(*story())))
    assert report["incident"]["outcome"] == "healed"
    assert report["fixes"][0]["verdict"]["outcome"] == "healed"
    assert [s["status"] for s in report["fixes"][0]["steps"]] == ["done", "done", "failed"]
    assert report["fixes"][0]["plan"]["steps"][0]["by_hand"] == "redis-cli MEMORY PURGE"
    times = {"seen_to_firing": 2.0, "firing_to_first_plan": 0.0, "open_to_closed": 9.0}
    assert report["seconds"] == times | {"unwatched": 0.0}


def test_a_name_cannot_break_the_table() -> None:
    told, _, fixes, events = story()
    text = report_markdown(told, [alert("docker/lab/redis/a|b\nc")], fixes, events)
    (row,) = [line for line in text.splitlines() if line.startswith("| full")]
    assert row.replace("\\|", "").count("|") == 6
