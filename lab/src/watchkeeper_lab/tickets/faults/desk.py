"""The web application, the workers, the gate before them and the pooler behind them."""

import asyncio
import random
import time

from watchkeeper_lab.errors import LabError
from watchkeeper_lab.faults.nginx import upstream_gone as all_killed
from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.loopback import loopback
from watchkeeper_lab.tickets.links import pooler_admin

__all__ = ["all_killed", "broken", "gate_killed", "pool_exhausted", "workers_killed"]

POOL = 12
"""Sessions of one pool, as the pooler is set up."""
EFFECT_SECONDS = 20.0


async def broken(site: Site) -> float:
    """Have one replica answer everything but its liveness with 500."""
    await _post(site, random.choice(sorted(await site.replicas())), "/practice/errors")
    return time.time()


async def gate_killed(site: Site) -> float:
    """SIGKILL to HAProxy; nothing starts it again."""
    began = time.time()
    await site.services.kill("gate")
    return began


async def workers_killed(site: Site) -> float:
    """SIGKILL to every worker: jobs are still taken, and nobody does them."""
    began = time.time()
    await asyncio.gather(*(site.services.kill(name) for name in site.instance.services if name.startswith("worker-")))
    return began


async def pool_exhausted(site: Site) -> float:
    """One replica begins as many transactions as the pool has sessions, and never ends them; everybody else waits."""
    await _post(site, random.choice(sorted(await site.replicas())), f"/practice/transactions?count={POOL}")
    began, deadline = time.time(), time.monotonic() + EFFECT_SECONDS
    while time.monotonic() < deadline:
        async with pooler_admin(site.instance) as connection:
            cursor = await connection.execute("SHOW POOLS")
            names = [one.name for one in cursor.description or ()]
            pools = [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]
        if any(int(one["cl_waiting"]) for one in pools):
            return began
        await asyncio.sleep(0.1)
    raise LabError("Nobody waits for the pool.", "Run `watchkeeper lab reset` and try again.")


async def _post(site: Site, service: str, path: str) -> None:
    async with loopback(timeout=30.0) as client:
        (await client.post(f"{await site.replica(service)}{path}")).raise_for_status()
