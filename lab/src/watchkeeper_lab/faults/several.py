"""Several things break at once, or one breaks because of another."""

import time

from watchkeeper_lab.faults.postgres import sessions
from watchkeeper_lab.faults.redis import memory
from watchkeeper_lab.faults.site import Injector, Site


async def redis_full_and_postgres_chain(site: Site) -> float:
    """Two faults that have nothing to do with each other, within a few seconds; in effect from the first on."""
    full_at = await memory.full_with_headroom(site)
    await sessions.blocking_chain(site)
    return full_at


async def orders_locked(site: Site) -> float:
    """Somebody locks the orders and goes away; every checkout waits for it, then every replica, then nginx."""
    where = {"LAB_DATABASE_URL": site.instance.database_url}
    await site.background.start("locker", "watchkeeper_lab.locker", "orders", environment=where)
    locked_at = time.time()
    await site.visitors(40.0, 120.0)
    return locked_at


INJECTORS: dict[str, Injector] = {
    "cascade-orders-locked": orders_locked,
    "redis-full-and-postgres-chain": redis_full_and_postgres_chain,
}
