"""The connections of Redis are used up."""

import random
import time
from collections.abc import Awaitable, Callable

from redis.exceptions import RedisError

from watchkeeper_lab.errors import LabError
from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.loopback import loopback
from watchkeeper_lab.redis_link import client_ratio


async def exhausted(site: Site) -> float:
    """Leak connections in one replica until Redis takes no more; they stay open and idle."""
    return await taken(site, leak)


async def taken(site: Site, leaks: Callable[[Site, int], Awaitable[None]]) -> float:
    """Leak until Redis takes no more; the time. Raises LabError where it still does."""
    await leaks(site, 10_000)
    taken_at = time.time()
    try:
        async with site.redis() as link:
            free = 1 - client_ratio(await link.info())
    except (RedisError, OSError):
        return taken_at
    if free > 0.05:
        raise LabError(f"{free:.0%} of the connections are still free.", "Run `watchkeeper lab reset` and try again.")
    return taken_at


async def crowded(site: Site) -> None:
    """Leak connections until 60 to 70 % are taken: many, but under the threshold."""
    async with site.redis() as link:
        info = await link.info()
    missing = int(info["maxclients"] * random.uniform(0.60, 0.70)) - int(info["connected_clients"])
    if missing > 0:
        await leak(site, missing)


async def leak(site: Site, count: int) -> None:
    """Have the first replica leak up to `count` connections."""
    async with loopback(timeout=60.0) as client:
        url = f"{await site.replica()}/load/cache/connections"
        (await client.post(url, params={"count": count})).raise_for_status()
