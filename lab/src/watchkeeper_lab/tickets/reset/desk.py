"""The desk's replicas as they were: they answer, and nothing is left of what was asked of them to practise on."""

from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.reset.baseline import Kept
from watchkeeper_lab.reset.replicas import unload


async def keep(site: Site) -> Kept:
    """Nothing."""
    return {}


async def mend(site: Site, kept: Kept) -> None:
    """Nothing to be done before they run."""


async def restore(site: Site, kept: Kept) -> None:
    """Have each end what was asked of it."""
    names = sorted(name for name in site.instance.services if name.startswith(f"{site.stack.app}-"))
    await unload(site, names, "/practice")


async def clear(site: Site) -> None:
    """Nothing to be taken out."""
