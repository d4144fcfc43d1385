"""The way from a lab's container to a Watchkeeper on loopback: for pushes, and nothing else."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from watchkeeper_lab.support_bot.relay import pass_on

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


class Behind:
    """What listens behind it, and what reached it."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.port = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        self.got.append(head + await reader.readexactly(size))
        writer.write(ANSWER)
        await writer.drain()
        writer.close()


@pytest.fixture
async def behind() -> AsyncIterator[Behind]:
    made = Behind()
    async with await asyncio.start_server(made.answer, "127.0.0.1", 0) as server:
        made.port = server.sockets[0].getsockname()[1]
        yield made


@pytest.fixture
async def front(behind: Behind) -> AsyncIterator[httpx.AsyncClient]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pass_on(reader, writer, "127.0.0.1", behind.port)

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as client:
            yield client


@pytest.mark.parametrize("kind", ["profiles", "records", "labels"])
async def test_a_push_gets_through_whole_and_is_answered(kind: str, front: httpx.AsyncClient, behind: Behind) -> None:
    body = b"x" * 300_000
    answer = await front.post(f"/api/models/support-bot/{kind}", content=body, headers={"Authorization": "Bearer t"})
    assert (answer.status_code, answer.content) == (200, b"{}")
    assert behind.got[0].endswith(body)
    assert b"Bearer t" in behind.got[0]
    assert f"\r\nHost: 127.0.0.1:{behind.port}\r\n".encode() in behind.got[0]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/models/support-bot/summary"),
        ("PUT", "/api/models/support-bot/reference"),
        ("POST", "/api/models/a/../../mode"),
        ("POST", "/api/mode"),
    ],
)
async def test_nothing_else_does(method: str, path: str, front: httpx.AsyncClient, behind: Behind) -> None:
    request = front.build_request(method, "/", content=b"{}")
    request.url = request.url.copy_with(raw_path=path.encode())
    assert (await front.send(request)).status_code == 403
    assert behind.got == []


async def test_a_server_that_is_away_is_told_as_such(behind: Behind, front: httpx.AsyncClient) -> None:
    behind.port = 1
    assert (await front.post("/api/models/support-bot/profiles", content=b"{}")).status_code == 502
