"""nginx as it was: its configuration, and no more connections than visitors have."""

import httpx

from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.loopback import loopback
from watchkeeper_lab.nginx_link import CONFIG, active, capacity, nginx
from watchkeeper_lab.reset.baseline import Kept

CROWDED = 0.5
"""Share of its connections from which it is restarted."""


async def keep(site: Site) -> Kept:
    """Its configuration."""
    return {"config": await site.services.read_file("nginx", CONFIG[site.services.ground])}


async def mend(site: Site, kept: Kept) -> None:
    """Put its configuration back, before it is started: with a broken one it would end at once."""
    path = CONFIG[site.services.ground]
    if await site.services.read_file("nginx", path) == kept["config"]:
        return
    await site.services.write_file("nginx", path, kept["config"])
    if (await site.services.states())["nginx"].running:
        await nginx(site.services, "-s", "reload")


async def restore(site: Site, kept: Kept) -> None:
    """Restart it where it answers nothing, or is crowded."""
    try:
        async with loopback(timeout=2.0) as client:
            status = (await client.get(f"{site.shop_url}/nginx_status")).text
        if active(status) < CROWDED * capacity(kept["config"]):
            return
    except httpx.HTTPError:
        pass
    await site.services.restart("nginx")


async def clear(site: Site) -> None:
    """Nothing to be taken out."""
