"""Has Redis hold back every answer for a quarter of a second, again and again: `slow_peer LAB`, until it is ended."""

import asyncio
import sys

from watchkeeper_lab import instance
from watchkeeper_lab.redis_link import redis_link

HELD = 0.25
APART = 0.5


async def main(lab: str) -> None:
    known = instance.load(lab)
    if known is None:
        raise SystemExit(f"lab `{lab}` is not up")
    async with redis_link(known.redis, timeout=5.0) as link:
        await link.send("CLIENT", "PAUSE", int(HELD * 1000), "ALL")
        print("ready", flush=True)
        while True:
            await asyncio.sleep(APART)  # the rate of it
            await link.send("CLIENT", "PAUSE", int(HELD * 1000), "ALL")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
