"""Redis runs out of memory."""

import asyncio
import random
import time

from watchkeeper_lab.errors import LabError
from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.fill import Mix, fill, take_out

MIB = 1 << 20
FULL = 0.95
"""Share of maxmemory from which the fault counts as in effect."""
UNLIMITED = 256 * MIB
"""What is taken for the limit of a Redis without one: a plain process has the whole machine."""
BRIEFLY = 2.0
"""Seconds that the control stays over 95 %: less than the `for` of any rule about memory."""


async def full_with_headroom(site: Site) -> float:
    """Fill 25 to 35 % of what the container may use: the limit could be raised."""
    limit = (await site.services.states())[site.stack.redis].memory_limit or UNLIMITED
    return await _fill_up(site, int(limit * random.uniform(0.25, 0.35)), Mix.drawn(0.15, 0.3))


async def full_without_headroom(site: Site) -> float:
    """Fill 60 to 65 % of what a smaller container may use, at least 40 % of it with the declared cache."""
    limit = random.randint(96, 128) * MIB
    await site.services.limit_memory(site.stack.redis, limit)
    return await _fill_up(site, int(limit * random.uniform(0.60, 0.65)), Mix.drawn(0.45, 0.6))


async def over_and_back(site: Site) -> float:
    """Pass 95 % for about two seconds, then be well again."""
    async with site.redis() as link:
        await link.send("CONFIG", "SET", "maxmemory", random.randint(40, 60) * MIB)
        await fill(link, site.ledger, Mix.drawn(0.2, 0.4), FULL)
        full_at = time.time()
        await fill(link, site.ledger, Mix.drawn(0.2, 0.4), random.uniform(0.965, 0.98))
        await asyncio.sleep(max(0.0, BRIEFLY - (time.time() - full_at)))
        await take_out(link, site.ledger)
    return full_at


async def _fill_up(site: Site, maxmemory: int, mix: Mix) -> float:
    async with site.redis() as link:
        await link.send("CONFIG", "SET", "maxmemory", maxmemory)
        await fill(link, site.ledger, mix, FULL)
        full_at = time.time()
        reached = await fill(link, site.ledger, mix, random.uniform(0.968, 0.998))
    if reached < 0.96:
        raise LabError(f"Redis took no more at {reached:.1%} of maxmemory.", "Try again after `watchkeeper lab reset`.")
    return full_at
