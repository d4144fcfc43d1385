"""Sessions take the connections, or hold each other up."""

import random
import time

import httpx

from watchkeeper_lab.errors import LabError
from watchkeeper_lab.faults.site import Site

FULL = 0.85
"""Share of max_connections from which the fault counts as in effect."""
CONNECTIONS = "SELECT count(*), current_setting('max_connections')::int FROM pg_stat_activity WHERE backend_type = %s"


async def exhausted(site: Site) -> float:
    """Have one replica run queries for an hour each until 88 to 95 % of the connections are taken."""
    used, most = await _connections(site)
    missing = int(most * random.uniform(0.88, 0.95)) - used
    async with httpx.AsyncClient(timeout=60.0, trust_env=False) as client:
        url = f"{await site.replica()}/load/database/blocking"
        (await client.post(url, params={"count": missing})).raise_for_status()
    taken_at = time.time()
    used, most = await _connections(site)
    if used / most < FULL:
        raise LabError(f"Only {used} of {most} connections are taken.", "Run `watchkeeper lab reset` and try again.")
    return taken_at


async def idle_in_transaction(site: Site) -> float:
    """Two or three sessions changed a row each and never committed; others wait for them."""
    return await _sessions(site, "idle", random.randint(2, 3))


async def blocking_chain(site: Site) -> float:
    """A session holds a lock; a second waits for it and holds another, and so on, four deep."""
    return await _sessions(site, "chain", 4)


async def busy(site: Site) -> float:
    """A control: a report that runs for long, and idle sessions up to 65 to 72 % of the connections."""
    used, most = await _connections(site)
    return await _sessions(site, "many", int(most * random.uniform(0.65, 0.72)) - used)


async def _sessions(site: Site, kind: str, number: int) -> float:
    table, column = site.stack.rows
    where = {"LAB_DATABASE_URL": site.instance.app_database_url, "LAB_TABLE": table, "LAB_COLUMN": column}
    await site.background.start("waiters", "watchkeeper_lab.sessions", kind, str(number), environment=where)
    return time.time()


async def _connections(site: Site) -> tuple[int, int]:
    async with site.postgres() as connection:
        row = await (await connection.execute(CONNECTIONS, ("client backend",))).fetchone()
    return row if row is not None else (0, 1)
