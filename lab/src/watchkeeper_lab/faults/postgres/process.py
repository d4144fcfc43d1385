"""Something happens to what PostgreSQL runs in."""

import time

from watchkeeper_lab.faults.site import Site


async def killed(site: Site) -> float:
    """SIGKILL, as the kernel would when memory runs out; nothing starts it again."""
    began = time.time()
    await site.services.kill(site.stack.postgres)
    return began
