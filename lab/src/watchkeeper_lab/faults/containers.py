"""Something happens to the container of Redis."""

import time

from watchkeeper_lab.containers import docker
from watchkeeper_lab.faults.site import Site


async def killed(site: Site) -> float:
    """SIGKILL, as the kernel would when memory runs out; nothing starts it again."""
    return await _at("kill", site)


async def paused(site: Site) -> float:
    """Freeze every process in it."""
    return await _at("pause", site)


async def stopped(site: Site) -> float:
    """Stop it as a person does who means it."""
    return await _at("stop", site)


async def _at(verb: str, site: Site) -> float:
    began = time.time()
    await docker(verb, site.redis_container)
    return began
