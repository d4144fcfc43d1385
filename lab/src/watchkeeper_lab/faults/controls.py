"""Controls of the shop as a whole: much to do, or nothing out of the ordinary."""

import random
import time

from watchkeeper_lab.faults.redis.clients import crowded
from watchkeeper_lab.faults.site import Injector, Site
from watchkeeper_lab.fill import Mix, fill
from watchkeeper_lab.traffic import RATE

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


INJECTORS: dict[str, Injector] = {"healthy": nothing, "load-peak": peak}
