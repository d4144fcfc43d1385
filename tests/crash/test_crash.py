"""Never act twice: killed anywhere, it looks first, does not repeat, and finishes what it began."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import RedisServer
from tests.crash.harness import Server

pytestmark = pytest.mark.crash
OVER = ("incident.closed", "incident.escalated")
both_stores = pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
PHASES = (  # every other on PostgreSQL, too; `benchmarks/crash.py` runs them all on both
    "incident.opened",
    "incident.diagnosed",
    "fix.started",
    "fix.step.intended",
    "fix.step.acting",
    "fix.step.done",
    "fix.executed",
    "incident.verifying",
)


def times(redis_server: RedisServer, tool: str) -> int:
    """How often a tool really acted."""
    return int(redis_server.client().get(f"done:{tool}") or 0)


def test_a_connector_from_outside_the_tree_heals_its_own_fault(
    make_server: Callable[..., Server], redis_server: RedisServer
) -> None:
    server = make_server()
    server.until_kind("server.started")
    redis_server.client().set("fault", "broken")
    server.until_kind("incident.closed")
    incident = server.incident()
    assert incident["outcome"] == "healed"
    assert incident["root"] == "local/lab/ledger/books"
    assert times(redis_server, "ledger_mend") == 1


@pytest.mark.parametrize(
    ("store_url", "phase"),
    [("sqlite", phase) for phase in PHASES] + [("postgresql", phase) for phase in PHASES[::2]],
    indirect=["store_url"],
)
def test_killed_in_any_phase_it_acts_once_and_ends_the_incident(
    phase: str, make_server: Callable[..., Server], redis_server: RedisServer
) -> None:
    server = make_server()
    server.until_kind("server.started")
    redis_server.client().set("fault", "broken")
    seen = server.until_kind(phase)
    server.kill()
    server.start()
    server.until_kind(*OVER, after=seen["seq"])
    assert server.incident()["status"] == "closed"
    assert server.incident()["outcome"] in ("healed", "recovered")
    assert times(redis_server, "ledger_mend") == 1
    assert len(server.fixes()) == 1


@pytest.mark.parametrize(
    ("fault", "moment", "status", "acts"),
    [
        ("broken", "ledger_mend:before", "closed", {"ledger_mend": 1}),
        ("broken", "ledger_mend:after", "closed", {"ledger_mend": 1}),
        ("stubborn", "ledger_try:after", "closed", {"ledger_try": 1, "undo": 1, "ledger_mend": 1}),
        ("stubborn", "undo:before", "closed", {"ledger_try": 1, "undo": 1, "ledger_mend": 1}),
        ("stubborn", "undo:after", "closed", {"ledger_try": 1, "undo": 1, "ledger_mend": 1}),
        ("untold", "ledger_blind:after", "closed", {"ledger_blind": 1}),
        ("untold", "ledger_blind:middle", "escalated", {"ledger_blind": 1}),
    ],
)
def test_killed_between_a_side_effect_and_its_record_it_does_not_repeat(
    fault: str,
    moment: str,
    status: str,
    acts: dict[str, int],
    make_server: Callable[..., Server],
    redis_server: RedisServer,
    tmp_path: Path,
) -> None:
    server = make_server()
    server.until_kind("server.started")
    (tmp_path / "die").write_text(moment)
    redis_server.client().set("fault", fault)
    assert server.died() == -9
    server.start()
    server.until_kind(*OVER)
    assert server.incident()["status"] == status
    assert {tool: times(redis_server, tool) for tool in acts} == acts


@both_stores
def test_an_approval_keeps_its_deadline_over_a_crash_and_can_still_be_given(
    make_server: Callable[..., Server], redis_server: RedisServer
) -> None:
    server = make_server("approve")
    server.until_kind("server.started")
    redis_server.client().set("fault", "broken")
    seen = server.until_kind("approval.requested")
    before = server.incident()["approval"]
    server.kill()
    server.start()
    server.until_kind("server.started", after=seen["seq"])
    after = server.incident()["approval"]
    assert (after["id"], after["expires_at"], after["status"]) == (before["id"], before["expires_at"], "waiting")
    assert times(redis_server, "ledger_mend") == 0
    assert server.post(f"/api/approvals/{after['id']}/approve", {}).status_code == 200
    server.until_kind("incident.closed")
    assert server.incident()["outcome"] == "healed"
    assert server.fixes()[0]["id"] == before["fix"]


def test_an_approval_that_ran_out_while_it_was_down_is_not_acted_on(
    make_server: Callable[..., Server], redis_server: RedisServer
) -> None:
    server = make_server("approve", policy="{approval_minutes: 0.01}")
    server.until_kind("server.started")
    redis_server.client().set("fault", "broken")
    seen = server.until_kind("approval.requested")
    server.kill()
    server.start()
    server.until_kind("incident.escalated", after=seen["seq"])
    assert times(redis_server, "ledger_mend") == 0
    assert server.get("/api/approvals?status=all")["items"][0]["status"] == "expired"


def test_paused_it_does_nothing_also_after_a_crash_until_it_is_resumed(
    make_server: Callable[..., Server], redis_server: RedisServer
) -> None:
    server = make_server()
    server.until_kind("server.started")
    assert server.post("/api/pause", {}).status_code == 200
    redis_server.client().set("fault", "broken")
    seen = server.until_kind("incident.held")
    server.kill()
    server.start()
    server.until_kind("server.started", after=seen["seq"])
    assert times(redis_server, "ledger_mend") == 0
    assert server.post("/api/resume", {}).status_code == 200
    server.until_kind("incident.closed")
    assert times(redis_server, "ledger_mend") == 1
