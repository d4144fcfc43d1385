"""What a person said holds after a kill: it is a row."""

from collections.abc import Callable

import pytest

from tests.conftest import RedisServer
from tests.crash.harness import Server
from tests.crash.test_crash import times

pytestmark = pytest.mark.crash


def test_what_was_stopped_just_before_a_kill_stays_stopped(
    make_server: Callable[..., Server], redis_server: RedisServer
) -> None:
    server = make_server("approve")
    server.until_kind("server.started")
    redis_server.client().set("fault", "stubborn")
    asked = server.until_kind("approval.requested")
    key = asked["incident"]
    assert server.post(f"/api/incidents/{key}/approve", {}).status_code == 200
    assert server.post(f"/api/incidents/{key}/stop", {"note": "no", "undo": True}).status_code == 200
    server.kill()
    server.start()
    server.until_kind("server.started", after=asked["seq"])
    server.poll(lambda s: s.incident()["status"] == "escalated" and all(f["status"] == "closed" for f in s.fixes()))
    server.poll(lambda s: s.get("/readyz")["status"] == "ready")
    assert server.incident()["left"]["note"] == "no"
    assert server.get("/api/approvals")["items"] == []  # it would ask for the next rung
    assert times(redis_server, "ledger_try") == times(redis_server, "undo") <= 1
    assert times(redis_server, "ledger_mend") == 0
