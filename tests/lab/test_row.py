"""The arithmetic of the benchmark: what counts as found, right, healed, needless, and where the seconds went."""

from dataclasses import replace

import pytest

from watchkeeper_lab.api import Fix, Incident, Resource, read_fix, read_incident
from watchkeeper_lab.bench import tables
from watchkeeper_lab.errors import LabError
from watchkeeper_lab.ledger import Requests
from watchkeeper_lab.row import Observed, make_row, summary
from watchkeeper_lab.scenario import Root, scenario

REDIS = "docker/lab/redis/lab-x_redis_1"
CONTAINER = "docker/lab/container/lab-x_redis_1"
NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z
FULL = scenario("redis-memory-full-headroom")
HEALTHY = scenario("healthy")


def at(second: float) -> str:
    return f"2026-01-01T12:00:{second:06.3f}Z"


def incident(**changes: object) -> Incident:
    raw: dict[str, object] = {
        "id": "i1",
        "status": "closed",
        "outcome": "healed",
        "title": "Redis is full",
        "opened_at": at(4),
        "closed_at": at(9),
        "root": REDIS,
        "alerts": [
            {"rule": "redis-memory-full", "resource": REDIS, "status": "resolved", "firing_at": at(4)},
            {"rule": "later", "resource": REDIS, "status": "resolved", "firing_at": at(5)},
        ],
        "diagnosis": None,
    }
    return read_incident(raw | changes)


def fix(*tools: str, effect: str = "reversible", status: str = "done") -> Fix:
    steps = [
        {"index": i, "tool": tool, "resource": REDIS, "status": status, "started_at": at(5), "finished_at": at(6)}
        for i, tool in enumerate(tools)
    ]
    planned = [{"tool": tool, "resource": REDIS, "effect": effect} for tool in tools]
    return read_fix(
        {
            "id": "f1",
            "incident_id": "i1",
            "plan": {"author": "runbook:memory-full", "created_at": at(4.5), "steps": planned},
            "status": "finished",
            "finished_at": at(8.25),
            "steps": steps,
            "verdict": {"outcome": "healed", "reasons": ["fine"]},
        }
    )


def observed(**changes: object) -> Observed:
    seen = Observed(
        in_effect_at=NOON,
        ended_at=NOON + 10,
        incidents=[incident()],
        fixes=[fix("redis_set_maxmemory")],
        resources={REDIS: Resource(REDIS, "redis", "redis"), CONTAINER: Resource(CONTAINER, "container", "redis")},
        healthy=True,
        as_expected=True,
        reasons=(),
        data_lost=0,
        requests=Requests(100, 3, 0.5),
    )
    return replace(seen, **changes)  # pyright: ignore[reportArgumentType]


def test_a_fault_found_and_healed_with_an_accepted_tool_is_right() -> None:
    row = make_row(FULL, observed(), planner="runbook", run=1)
    assert row.right
    assert (row.verdict, row.actions, row.needless_actions, row.retries) == ("healed", 1, 0, 0)


def test_the_seconds_are_those_between_the_moments() -> None:
    spent = make_row(FULL, observed(), planner="runbook", run=1).seconds
    assert (spent.detect, spent.decide, spent.act, spent.verify, spent.total) == (4.0, 0.5, 1.0, 2.25, 9.0)


def test_healed_said_and_the_oracle_disagreeing_is_falsely_healed() -> None:
    row = make_row(FULL, observed(healthy=False, as_expected=False, reasons=("full",)), planner="runbook", run=1)
    assert row.falsely_healed
    assert not row.healed
    assert not row.right


def test_a_tool_that_is_not_accepted_is_needless_and_wrong() -> None:
    row = make_row(FULL, observed(fixes=[fix("redis_restart", "redis_set_maxmemory")]), planner="runbook", run=1)
    assert (row.tool_correct, row.needless_actions, row.actions) == (False, 1, 2)


def test_the_same_step_again_is_a_retry() -> None:
    fixes = [fix("redis_set_maxmemory"), fix("redis_set_maxmemory")]
    assert make_row(FULL, observed(fixes=fixes), planner="runbook", run=1).retries == 1


def test_looking_is_not_acting_and_a_skipped_step_was_not_done() -> None:
    fixes = [
        fix("redis_info", effect="read"),
        fix("redis_flush", status="skipped"),
        fix("redis_restart", status="refused"),
    ]
    assert make_row(HEALTHY, observed(fixes=fixes, incidents=[]), planner="runbook", run=1).actions == 0


def test_another_root_is_wrong() -> None:
    row = make_row(FULL, observed(incidents=[incident(root=CONTAINER)]), planner="runbook", run=1)
    assert not row.root_correct


def test_the_root_of_the_diagnosis_serves_where_the_incident_has_none() -> None:
    seen = observed(incidents=[incident(root=None, diagnosis={"root": REDIS})])
    assert make_row(FULL, seen, planner="runbook", run=1).root_correct


def test_nothing_found_is_undetected_and_has_numbers_all_the_same() -> None:
    row = make_row(FULL, observed(incidents=[], fixes=[], healthy=False, as_expected=False), planner="runbook", run=1)
    assert (row.detected, row.healed, row.verdict, row.seconds.total) == (False, False, "undetected", 10.0)
    assert None not in row.as_json()["seconds"].values()


@pytest.mark.parametrize(("status", "outcome"), [("escalated", None), ("closed", "recovered"), ("fixing", None)])
def test_an_incident_that_ends_otherwise_is_not_healed(status: str, outcome: str | None) -> None:
    row = make_row(FULL, observed(incidents=[incident(status=status, outcome=outcome)]), planner="runbook", run=1)
    assert not row.healed
    assert row.verdict == (outcome or status)


def test_a_control_is_right_only_when_left_alone() -> None:
    alone = make_row(HEALTHY, observed(fixes=[], incidents=[]), planner="runbook", run=1)
    touched = make_row(HEALTHY, observed(), planner="runbook", run=1)
    assert alone.right
    assert (alone.verdict, alone.healed) == ("no_action", True)
    assert (touched.right, touched.needless_actions, touched.verdict) == (False, 1, "acted")


def test_the_summary_counts_and_shows_median_and_worst() -> None:
    rows = [make_row(FULL, observed(incidents=[incident(closed_at=at(end))]), planner="r", run=1) for end in (7, 8, 30)]
    rows.append(make_row(HEALTHY, observed(fixes=[], incidents=[]), planner="r", run=1))
    told = summary(rows)
    assert (told["faults"], told["faults_healed"], told["controls_left_alone"]) == (3, 3, 1)
    assert (told["median_seconds"]["total"], told["worst_seconds"]["total"]) == (8.0, 30.0)
    assert told["requests"] == 400


def test_an_empty_table_is_a_failure() -> None:
    with pytest.raises(LabError, match="no rows"):
        tables({"scenarios": []})


POSTGRES = "docker/lab/postgres/lab-x_postgres_1"
BOTH = replace(FULL, roots=(Root("redis", "redis"), Root("postgres", "postgres")))
WATCHED = {REDIS: Resource(REDIS, "redis", "redis"), POSTGRES: Resource(POSTGRES, "postgres", "postgres")}


@pytest.mark.parametrize(
    ("incidents", "right"),
    [
        ([incident(), incident(root=POSTGRES)], True),
        ([incident(roots=[REDIS, POSTGRES])], True),
        ([incident()], False),
        ([incident(), incident(root=POSTGRES), incident(root=CONTAINER)], False),
    ],
)
def test_of_several_faults_at_once_each_root_is_named_and_no_other(incidents: list[Incident], right: bool) -> None:
    resources = WATCHED | {CONTAINER: Resource(CONTAINER, "container", "nginx")}
    row = make_row(BOTH, observed(incidents=incidents, resources=resources), planner="runbook", run=1)
    assert row.root_correct == right


def test_a_cascade_is_one_incident() -> None:
    cascade = replace(FULL, one_incident=True)
    assert make_row(cascade, observed(), planner="runbook", run=1).root_correct
    two = observed(incidents=[incident(), incident(root=POSTGRES)], resources=WATCHED)
    assert not make_row(cascade, two, planner="runbook", run=1).root_correct


def test_any_replica_will_do_where_the_scenario_names_none() -> None:
    resources = {REDIS: Resource(REDIS, "http", "shop-2")}
    for service, right in (("shop", True), ("shop-2", True), ("shop-1", False)):
        one = replace(FULL, roots=(Root("http", service),))
        assert make_row(one, observed(resources=resources), planner="runbook", run=1).root_correct == right


def test_a_fault_that_is_to_be_escalated_is_healed_when_it_is_escalated_with_no_tool() -> None:
    hopeless = replace(FULL, expect="escalated", accepted_tools=frozenset())
    told = observed(incidents=[incident(status="escalated", outcome=None)], fixes=[], healthy=False)
    assert make_row(hopeless, told, planner="runbook", run=1).right
    claimed = make_row(hopeless, observed(healthy=False, fixes=[]), planner="runbook", run=1)
    assert claimed.falsely_healed
    assert not claimed.healed
