"""Much to do, and nothing wrong."""

import random
import time
import uuid

import httpx

from watchkeeper_lab.faults.controls import PEAK_SECONDS
from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.ledger import Write
from watchkeeper_lab.loopback import loopback
from watchkeeper_lab.pace import RATE
from watchkeeper_lab.tickets.faults.broker import crowded
from watchkeeper_lab.tickets.fill import fill


async def peak(site: Site) -> float:
    """Twice as many people besides the usual ones; memory at 70 to 80 %, clients at 60 to 70 %."""
    await site.visitors(RATE * random.uniform(1.7, 2.2), PEAK_SECONDS)
    await crowded(site)
    async with site.redis(timeout=20.0) as link:
        await link.send("CONFIG", "SET", "maxmemory", random.randint(48, 72) << 20)
        await fill(link, site.ledger, random.uniform(0.70, 0.80))
    return time.time()


async def burst(site: Site) -> float:
    """A mailing: some 150 mails at once, which the workers get through in their own time."""
    began = time.time()
    async with loopback(site.instance.front_url, timeout=10.0) as client:
        for _ in range(random.randint(120, 180)):
            text = uuid.uuid4().hex
            try:
                answer = await client.post("/api/tickets/1/replies", json={"text": text})
            except httpx.HTTPError:
                continue
            if answer.status_code == 202:
                site.ledger.acknowledged([Write.of("job", answer.json()["job"], text)])
    return began
