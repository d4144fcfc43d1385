"""Redis as it was, and nothing in any of its databases that the lab put there; mails that failed are sent once more."""

from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.reset.redis import compact, keep, mend, restore
from watchkeeper_lab.tickets.fill import take_out
from watchkeeper_lab.tickets.queue import send_again

__all__ = ["clear", "keep", "mend", "restore"]


async def clear(site: Site) -> None:
    """Take out what the lab itself put into it, and have what failed tried again."""
    async with site.redis(timeout=30.0) as link:
        await send_again(link)
        if await take_out(link, site.ledger):
            await compact(link)
