"""The handbook's server as it was: its configuration."""

from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.reset.baseline import Kept
from watchkeeper_lab.tickets.faults.pages import CONFIG


async def keep(site: Site) -> Kept:
    """Its configuration."""
    return {"config": await site.services.read_file(site.stack.nginx, CONFIG)}


async def mend(site: Site, kept: Kept) -> None:
    """Put its configuration back, before it is started: with a broken one it would end at once."""
    if await site.services.read_file(site.stack.nginx, CONFIG) == kept["config"]:
        return
    await site.services.write_file(site.stack.nginx, CONFIG, kept["config"])
    if (await site.services.states())[site.stack.nginx].running:
        await site.services.execute(site.stack.nginx, "nginx", "-s", "reload")


async def restore(site: Site, kept: Kept) -> None:
    """Nothing more to be done."""


async def clear(site: Site) -> None:
    """Nothing to be taken out."""
