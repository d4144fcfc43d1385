"""Replicas of an application give back what was asked of them."""

import asyncio
import time
from collections.abc import Iterable

import httpx

from watchkeeper_lab.errors import LabError
from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.loopback import loopback

ANSWER_SECONDS = 20.0


async def unload(site: Site, names: Iterable[str], path: str) -> None:
    """Have each end what it does at `path`. Raises LabError where one does not answer."""
    async with loopback(timeout=5.0) as client:
        await asyncio.gather(*[_unload(site, client, name, path) for name in names])


async def _unload(site: Site, client: httpx.AsyncClient, name: str, path: str) -> None:
    """The replica may still be starting, so it is asked until it answers; after half of the time it is restarted."""
    began, restarted = time.monotonic(), False
    while True:
        try:
            (await client.delete(f"{await site.replica(name)}{path}")).raise_for_status()
            return
        except (httpx.HTTPError, LabError) as error:
            waited = time.monotonic() - began
            if waited > 2 * ANSWER_SECONDS:
                raise LabError(f"{name} does not answer: {error!r}.", "Its log may tell more.") from error
            if waited > ANSWER_SECONDS and not restarted:
                restarted = True
                await site.services.restart(name)
        await asyncio.sleep(0.1)
