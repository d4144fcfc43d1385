"""What `watchkeeper doctor` wants to know of a source: does it answer, and what it has of whom."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from watchkeeper.domain import Connector, Host, Resource
from watchkeeper.sources.prometheus import NoAnswer, RefusedQuery
from watchkeeper.sources.source import PrometheusSource
from watchkeeper.sources.sources import Sources
from watchkeeper.sources.through import Through


@dataclass(frozen=True, slots=True)
class Found:
    """Of a source, or of a resource in it. `problem` is empty where all is well."""

    subject: str
    said: str = ""
    problem: str = ""
    lacks: str = ""


async def examine(
    sources: Sources, watched: Sequence[tuple[Resource, Host | None, Connector[Any]]], seconds: float
) -> list[Found]:
    """Each source, then each resource that is seen through one."""
    try:
        found = list(await asyncio.gather(*(_answers(source) for source in sources.by_name.values())))
        for resource, host, connector in watched:
            through = sources.through(resource, connector, connector.rules)
            if isinstance(through, Through):
                found.append(await _seen(through, resource, host, seconds))
        return found
    finally:
        await sources.stop()


async def _answers(source: PrometheusSource) -> Found:
    """By one query that every such store can answer; what it is, where it tells."""
    begun = time.perf_counter()
    try:
        answer = await source.store.ask({"up": "count(up)", "down": "count(up == 0)"})
    except (NoAnswer, RefusedQuery) as problem:
        return Found(source.name, problem=str(problem))
    took = time.perf_counter() - begun
    version = ""
    try:
        data, _ = await source.store.call("/api/v1/status/buildinfo", {}, method="GET")
        version = f" {cast('dict[str, Any]', data).get('version', '')}".rstrip()
    except (NoAnswer, RefusedQuery, AttributeError):
        source.store.problem = None  # not every store tells
    targets = sum(sample.value for sample in answer.samples.get("up", ()))
    down = sum(sample.value for sample in answer.samples.get("down", ()))
    silent = f", of which {down:.0f} do not answer it" if down else ""
    return Found(
        source.name, f"{source.settings.url} answers in {took * 1000:.0f} ms{version}; {targets:.0f} targets{silent}"
    )


async def _seen(through: Through, resource: Resource, host: Host | None, seconds: float) -> Found:
    try:
        async with asyncio.timeout(seconds), through.connect(resource, host) as session:
            reading = await through.read(session, None)
            whose = through.whose
    except Exception as problem:
        return Found(resource.slug, problem=str(problem).strip().split("\n")[0] or "no answer in time")
    if reading.error is not None:
        return Found(resource.slug, problem=reading.error)
    said = f"{reading.state}: {whose or 'queries of your own'}, taken {reading.age:.1f} s ago"
    return Found(resource.slug, said, lacks=reading.facts.get("not_read", ""))
