"""Where the planner's seat is left to agents, they plan; nobody is left waiting for one that does not come."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.conftest import RedisServer, start_redis
from tests.following import event
from watchkeeper.domain import Conflict, Fix, NotFound
from watchkeeper.server import Runtime, running
from watchkeeper.server.mcp.call import Call
from watchkeeper.server.mcp.plans import WantedStep, leave_incident, submit_plan
from watchkeeper.settings import Settings

LANGUAGE_MODELS = {"pydantic_ai", "watchkeeper.decide.model.asking", "watchkeeper.decide.model.providers"}
CACHE = "local/lab/redis/cache"


@asynccontextmanager
async def up(folder: Path, redis: RedisServer, wait: str, then: str) -> AsyncIterator[Runtime]:
    """Mode auto, with that Redis alone."""
    cache = {"name": "cache", "kind": "redis", "url": redis.url, "environment": "lab", "act": True}
    settings = Settings(
        mode="auto",
        planner="agents",
        mcp={"writes": True, "wait": wait, "then": then},
        data=folder / "data",
        only=[CACHE],
        resources=[cache | {"settings": {"cache_keys": "page:*"}}],
        rules={"redis-memory-full": {"for": "300ms"}},
        watch={"interval": 0.3, "quick": 0.2},
    )
    before = LANGUAGE_MODELS.intersection(sys.modules)
    async with running(settings) as runtime:
        yield runtime
        assert LANGUAGE_MODELS.intersection(sys.modules) == before  # none is configured


@pytest.fixture
def full(tmp_path: Path) -> Iterator[RedisServer]:
    server = start_redis(tmp_path, "--maxmemory", "16mb")
    with server.client() as redis:
        redis.eval("for i = 1, 14200 do redis.call('set', 'page:' .. i, string.rep('x', 1000)) end", 0)
        assert redis.info("memory")["used_memory"] > 0.96 * (16 << 20)
    yield server
    server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()


async def quiet(done: float, of: float | None, text: str) -> None:
    """Progress is told to nobody."""


async def test_an_agent_in_the_planners_seat_heals_and_nobody_plans_before_it(
    full: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent")
    async with up(tmp_path, full, "1h", "person") as runtime:
        held = await event(runtime, "incident.held")
        assert held.text.startswith("an agent is given until")
        assert held.incident is not None
        assert not await runtime.store.select(Fix)

        call = Call(runtime, quiet)
        steps = [WantedStep(tool="redis_expire_cache_keys", resource="cache", arguments={"down_to_ratio": 0.7})]
        with pytest.raises(NotFound, match="inc-nope"):
            await submit_plan.run(call, steps=steps, cause="guessed", incident="inc-nope")
        done = await submit_plan.run(call, steps=steps, cause="Pages fill it up.", incident=held.incident)
        assert (await event(runtime, "incident.closed")).text.startswith("healed")

        (fix,) = await runtime.store.select(Fix)
        assert (fix.id, fix.incident, fix.principal.id) == (done.fix_id, held.incident, "agent:mcp")
        with pytest.raises(Conflict, match="is over"):
            await submit_plan.run(call, steps=steps, cause="again", incident=held.incident)


async def test_where_no_agent_comes_runbooks_plan_after_its_time(
    full: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent")
    async with up(tmp_path, full, "1s", "runbooks") as runtime:
        held = await event(runtime, "incident.held")
        assert held.text.endswith("then runbooks plan")
        assert (await event(runtime, "incident.closed")).text.startswith("healed")
        (fix, *_) = await runtime.store.select(Fix)
        assert fix.plan.author.startswith("runbook:memory-full")


async def test_an_agent_that_hands_in_nothing_keeps_nobody_waiting(
    full: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent")
    async with up(tmp_path, full, "1h", "person") as runtime:
        held = await event(runtime, "incident.held")
        assert held.incident is not None
        call = Call(runtime, quiet)
        left = await leave_incident.run(call, incident=held.incident, why="It is a test.")
        assert left.next == "A person is told now."
        assert "agent:mcp hands in nothing: It is a test." in (await event(runtime, "incident.escalated")).text
        with pytest.raises(Conflict, match="is escalated"):
            await leave_incident.run(call, incident=held.incident, why="Again.")


async def test_where_no_agent_comes_and_runbooks_are_not_to_plan_a_person_is_told(
    full: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent")
    async with up(tmp_path, full, "1s", "person") as runtime:
        assert (
            "left to agents, and none handed in a plan within 1 s" in (await event(runtime, "incident.escalated")).text
        )
        assert not await runtime.store.select(Fix)
