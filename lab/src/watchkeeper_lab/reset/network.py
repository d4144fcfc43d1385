"""The network as the engine made it: whatever is in the containers' namespaces besides is found there and taken out."""

from watchkeeper_lab import namespaces
from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.reset.baseline import Kept


async def keep(site: Site) -> Kept:
    """What each container's `resolv.conf` says."""
    if site.services.ground != "container":
        return {}
    there = namespaces.within_reach(await site.services.states())
    return {name: namespaces.resolver(state).read_text() for name, state in there.items()}


async def mend(site: Site, kept: Kept) -> None:
    """No rule that drops, no queue that chokes, and the name server as it was."""
    if site.services.ground != "container":
        return
    for name, state in namespaces.within_reach(await site.services.states()).items():
        await namespaces.mend(state)
        file = namespaces.resolver(state)
        if name in kept and file.read_text() != kept[name]:
            file.write_text(kept[name])


async def restore(site: Site, kept: Kept) -> None:
    """The same once more: what was stopped has a namespace only now, and its `resolv.conf` lives on."""
    await mend(site, kept)


async def clear(site: Site) -> None:
    """Nothing to be taken out."""
