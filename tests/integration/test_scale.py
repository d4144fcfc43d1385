"""One more replica of a service that visitors use: it answers through the proxy, and nobody notices it come and go."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from watchkeeper.connectors.docker import connector
from watchkeeper.connectors.docker.read import ContainerSession
from watchkeeper.connectors.docker.scale import docker_scale, replica_set, rescale
from watchkeeper.domain import Effect, Refused, WatchkeeperError
from watchkeeper.hosts import ContainerHost, Engine
from watchkeeper.hosts import replicas as service
from watchkeeper_lab import Lab

pytestmark = pytest.mark.lab


@pytest.fixture
async def hosts(healthy_lab: Lab) -> AsyncIterator[dict[str, ContainerHost]]:
    """The lab's containers by service."""
    async with Engine() as engine:
        states = await healthy_lab.services.states()
        by_name = {host.name: host for host in await engine.hosts()}
        yield {name: by_name[state.where] for name, state in states.items()}


async def session_with(host: ContainerHost) -> ContainerSession:
    (resource,) = [r async for r in connector.discover([host], {})]
    return ContainerSession(resource, host)


async def who_answers(url: str, wanted: int, seconds: float = 20.0) -> set[str]:
    """The replicas that answered through nginx, asked until there are as many as wanted."""
    seen: set[str] = set()
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client, asyncio.timeout(seconds):
        while len(seen) < wanted:
            answer = await client.get("/health")
            assert answer.status_code == 200
            seen.add(answer.headers["x-replica"])
    return seen


async def test_a_third_replica_answers_through_nginx_and_the_undo_takes_it_away_without_a_failed_request(
    healthy_lab: Lab, hosts: dict[str, ContainerHost]
) -> None:
    lab, began = healthy_lab, time.time()
    session = await session_with(hosts["shop-1"])
    before = await replica_set(session)
    told = await docker_scale.run(session, replicas=3)
    after = await replica_set(session)
    (name,) = told["made"]
    assert (len(before), len(after)) == (2, 3)
    assert told["made"][name]["8000/tcp"].startswith("127.0.0.1:")
    shown = await session.host.engine.call(f"containers/{after[name]}/json")
    original = await session.host.inspect()
    assert after[name][:12] in await who_answers(lab.shop_url, 3)
    assert (await lab.oracle.judge()).healthy
    assert shown["Config"]["Env"] == original["Config"]["Env"]
    assert shown["Config"]["Labels"][service.NUMBER] == "3"
    secrets = [entry.split("=", 1)[1] for entry in original["Config"]["Env"] if "://" in entry]
    assert secrets
    assert not any(secret in json.dumps([told, before, after]) for secret in secrets)
    await rescale(session, before)
    assert await replica_set(session) == before
    assert await who_answers(lab.shop_url, 2) == {ident[:12] for ident in before.values()}
    judged = await lab.oracle.judge()
    assert judged.healthy, judged.reasons
    requests = lab.ledger.requests(began)
    assert requests.total > 20
    assert requests.failed == 0
    assert judged.facts["lost_writes"] == 0


async def test_only_what_was_made_is_removed_and_what_fails_to_start_leaves_nothing(
    hosts: dict[str, ContainerHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await session_with(hosts["shop-1"])
    before = await replica_set(session)
    with pytest.raises(Refused, match="Only 0 of 2"):
        await docker_scale.run(session, replicas=1)
    with pytest.raises(Refused, match="2 replicas already"):
        await docker_scale.run(session, replicas=2)

    recipe = service.recipe

    def broken(shown: object, number: int) -> object:
        name, body, networks = recipe(shown, number)  # type: ignore[arg-type]
        return name, {**body, "Cmd": ["false"]}, networks

    monkeypatch.setattr(service, "recipe", broken)
    with pytest.raises(WatchkeeperError, match="did not stay up"):
        await docker_scale.run(session, replicas=4)
    assert await service.replicas(session.host.engine, session.host.labels) == tuple(
        one for one in await service.replicas(session.host.engine, session.host.labels) if one.id in before.values()
    )


@pytest.mark.parametrize(
    ("name", "because"),
    [("redis", "It writes to /data"), ("postgres", "It writes to /var/(lib/postgresql/data|spare)")],
)
async def test_a_database_is_not_doubled(hosts: dict[str, ContainerHost], name: str, because: str) -> None:
    session = await session_with(hosts[name])
    with pytest.raises(Refused, match=because):
        await docker_scale.run(session, replicas=2)
    assert len(await replica_set(session)) == 1


def test_it_can_be_taken_back_and_its_bounds_are_kept() -> None:
    assert docker_scale.effect is Effect.REVERSIBLE
    assert docker_scale.undo_run is not None
    for wrong in (0, 17, "many"):
        with pytest.raises(WatchkeeperError, match="replicas"):
            docker_scale.parse({"replicas": wrong})
