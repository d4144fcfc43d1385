"""Brings a lab back to how it was when it came up, whatever was done to it: a part for each technology.

A part has `keep` (what it has to know later), `mend` (before services are started), `restore` (when they run) and
`clear` (after the last look at what was lost).
"""

import asyncio
from collections.abc import Mapping

from watchkeeper_lab.errors import LabError
from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.reset import network, nginx, postgres, redis, shop
from watchkeeper_lab.reset.baseline import Baseline, Part
from watchkeeper_lab.services import ServiceState
from watchkeeper_lab.stack import SHOP, TICKETS
from watchkeeper_lab.tickets import reset as tickets

PARTS: dict[str, dict[str, Part]] = {
    SHOP.name: {"redis": redis, "postgres": postgres, "nginx": nginx, "shop": shop, "network": network},
    TICKETS.name: {"broker": tickets.broker, "store": postgres, "pages": tickets.pages, "desk": tickets.desk},
}
"""By stack."""
LIMITS = "memory_limits"

__all__ = ["Baseline", "clear", "restore", "restore_one", "take_baseline"]


async def take_baseline(site: Site) -> None:
    """Write down how everything is set up, once in the life of a lab."""
    if (site.instance.folder / "baseline.json").exists():
        return
    parts = PARTS[site.stack.name]
    kept = dict(zip(parts, await asyncio.gather(*[part.keep(site) for part in parts.values()]), strict=True))
    kept[LIMITS] = {name: state.memory_limit for name, state in (await site.services.states()).items()}
    Baseline(kept).save(site.instance.folder)


async def restore(site: Site) -> None:
    """Undo everything: the expected services run and no others, limits and settings are as at the start."""
    baseline, parts = Baseline.load(site.instance.folder).parts, PARTS[site.stack.name]
    states = await site.services.states()
    if gone := sorted(site.instance.services - states.keys()):
        raise LabError(
            f"{gone[0]} is gone: somebody removed it.",
            "Start a new lab: `watchkeeper lab down`, `watchkeeper lab up`.",
        )
    await site.background.end()
    await asyncio.gather(*[part.mend(site, baseline.get(name, {})) for name, part in parts.items()])
    await asyncio.gather(*[_run(site, name, state, baseline[LIMITS]) for name, state in states.items()])
    await asyncio.gather(*[part.restore(site, baseline.get(name, {})) for name, part in parts.items()])


async def restore_one(site: Site, service: str, part_name: str) -> None:
    """The same for one service, and for what faults left running."""
    baseline, part = Baseline.load(site.instance.folder).parts, PARTS[site.stack.name][part_name]
    state = (await site.services.states())[service]
    await site.background.end()
    await part.mend(site, baseline.get(part_name, {}))
    await _run(site, service, state, baseline[LIMITS])
    await part.restore(site, baseline.get(part_name, {}))
    await part.clear(site)


async def _run(site: Site, service: str, state: ServiceState, limits: Mapping[str, int]) -> None:
    if state.extra:
        await site.services.remove(service)
        return
    if state.paused:
        await site.services.unpause(service)
    elif state.status == "restarting":
        await site.services.restart(service)
    elif not state.running:
        await site.services.start(service)
    if state.memory_limit != limits.get(service, state.memory_limit):
        await site.services.limit_memory(service, limits[service])


async def clear(site: Site) -> None:
    """Take out what the lab itself put into its stores."""
    await asyncio.gather(*[part.clear(site) for part in PARTS[site.stack.name].values()])
