"""Never act twice, on real containers: killed while it acts, the engine and Redis themselves count what happened."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.crash.harness import Server
from watchkeeper_lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.crash]
OVER = ("incident.closed", "incident.escalated")


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def watching(lab_or_name: str, tmp_path: Path, mode: str = "auto") -> Iterator[Server]:
    """A server that watches one compose project, or one container, and nothing else."""
    config = tmp_path / "watchkeeper.yaml"
    config.write_text(f"mode: {mode}\nonly: ['{lab_or_name}']\n")
    server = Server(tmp_path / "data", config, {"DOCKER_HOST": "unix:///var/run/docker.sock"})
    try:
        server.start().until_kind("server.started")
        yield server
    finally:
        server.stop()


async def config_sets(lab: Lab) -> int:
    """How often this Redis was told CONFIG SET (MONITOR leaves administrative commands out)."""
    async with Redis(port=lab.redis_port, decode_responses=True) as client:
        counted = await client.info("commandstats")
    return counted.get("cmdstat_config|set", {}).get("calls", 0)


@contextmanager
def heard(container: str, event: str) -> Iterator[list[str]]:
    """The events of a kind that befall a container meanwhile; afterwards the engine has forgotten most, for it keeps
    256 of all there are."""
    command = ["docker", "events", "--filter", f"container={container}", "--filter", f"event={event}"]
    told: list[str] = []
    with subprocess.Popen([*command, "--since", "0s", "--format", "{{.TimeNano}}"], stdout=subprocess.PIPE) as listens:
        try:
            yield told
        finally:
            listens.terminate()
            assert listens.stdout is not None
            told += listens.stdout.read().decode().split()


async def test_killed_while_it_starts_a_container_it_is_started_once(healthy_lab: Lab, tmp_path: Path) -> None:
    lab = healthy_lab
    with watching(lab.compose_project, tmp_path) as server:
        started = docker("inspect", "-f", "{{.State.StartedAt}}", lab.redis_container)
        with heard(lab.redis_container, "start") as starts:
            await lab.inject("redis-killed")
            seen = await asyncio.to_thread(server.until_kind, "fix.step.acting")
            server.kill()
            server.start()
            await asyncio.to_thread(server.until_kind, *OVER, after=seen["seq"])
            assert server.incident()["status"] == "closed"
            until = docker("inspect", "-f", "{{.State.StartedAt}}", lab.redis_container)
            assert until != started
        assert len(starts) == 1
    assert (await lab.oracle.judge()).healthy


async def test_killed_while_it_raises_maxmemory_redis_is_told_once(healthy_lab: Lab, tmp_path: Path) -> None:
    lab = healthy_lab
    with watching(lab.compose_project, tmp_path) as server:
        await lab.inject("redis-memory-full-headroom")
        before = await config_sets(lab)
        seen = await asyncio.to_thread(
            server.until, lambda e: e["kind"] == "fix.step.acting" and e["data"]["tool"] == "redis_set_maxmemory"
        )
        server.kill()
        server.start()
        await asyncio.to_thread(server.until_kind, *OVER, after=seen["seq"])
        assert server.incident()["status"] == "closed"
        assert await config_sets(lab) - before == 1
    assert (await lab.oracle.judge()).healthy


async def test_a_container_removed_in_the_middle_of_its_fix_ends_the_incident(tmp_path: Path, lab: Lab) -> None:
    name = f"watchkeeper-test-{tmp_path.name[-20:].lower().strip('_')}"
    image = docker("inspect", "-f", "{{.Image}}", lab.redis_container)
    labels = ["--label", "watchkeeper.act=true", "--label", "watchkeeper.environment=lab"]
    docker("run", "-d", "--name", name, "--network", "none", *labels, image)
    try:
        with watching(f"*{name}*", tmp_path) as server:
            docker("pause", name)
            seen = await asyncio.to_thread(server.until_kind, "fix.step.acting")
            docker("rm", "-f", name)
            await asyncio.to_thread(server.until_kind, *OVER, after=seen["seq"])
            await asyncio.to_thread(server.until_kind, "resource.gone", after=seen["seq"])
            assert server.incident()["status"] in ("closed", "escalated")
            assert server.get("/healthz")["status"] == "ok"
    finally:
        docker("rm", "-f", name)


async def test_in_mode_observe_nothing_is_changed_and_what_it_would_do_is_kept(
    healthy_lab: Lab, tmp_path: Path
) -> None:
    lab = healthy_lab
    with watching(lab.compose_project, tmp_path, "observe") as server:
        await lab.inject("redis-paused")
        would = await asyncio.to_thread(server.until_kind, "fix.would")
        assert "docker_unpause" in would["text"]
        assert docker("inspect", "-f", "{{.State.Paused}}", lab.redis_container) == "true"
        assert server.fixes() == []
        await lab.reset()
        await asyncio.to_thread(server.until_kind, "incident.closed", after=would["seq"])
        assert server.incident()["outcome"] == "recovered"
