"""Something happens to what Redis runs in."""

import time

from watchkeeper_lab.faults.site import Site


async def killed(site: Site) -> float:
    """SIGKILL, as the kernel would when memory runs out; nothing starts it again."""
    began = time.time()
    await site.services.kill(site.stack.redis)
    return began


async def paused(site: Site) -> float:
    """Freeze every process in it."""
    began = time.time()
    await site.services.pause(site.stack.redis)
    return began


async def stopped(site: Site) -> float:
    """Stop it as a person does who means it."""
    began = time.time()
    await site.services.stop(site.stack.redis)
    return began
