"""One service back to healthy, with all of its connections cleared, not only idle ones."""

import asyncio
import time
from dataclasses import dataclass

import httpx

from watchkeeper_lab.errors import BadInputError
from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.lab import Lab
from watchkeeper_lab.loopback import loopback
from watchkeeper_lab.nginx_link import active
from watchkeeper_lab.oracle import Judgement
from watchkeeper_lab.redis_link import RedisLink
from watchkeeper_lab.reset import restore_one
from watchkeeper_lab.stack import SHOP

WELL_SECONDS = 20.0
END_ALL = """
SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class Cleared:
    """What became of it. `connections` were ended; None where nothing counts them: it was restarted."""

    service: str
    connections: int | None
    healthy: bool
    reasons: tuple[str, ...]


async def reset_service(lab: Lab, service: str) -> Cleared:
    """Raises `BadInputError` where the lab has no such service, `LabError` where it cannot be mended."""
    if service not in await lab.services.states():
        raise BadInputError(
            f"The lab has no service `{service}`.", f"It has {', '.join(sorted(lab.instance.services))}."
        )
    await lab.visitors.end(extra_only=True)
    await restore_one(lab.site, service, _part(lab.site, service))
    ended = await _clear(lab.site, service)
    seen = await _well(lab)
    return Cleared(service, ended, seen.healthy, seen.reasons)


async def _well(lab: Lab) -> Judgement:
    """As soon as everything is well again: who had a connection makes a new one."""
    deadline = time.monotonic() + WELL_SECONDS
    while True:
        seen = await lab.oracle.judge(with_audit=False)
        if seen.healthy or time.monotonic() > deadline:
            return seen
        await asyncio.sleep(0.3)


def _part(site: Site, service: str) -> str:
    """Which part of the way back is the service's."""
    if site.stack is not SHOP:
        return {"broker": "broker", "store": "store", "pages": "pages"}.get(service, "desk")
    return service if service in ("redis", "postgres", "nginx") else "shop"


async def _clear(site: Site, service: str) -> int | None:
    stack = site.stack
    if service == stack.redis:
        async with site.redis(timeout=10.0) as link:
            return sum([await _kill(link, kind) for kind in ("normal", "pubsub")])
    if service == stack.postgres:
        async with site.postgres(timeout=10.0) as connection:
            row = await (await connection.execute(END_ALL)).fetchone()
            return int(row[0]) if row else 0
    known = await _nginx(site) if service == stack.nginx else None
    await site.services.restart(service)
    return known


async def _kill(link: RedisLink, kind: str) -> int:
    return int(await link.send("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"))


async def _nginx(site: Site) -> int | None:
    try:
        async with loopback(timeout=2.0) as client:
            return active((await client.get(f"{site.shop_url}/nginx_status")).text)
    except (httpx.HTTPError, ValueError, AttributeError):
        return None
