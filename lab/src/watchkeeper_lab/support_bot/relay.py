"""Lets containers of one lab push to a Watchkeeper that listens on loopback only, and do nothing else there.

Runs as a process of its own: `python -m watchkeeper_lab.support_bot.relay ADDRESS TARGET_HOST TARGET_PORT`, where
ADDRESS is this machine's own in the lab's network. Prints the port it listens at, then `ready`; ends on SIGTERM.
"""

import asyncio
import contextlib
import re
import sys

HEAD = 1 << 14
"""Bytes that the head of a request may have."""
PUSH = re.compile(rb"POST /api/models/[^/ ]+/(profiles|records|labels) HTTP/1\.1\r\n")
HOST = re.compile(rb"\r\nhost:[^\r]*", re.IGNORECASE)
REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
AWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
    """One request, if it is a push, and its answer."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        head = await reader.readuntil(b"\r\n\r\n")
        if not PUSH.match(head):
            writer.write(REFUSED)
        else:
            try:
                onward, away = await asyncio.open_connection(host, port)
            except OSError:
                writer.write(AWAY)
            else:
                named = HOST.sub(f"\r\nHost: {host}:{port}".encode(), head[:-2])  # by the name that it knows itself by
                away.write(named + b"Connection: close\r\n\r\n")  # so that nothing else comes this way
                sends = asyncio.create_task(_copy(reader, away))
                await _copy(onward, writer)
                sends.cancel()
                away.close()
        await writer.drain()
    writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while part := await reader.read(1 << 16):
            writer.write(part)
            await writer.drain()


async def main(address: str, host: str, port: int) -> None:
    """Serve until ended."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pass_on(reader, writer, host, port)

    server = await asyncio.start_server(answer, address, 0, limit=HEAD)
    print(server.sockets[0].getsockname()[1], flush=True)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
