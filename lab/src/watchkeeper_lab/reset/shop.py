"""The shop's replicas as they were: they answer, and nothing is left of what was asked of their load endpoints."""

from watchkeeper_lab.containers import docker
from watchkeeper_lab.faults.shop import CONFIG, MARK
from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.reset.baseline import Kept
from watchkeeper_lab.reset.replicas import unload


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
    await unload(site, _replicas(site), "/load")


async def clear(site: Site) -> None:
    """Nothing to be taken out."""


def _replicas(site: Site) -> list[str]:
    return sorted(name for name in site.instance.services if name.startswith("shop-"))
