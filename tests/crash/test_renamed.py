"""Another environment in the configuration is the same thing by another name: what people said of it holds."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import RedisServer
from tests.crash.harness import Server
from tests.crash.test_crash import both_stores, times

pytestmark = pytest.mark.crash


@both_stores
def test_what_was_rejected_is_not_asked_for_again_under_another_environment(
    make_server: Callable[..., Server], redis_server: RedisServer
) -> None:
    server = make_server("approve")
    started = server.until_kind("server.started")["seq"]
    redis_server.client().set("fault", "broken")
    asked = server.until_kind("approval.requested", after=started)
    key = asked["incident"]
    assert server.post(f"/api/incidents/{key}/reject", {"note": "it is meant to be so"}).status_code == 200
    handed = server.until_kind("incident.escalated", after=asked["seq"])
    server.stop()

    _call_it_staging(server.config)
    server.start()
    renamed = server.until_kind("resource.renamed", after=handed["seq"])
    assert renamed["text"].startswith("books is called local/staging/ledger/books now, and was local/lab/ledger/books")
    again = server.until_kind("server.started", after=handed["seq"])
    server.poll(lambda s: s.get("/readyz")["status"] == "ready")
    found = server.get("/api/incidents")["items"]
    assert [(one["id"], one["status"], one["root"]) for one in found] == [
        (key, "escalated", "local/staging/ledger/books")
    ]
    assert server.post(f"/api/incidents/{key}/retry", {}).status_code == 200  # it goes on, with its history
    asked = server.until_kind("approval.requested", after=again["seq"])
    assert server.post(f"/api/incidents/{key}/approve", {}).status_code == 200
    assert server.until_kind("incident.closed", after=asked["seq"])["text"].startswith("healed")
    assert times(redis_server, "ledger_mend") == 1


def test_what_waited_for_an_answer_is_asked_for_anew_under_another_environment(
    make_server: Callable[..., Server], redis_server: RedisServer
) -> None:
    server = make_server("approve")
    started = server.until_kind("server.started")["seq"]
    redis_server.client().set("fault", "broken")
    asked = server.until_kind("approval.requested", after=started)
    server.stop()
    _call_it_staging(server.config)
    server.start()
    void = server.until_kind("approval.void", after=asked["seq"])
    assert "asked for anew" in void["text"]
    anew = server.until_kind("approval.requested", after=void["seq"])
    assert (anew["incident"], anew["subject"] != asked["subject"]) == (asked["incident"], True)
    assert server.post(f"/api/incidents/{asked['incident']}/approve", {}).status_code == 200
    assert server.until_kind("incident.closed", after=anew["seq"])["text"].startswith("healed")


def _call_it_staging(config: Path) -> None:
    config.write_text(config.read_text().replace("environment: lab", "environment: staging"))
