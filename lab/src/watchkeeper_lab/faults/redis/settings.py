"""Somebody set Redis up wrongly while it ran, or took its files away from it."""

import asyncio
import contextlib
import random
import time

from redis.exceptions import ResponseError

from watchkeeper_lab.errors import LabError
from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.redis_link import RedisLink

EFFECT_SECONDS = 20.0
NOBODY = "192.0.2.{}"
"""Addresses that nobody has (RFC 5737, TEST-NET-1)."""


async def misdirected(site: Site) -> float:
    """A failover by hand that went wrong: the only Redis is told to be the replica of an address that nobody has."""
    async with site.redis() as link:
        await link.send("REPLICAOF", NOBODY.format(random.randint(10, 250)), random.choice((6379, 6380, 7000)))
        return await _refused(link)


async def wants_replicas(site: Site) -> float:
    """A setting meant for another Redis: writes are taken only while so many replicas follow, and none does."""
    async with site.redis() as link:
        await link.send("CONFIG", "SET", "min-replicas-to-write", random.randint(1, 2))
        return await _refused(link)


async def unwritable(site: Site) -> float:
    """Somebody worked in its folder as root, and what is there now belongs to root: the next rewrite of the
    append-only file fails, as all after it."""
    done = await site.services.execute(site.stack.redis, "chown", "-R", "root:root", "/data")
    if not done.ok:
        raise LabError(f"Its folder could not be taken away: {done.err.strip()[:120]}", "See `watchkeeper lab reset`.")
    async with site.redis(timeout=10.0) as link:
        with contextlib.suppress(ResponseError):  # it may fail at once, before there is a fork
            await link.send("BGREWRITEAOF")
        deadline = time.monotonic() + EFFECT_SECONDS
        while time.monotonic() < deadline:
            if (await link.info())["aof_last_bgrewrite_status"] != "ok":
                return time.time()
            await asyncio.sleep(0.05)
    raise LabError("The append-only file is rewritten all the same.", "Run `watchkeeper lab reset` and try again.")


async def _refused(link: RedisLink) -> float:
    """The time, once writes are refused."""
    at = time.time()
    try:
        await link.send("SET", "session:lab", "x", "EX", 1)
    except ResponseError:
        return at
    raise LabError("Redis still takes writes.", "Run `watchkeeper lab reset` and try again.")
