"""Redis runs out of memory or of connections."""

import asyncio
import random
import time

from watchkeeper_lab.errors import LabError
from watchkeeper_lab.faults.redis.clients import taken
from watchkeeper_lab.faults.redis.memory import BRIEFLY, FULL, MIB
from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.loopback import loopback
from watchkeeper_lab.tickets.fill import fill, take_out


async def full(site: Site) -> float:
    """Fill 25 to 35 % of what the container may use: the limit could be raised."""
    limit = (await site.services.states())[site.stack.redis].memory_limit
    async with site.redis(timeout=20.0) as link:
        await link.send("CONFIG", "SET", "maxmemory", int(limit * random.uniform(0.25, 0.35)))
        await fill(link, site.ledger, FULL)
        full_at = time.time()
        reached = await fill(link, site.ledger, random.uniform(0.968, 0.998))
    if reached < 0.96:
        raise LabError(f"Redis took no more at {reached:.1%} of maxmemory.", "Try again after `watchkeeper lab reset`.")
    return full_at


async def over_and_back(site: Site) -> float:
    """Pass 95 % for about two seconds, then be well again."""
    async with site.redis(timeout=20.0) as link:
        await link.send("CONFIG", "SET", "maxmemory", random.randint(40, 60) * MIB)
        await fill(link, site.ledger, FULL)
        full_at = time.time()
        await fill(link, site.ledger, random.uniform(0.965, 0.98))
        await asyncio.sleep(max(0.0, BRIEFLY - (time.time() - full_at)))
        await take_out(link, site.ledger)
    return full_at


async def clients(site: Site) -> float:
    """Leak connections in one replica until Redis takes no more; they stay open and idle."""
    return await taken(site, leak)


async def leak(site: Site, count: int) -> None:
    """Have the first replica leak up to `count` connections."""
    async with loopback(timeout=60.0) as client:
        (await client.post(f"{await site.replica()}/practice/clients?count={count}")).raise_for_status()


async def crowded(site: Site) -> None:
    """Leak connections until 60 to 70 % are taken: many, but under the threshold."""
    async with site.redis() as link:
        info = await link.info()
    missing = int(info["maxclients"] * random.uniform(0.60, 0.70)) - int(info["connected_clients"])
    if missing > 0:
        await leak(site, missing)
