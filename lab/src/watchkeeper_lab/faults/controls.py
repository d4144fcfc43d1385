"""Controls of the shop as a whole: much to do, or nothing out of the ordinary."""

import asyncio
import contextlib
import random
import time

import httpx

from watchkeeper_lab.errors import LabError
from watchkeeper_lab.faults.redis.clients import crowded
from watchkeeper_lab.faults.site import Injector, Site
from watchkeeper_lab.fill import Mix, fill
from watchkeeper_lab.loopback import loopback
from watchkeeper_lab.pace import RATE

SERVES_SECONDS = 30.0
PEAK_SECONDS = 600.0
"""A peak ends by itself after this long, should nobody reset the lab."""


async def nothing(_: Site) -> float:
    """Leave everything as it is."""
    return time.time()


async def peak(site: Site) -> float:
    """Three times as many visitors on top of the usual ones; memory at 70 to 80 %, clients at 60 to 70 %."""
    await site.visitors(RATE * random.uniform(2.5, 3.5), PEAK_SECONDS)
    await crowded(site)
    async with site.redis() as link:
        await link.send("CONFIG", "SET", "maxmemory", random.randint(48, 72) << 20)
        await fill(link, site.ledger, Mix.drawn(0.2, 0.4), random.uniform(0.70, 0.80))
    return time.time()


async def neighbour(site: Site) -> float:
    """Something else on this machine uses every processor and the disk."""
    began = time.time()
    await site.background.start("neighbour", "watchkeeper_lab.neighbour", str(site.instance.folder))
    return began


async def deployment(site: Site) -> float:
    """Restart each replica as a deployment does: one is taken out and back, and only when it serves the next."""
    began = time.time()
    for service in sorted(await site.replicas()):
        await site.services.restart(service)
        await _until_it_serves(site, service)
    return began


async def _until_it_serves(site: Site, service: str) -> None:
    deadline = time.monotonic() + SERVES_SECONDS
    async with loopback(timeout=2.0) as client:
        while True:
            with contextlib.suppress(httpx.HTTPError, LabError):
                if (await client.get(f"{await site.replica(service)}{site.stack.ready}")).status_code == 200:
                    return
            if time.monotonic() > deadline:
                raise LabError(f"{service} does not serve again.", "Run `watchkeeper lab reset` and try again.")
            await asyncio.sleep(0.1)


INJECTORS: dict[str, Injector] = {
    "healthy": nothing,
    "healthy-long": nothing,
    "load-peak": peak,
    "noisy-neighbour": neighbour,
    "deployment": deployment,
}
