"""One look at a Sentinel, and its probe."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from watchkeeper.connectors import hosting
from watchkeeper.connectors.redis.figures import info
from watchkeeper.connectors.redis.sentinel import figures
from watchkeeper.connectors.redis.sentinel.session import SentinelSession
from watchkeeper.connectors.redis.trouble import Trouble, trouble
from watchkeeper.connectors.redis.watches import WATCHES, Watched
from watchkeeper.connectors.redis.wire import Command, ServerSaid
from watchkeeper.domain import Probe, Reading, now
from watchkeeper.domain.rights import commands

LOOK = (
    *commands("ping", "info", "sentinel|masters", "sentinel|replicas", "sentinel|ckquorum"),
    *commands("client|setname", gives="its own connection cannot be told from others"),
)
"""What looking must be allowed."""
MOST = 50
"""Primaries of one Sentinel that are looked at; beyond it the rest is counted."""


async def look(session: SentinelSession, last: Reading | None) -> Reading:
    """What it watches, and whether it could fail over. 1.5 s at most, also where it fails. About 1 ms of CPU."""
    begun, at = time.perf_counter(), now()
    metrics: dict[str, float] = {"host_known": float(session.host is not None)}
    facts: dict[str, str] = {"error": ""}
    error: str | None = None
    try:
        async with asyncio.timeout(1.1):
            state = await _good(session, metrics, facts)
    except (Trouble, TimeoutError) as problem:
        found = trouble(problem)
        host = await hosting.state_of(session.host)
        metrics |= hosting.metrics_of(host, answered=session.answered_at is not None)
        metrics["responding"] = float(found.category not in ("silent", "refused"))
        if found.category == "refused" or metrics.get("host_running") == 0.0:
            metrics["up"] = 0.0
        facts["error"] = found.category
        state, error = found.category, str(found)
    off = any(metrics.get(name) for name in hosting.OFF)
    return Reading(session.resource.id, at, time.perf_counter() - begun, metrics, facts, state, error, off)


async def _good(session: SentinelSession, metrics: dict[str, float], facts: dict[str, str]) -> str:
    """Fill in what one that answers tells. Returns the state in words. Raises Trouble."""
    asked = time.perf_counter()
    await session.call("PING", timeout=0.9)
    ping = time.perf_counter() - asked
    told, listed = await session.pipeline([("INFO",), ("SENTINEL", "MASTERS")])
    for reply in (told, listed):
        if isinstance(reply, ServerSaid):
            raise trouble(reply)
    said = info(told)
    every = figures.entries(listed)
    seen = [await _watched(session, master, facts) for master in every[:MOST]]
    WATCHES.tell(session.resource.id, seen)
    down = [master.get("name", "") for master in every if "o_down" in figures.flags(master)]
    doubted = [master.get("name", "") for master in every if figures.flags(master) & {"s_down", "o_down"}]
    failing = [master for master in every if "failover_in_progress" in figures.flags(master)]
    session.failing_since = (session.failing_since or _time()) if failing else None
    facts |= {
        "version": said.get("redis_version", ""),
        "primaries": ", ".join(f"{one.name} at {one.primary[0]}:{one.primary[1]}" for one in seen),
        "primary_down": ", ".join(down or doubted),
        "failing_over": ", ".join(master.get("name", "") for master in failing),
    }
    metrics |= hosting.metrics_of(None) | {
        "up": 1.0,
        "responding": 1.0,
        "ping_seconds": ping,
        "primaries": float(len(every)),
        "primaries_down": float(len(down)),
        "primaries_doubted": float(len(doubted)),
        "failovers": float(len(failing)),
        "failover_seconds": _time() - session.failing_since if session.failing_since else 0.0,
        "quorum_ok": float(all(one.quorum_ok for one in seen)),
        "tilt": float(said.get("sentinel_tilt", "0") != "0"),
        "sentinels": float(min((one.sentinels for one in seen), default=1)),
        "without_good_replica": float(sum(bool(one.replicas) and not one.good_replicas for one in seen)),
        "good_replicas": float(min((one.good_replicas for one in seen), default=0)),
        "replicas": float(sum(len(one.replicas) for one in seen)),
        "down_after_seconds": max((one.down_after for one in seen), default=0.0),
        "failover_timeout_seconds": max((one.failover_timeout for one in seen), default=0.0),
    }
    return _summary(metrics, facts)


async def _watched(session: SentinelSession, master: Mapping[str, str], facts: dict[str, str]) -> Watched:
    name = master.get("name", "")
    asked: list[Command] = [("SENTINEL", "REPLICAS", name), ("SENTINEL", "CKQUORUM", name)]
    listed, quorum = await session.pipeline(asked)
    if isinstance(listed, ServerSaid):
        raise trouble(listed)
    lost = isinstance(quorum, ServerSaid) and quorum.code == "NOQUORUM"
    if lost:
        facts["quorum_said"] = f"{name}: {str(quorum).removeprefix('NOQUORUM ')}"
    elif isinstance(quorum, ServerSaid):
        raise trouble(quorum)
    return figures.watched(master, figures.entries(listed), quorum_ok=not lost)


def _summary(metrics: Mapping[str, float], facts: Mapping[str, str]) -> str:
    if not metrics["primaries"]:
        return "a Sentinel that watches nothing"
    state = f"watches {facts['primaries']}"
    if metrics["failovers"]:
        return f"{state}; failing over {facts['failing_over']}"
    if metrics["primaries_doubted"]:
        return f"{state}; {facts['primary_down']} is down"
    return state if metrics["quorum_ok"] else f"{state}; it could not fail over"


async def try_out(session: SentinelSession) -> Probe:
    """It answers, and could fail over. It keeps no data: nothing is written."""
    begun, at = time.perf_counter(), now()
    what, ok, error = "PING and CKQUORUM", True, None
    try:
        async with asyncio.timeout(1.2):
            names = [entry.get("name", "") for entry in figures.entries(await session.call("SENTINEL", "MASTERS"))]
            replies: list[Any] = await session.pipeline([("PING",), *(("SENTINEL", "CKQUORUM", n) for n in names)])
        said = [str(reply) for reply in replies if isinstance(reply, ServerSaid)]
        ok, error = not said, "; ".join(said) or None
    except (Trouble, TimeoutError) as problem:
        found = trouble(problem)
        unknown = found.category in ("password", "denied")
        return Probe(session.resource.id, at, None if unknown else False, time.perf_counter() - begun, what, str(found))
    return Probe(session.resource.id, at, ok, time.perf_counter() - begun, what, error)


def _time() -> float:
    return asyncio.get_running_loop().time()


SAMPLE = Reading(
    resource="docker/lab/sentinel/sentinel",
    at=datetime(2026, 1, 1, tzinfo=UTC),
    seconds=0.003,
    metrics={
        "up": 1.0,
        "responding": 1.0,
        "ping_seconds": 0.0003,
        "primaries": 1.0,
        "primaries_down": 0.0,
        "primaries_doubted": 0.0,
        "failovers": 0.0,
        "failover_seconds": 0.0,
        "quorum_ok": 1.0,
        "tilt": 0.0,
        "sentinels": 3.0,
        "without_good_replica": 0.0,
        "good_replicas": 2.0,
        "replicas": 2.0,
        "down_after_seconds": 30.0,
        "failover_timeout_seconds": 180.0,
        **hosting.RUNNING,
    },
    facts={
        "version": "7.0.15",
        "primaries": "carts at 10.0.0.5:6379",
        "primary_down": "",
        "failing_over": "",
        "quorum_said": "",
        "error": "",
    },
    state="watches carts at 10.0.0.5:6379",
)
