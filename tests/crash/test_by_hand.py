"""A fix asked for by hand while the loop is at work on the same incident is carried out, once."""

from collections.abc import Callable

import pytest

from tests.conftest import RedisServer
from tests.crash.harness import Server

pytestmark = pytest.mark.crash


@pytest.mark.parametrize("moment", ["incident.opened", "incident.diagnosed", "approval.requested"])
def test_a_fix_asked_for_at_any_moment_is_carried_out_once(
    moment: str, make_server: Callable[..., Server], redis_server: RedisServer
) -> None:
    server = make_server("approve")
    server.until_kind("server.started")
    redis_server.client().set("fault", "broken")
    server.until_kind(moment)
    answer = server.post("/api/fixes/trigger", {"resource": "books"})
    assert answer.status_code == 202, answer.text
    server.until_kind("incident.closed")
    assert server.incident()["outcome"] == "healed"
    assert redis_server.client().get("done:ledger_mend") == "1"
    assert [fix["status"] for fix in server.fixes()] == ["closed"]
    assert server.fixes()[0]["approved_by"].startswith("person:")


def test_what_was_escalated_can_be_asked_for_by_hand(
    make_server: Callable[..., Server], redis_server: RedisServer
) -> None:
    server = make_server("approve")
    server.until_kind("server.started")
    redis_server.client().set("fault", "broken")
    server.until_kind("approval.requested")
    incident = server.incident()
    assert server.post(f"/api/incidents/{incident['id']}/reject", {}).status_code == 200
    server.until_kind("incident.escalated")
    assert server.post("/api/fixes/trigger", {"resource": "books"}).status_code == 202
    server.until_kind("incident.closed")
    assert server.incident()["outcome"] == "healed"
