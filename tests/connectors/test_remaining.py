"""What is stopped is there still, though its container does not show any more what ran in it."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from engine_fixtures import Run, docker, until_stopped

from watchkeeper.connectors import Registry
from watchkeeper.connectors.http import connector as http
from watchkeeper.connectors.redis import connector as redis
from watchkeeper.domain import HostState, Resource, now
from watchkeeper.hosts import Engine
from watchkeeper.settings import Settings
from watchkeeper.watch import Fleet
from watchkeeper.watch.remaining import KNOWN, Remaining

HIDDEN = ("sh", "-c", "which=server; exec redis-$which --port 6390 --protected-mode no")
"""A start command that does not name what it starts, as a script would."""


def fleet(engine: Engine, name: str) -> Fleet:
    entry = {"name": name, "kind": "redis", "act": True, "environment": "staging"}
    known: Any = redis
    return Fleet(Registry([known]), Settings.model_validate({"only": [f"{name}*"], "resources": [entry]}), [engine])


@pytest.mark.lab
async def test_a_server_that_was_stopped_stays_as_it_was_also_over_a_restart_and_goes_with_its_container(
    engine: Engine, run: Run
) -> None:
    host = await run(*HIDDEN)
    watched = fleet(engine, host.name)
    for _ in range(100):
        if await watched.discover():
            break
    (running,) = watched.resources.values()
    assert (running.environment, running.may_act, running.ports) == ("staging", True, (6390,))

    await docker("stop", "-t", "2", host.name)
    await until_stopped(host)
    await watched.discover()
    assert list(watched.resources.values()) == [running]
    assert watched.misnamed == ""

    again = fleet(engine, host.name)
    assert not await again.discover()  # nothing shows what ran there
    again.remaining.recall([running])
    assert list(await again.discover()) == [running.id]

    await docker("start", host.name)  # its processes may not show yet
    assert list(await watched.discover()) == [running.id]
    await docker("rm", "-f", host.name)
    assert not await watched.discover()


def beside(seconds: float) -> Any:
    """A host that runs, for so long, and shows nothing."""

    async def state() -> HostState:
        return HostState("running", started_at=now() - timedelta(seconds=seconds))

    said = {"incarnation": "one", "provider": "docker", "kind": "container", "name": "cache", "labels": {}}
    return SimpleNamespace(**said, state=state)


@pytest.mark.parametrize(("known", "runs", "stays"), [(KNOWN + 1, 600.0, True), (5.0, 600.0, False), (5.0, 5.0, True)])
async def test_what_ended_in_a_container_that_runs_on_is_down_and_what_ran_there_for_a_moment_is_over(
    known: float, runs: float, stays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 1000.0
    monkeypatch.setattr("watchkeeper.watch.remaining.time.monotonic", lambda: clock)
    remaining, hosts = Remaining(), {"one": beside(runs)}
    found = Resource("docker/production/redis/cache", "cache", runs_on="c", ports=(6379,), incarnation="one")
    assert await remaining.with_those("redis", [found], hosts) == [found]
    clock += known
    listed = await remaining.with_those("redis", [], hosts)
    assert [resource.id for resource in listed] == ([found.id] if stays else [])


async def test_what_is_named_by_its_address_keeps_the_hands_of_its_stopped_container() -> None:
    remaining, host = Remaining(), beside(5.0)
    named = Resource("local/production/redis/cache", "cache", incarnation="127.0.0.1:6379")
    handled = replace(named, runs_on="docker/production/container/cache", incarnation="one")
    await remaining.with_those("redis", [handled], {"one": host})
    assert await remaining.with_those("redis", [named], {"one": host}) == [handled]


SERVICE = """
from http.server import BaseHTTPRequestHandler, HTTPServer
class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"ok")
HTTPServer(("0.0.0.0", 8123), Answers).serve_forever()
"""


@pytest.mark.lab
async def test_a_web_service_is_found_though_its_port_is_neither_published_nor_declared(run: Run) -> None:
    borrowed: Sequence[str] = [f"{folder}:{folder}:ro" for folder in ("/usr", "/lib", "/lib64", sys.base_prefix)]
    options = [word for folder in dict.fromkeys(borrowed) for word in ("-v", folder)]
    host = await run(f"{sys.base_prefix}/bin/python3", "-c", SERVICE, options=options)

    async def found(*only: str) -> list[Resource]:
        return [r async for r in http.discover([host], {"only": list(only)})]

    assert await found("another*") == []  # who is not to be watched is not asked
    for _ in range(200):
        http._discovery._tried.clear()  # pyright: ignore[reportPrivateUsage]  # it listens in a moment
        if listed := await found(f"{host.name}*"):
            break
    else:
        raise AssertionError(await host.tail(20))
    (service,) = listed
    assert (service.ports, service.settings["health"], service.runs_on) == (
        (8123,),
        "/healthz",
        f"docker/production/container/{host.name}",
    )
    async with http.connect(service, host) as session:
        probe = await http.probe(session)
    assert probe.ok, probe
