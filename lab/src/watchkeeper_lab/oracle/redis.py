"""Redis as its clients see it: a write and a read, memory, connections."""

import hashlib
import uuid
from typing import Any

from redis.exceptions import RedisError

from watchkeeper_lab.oracle.finding import Finding, Place, brief
from watchkeeper_lab.redis_link import RedisLink, client_ratio, memory_ratio, redis_link

MEMORY_LIMIT = 0.95
"""Share of maxmemory from which Redis counts as full, as in the reference."""
CLIENT_LIMIT = 0.90
"""Share of maxclients from which Redis counts as exhausted."""
PROBE_SECONDS = 2.0


async def look(place: Place) -> Finding:
    """Write, read, and measure."""
    found = Finding()
    try:
        async with redis_link(place.instance.redis, timeout=PROBE_SECONDS) as link:
            info = await link.info()
            found.facts |= {
                "redis_memory_ratio": round(memory_ratio(info), 4),
                "redis_client_ratio": round(client_ratio(info), 4),
                "redis_used_memory_bytes": int(info["used_memory"]),
                "redis_maxmemory_bytes": int(info["maxmemory"]),
            }
            if memory_ratio(info) >= MEMORY_LIMIT:
                found.reasons.append(f"Redis uses {memory_ratio(info):.1%} of maxmemory")
            if client_ratio(info) >= CLIENT_LIMIT:
                found.reasons.append(f"Redis has {client_ratio(info):.1%} of maxclients connected")
            if info.get("aof_last_bgrewrite_status") != "ok" or info.get("rdb_last_bgsave_status") != "ok":
                found.reasons.append("Redis could not save what it holds when it last tried")
            found.untouched["redis config"] = await _config(link)
            await _write_and_read(link, found)
    except (RedisError, OSError) as error:
        found.reasons.append(f"Redis did not serve a write and a read: {brief(error)}")
    return found


async def _write_and_read(link: RedisLink, found: Finding) -> None:
    key, value = f"session:{uuid.uuid4().hex}", uuid.uuid4().hex
    await link.send("SET", key, value, "EX", 10)
    if await link.send("GET", key) != value.encode():
        found.reasons.append("Redis did not return what was written")
    await link.send("DEL", key)


async def _config(link: RedisLink) -> str:
    """A hash of all its settings."""
    answer: list[Any] | dict[Any, Any] = await link.send("CONFIG", "GET", "*")
    pairs = sorted(answer.items()) if isinstance(answer, dict) else answer
    return hashlib.blake2b(repr(pairs).encode(), digest_size=8).hexdigest()
