"""What can be done with a Redis. What touches many clients at once is in `eviction`; keys are in `keys`."""

import asyncio
import contextlib
from collections.abc import Mapping
from shlex import quote
from typing import Annotated, Any

from annotated_types import Ge, Le

from watchkeeper.connectors import hosting
from watchkeeper.connectors.redis import eviction, keys, preconditions
from watchkeeper.connectors.redis.figures import info, pairs
from watchkeeper.connectors.redis.replication import redis_set_repl_backlog
from watchkeeper.connectors.redis.session import RedisSession
from watchkeeper.connectors.redis.slow import redis_end_client
from watchkeeper.connectors.redis.trouble import Trouble, trouble
from watchkeeper.connectors.redis.wire import ServerSaid
from watchkeeper.connectors.redis.writes import redis_own_folder, redis_promote, redis_set_min_replicas
from watchkeeper.domain import Effect, InBytes, Refused, Tool, WatchkeeperError, tool
from watchkeeper.domain.rights import DECLARED, commands, machine
from watchkeeper.domain.saying import say
from watchkeeper.domain.tool import Limit
from watchkeeper.hosts.rights import RESTARTS

_CLI = "{inside}redis-cli{at}"
_POLL_SECONDS = 0.05


_MAXMEMORY = Limit("maxmemory", "used_memory_bytes")
_POLICY = Limit("maxmemory-policy", by="nobody", tight=frozenset({"noeviction"}))
"""No tool makes it evict: what that removes is gone."""
_MAXCLIENTS = Limit("maxclients", "connected_clients", by="redis_set_maxclients")


async def maxmemory(redis: RedisSession) -> int:
    """The present limit in bytes; 0 is without."""
    return int(pairs(await redis.call("CONFIG", "GET", "maxmemory"))["maxmemory"])


async def exhausted(redis: RedisSession) -> bool:
    """Whether (nearly) all slots are taken: true before connections are ended, false after."""
    try:
        said = info(await redis.call("INFO", "clients"))
    except Trouble as problem:
        if problem.category == "exhausted":
            return True
        raise
    return float(said["connected_clients"]) > 0.95 * float(said.get("maxclients", "inf"))


async def busy(redis: RedisSession) -> bool:
    """Whether a script blocks it: true before it is killed, false after."""
    try:
        await redis.call("PING")
    except Trouble as problem:
        if problem.category in ("busy", "silent"):
            return True
        raise
    return False


async def start_count(redis: RedisSession) -> dict[str, Any]:
    """Changes with every start of what it runs on."""
    if redis.host is None:
        return {"run_id": info(await redis.call("INFO", "server"))["run_id"]}
    return await hosting.start_count(redis.host)


@tool(Effect.READ, timeout=5.0, rights=commands("info"), by_hand=_CLI + " INFO {section}")
async def redis_info(redis: RedisSession, section: str = "default") -> dict[str, str]:
    """What the server tells of itself: INFO, all of the usual sections or one (memory, clients, replication …)."""
    return info(await redis.call("INFO", section))


@tool(Effect.READ, timeout=5.0, rights=commands("slowlog|get"), by_hand=_CLI + " SLOWLOG GET {count}")
async def redis_slowlog(redis: RedisSession, count: Annotated[int, Ge(1), Le(128)] = 10) -> list[dict[str, Any]]:
    """The slowest commands of late: when, how long in microseconds, which command. Their arguments are left out."""
    entries = await redis.call("SLOWLOG", "GET", count)
    return [
        # Arguments hold keys and values of the users of the shop: the name and their number tell enough.
        {"at": entry[1], "microseconds": entry[2], "command": str(entry[3][0]), "arguments": len(entry[3]) - 1}
        for entry in entries
    ]


@tool(
    Effect.REVERSIBLE,
    settle=1.0,
    timeout=10.0,
    requires=(preconditions.worth_purging,),
    rights=commands("info", "memory|purge"),
    by_hand=_CLI + " MEMORY PURGE",
)
async def redis_memory_purge(redis: RedisSession) -> dict[str, float]:
    """Give memory that the allocator holds but does not use back to the system. Loses nothing."""
    before = info(await redis.call("INFO", "memory"))
    await redis.call("MEMORY", "PURGE", timeout=8.0)
    after = info(await redis.call("INFO", "memory"))
    return {
        "resident_bytes_before": float(before.get("allocator_resident", 0)),
        "resident_bytes_after": float(after.get("allocator_resident", 0)),
    }


@tool(
    Effect.REVERSIBLE,
    state=maxmemory,
    settle=1.0,
    timeout=5.0,
    requires=(preconditions.leaves_room,),
    rights=commands("info", "config|get", "config|set"),
    by_hand=_CLI + " CONFIG SET maxmemory {value}",
    limits=(_MAXMEMORY, _POLICY),
)
async def redis_set_maxmemory(redis: RedisSession, value: Annotated[int, Ge(1 << 20), InBytes()]) -> dict[str, int]:
    """Raise `maxmemory`, in bytes, within what the container leaves for fork and AOF. Until the next restart: the
    configuration file is not changed."""
    before = await maxmemory(redis)
    limit = (await redis.host.limits()).room_bytes if redis.host else None
    if limit and value > limit:
        raise Refused(f"{value} bytes is more than the container may use ({limit}).")
    used = int(info(await redis.call("INFO", "memory"))["used_memory"])
    if value < used:
        raise Refused(f"It uses {used} bytes; a limit of {value} would stop every write.")
    await redis.call("CONFIG", "SET", "maxmemory", value)
    return {"before": before, "now": await maxmemory(redis)}


@redis_set_maxmemory.undo
async def restore_maxmemory(redis: RedisSession, before: int) -> None:
    """The limit as it was."""
    await redis.call("CONFIG", "SET", "maxmemory", before)


def _unlink(arguments: Mapping[str, Any], facts: Mapping[str, str]) -> str:
    globs = [glob for glob in facts.get("cache_keys", "").split("\n") if glob] or ["PATTERN"]
    shown = [quote(glob).replace("{", "{{").replace("}", "}}") for glob in globs]
    each = "; ".join(f"{_CLI} --scan --pattern {glob} | xargs -r -n 200 {_CLI} UNLINK" for glob in shown)
    down_to = arguments.get("down_to_ratio", 0.0)
    share = f"{down_to:.0%} of maxmemory" if isinstance(down_to, float) else "a share of maxmemory"
    return f"{each}  # removes every one of them; the tool stops at {share}"


@tool(
    Effect.DISRUPTIVE,
    settle=2.0,
    timeout=60.0,
    requires=(
        preconditions.not_in_a_cluster,
        preconditions.declares_a_cache,
        preconditions.has_a_limit,
        preconditions.is_above,
    ),
    rights=(*commands("info", "scan"), *commands("unlink", on=f"%W~{DECLARED}")),
    by_hand=_unlink,
)
async def redis_expire_cache_keys(
    redis: RedisSession, down_to_ratio: Annotated[float, Ge(0.1), Le(0.95)] = 0.7
) -> dict[str, float]:
    """Remove keys that are declared to be a cache, until memory is down to a share of maxmemory. Nothing else is
    touched; what is removed is made anew when it is asked for."""
    if not redis.patterns:
        raise Refused("No keys are declared to be a cache here.")
    removed = 0
    ratio = await keys.memory_ratio(redis)
    if ratio is None:
        raise Refused("It has no maxmemory to come down to a share of.")
    async for batch in keys.batches(redis):
        if ratio <= down_to_ratio:
            break
        removed += await keys.remove(redis, batch)
        ratio = await keys.memory_ratio(redis) or 0.0
        say(f"{removed} keys removed, memory at {ratio:.0%} of maxmemory")
    redis.soon("sample")
    if not removed and ratio > down_to_ratio:
        raise Refused("No key matches what is declared to be a cache: nothing was removed.")
    return {"removed": removed, "used_memory_ratio": ratio, "reached": ratio <= down_to_ratio}


@tool(
    Effect.DESTRUCTIVE,
    settle=2.0,
    timeout=120.0,
    requires=(preconditions.not_in_a_cluster, preconditions.declares_a_cache, preconditions.all_declared),
    rights=(*commands("scan"), *commands("unlink", on=f"%W~{DECLARED}")),
    by_hand=_CLI + " FLUSHDB ASYNC   # only where every key is a cache",
)
async def redis_flush(redis: RedisSession) -> dict[str, int]:
    """Remove every key, only where all of them are declared to be a cache: each is looked at first, and one that is
    not declared stops it before anything is removed."""
    if not redis.patterns:
        raise Refused("No keys are declared to be a cache here.")
    if strangers := await keys.undeclared(redis):
        raise Refused(f"{strangers} keys are not declared to be a cache; nothing was removed.")
    removed = 0
    async for batch in keys.batches(redis):  # not FLUSHDB: a key that came meanwhile may not be declared
        removed += await keys.remove(redis, batch)
        say(f"{removed} keys removed")
    redis.soon("sample")
    return {"removed": removed}


async def maxclients(redis: RedisSession) -> int:
    """The present limit."""
    return int(pairs(await redis.call("CONFIG", "GET", "maxclients"))["maxclients"])


@tool(
    Effect.REVERSIBLE,
    state=maxclients,
    settle=1.0,
    timeout=5.0,
    rights=commands("config|get", "config|set"),
    by_hand=_CLI + " CONFIG SET maxclients {value}",
    limits=(_MAXCLIENTS,),
)
async def redis_set_maxclients(redis: RedisSession, value: Annotated[int, Ge(1), Le(1_000_000)]) -> dict[str, int]:
    """Let so many clients connect (`maxclients`): for where somebody has lowered that; a leak only takes longer. Until
    the next restart: the configuration file is not changed."""
    before = await maxclients(redis)
    await redis.call("CONFIG", "SET", "maxclients", value)
    return {"before": before, "now": await maxclients(redis)}


@redis_set_maxclients.undo
async def restore_maxclients(redis: RedisSession, before: int) -> None:
    """The limit as it was."""
    await redis.call("CONFIG", "SET", "maxclients", before)


@tool(
    Effect.DISRUPTIVE,
    state=exhausted,
    settle=2.0,
    timeout=20.0,
    requires=(preconditions.short_of_slots,),
    rights=(
        *commands("ping", "info", "client|list", "client|kill"),
        *machine("root", "the program nsenter", "the program ss", gives="a way in where every connection is taken"),
    ),
    by_hand=_CLI + " CLIENT KILL ADDR {address}:PORT   # for each idle one in CLIENT LIST",
    limits=(_MAXCLIENTS,),
)
async def redis_kill_clients(
    redis: RedisSession, address: str, min_idle_seconds: Annotated[int, Ge(1), Le(86400)] = 2
) -> dict[str, int]:
    """End the idle connections of one address (its IP). Replicas, subscribers, blocked ones, transactions and our own
    are left alone. Gets in by freeing one slot where all are taken (on this machine, as root)."""
    freed = 0
    try:
        await redis.call("PING")
    except Trouble as problem:
        if problem.category != "exhausted":
            raise
        freed = await eviction.get_in(redis, address)
    ended = await eviction.end_idle(redis, address, min_idle_seconds)
    redis.soon("crowd")
    return {"ended": ended, "freed_to_get_in": freed}


@tool(
    Effect.DISRUPTIVE,
    state=busy,
    settle=2.0,
    timeout=15.0,
    requires=(preconditions.may_be_busy,),
    rights=commands("ping", "script|kill", "function|kill"),
    by_hand=_CLI + " SCRIPT KILL",
)
async def redis_script_kill(redis: RedisSession) -> dict[str, str]:
    """End the script or function that blocks the server. One that has written already cannot be ended so."""
    ended = "nothing"
    for command in ("SCRIPT", "FUNCTION"):
        # While it is silent (the first seconds of a script) the answer comes when it begins to say BUSY.
        reply = (await redis.pipeline([(command, "KILL")], timeout=6.0))[0]
        if not isinstance(reply, ServerSaid):
            ended = command.lower()
            break
        if reply.code == "UNKILLABLE":
            raise WatchkeeperError(
                "The script has written already, so Redis does not end it: that would leave half of its work.",
                "Wait for it, or restart the server (redis_restart; with AOF nothing acknowledged is lost).",
            )
        if reply.code not in ("NOTBUSY", "ERR", "BUSY"):
            raise trouble(reply)
    with contextlib.suppress(Trouble):
        await _until_it_answers(redis, 3.0)
    return {"ended": ended}


@tool(
    Effect.DISRUPTIVE,
    state=start_count,
    settle=15.0,
    timeout=60.0,
    effect_now=preconditions.effect_of_restart,
    requires=(hosting.has_a_host,),
    rights=(*commands("ping", "info"), *RESTARTS),
    by_hand="{restart}",
)
async def redis_restart(redis: RedisSession) -> dict[str, Any]:
    """Restart the server and wait until it accepts commands. What it keeps only in memory is lost."""
    if redis.host is None:
        raise Refused("It is known only by its address; nothing here can restart it.")
    await redis.host.restart()
    say("it was restarted; now it is waited for")
    await redis.aclose()
    await _until_it_answers(redis, 40.0)
    return await start_count(redis)


async def _until_it_answers(redis: RedisSession, seconds: float) -> None:
    """Wait for an answer to PING. Raises the last Trouble when none comes."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while True:
        try:
            await redis.call("PING")
            return
        except Trouble as problem:
            if loop.time() >= until or problem.category in ("password", "denied"):
                raise
            say(problem.what)
        await asyncio.sleep(_POLL_SECONDS)


TOOLS: tuple[Tool[RedisSession], ...] = (
    redis_info,
    redis_slowlog,
    redis_memory_purge,
    redis_set_maxmemory,
    redis_set_maxclients,
    redis_expire_cache_keys,
    redis_flush,
    redis_kill_clients,
    redis_script_kill,
    redis_restart,
    redis_set_repl_backlog,
    redis_end_client,
    redis_promote,
    redis_set_min_replicas,
    redis_own_folder,
)
