"""Several things break at once, or one breaks because of another."""

import time

from watchkeeper_lab.faults.postgres import sessions
from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.tickets.faults import broker


async def full_and_chain(site: Site) -> float:
    """Two faults that have nothing to do with each other, within a few seconds; in effect from the first on."""
    full_at = await broker.full(site)
    await sessions.blocking_chain(site)
    return full_at


async def outbox_locked(site: Site) -> float:
    """Somebody locks the outbox and goes away; every worker waits for it, and mails pile up in the queue."""
    where = {"LAB_DATABASE_URL": site.instance.database_url_of("mailroom", "mailer")}
    await site.background.start("locker", "watchkeeper_lab.locker", "outbox", environment=where)
    return time.time()
