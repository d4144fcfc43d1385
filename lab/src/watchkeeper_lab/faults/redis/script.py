"""A script blocks Redis."""

import asyncio
import random
import string
import time

from redis.exceptions import RedisError

from watchkeeper_lab.errors import LabError
from watchkeeper_lab.faults.site import Site


async def busy(site: Site) -> float:
    """Send a script that never ends, and go away; return once Redis answers nobody."""
    name = "".join(random.choices(string.ascii_lowercase, k=6))
    body = f"local {name} = {random.randint(0, 9999)} while {name} >= 0 do {name} = {name} + {random.randint(1, 9)} end"
    where = site.instance.redis
    _, writer = await asyncio.open_connection("127.0.0.1", where.port)
    if where.username:
        writer.write(f"AUTH {where.username} {where.password}\r\n".encode())
    writer.write(f"*3\r\n$4\r\nEVAL\r\n${len(body)}\r\n{body}\r\n$1\r\n0\r\n".encode())
    await writer.drain()
    sent_at = time.time()
    began = time.monotonic()
    while time.monotonic() - began < 10:
        try:
            async with site.redis(timeout=0.3) as link:
                await link.send("PING")
        except (RedisError, OSError):
            writer.close()
            return sent_at
    raise LabError("Redis still answers.", "Run `watchkeeper lab reset` and try again.")
