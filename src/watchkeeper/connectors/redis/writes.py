"""What can be done where a Redis answers and refuses writes, or cannot save them, because of how it was set up."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from annotated_types import Ge, Le

from watchkeeper.connectors import hosting
from watchkeeper.connectors.redis.figures import info, pairs
from watchkeeper.connectors.redis.session import RedisSession
from watchkeeper.domain import Effect, Reading, Refused, WatchkeeperError, tool
from watchkeeper.domain.rights import calls, commands
from watchkeeper.hosts.rights import EXEC

MOST_FILES = 1000
"""More below its folder than a Redis ever makes: then it is another's folder, too, and is left alone."""
_REWRITE_SECONDS = 40.0
_POLL_SECONDS = 0.05


def hears_no_primary(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """A replica without a link, of which nobody else takes care."""
    metrics = reading.metrics
    if metrics.get("is_replica", 0.0) < 1.0:
        return "It is a primary already."
    if metrics.get("replica_link_up", 1.0) > 0 or metrics.get("replica_syncing", 0.0) > 0:
        return "It hears its primary: to promote it would part the two."
    if metrics.get("led_before", 0.0) < 1.0:
        return "It was not seen as a primary since it started: whether it may be one is for people to say."
    if metrics.get("sentinels", 0.0) > 0 or metrics.get("cluster_enabled", 0.0) > 0:
        return "Its Sentinels, or its cluster, decide who is primary."
    return None


def asks_for_more(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """It wants more replicas than follow it, and is asked to want as many as do, or fewer."""
    wanted, there = reading.metrics.get("min_replicas_to_write"), reading.metrics.get("replicas", 0.0)
    value = float(arguments.get("value", 0))
    if wanted is None:
        return "How many replicas it wants is not known."
    if wanted <= there:
        return f"It wants {wanted:.0f} replicas, and {there:.0f} follow it: that stops no write."
    if value > there:
        return f"Only {there:.0f} replicas follow it: with {value:.0f} it would go on refusing writes."
    return None


def fails_to_save(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """What it holds is not saved as it should be."""
    fails = any(reading.metrics.get(name, 1.0) < 1.0 for name in ("aof_rewrite_ok", "aof_write_ok", "rdb_ok"))
    return None if fails else "It saves what it holds."


async def primary(redis: RedisSession) -> dict[str, Any]:
    """Whom it follows; empty where it is a primary."""
    said = info(await redis.call("INFO", "replication"))
    return {} if said["role"] == "master" else {"host": said["master_host"], "port": int(said["master_port"])}


@tool(
    Effect.DISRUPTIVE,
    state=primary,
    settle=3.0,
    timeout=10.0,
    requires=(hears_no_primary,),
    rights=commands("info", "replicaof"),
    by_hand="{inside}redis-cli{at} REPLICAOF NO ONE",
)
async def redis_promote(redis: RedisSession) -> dict[str, Any]:
    """Let a replica be a primary again, with what it holds, that was one since it started and never heard the primary
    it was then told to follow. One that has followed it is refused: to fail over is for people, or for Sentinels."""
    said = info(await redis.call("INFO", "replication"))
    before = await primary(redis)
    if not before:
        raise Refused("It is a primary already.")
    if said["master_link_status"] == "up" or said.get("master_sync_in_progress") == "1":
        raise Refused("It hears its primary (again).")
    if int(said.get("master_link_down_since_seconds", -1)) >= 0:
        raise Refused("It has followed its primary: to promote it is a failover, and for people to decide.")
    await redis.call("REPLICAOF", "NO", "ONE")
    redis.part.refused.clear()  # from here on it counts anew
    return {"followed": before}


@redis_promote.undo
async def follow_again(redis: RedisSession, before: dict[str, Any]) -> None:
    """It follows whom it followed."""
    if before and not await primary(redis):
        await redis.call("REPLICAOF", before["host"], before["port"])


async def wanted_replicas(redis: RedisSession) -> int:
    """`min-replicas-to-write`."""
    return int(pairs(await redis.call("CONFIG", "GET", "min-replicas-to-write"))["min-replicas-to-write"])


@tool(
    Effect.REVERSIBLE,
    state=wanted_replicas,
    settle=3.0,
    timeout=5.0,
    requires=(asks_for_more,),
    rights=commands("config|get", "config|set"),
    by_hand="{inside}redis-cli{at} CONFIG SET min-replicas-to-write {value}",
)
async def redis_set_min_replicas(redis: RedisSession, value: Annotated[int, Ge(0), Le(10)]) -> dict[str, int]:
    """Take writes while so many replicas follow (`min-replicas-to-write`), where more are wanted than there are. What
    is written then is on fewer machines. Until the next restart: the file is not changed."""
    before = await wanted_replicas(redis)
    await redis.call("CONFIG", "SET", "min-replicas-to-write", value)
    redis.part.refused.clear()  # from here on it counts anew
    redis.soon("configuration")
    return {"before": before, "now": await wanted_replicas(redis)}


@redis_set_min_replicas.undo
async def restore_min_replicas(redis: RedisSession, before: int) -> None:
    """As many as were wanted."""
    await redis.call("CONFIG", "SET", "min-replicas-to-write", before)
    redis.soon("configuration")


async def owners(redis: RedisSession) -> dict[str, str]:
    """Its folder and what is in it, by path: those that do not belong to whom it runs as, with their owner as numbers
    (`0:0`). Raises Refused where there is more than a Redis makes."""
    if redis.host is None:
        raise Refused("It is known only by its address; nothing here can handle what it runs on.")
    folder, owner = await _folder(redis), await _runs_as(redis)
    command = ["find", folder, "-xdev", "-maxdepth", "2", "-printf", r"%U:%G\t%p\n"]
    said = await redis.host.exec(command, timeout=10.0)
    if said.exit_code:
        raise WatchkeeperError(f"Its folder {folder} cannot be looked at: {said.stderr.strip()[:200]}")
    lines = [line.split("\t", 1) for line in said.stdout.splitlines() if "\t" in line]
    if len(lines) > MOST_FILES:
        raise Refused(f"There are {len(lines)} files in {folder}, more than a Redis makes: it is not only its own.")
    return {path: whose for whose, path in lines if whose != owner}


@tool(
    Effect.REVERSIBLE,
    state=owners,
    settle=5.0,
    timeout=60.0,
    requires=(hosting.has_a_host, fails_to_save),
    rights=(*commands("config|get", "info", "bgrewriteaof"), *calls(*EXEC, gives="handling its files")),
    by_hand="{inside}chown -R redis:redis /data && {inside}redis-cli{at} BGREWRITEAOF",
)
async def redis_own_folder(redis: RedisSession) -> dict[str, Any]:
    """Give its own folder, and the files in it, back to the user it runs as, and have it rewrite its append-only file:
    where somebody who worked there left them to another. Files elsewhere are not touched."""
    strange = await owners(redis)
    if not strange:
        raise Refused("Its folder and all in it belong to whom it runs as: that is not why it cannot save.")
    await _give(redis, dict.fromkeys(strange, await _runs_as(redis)))
    if pairs(await redis.call("CONFIG", "GET", "appendonly"))["appendonly"] != "yes":
        return {"given_back": len(strange)}  # a snapshot that failed is tried again by the server itself
    await redis.call("BGREWRITEAOF")
    async with asyncio.timeout(_REWRITE_SECONDS):
        while True:
            said = info(await redis.call("INFO", "persistence"))
            if said["aof_rewrite_in_progress"] == said["aof_rewrite_scheduled"] == "0":
                break
            await asyncio.sleep(_POLL_SECONDS)
    if said["aof_last_bgrewrite_status"] != "ok":
        raise WatchkeeperError("It still cannot rewrite its append-only file.", "Its log says why.")
    return {"given_back": len(strange), "rewritten": True}


@redis_own_folder.undo
async def give_to_the_others(redis: RedisSession, before: dict[str, str]) -> None:
    """To whom they belonged."""
    await _give(redis, before)


async def _give(redis: RedisSession, to: Mapping[str, str]) -> None:
    assert redis.host is not None
    for owner in dict.fromkeys(to.values()):
        paths = [path for path, whose in to.items() if whose == owner]
        done = await redis.host.exec(["chown", "--no-dereference", owner, "--", *paths], timeout=10.0)
        if done.exit_code:
            raise WatchkeeperError(f"Its files cannot be given to {owner}: {done.stderr.strip()[:200]}")


async def _folder(redis: RedisSession) -> str:
    folder = pairs(await redis.call("CONFIG", "GET", "dir"))["dir"].rstrip("/")
    if folder.count("/") < 1 or folder in ("", "/tmp", "/var", "/home", "/root", "/etc", "/usr"):
        raise Refused(f"Its folder is {folder or '/'}: not one that is its own.")
    return folder


async def _runs_as(redis: RedisSession) -> str:
    """Whom it runs as, as numbers."""
    assert redis.host is not None
    pid = info(await redis.call("INFO", "server"))["process_id"]
    said = await redis.host.exec(["stat", "-c", "%u:%g", f"/proc/{int(pid)}"], timeout=5.0)
    if said.exit_code:
        raise WatchkeeperError(f"Whom it runs as cannot be told: {said.stderr.strip()[:200]}")
    return said.stdout.strip()
