"""The desk's replicas as they were: they answer, and nothing is left of what was asked of them to practise on."""

import asyncio
import time

import httpx

from watchkeeper_lab.errors import LabError
from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.loopback import loopback
from watchkeeper_lab.reset.baseline import Kept

ANSWER_SECONDS = 20.0


async def keep(site: Site) -> Kept:
    """Nothing."""
    return {}


async def mend(site: Site, kept: Kept) -> None:
    """Nothing to be done before they run."""


async def restore(site: Site, kept: Kept) -> None:
    """Have each end what was asked of it."""
    names = sorted(name for name in site.instance.services if name.startswith(f"{site.stack.app}-"))
    async with loopback(timeout=5.0) as client:
        await asyncio.gather(*[_end(site, client, name) for name in names])


async def clear(site: Site) -> None:
    """Nothing to be taken out."""


async def _end(site: Site, client: httpx.AsyncClient, name: str) -> None:
    """The replica may still be starting, so it is asked until it answers; after half of the time it is restarted."""
    began, restarted = time.monotonic(), False
    while True:
        try:
            (await client.delete(f"{await site.replica(name)}/practice")).raise_for_status()
            return
        except (httpx.HTTPError, LabError) as error:
            waited = time.monotonic() - began
            if waited > 2 * ANSWER_SECONDS:
                raise LabError(f"{name} does not answer: {error!r}.", "Its log may tell more.") from error
            if waited > ANSWER_SECONDS and not restarted:
                restarted = True
                await site.services.restart(name)
        await asyncio.sleep(0.1)
