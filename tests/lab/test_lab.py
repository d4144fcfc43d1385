"""The real lab: every fault breaks it, every reset heals it, and the oracle knows the difference."""

import asyncio
import os
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from watchkeeper_lab import Lab, run_scenario, scenario
from watchkeeper_lab.containers import inspect, names_by_service
from watchkeeper_lab.ledger import Write
from watchkeeper_lab.redis_link import redis_link
from watchkeeper_lab.runner import play

from .stub import stub

pytestmark = pytest.mark.lab

FAULTS = {
    "redis-memory-full-headroom": "of maxmemory",
    "redis-memory-full-no-headroom": "of maxmemory",
    "redis-clients-exhausted": "max number of clients",
    "redis-busy-script": "Redis did not serve",
    "redis-killed": "redis is exited",
    "redis-paused": "redis is paused",
}


@pytest.mark.parametrize(("fault", "reason"), FAULTS.items())
async def test_each_fault_breaks_the_lab_and_reset_heals_it_with_nothing_lost(
    healthy_lab: Lab, fault: str, reason: str
) -> None:
    lab = healthy_lab
    in_effect_at = await lab.inject(fault)
    broken = await lab.oracle.judge(with_audit=False)
    assert not broken.healthy
    assert any(reason in one for one in broken.reasons), broken.reasons
    assert 0 <= time.time() - in_effect_at < 30
    restored = await lab.reset()
    assert restored.judgement.healthy
    assert restored.lost == ()


async def test_memory_is_filled_with_all_kinds_and_each_is_in_the_ledger(healthy_lab: Lab) -> None:
    lab = healthy_lab
    known = len(lab.ledger.expected())
    await lab.inject("redis-memory-full-no-headroom")
    state = (await inspect(lab.redis_container))[lab.redis_container]
    async with redis_link(lab.instance.redis) as link:
        info = await link.info()
        sizes: dict[str, int] = dict.fromkeys(("catalogue", "order-draft", "session", "cart"), 0)
        keys = lab.ledger.added()
        answers = await link.send_all([("MEMORY", "USAGE", key) for key in keys])
    for key, size in zip(keys, answers, strict=True):
        sizes[key.split(":")[0]] += int(size or 0)
    assert 0.55 < info["maxmemory"] / state.memory_limit < 0.70
    assert all(sizes.values())
    assert sizes["catalogue"] / sum(sizes.values()) > 0.40
    assert len(lab.ledger.expected()) > known + 500


async def test_the_oracle_sees_a_lost_write_and_reset_tells_it_once(healthy_lab: Lab) -> None:
    lab = healthy_lab
    async with redis_link(lab.instance.redis) as link:
        await link.send("SET", "order-draft:gone", "mine")
        lab.ledger.acknowledged([Write.of("draft", "order-draft:gone", "mine")])
        assert (await lab.oracle.judge()).healthy
        await link.send("SET", "order-draft:gone", "changed")
        changed = await lab.oracle.audit()
        await link.send("DEL", "order-draft:gone")
    seen = await lab.oracle.judge()
    assert [write.key for write in changed.lost] == ["order-draft:gone"]
    assert not seen.healthy
    assert any("acknowledged writes are gone" in reason for reason in seen.reasons)
    assert [write.key for write in (await lab.reset()).lost] == ["order-draft:gone"]
    assert (await lab.reset()).lost == ()


async def test_visitors_are_recorded_and_a_fault_costs_requests(healthy_lab: Lab) -> None:
    lab = healthy_lab
    began = time.time()
    await asyncio.sleep(2)
    calm = lab.ledger.requests(began)
    assert calm.total >= 15
    assert calm.failed == 0
    began = await lab.inject("redis-killed")
    while not (suffered := lab.ledger.requests(began)).failed:
        assert time.time() - began < 20
        await asyncio.sleep(0.1)
    assert suffered.downtime > 0


async def test_a_load_peak_raises_memory_and_clients_but_is_healthy(healthy_lab: Lab) -> None:
    lab = healthy_lab
    await lab.inject("load-peak")
    seen = await lab.oracle.judge(with_audit=False)
    assert seen.healthy, seen.reasons
    memory, clients = seen.facts["redis_memory_ratio"], seen.facts["redis_client_ratio"]
    assert isinstance(memory, float)
    assert isinstance(clients, float)
    assert 0.6 < memory < 0.9
    assert 0.5 < clients < 0.9
    assert len(lab.visitors.running()) == 2
    await lab.reset()
    assert len(lab.visitors.running()) == 1


async def test_the_self_recovering_control_passes_the_threshold_and_comes_back(healthy_lab: Lab) -> None:
    lab = healthy_lab
    highest = 0.0

    async def watch() -> None:
        nonlocal highest
        async with redis_link(lab.instance.redis) as link:
            while True:
                info = await link.info()
                highest = max(highest, info["used_memory"] / info["maxmemory"])
                await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    over_at = await lab.inject("self-recovering")
    took = time.time() - over_at
    watching.cancel()
    assert highest > 0.95
    assert 2.0 <= took < 4.0
    assert (await lab.oracle.judge()).healthy


async def test_a_lab_stopped_on_purpose_stays_stopped_until_reset(healthy_lab: Lab) -> None:
    await healthy_lab.inject("stopped-on-purpose")
    state = (await inspect(healthy_lab.redis_container))[healthy_lab.redis_container]
    assert (state.status, state.restarts) == ("exited", 0)


async def test_a_second_lab_has_ports_of_its_own_and_does_not_feel_the_first(healthy_lab: Lab) -> None:
    first = healthy_lab
    async with Lab.running(f"test-{os.getpid()}-b") as second:
        assert not set(first.instance.ports.values()) & set(second.instance.ports.values())
        await first.inject("redis-paused")
        seen = await second.oracle.judge()
        assert seen.healthy, seen.reasons
        project, pids = second.compose_project, second.visitors.running()
        assert len(pids) == 1
    assert await names_by_service(project) == {}
    assert second.visitors.running() == []
    assert (await first.reset()).judgement.healthy


def says_healed(lab: Lab, since: float) -> dict[str, Any]:
    """The answers of a Watchkeeper that claims to have healed what it never touched."""
    name = f"docker/lab/redis/{lab.redis_container}"
    labels = {"com.docker.compose.project": lab.compose_project, "com.docker.compose.service": "redis"}

    def claimed() -> list[dict[str, Any]]:
        if time.time() < since + 1 or not lab.ledger.added():
            return []
        now = datetime.now(UTC).isoformat()
        alert = {"rule": "redis-memory-full", "resource": name, "status": "resolved", "firing_at": now}
        times = {"opened_at": now, "closed_at": now}
        return [{"id": "1", "status": "closed", "outcome": "healed", "root": name, "alerts": [alert], **times}]

    return {
        "/api/resources": lambda: [{"id": name, "kind": "redis", "labels": labels}],
        "/api/resources/status": lambda: [{"id": name, "health": "HEALTHY"}],
        "/api/incidents": claimed,
        "/api/fixes": list,
    }


async def test_a_watchkeeper_that_only_claims_to_heal_is_found_out(healthy_lab: Lab) -> None:
    async with stub(says_healed(healthy_lab, time.time())) as url:
        row = await run_scenario(healthy_lab, scenario("redis-memory-full-headroom"), url)
    assert (row.detected, row.root_correct, row.verdict) == (True, True, "healed")
    assert row.falsely_healed
    assert not row.healed
    assert not row.tool_correct
    assert row.final_health == "unhealthy"
    assert row.data_lost == 0
    assert row.requests > 0


async def test_a_control_that_is_left_alone_is_right(healthy_lab: Lab) -> None:
    answers = says_healed(healthy_lab, time.time()) | {"/api/incidents": list}
    async with stub(answers) as url:
        run = await play(healthy_lab, scenario("stopped-on-purpose"), url, control_seconds=2.0)
    assert run.row.right, run.row.reasons
    assert run.row.final_health == "unhealthy"
    assert run.row.data_lost == 0
