"""A Watchkeeper that only says what a test tells it to, on a loopback port."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

Answers = dict[str, Callable[[], list[dict[str, Any]]]]


@asynccontextmanager
async def stub(answers: Answers) -> AsyncGenerator[str]:
    """Serve `{"items": …}` per path; anything else is a 404. Yields the base URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        answer = answers.get(head.split(" ", 2)[1])
        status = "200 OK" if answer else "404 Not Found"
        body = json.dumps({"items": answer() if answer else []}).encode()
        headers = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(headers.encode() + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
