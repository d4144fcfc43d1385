"""Something happens to the container of Redis."""

from watchkeeper_lab.containers import docker
from watchkeeper_lab.faults.site import Site


async def killed(site: Site) -> None:
    """SIGKILL, as the kernel would when memory runs out; nothing starts it again."""
    await docker("kill", site.redis_container)


async def paused(site: Site) -> None:
    """Freeze every process in it."""
    await docker("pause", site.redis_container)


async def stopped(site: Site) -> None:
    """Stop it as a person does who means it."""
    await docker("stop", site.redis_container)
