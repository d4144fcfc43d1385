"""Redis as it was: it answers, its settings, and nothing in it that the lab put there."""

import asyncio
import contextlib
import time

from redis.exceptions import RedisError, ResponseError

from watchkeeper_lab.errors import LabError
from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.fill import take_out
from watchkeeper_lab.redis_link import RedisLink
from watchkeeper_lab.reset.baseline import Kept

SETTINGS = (
    "maxmemory",
    "maxmemory-policy",
    "maxclients",
    "timeout",
    "appendonly",
    "appendfsync",
    "maxmemory-clients",
    "min-replicas-to-write",
)
ANSWER_SECONDS = 20.0


async def keep(site: Site) -> Kept:
    """Its settings."""
    async with site.redis() as link:
        return {name: await link.config(name) for name in SETTINGS}


async def mend(site: Site, kept: Kept) -> None:
    """Its files belong to it again. It may not run, and then they do from its next start."""
    state = (await site.services.states()).get(site.stack.redis)
    if site.services.ground == "container" and state is not None and state.running:
        await site.services.execute(site.stack.redis, "chown", "-R", "redis:redis", "/data")


async def restore(site: Site, kept: Kept) -> None:
    """End what blocks it, and set it up as it was."""
    await _until_redis_answers(site)
    async with site.redis(timeout=30.0) as link:
        info = await link.info()
        if info["role"] != "master":
            await link.send("REPLICAOF", "NO", "ONE")
        if info["aof_last_bgrewrite_status"] != "ok":
            await compact(link)
        for name, value in kept.items():
            if await link.config(name) != value:
                await link.send("CONFIG", "SET", name, value)


async def clear(site: Site) -> None:
    """Take out what the lab itself put into it."""
    async with site.redis(timeout=30.0) as link:
        if await take_out(link, site.ledger):
            await compact(link)


async def _until_redis_answers(site: Site) -> None:
    """Wait until Redis serves commands, ending a script that blocks it; the harsh way where there is no other."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        try:
            async with site.redis(timeout=1.0) as link:
                await link.send("PING")
            return
        except ResponseError as error:
            if str(error).startswith(("BUSY", "Redis is busy")):
                await _kill_script(site)
        except (RedisError, OSError):
            pass
        await asyncio.sleep(0.1)
    await site.services.restart(site.stack.redis)
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            async with site.redis(timeout=1.0) as link:
                await link.send("PING")
            return
        except (RedisError, OSError) as error:
            if time.monotonic() > deadline:
                raise LabError(f"Redis does not answer: {error!r}.", "Its log may tell more.") from error
        await asyncio.sleep(0.1)


async def _kill_script(site: Site) -> None:
    try:
        async with site.redis(timeout=1.0) as link:
            await link.send("SCRIPT", "KILL")
    except (RedisError, OSError):
        return


async def compact(link: RedisLink) -> None:
    """Rewrite the append-only file without what was taken out, and wait for it: the next fault starts small."""
    with contextlib.suppress(ResponseError):  # one may be under way already
        await link.send("BGREWRITEAOF")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        info = await link.info()
        if not int(info["aof_rewrite_in_progress"]) and not int(info["aof_rewrite_scheduled"]):
            return
        await asyncio.sleep(0.05)
