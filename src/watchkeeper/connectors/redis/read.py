"""One look at a Redis, and its probe."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from watchkeeper.connectors import hosting
from watchkeeper.connectors.redis import hits, keys, part, slow, sockets, starting
from watchkeeper.connectors.redis.configuration import ask, configuration, differs, metrics_of
from watchkeeper.connectors.redis.figures import RATES, clients, crowd, info, of_info
from watchkeeper.connectors.redis.session import NAME, RedisSession
from watchkeeper.connectors.redis.trouble import Trouble, trouble
from watchkeeper.connectors.redis.wire import ServerSaid
from watchkeeper.domain import HostState, Limits, Probe, Reading, Refused, WatchkeeperError, now
from watchkeeper.domain.rights import commands

BUSY_THRESHOLD_SECONDS = 5.0
"""`busy-reply-threshold` by default: for so long a script makes the server silent before it says BUSY."""
_CONFIGURATION_EVERY = 15.0
_SHORT, _SHORT_EVERY = 0.9, 1.0
"""From this share of maxmemory on its host's limits are asked for so often, in seconds."""
_SAMPLE_EVERY = 5.0
_CROWD_EVERY = 1.0
_CROWDED = 0.7
_MANY_CLIENTS = 5000
"""Beyond it the list itself (a megabyte) is too much to ask for whence clients come."""
_SOCKETS_SECONDS = 1.0

LOOK = (
    *commands("ping", "info"),
    *commands("client|setname", gives="its own connection cannot be told from others"),
    *commands("slowlog|len", gives="the number of slow commands"),
    *commands("slowlog|get", gives="which command is slow, and who sends it"),
    *commands("pubsub|numsub", gives="whether Sentinels watch it"),
    *commands("cluster|info", "cluster|nodes", gives="how its cluster is, where it is a node of one"),
    *commands("config|get", gives="whether it saves, and how long a script may block it"),
    *commands("randomkey", gives="the share of keys that are no declared cache"),
    *commands("client|list", gives="who holds the connections"),
)
"""What looking must be allowed."""
PROBE_KEYS = f"{keys.PROBE_PREFIX}*"
PROBE_READS = commands("get", on=f"%R~{PROBE_KEYS}")
PROBE_WRITES = commands("set", "get", "del", on=f"~{PROBE_KEYS}")
"""What the probe must be allowed, besides `ping`: it writes only where changes are permitted."""
_GIVES = {right.what: right.gives for right in LOOK}

_CARRIED = (
    "maxmemory_bytes",
    "safe_maxmemory_bytes",
    "memory_limit_bytes",
    "maxclients",
    "evicts",
    "persistence_enabled",
    "aof_enabled",
    "save_points",
    "busy_reply_threshold_seconds",
    "is_replica",
    "unsaved_changes",
    "cluster_enabled",
    "sentinels",
    "replicas",
    "min_replicas_to_write",
)
"""What does not change by itself and stays known when a look fails, so that rules and tools keep their data."""
_CARRIED_FACTS = ("version", "role", "maxmemory_policy", "run_id")


async def look(session: RedisSession, last: Reading | None) -> Reading:
    """INFO and a timed PING; what changes seldom, less often. 1.5 s at most, also where it fails."""
    begun, at = time.perf_counter(), now()
    session.configured = None
    metrics = _carried(session, last)
    facts = {name: last.facts[name] for name in _CARRIED_FACTS if last and name in last.facts}
    try:
        async with asyncio.timeout(1.1):
            await _good(session, last, at, metrics, facts)
        error, state = None, _summary(metrics) + (", not all of it is read" if session.lacks else "")
    except (Trouble, TimeoutError) as problem:
        found = trouble(problem)
        if found.category == "silent":
            session.went_silent(at)
        state = await _failed(session, found, metrics, facts)
        error = str(found)
    part.place(session, metrics, ok=error is None)
    seconds, off = time.perf_counter() - begun, any(metrics.get(name) for name in hosting.OFF)
    return Reading(session.resource.id, at, seconds, metrics, facts, state, error, off, session.configured)


def _carried(session: RedisSession, last: Reading | None) -> dict[str, float]:
    known = {name: last.metrics[name] for name in _CARRIED if last and name in last.metrics}
    known.setdefault("busy_reply_threshold_seconds", BUSY_THRESHOLD_SECONDS)
    return known | {"declared_cache": float(bool(session.patterns)), "host_known": float(session.host is not None)}


async def _good(
    session: RedisSession, last: Reading | None, at: datetime, metrics: dict[str, float], facts: dict[str, str]
) -> None:
    """Fill in what a server that answers tells. Raises Trouble."""
    asked = time.perf_counter()
    await session.call("PING", timeout=0.9)
    ping = time.perf_counter() - asked
    said, length = await session.pipeline([("INFO",), ("SLOWLOG", "LEN")])
    if isinstance(said, ServerSaid):
        raise trouble(said)
    told = info(said)
    metrics |= of_info(told, await _memory_limit(session, metrics, last))
    metrics |= hosting.metrics_of(None) | {
        "up": 1.0,
        "responding": 1.0,
        "ping_seconds": ping,
        "unresponsive_seconds": 0.0,
        "busy_script": 0.0,
    }
    if session.granted(length, "slowlog|len"):
        metrics["slowlog_entries"] = float(length)
    if metrics.get("maxmemory_bytes") == 0:
        metrics.pop("used_memory_ratio", None)
    metrics |= _rates(metrics, last, at)
    policy = told.get("maxmemory_policy", "")
    version = told.get("redis_version", "")
    facts |= {"version": version, "role": told.get("role", ""), "maxmemory_policy": policy, "error": ""}
    facts["run_id"] = told.get("run_id", "")
    facts["primary"] = f"{told['master_host']}:{told.get('master_port', '')}" if "master_host" in told else ""
    facts["cache_keys"] = "\n".join(session.patterns)
    await part.ask(session, told, metrics, facts)
    await slow.ask(session, metrics, facts)
    hits.follow(session.part.hits, metrics)
    refuses = metrics["refused_writes_lately"] > 0 and not (last and last.metrics.get("refused_writes_lately"))
    if differs(told, last) or refuses:
        session.soon("configuration")
    unknown = "save_points" not in metrics and "config|get" not in session.lacks
    if session.due("configuration", _CONFIGURATION_EVERY) or unknown:
        found = await ask(session)
        metrics |= metrics_of(found)
        session.part.configured(found)
        session.configured = configuration(found, told)
        with contextlib.suppress(Trouble):
            await starting.tell(session)
    if metrics.get("aof_enabled", 0) > 0 or "save_points" in metrics:  # else nobody tells
        metrics["persistence_enabled"] = float(metrics.get("aof_enabled", 0) > 0 or metrics["save_points"] > 0)
    if session.patterns and metrics["keys"]:
        await _sample(session, last, metrics)
    if metrics.get("connections_ratio", 0.0) > _CROWDED:
        await _crowd(session, last, metrics, facts)
    facts["not_read"] = "; ".join(f"{_GIVES[right]} (needs `{right}`)" for right in sorted(session.lacks))


async def _memory_limit(session: RedisSession, metrics: Mapping[str, float], last: Reading | None) -> int | None:
    """How much memory its host leaves it; asked for seldom, for it costs a call of the engine. Where memory is short
    somebody may just have given it more, and what is decided rests on it."""
    if session.host is None:
        return None
    short = last is not None and last.metrics.get("used_memory_ratio", 0.0) > _SHORT
    due = session.due("limits of what is short", _SHORT_EVERY) if short else session.due("limits", _CONFIGURATION_EVERY)
    if "memory_limit_bytes" in metrics and not due:
        return int(metrics["memory_limit_bytes"])
    limits: Limits
    try:
        async with asyncio.timeout(hosting.HOST_SECONDS):
            limits = await session.host.limits()
    except (WatchkeeperError, TimeoutError):
        return int(metrics["memory_limit_bytes"]) if "memory_limit_bytes" in metrics else None
    return limits.room_bytes


async def _sample(session: RedisSession, last: Reading | None, metrics: dict[str, float]) -> None:
    if session.due("sample", _SAMPLE_EVERY) or not (last and "undeclared_sample_ratio" in last.metrics):
        share = await keys.sample(session)
        if share is not None:
            metrics["undeclared_sample_ratio"] = share
    else:
        metrics["undeclared_sample_ratio"] = last.metrics["undeclared_sample_ratio"]


async def _crowd(session: RedisSession, last: Reading | None, metrics: dict[str, float], facts: dict[str, str]) -> None:
    """Who holds the connections. A long list is asked for seldom: ten thousand clients are two megabytes."""
    if last and last.facts.get("top_client_address") and not session.due("crowd", _CROWD_EVERY):
        facts["top_client_address"] = last.facts["top_client_address"]
        for name in ("top_client_connections", "top_client_idle_seconds"):
            if name in last.metrics:
                metrics[name] = last.metrics[name]
        return
    listed = (await session.pipeline([("CLIENT", "LIST")]))[0]
    if session.granted(listed, "client|list") and (top := crowd(clients(listed))):
        facts["top_client_address"] = top.address
        metrics |= {"top_client_connections": float(top.connections), "top_client_idle_seconds": top.idle_seconds}


async def peers(session: RedisSession) -> list[str] | None:
    """Whence clients are connected, one entry for each connection; ours are left out."""
    try:
        told = info(await session.call("INFO", "clients"))
        if int(told.get("connected_clients", 0)) > _MANY_CLIENTS:
            return None
        listed = clients(await session.call("CLIENT", "LIST"))
    except (Trouble, ValueError):
        return None
    return [client.address for client in listed if client.name != NAME and client.address]


def _rates(metrics: Mapping[str, float], last: Reading | None, at: datetime) -> dict[str, float]:
    if last is None or not last.ok or (seconds := (at - last.at).total_seconds()) < 0.05:
        return {}
    return {
        rate: (metrics[total] - last.metrics[total]) / seconds
        for rate, total in RATES.items()
        if total in metrics and metrics[total] >= last.metrics.get(total, float("inf"))
    }


async def _failed(session: RedisSession, found: Trouble, metrics: dict[str, float], facts: dict[str, str]) -> str:
    """Fill in what the failure itself tells, and how the host is. Returns the state in words."""
    state = await hosting.state_of(session.host)
    host = hosting.metrics_of(state, answered=session.answered_at is not None)
    facts["error"] = found.category
    if host.get("host_running") == 0.0 or host.get("host_paused") == 1.0:
        session.ought_not_answer()
    silent = 0.0
    if session.silent_since is not None:
        silent = asyncio.get_running_loop().time() - session.silent_since
    answers = found.category not in ("silent", "refused")
    metrics |= host | {
        "responding": float(answers),
        "unresponsive_seconds": silent,
        "busy_script": float(found.category == "busy"),
        "loading": float(found.category == "loading"),
    }
    # A silent server may still be up: only a refused connection, or a host that does not run, tells that it is down.
    if found.category != "silent" or host.get("host_running") == 0.0:
        metrics["up"] = float(answers)
    if found.category == "exhausted":
        metrics |= {"clients_exhausted": 1.0, "connections_ratio": 1.0}
        await _crowd_by_sockets(session, state, metrics, facts)
    if session.host is None or state is None or state.status == "running":
        return {"busy": "a script blocks it", "exhausted": "all connections taken"}.get(found.category, found.category)
    return hosting.stopped(session.host, state, host)


async def _crowd_by_sockets(
    session: RedisSession, state: HostState | None, metrics: dict[str, float], facts: dict[str, str]
) -> None:
    """Who holds the connections when nobody can ask the server: the kernel knows."""
    if state is None or not state.pid or session.far:
        return
    try:
        async with asyncio.timeout(_SOCKETS_SECONDS):
            address, count = sockets.most(await sockets.connections(state.pid, await session.port()))
    except (Refused, WatchkeeperError, TimeoutError, OSError):
        return
    if address:
        facts["top_client_address"] = address
        metrics["top_client_connections"] = float(count)


def _summary(metrics: Mapping[str, float]) -> str:
    ratio = metrics.get("used_memory_ratio")
    memory = f"{ratio:.0%} of maxmemory" if ratio is not None else f"{metrics['used_memory_bytes'] / 1e6:.0f} MB"
    memory += " without maxmemory" if metrics.get("maxmemory_bytes") == 0 else ""
    number = int(metrics["connected_clients"])
    return f"{memory}, {number} client{'s' * (number != 1)}"


async def try_out(session: RedisSession) -> Probe:
    """Write a key of our own, read it back, remove it; only read where changes are not permitted."""
    begun, at = time.perf_counter(), now()
    what = "a key is written, read back and removed" if session.resource.may_act else "PING and a read"
    ok: bool | None = True
    error = None
    try:
        async with asyncio.timeout(1.2):
            if session.resource.may_act:
                error = await _write_and_read(session)
            else:
                await session.call("PING")
                reply = (await session.pipeline([("GET", f"{keys.PROBE_PREFIX}{part.suffix(session.part)}")]))[0]
                if isinstance(reply, ServerSaid) and reply.code not in part.ELSEWHERE:
                    raise trouble(reply)
        ok = error is None
    except (Trouble, TimeoutError) as problem:
        found = trouble(problem)
        # Without the password nothing is learnt of whether it works.
        ok, error = (None if found.category in ("password", "denied") else False), str(found)
    return Probe(session.resource.id, at, ok, time.perf_counter() - begun, what, error)


async def _write_and_read(session: RedisSession) -> str | None:
    key, value = f"{keys.PROBE_PREFIX}{part.suffix(session.part)}", secrets.token_hex(16)
    asked: list[tuple[Any, ...]] = [("SET", key, value, "EX", 10), ("GET", key), ("DEL", key)]
    stored, got, removed = await session.pipeline(asked)
    if isinstance(stored, ServerSaid):
        if stored.code == "READONLY":  # a replica: reading is all it is for
            return None if got is None else str(got)
        if stored.code in part.ELSEWHERE:  # of a cluster, whose other nodes have the slot: it answers as it should
            return None
        raise trouble(stored)
    for reply in (got, removed):
        if isinstance(reply, ServerSaid):
            raise trouble(reply)
    return None if got == value else "what was written is not what was read"
