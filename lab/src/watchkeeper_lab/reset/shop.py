"""The shop's replicas as they were: they answer, and nothing is left of what was asked of their load endpoints."""

import asyncio
import time

import httpx

from watchkeeper_lab.containers import docker
from watchkeeper_lab.errors import LabError
from watchkeeper_lab.faults.shop import CONFIG, MARK
from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.loopback import loopback
from watchkeeper_lab.reset.baseline import Kept

ANSWER_SECONDS = 20.0


async def keep(site: Site) -> Kept:
    """Their configuration file, where they run in containers."""
    if site.services.ground != "container":
        return {}
    return {name: await site.services.read_file(name, CONFIG) for name in _replicas(site)}


async def mend(site: Site, kept: Kept) -> None:
    """The configuration file of each as it was, and nothing that starts it again and again."""
    mark = site.instance.folder / MARK
    if not mark.exists():
        return
    states = await site.services.states()
    for name, text in kept.items():
        await docker("update", "--restart", "no", states[name].where)
        if await site.services.read_file(name, CONFIG) != text:
            await site.services.write_file(name, CONFIG, text)
            await site.services.restart(name)
    mark.unlink()


async def restore(site: Site, kept: Kept) -> None:
    """Have each replica give back what it leaked and end what was asked of it."""
    async with loopback(timeout=5.0) as client:
        await asyncio.gather(*[_unload(site, client, name) for name in _replicas(site)])


async def clear(site: Site) -> None:
    """Nothing to be taken out."""


def _replicas(site: Site) -> list[str]:
    return sorted(name for name in site.instance.services if name.startswith("shop-"))


async def _unload(site: Site, client: httpx.AsyncClient, name: str) -> None:
    """The replica may still be starting, so it is asked until it answers; after half of the time it is restarted."""
    began, restarted = time.monotonic(), False
    while True:
        try:
            (await client.delete(f"{await site.replica(name)}/load")).raise_for_status()
            return
        except (httpx.HTTPError, LabError) as error:
            waited = time.monotonic() - began
            if waited > 2 * ANSWER_SECONDS:
                raise LabError(f"{name} does not answer: {error!r}.", "Its log may tell more.") from error
            if waited > ANSWER_SECONDS and not restarted:
                restarted = True
                await site.services.restart(name)
        await asyncio.sleep(0.1)
