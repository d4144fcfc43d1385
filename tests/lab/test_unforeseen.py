"""A fault of `bench unforeseen` on a real Redis: no runbook knows it, and a plan that comes over a model's protocol is
checked, permitted, carried out and proven. A protocol run: the answers are scripted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ResponseError

from tests.conftest import RedisServer, start_redis
from tests.following import event
from watchkeeper.domain import Fix
from watchkeeper.domain.interaction import Interaction
from watchkeeper.server import Runtime, running
from watchkeeper.settings import Settings
from watchkeeper_lab.bench.schedule import Order
from watchkeeper_lab.bench.scripted import Scripted
from watchkeeper_lab.scenario import scenario


@asynccontextmanager
async def set_to_want_replicas(folder: Path, **said: Any) -> AsyncIterator[tuple[Runtime, RedisServer]]:
    """A Watchkeeper beside a Redis that refuses its clients' writes from now on."""
    server = start_redis(folder)
    settings = Settings(
        mode="auto",
        data=folder / "data",
        only=["local/lab/redis/redis"],
        resources=[{"name": "redis", "kind": "redis", "url": server.url, "environment": "lab", "act": True}],
        watch={"interval": 0.3, "quick": 0.2},
        rules={"redis-writes-refused": {"for": "300ms"}},
        without_runbooks=list(Order("unforeseen").without_runbooks),
        **said,
    )

    async def visitors() -> None:
        with server.client() as redis:
            while True:
                with suppress(ResponseError):
                    redis.set("cart:1", "x")
                await asyncio.sleep(0.05)  # their pace

    visiting = asyncio.create_task(visitors())
    try:
        with server.client() as redis:
            redis.config_set("min-replicas-to-write", 2)
        async with running(settings) as runtime:
            yield runtime, server
    finally:
        visiting.cancel()
        server.stop()
        assert server.process.stdout is not None
        server.process.stdout.close()


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent")


async def test_a_plan_that_comes_over_the_protocol_heals_what_no_runbook_knows(tmp_path: Path) -> None:
    async with Scripted() as model:
        model.scenario = scenario("redis-writes-want-replicas")
        async with set_to_want_replicas(tmp_path, planner="model", llm=model.llm) as (runtime, server):
            assert (await event(runtime, "incident.closed")).text.startswith("healed")
            (fix,) = await runtime.store.select(Fix)
            assert (fix.plan.author, [step.tool for step in fix.plan.steps]) == (
                "llm:openai:scripted#1",
                ["redis_set_min_replicas"],
            )
            asked = await runtime.store.select(Interaction)
            assert len(asked) == model.asked >= 2
            assert all(one.input_tokens > 500 and one.cost == 0.0 for one in asked)
            with server.client() as redis:
                assert redis.set("cart:1", "y")


async def test_runbooks_alone_touch_nothing_and_hand_it_to_a_person(tmp_path: Path) -> None:
    async with set_to_want_replicas(tmp_path, planner="runbooks") as (runtime, server):
        await event(runtime, "incident.escalated")
        assert await runtime.store.select(Fix) == []
        with server.client() as redis:
            assert redis.config_get("min-replicas-to-write") == {"min-replicas-to-write": "2"}
