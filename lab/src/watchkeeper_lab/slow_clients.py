"""Clients that begin a request and hardly go on with it, as over a bad line. Prints `ready` when all are
connected.

Runs as a process of its own: `python -m watchkeeper_lab.slow_clients PORT NUMBER`.
"""

import asyncio
import random
import sys

PAUSE = (2.0, 6.0)
"""Seconds between two bytes of each."""
AGAIN = 5.0
"""Seconds until one that was let go by the server's own timeout tries again."""


async def main(port: int, number: int) -> None:
    """Hold that many connections until ended."""
    begun = asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as group:
        for _ in range(number):
            group.create_task(_client(port, begun))
        for _ in range(number):
            await begun.acquire()
        print("ready", flush=True)


async def _client(port: int, begun: asyncio.Semaphore) -> None:
    first = True
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /catalogue HTTP/1.1\r\nHost: shop\r\nAccept: ")
            await writer.drain()
            if first:
                begun.release()
            first = False
            await _crawl(reader, writer)
        except ConnectionResetError:
            return  # thrown out: it does not come back
        except OSError:
            pass
        await asyncio.sleep(AGAIN)


async def _crawl(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        try:
            async with asyncio.timeout(random.uniform(*PAUSE)):
                if not await reader.read(1024):
                    return
        except TimeoutError:
            writer.write(random.choice(b"abcdefgh").to_bytes(1, "big"))
            await writer.drain()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
