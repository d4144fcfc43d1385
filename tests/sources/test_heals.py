"""The same fault, seen only through Prometheus, is detected, healed and proven; what is not seen is not called well."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis

from tests.following import event
from tests.sources.conftest import PATIENCE, Stand
from watchkeeper.cli.sources import sources
from watchkeeper.domain import Health
from watchkeeper.server import Runtime, running
from watchkeeper.settings import Settings

CACHE = "local/lab/redis/cache"


@asynccontextmanager
async def up(folder: Path, stand: Stand) -> AsyncIterator[Runtime]:
    """All of Watchkeeper, in mode auto, with that Redis alone; its readings come from Prometheus."""
    cache = {
        "name": "cache",
        "kind": "redis",
        "url": stand.redis.url,
        "environment": "lab",
        "act": True,
        "source": "prom",
        "match": {"instance": stand.instance},
        "settings": {"cache_keys": "page:*"},
    }
    settings = Settings(
        mode="auto",
        data=folder / "data",
        only=[CACHE],
        sources={"prom": {"url": stand.url, "max_age": "3s"}},
        resources=[cache],
        rules={"redis-memory-full": {"for": "300ms"}},
        watch={"interval": 0.3, "quick": 0.2},
    )
    async with running(settings) as runtime:
        yield runtime


@pytest.fixture
def filled(stand: Stand) -> Iterator[redis.Redis]:
    """It is full of pages of a cache; emptied whatever becomes of it."""
    with stand.redis.client() as client:
        client.eval("for i = 1, 29000 do redis.call('set', 'page:' .. i, string.rep('x', 1000)) end", 0)
        assert client.info("memory")["used_memory"] > 0.96 * (32 << 20)
        yield client
    stand.empty()


async def test_a_fault_seen_only_through_prometheus_is_healed_and_an_exporter_that_ends_is_told(
    stand: Stand, filled: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent")
    async with up(tmp_path, stand) as runtime:
        assert (await event(runtime, "alert.firing")).text == "redis-memory-full fires on cache"
        assert "used memory" in (await event(runtime, "fix.healed")).text
        assert (await event(runtime, "incident.closed")).text.startswith("healed")
        assert filled.info("memory")["used_memory"] < 0.85 * (32 << 20)

        stand.stop_exporter()
        silent = await event(runtime, "source.silent")
        assert silent.subject == CACHE
        assert "its exporter does not answer (up is 0)" in silent.text
        async with asyncio.timeout(PATIENCE):
            while runtime.watch.health(CACHE) is not Health.UNKNOWN:
                await runtime.watch.next_look(CACHE, quickly=False)
        assert "no data of 1: cache" in runtime.watch.problems["source prom"]

        stand.start_exporter()
        assert (await event(runtime, "source.tells")).text == "prom has data of cache again"


def test_the_doctor_says_whether_each_source_answers_and_what_it_has(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent")
    match = {"instance": stand.instance}
    seen = {"name": "cache", "kind": "redis", "environment": "lab", "source": "prom", "match": match}
    other = {"name": "lost", "kind": "redis", "environment": "lab", "source": "prom", "match": {"instance": "x:1"}}
    settings = Settings(
        only=["prometheus/lab/redis/*"],
        sources={"prom": {"url": stand.url, "timeout": 30}, "away": {"url": "http://127.0.0.1:1"}},
        resources=[seen, other],
    )

    # On a busy machine a scrape may be missed, and that is no data.
    over = time.monotonic() + PATIENCE
    while True:
        found = list(sources(settings))
        (cache,) = [one for one in found if one.subject == "cache"]
        if cache.state == "ok" or time.monotonic() > over:
            break

    assert f'seen through prom: {{instance="{stand.instance}",job="redis"}}, taken' in cache.found
    (away, prom) = sorted((one for one in found if one.subject == "source"), key=lambda one: one.found)
    assert (prom.state, away.state) == ("ok", "broken")
    assert f"prom: {stand.url} answers in" in prom.found
    assert " 2." in prom.found
    assert "targets" in prom.found
    assert "nothing accepts connections there" in away.found
    (lost,) = [one for one in found if one.subject == "lost"]
    assert (lost.state, "no series redis_up has the labels" in lost.found) == ("missing", True)
    assert "docs/prometheus.md" in lost.advice
