"""What is seen through a real Prometheus: the whole of it, a part, something old, nothing; and metrics of one's own."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.sources.conftest import PATIENCE, Stand
from watchkeeper.connectors import Registry
from watchkeeper.domain import Effect, Reading, Resource
from watchkeeper.settings import Settings
from watchkeeper.sources import Sources, Through, said

REGISTRY = Registry.installed()
REDIS = REGISTRY.kind("redis")
Look = Callable[..., Any]


def says(what: str) -> Callable[[Reading], bool]:
    """Until the reading is no data for this reason."""
    return lambda seen: what in (seen.error or "")


async def proves(through: Through, ok: bool) -> None:
    """Until the probe says so: a missed scrape proves nothing."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if (await through.probe(None)).ok is ok:
                return
            await asyncio.sleep(0.1)  # the rate of looking


@pytest.fixture
def look(stand: Stand) -> Look:
    """Looks at a resource, as an entry of the configuration has it, until one is as it should be: on a busy machine a
    scrape may be missed, and that is no data."""

    @asynccontextmanager
    async def looking(**entry: Any) -> AsyncIterator[tuple[Through, Any, Reading, Sources]]:
        url, wanted = entry.pop("of", stand.url), entry.pop("until", lambda seen: seen.error is None)
        source = {"url": url, "timeout": 30} | entry.pop("prom", {})
        named = {"name": "cache", "kind": "redis"} | entry
        settings = Settings(sources={"prom": source}, resources=[named])
        given: dict[str, Any] = {"url": named["url"]} if "url" in named else {}
        for known in settings.resources:
            given |= said(settings, known, given)
        resource = Resource("prometheus/lab/redis/cache", "cache", settings=given)
        sources = Sources(settings, REGISTRY)
        through = sources.through(resource, REDIS, REDIS.rules)
        assert isinstance(through, Through)
        try:
            async with through.connect(resource, None) as session:
                async with asyncio.timeout(PATIENCE):
                    while True:
                        seen = await through.read(session, None)
                        if wanted(seen):
                            break
                        await asyncio.sleep(0.1)  # the rate of looking
                yield through, session, seen, sources
        finally:
            await sources.stop()

    return looking


async def test_all_that_rules_need_is_read_from_a_standard_exporter(stand: Stand, look: Look) -> None:
    wanted = {"source": "prom", "match": {"instance": stand.instance}}
    async with look(**wanted, until=lambda seen: "rejected_per_second" in seen.metrics) as (_, session, seen, _):
        assert (seen.error, seen.state) == (None, "seen through prom")
        assert seen.facts["not_read"] == ""
        assert seen.metrics["maxmemory_bytes"] == 32 << 20
        assert 0.0 < seen.metrics["used_memory_ratio"] < 0.5
        assert (seen.metrics["up"], seen.metrics["evicts"], seen.metrics["is_replica"]) == (1.0, 0.0, 0.0)
        assert seen.facts["role"] == "master"
        assert 0.0 < seen.age < 60.0
        assert session is None


async def test_an_address_finds_the_series_by_itself_where_a_label_has_it(stand: Stand, look: Look) -> None:
    async with look(source="prom", url=f"redis://{stand.instance}") as (through, _, seen, _):
        assert seen.error is None
        assert through.whose == f'{{instance="{stand.instance}",job="redis"}}'


async def test_where_nothing_reaches_it_tools_are_refused_and_the_exporter_is_its_probe(
    stand: Stand, look: Look
) -> None:
    async with look(source="prom", match={"job": "redis"}) as (through, session, seen, _):
        for tool in REDIS.tools:
            if tool.effect is not Effect.READ:
                assert "only seen through prom" in (tool.refusal(seen, {}) or "")
        assert session is None
        await proves(through, True)


async def test_what_an_exporter_lacks_is_named_with_the_rules_that_need_it(stand: Stand, look: Look) -> None:
    stand.pages["partial"] = "redis_up 1\nredis_memory_used_bytes 5000000\nredis_memory_max_bytes 5000000\n"
    stand.until('redis_up{job="partial"}')
    async with look(source="prom", match={"job": "partial"}) as (_, _, seen, _):
        assert seen.error is None
        assert seen.metrics["used_memory_ratio"] == 1.0
        assert "connections_ratio (redis-clients-exhausted, redis-connections-rejected)" in seen.facts["not_read"]
        assert "evicts (redis-memory-full, redis-memory-high)" in seen.facts["not_read"]
        assert "metrics that rules need" in seen.state
        (full,) = [rule for rule in REDIS.rules if rule.id == "redis-memory-full"]
        assert full.when.holds(seen.scope()) is None, "nobody knows whether it evicts"


async def test_old_samples_are_no_data(stand: Stand, look: Look) -> None:
    """An exporter that repeats what it once saw, with its time: to Prometheus it answers."""
    old = int((time.time() - 60.0) * 1000)
    stand.pages["stuck"] = f"redis_up 1 {old}\nredis_memory_used_bytes 5000000 {old}\n"
    stand.until('redis_up{job="stuck"}')
    stuck = {"source": "prom", "match": {"job": "stuck"}, "prom": {"max_age": "20s"}}
    async with look(**stuck, until=says("the last sample of redis_up")) as (through, session, seen, _):
        assert "used_memory_bytes" not in seen.metrics
        assert (await through.probe(session)).ok is None


async def test_what_could_be_two_is_not_read_but_named(stand: Stand, look: Look) -> None:
    stand.pages["twins"] = 'redis_up{addr="a:1"} 1\nredis_up{addr="b:1"} 0\n'
    stand.until('redis_up{job="twins"}')
    two = says('2 series redis_up have the labels {job="twins"}')
    async with look(source="prom", match={"job": "twins"}, until=two) as (_, _, seen, _):
        assert 'addr="b:1"' in (seen.error or "")
    one = {"job": "twins", "addr": "b:1"}
    async with look(source="prom", match=one, until=says("Its exporter cannot reach it.")) as (through, _, seen, _):
        assert (seen.metrics["up"], seen.metrics["responding"], seen.metrics["host_running"]) == (0.0, 0.0, 1.0)
        (down,) = [rule for rule in REDIS.rules if rule.id == "redis-down"]
        assert down.when.holds(seen.scope()) is True
        await proves(through, False)


async def test_an_exporter_that_cannot_reach_it_is_not_believed_where_it_can_be_asked(stand: Stand, look: Look) -> None:
    stand.pages["partial"] = "redis_up 0\n"
    stand.until('redis_up{job="partial"} == 0')
    down = {"source": "prom", "match": {"job": "partial"}, "url": stand.redis.url}
    async with look(**down, until=lambda seen: "looked at directly" in seen.state) as (_, _, seen, _):
        assert (seen.error, seen.metrics["up"]) == (None, 1.0)
        assert "to prom it is down" in seen.state


async def test_metrics_of_ones_own_stand_beside_a_direct_look(stand: Stand, look: Look) -> None:
    stand.pages["queue"] = 'rq_jobs{queue="mail"} 3\nrq_jobs{queue="pdf"} 4\n'
    stand.until("rq_jobs")
    own = {"queue_length": "sum(rq_jobs)", "wrong": "sum(", "none": "no_such_series", "two": "rq_jobs"}
    there = {"url": stand.redis.url, "metrics": own}
    async with look(**there, until=lambda seen: seen.metrics.get("queue_length") == 7.0) as (_, _, seen, _):
        assert "ping_seconds" in seen.metrics
        assert not {"wrong", "none", "two"} & seen.metrics.keys()
        notes = seen.facts["not_read"]
        assert "wrong: " in notes
        assert "parse error" in notes
        assert "none: no data" in notes
        assert "two: 2 series where one is due" in notes


async def test_a_source_that_does_not_answer_is_no_data_and_is_named(stand: Stand, look: Look) -> None:
    away = {"of": "http://127.0.0.1:1", "source": "prom", "match": {"job": "redis"}}
    async with look(**away, until=says("prom (http://127.0.0.1:1) does not answer")) as (_, _, seen, sources):
        assert sources.problems == {"source prom": seen.error}


async def test_two_resources_are_not_seen_in_the_same_series(stand: Stand) -> None:
    settings = Settings(sources={"prom": {"url": stand.url, "timeout": 30}})
    given = {"source": {"source": "prom", "whole": True, "match": {"instance": stand.instance}, "metrics": {}}}
    sources = Sources(settings, REGISTRY)
    try:
        seen: list[Reading] = []
        async with asyncio.timeout(PATIENCE):
            for name in ("cache", "other"):
                resource = Resource(f"prometheus/lab/redis/{name}", name, settings=given)
                through = sources.through(resource, REDIS, REDIS.rules)
                seen.append(await through.read(None, None))
                while name == "cache" and seen[-1].error is not None:  # a missed scrape
                    await asyncio.sleep(0.1)
                    seen[-1] = await through.read(None, None)
    finally:
        await sources.stop()

    assert seen[0].error is None
    assert "is taken for prometheus/lab/redis/cache already" in (seen[1].error or "")


async def test_a_thousand_looks_are_few_queries(stand: Stand) -> None:
    """Everybody who wants to know at the same time shares one query."""
    settings = Settings(sources={"prom": {"url": stand.url, "timeout": 30}})
    given = {"source": {"source": "prom", "whole": True, "match": {"instance": stand.instance}, "metrics": {}}}
    sources = Sources(settings, REGISTRY)
    source, asked = sources.by_name["prom"], list[str]()
    sent = source.store.call

    async def counted(path: str, given: Any, method: str = "POST") -> Any:
        asked.append(path)
        return await sent(path, given, method)

    source.store.call = counted  # type: ignore[method-assign]
    try:
        through = sources.through(Resource("prometheus/lab/redis/cache", "cache", settings=given), REDIS, REDIS.rules)
        async with asyncio.timeout(PATIENCE):
            while True:
                if (await through.read(None, None)).error is None:
                    break
                await asyncio.sleep(0.1)  # a missed scrape
        first = len(asked)
        await asyncio.gather(*(through.read(None, None) for _ in range(1000)))
    finally:
        await sources.stop()

    assert len(asked) - first < 20
