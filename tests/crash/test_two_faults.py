"""Two faults on one thing: the worse goes first, and what failed because of the other is not held against it. What was
begun and not ended is taken back; what was not done is not called a failure."""

from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from tests.conftest import RedisServer, start_redis
from tests.crash.harness import Server, serving
from tests.crash.test_crash import times

pytestmark = pytest.mark.crash


def test_what_failed_because_of_another_fault_is_tried_again_when_that_is_over(
    make_server: Callable[..., Server], redis_server: RedisServer
) -> None:
    server = make_server()
    started = server.until_kind("server.started")["seq"]
    redis_server.client().set("fault", "broken choked")
    closed = server.until_kind("incident.closed", "incident.escalated", after=started)
    assert closed["kind"] == "incident.closed", closed
    assert closed["text"].startswith("healed")
    authors = [fix["plan"]["author"] for fix in server.fixes()]
    assert authors == ["runbook:broken#1", "runbook:choked#1", "runbook:broken#1"]
    assert int(redis_server.client().get("refused:ledger_mend") or 0) == 1
    assert times(redis_server, "ledger_mend") == 1
    hindered = server.until_kind("plan.hindered", after=started)
    assert "runbook:broken#1 failed while ledger-choked fired too" in hindered["text"]


def test_of_a_plan_that_another_fault_broke_off_nothing_is_left_standing(
    make_server: Callable[..., Server], redis_server: RedisServer
) -> None:
    server = make_server()
    started = server.until_kind("server.started")["seq"]
    redis_server.client().set("fault", "both choked")
    closed = server.until_kind("incident.closed", "incident.escalated", after=started)
    assert closed["text"].startswith("healed"), closed
    first, *others = server.fixes()
    assert [first["plan"]["author"], *(one["plan"]["author"] for one in others)] == [
        "runbook:both#1",
        "runbook:choked#1",
        "runbook:both#1",
    ]
    assert [(step["tool"], step["status"]) for step in first["steps"]] == [
        ("ledger_try", "done"),
        ("ledger_mend", "failed"),
    ]
    assert [(step["tool"], step["status"]) for step in first["undo"]] == [("undo ledger_try", "done")]
    assert "ledger-choked fired too when that failed" in first["verdict"]["reasons"]
    assert len(first["verdict"]["hindered"]) == 1
    assert times(redis_server, "undo") == 1
    assert redis_server.client().get("mark") == "tried"  # of the second time, which went to its end


@pytest.mark.parametrize(("fault", "told"), [("both", "incident.escalated"), ("both choked", "plan.hindered")])
def test_what_nothing_can_tell_of_leaves_no_half_behind_and_is_told(
    make_server: Callable[..., Server], redis_server: RedisServer, fault: str, told: str
) -> None:
    server = make_server()
    started = server.until_kind("server.started")["seq"]
    redis_server.client().set("hush", "1")
    redis_server.client().set("fault", fault)
    server.until_kind(told, after=started)
    (fix,) = server.fixes()
    assert fix["verdict"]["outcome"] == "inconclusive"
    assert bool(fix["verdict"]["hindered"]) is (fault == "both choked")
    assert any("ledger_mend failed after ledger_try" in reason for reason in fix["verdict"]["reasons"])
    assert [(step["tool"], step["status"]) for step in fix["undo"]] == [("undo ledger_try", "done")]
    assert redis_server.client().get("mark") == ""
    redis_server.client().delete("looks")


def test_what_was_refused_at_the_last_moment_was_not_tried(
    make_server: Callable[..., Server], redis_server: RedisServer
) -> None:
    server = make_server()
    started = server.until_kind("server.started")["seq"]
    redis_server.client().set("fault", "barred")
    told = server.until_kind("incident.escalated", after=started)
    (fix,) = server.fixes()
    assert (fix["verdict"]["outcome"], fix["said"]) == ("not_tried", "not tried")
    assert fix["verdict"]["reasons"] == ["nothing was done: ledger_barred was refused: the books are sealed"]
    assert "the books are sealed" in told["text"]
    assert "did not help" not in told["text"]
    figures = server.get("/api/evaluation")
    assert (figures["fixes"]["tried"], figures["refused"]) == (0, 1)


def test_a_worse_fault_does_not_wait_for_the_answer_about_a_lesser_one(tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    folder.mkdir()
    kept = start_redis(folder, "--maxmemory", "8mb", "--maxclients", "64")
    config = tmp_path / "watchkeeper.yaml"
    config.write_text(
        "mode: approve\nonly: [cache]\n"
        f"resources: [{{name: cache, kind: redis, url: '{kept.url}', environment: lab, act: true,\n"
        "              settings: {cache_keys: ['basket:*']}}]\n"
    )
    held: list[redis.Redis] = []
    try:
        with serving(Server(tmp_path / "data", config)) as server:
            started = server.until_kind("server.started")["seq"]
            full = kept.client()
            for number in range(200):
                try:
                    full.set(f"basket:{number}", "x" * 65536)
                except redis.ResponseError:
                    break
            asked = server.until_kind("approval.requested", after=started)
            assert "redis_expire_cache_keys" in asked["text"]
            for _ in range(64):
                try:
                    held.append(kept.client())
                    held[-1].ping()
                except redis.ConnectionError:
                    break
            void = server.until_kind("approval.void", after=asked["seq"])
            assert "redis-clients-exhausted" in void["text"]
            assert "goes first" in void["text"]
            instead = server.until_kind("approval.requested", after=asked["seq"])
            assert "redis_kill_clients" in instead["text"]
            assert len(server.get("/api/approvals")["items"]) == 1
    finally:
        for one in held:
            one.close()
        kept.stop()
        assert kept.process.stdout is not None
        kept.process.stdout.close()
