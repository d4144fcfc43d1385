"""Faults of the shop, in one of its two replicas."""

import asyncio
import random
import time
from datetime import UTC, datetime

from watchkeeper_lab.containers import docker
from watchkeeper_lab.download import SERVED_BY
from watchkeeper_lab.errors import LabError
from watchkeeper_lab.faults.site import Injector, Site
from watchkeeper_lab.loopback import loopback

CONFIG = "/etc/shop/shop.toml"
MARK = "crash-loop"
"""A file in the lab's folder that says that a replica's restart policy is to be set back."""
NONSENSE = ("connections = ", "connections = none", "cached_seconds = -5", 'connections = "many"', "[[[")
EFFECT_SECONDS = 60.0
SETTLED_SECONDS = 20.0


async def misconfigured(site: Site) -> float:
    """Change the configuration file of one replica to nonsense and restart it: it ends at each start."""
    service = await _one(site)
    where = await _settled(site, service)
    text = await site.services.read_file(service, CONFIG)
    (site.instance.folder / MARK).touch()
    await docker("update", "--restart", "on-failure", where)
    await site.services.write_file(service, CONFIG, f"{text}{random.choice(NONSENSE)}\n")
    await site.services.restart(service)
    began = time.time()
    await _until_restarted(site, service, began)
    return began


async def leaking(site: Site) -> float:
    """Leak 30 to 60 MiB a second in one replica until the kernel ends it; nothing starts it again."""
    service = await _one(site)
    await _post(site, service, "/load/memory", per_second=random.randint(30, 60) << 20)
    deadline = time.monotonic() + EFFECT_SECONDS
    while time.monotonic() < deadline:
        if (await site.services.states())[service].status != "running":
            return time.time()
        await asyncio.sleep(0.1)
    raise LabError(f"{service} was not ended for lack of memory.", "Run `watchkeeper lab reset` and try again.")


async def broken(site: Site) -> float:
    """Have one replica answer everything but its liveness with 500."""
    await _post(site, await _one(site), "/load/errors")
    return time.time()


async def _one(site: Site) -> str:
    """A replica to break; not the one that serves a download which is to survive."""
    said = site.background.said("request")
    serves = next((line.removeprefix(SERVED_BY) for line in said if line.startswith(SERVED_BY)), None)
    async with loopback(timeout=10.0) as client:
        names = {
            service: (await client.get(f"{url}/health")).headers.get("x-replica", "")
            for service, url in (await site.replicas()).items()
        }
    return random.choice([service for service in sorted(names) if names[service] != serves])


async def _settled(site: Site, service: str) -> str:
    """The container of a replica, once it has run for a while: what has only just started has not shown to run well."""
    deadline = time.monotonic() + EFFECT_SECONDS
    while time.monotonic() < deadline:
        state = (await site.services.states())[service]
        began = datetime.fromisoformat(f"{state.started_at[:19]}+00:00")
        if state.running and (datetime.now(UTC) - began).total_seconds() > SETTLED_SECONDS:
            return state.where
        await asyncio.sleep(0.2)
    raise LabError(f"{service} does not run for long.", "Run `watchkeeper lab reset` and try again.")


async def _until_restarted(site: Site, service: str, since: float) -> None:
    deadline = time.monotonic() + EFFECT_SECONDS
    while time.monotonic() < deadline:
        state = (await site.services.states())[service]
        if state.restarts > 0 or state.status in ("restarting", "exited"):
            return
        await asyncio.sleep(0.1)
    raise LabError(f"{service} still runs.", "Run `watchkeeper lab reset` and try again.")


async def _post(site: Site, service: str, path: str, **parameters: int) -> None:
    async with loopback(timeout=10.0) as client:
        (await client.post(f"{await site.replica(service)}{path}", params=parameters)).raise_for_status()


INJECTORS: dict[str, Injector] = {
    "shop-crash-loop": misconfigured,
    "shop-memory-leak": leaking,
    "shop-replica-errors": broken,
}
