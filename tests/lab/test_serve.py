"""The lab's own process, on the session's lab: what is broken there is broken, and what is cleared is cleared."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from watchkeeper_lab.api import Alert, Fix, Incident, Step
from watchkeeper_lab.lab import Lab
from watchkeeper_lab.serve import create_app
from watchkeeper_lab.serve.validation import Run, follow

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"


@pytest_asyncio.fixture(loop_scope="session")
async def client(healthy_lab: Lab) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(healthy_lab, "open-sesame", RESULTS))
    headers = {"Authorization": "Bearer open-sesame"}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers, timeout=60) as made:
        yield made


@pytest.mark.lab
@pytest.mark.asyncio(loop_scope="session")
async def test_all_connections_of_a_service_are_cleared_not_only_idle_ones(
    client: httpx.AsyncClient, healthy_lab: Lab
) -> None:
    assert (await client.get("/faults", headers={"Authorization": "Bearer wrong"})).status_code == 401
    assert (await client.get("/faults", headers={"Host": "rebound.example"})).status_code == 403
    names = [one["name"] for one in (await client.get("/faults")).json()["items"]]
    assert "redis-memory-full-headroom" in names
    assert (await client.post("/faults/redis-kiled")).status_code == 404
    assert (await client.get("/benchmarks/lab")).json()["summary"]["faults"] > 0

    async with healthy_lab.site.redis(timeout=60.0) as waits:
        blocked = asyncio.ensure_future(waits.send("BLPOP", "nobody-pushes", 0))
        async with healthy_lab.site.redis() as looks:
            while True:
                if "blpop" in str(await looks.send("CLIENT", "LIST")):
                    break
                await asyncio.sleep(0.02)  # the server tells nobody when a client begins to wait
        which = {"id": "docker/lab/redis/x", "labels": {PROJECT: healthy_lab.compose_project, SERVICE: "redis"}}
        cleared = (await client.post("/reset", json=which)).json()
        with pytest.raises(Exception, match=r"(?i)connection|closed"):
            await blocked
    assert cleared["service"] == "redis"
    assert cleared["connections"] > 0
    assert (await client.post("/reset", json={"id": "docker/lab/redis/other"})).status_code == 404


def step(at: float, until: float | None) -> Step:
    return Step("redis_flush", "r", "destructive", "done" if until else "acting", at, until, "")


def test_a_run_tells_each_step_with_its_time_as_it_comes() -> None:
    run = Run("val-1", "redis-full", "fault", "http://127.0.0.1:8000", 100.0)
    run.begin("detect", 110.0)

    def seen(status: str, closed: float | None, *fixes: Fix) -> dict[str, tuple[str, float | None]]:
        alert = Alert("redis-full", "r", "firing", 114.0)
        outcome = "healed" if closed else ""
        incident = Incident("inc", status, outcome, "", "r", frozenset({"r"}), 114.0, closed, (alert,))
        follow(run, [incident], list(fixes))
        return {one.name: (one.status, one.seconds) for one in run.steps[3:]}

    follow(run, [], [])
    assert run.step("detect").status == "running"
    assert seen("open", None)["decide"] == ("running", None)
    begun = Fix("fix", "inc", "runbook:full#1", 115.0, "running", None, (step(115.5, None),), "", ())
    assert seen("fixing", None, begun)["act"] == ("running", None)
    done = Fix("fix", "inc", "runbook:full#1", 115.0, "closed", 119.0, (step(115.5, 116.0),), "healed", ())
    assert seen("closed", 119.5, done) == {
        "detect": ("done", 4.0),
        "decide": ("done", 1.0),
        "act": ("done", 1.0),
        "verify": ("done", 3.5),
    }


def test_what_ended_without_a_plan_has_no_act() -> None:
    run = Run("val-1", "network-cut", "fault", "http://127.0.0.1:8000", 100.0)
    run.begin("detect", 110.0)
    alert = Alert("network-cut", "r", "firing", 114.0)
    ended = Incident("inc", "escalated", "", "", "r", frozenset({"r"}), 114.0, None, (alert,))
    follow(run, [ended], [])
    assert [one.status for one in run.steps[3:]] == ["done", "skipped", "skipped", "done"]
    assert run.step("verify").what == "escalated"


def test_what_is_no_result_is_passed_over(tmp_path: Path) -> None:
    from watchkeeper_lab.serve import results

    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "other.json").write_text(json.dumps({"cases": []}))
    (tmp_path / "mine.json").write_text(json.dumps({"summary": {"faults": 1}, "scenarios": [{}]}))
    assert [one["name"] for one in results.listed(tmp_path)] == ["mine"]
    assert results.found("../mine", tmp_path) is None
    assert results.found("mine", tmp_path) is not None
