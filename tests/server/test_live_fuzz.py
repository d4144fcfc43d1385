"""Nonsense over a WebSocket: each client is told what was wrong and let go; the server goes on."""

import asyncio
import base64
import json
import os
import random
import string
from contextlib import suppress
from typing import Any

import pytest
import structlog
from websockets.exceptions import ConnectionClosed

from tests.server.conftest import PATIENCE
from tests.server.test_feed import say
from tests.server.test_live import following
from watchkeeper.server import Runtime

CLEAN = {1003, 1007, 1008, 1009, 4404, 4422}
"""What a client's own mistake may end with."""


def nonsense(number: int) -> str | bytes:
    """Of one of many kinds."""
    chance = random.Random(number)
    pick = chance.choice
    letters = "".join(pick(string.printable) for _ in range(chance.randrange(0, 60)))
    value: Any = pick(
        [-1, -(2**70), 2**63, 2**200, 1.5, float("nan"), float("inf"), True, None, "", "1", "∞", [], {}, [1], letters]
    )
    name = pick(["after", "kinds", "resource", "incident", "environment", "token", letters, "__class__"])
    return pick(
        [
            letters,
            letters.encode(),
            chance.randbytes(40),
            json.dumps({name: value}),
            json.dumps({name: [value] * chance.randrange(0, 80)}),
            json.dumps([value]),
            json.dumps(value),
            '{"kinds": "' + "*" * 299 + '[" }',
            '{"kinds": "' + "[!" * 100 + '" }',
            "[" * 20_000,
            '{"a":' * 5_000,
            '{"after": 1' + "0" * 5_000 + "}",
            '{"resource": "\\ud800"}',
            '{"incident": "\\u0000"}',
        ]
    )


@pytest.mark.parametrize("number", range(40))
async def test_a_frame_of_nonsense_ends_cleanly_or_is_understood(number: int, address: str, runtime: Runtime) -> None:
    with structlog.testing.capture_logs() as logs:
        async with following(address) as client:
            await client.next("subscribed")
            await client.connection.send(nonsense(number))
            with suppress(ConnectionClosed):
                assert (await client.next("subscribed"))["after"] >= 0
            closed = client.connection.close_code, client.connection.close_reason
    assert closed == (None, None) or (closed[0] in CLEAN and closed[1]), closed
    assert not [line for line in logs if line["log_level"] in ("error", "critical")]
    await _goes_on(address, runtime)


@pytest.mark.parametrize(
    "query",
    [
        "after=-1",
        "after=NaN",
        "after=1e3",
        "after=soon",
        "after=",
        "after=99999999999999999999999999",
        "after=1&after=x",
        "after=%00",
        "after=%ff%fe",
        "kinds=" + "x" * 301,
        "&".join(f"kinds=k{n}" for n in range(51)),
        "resource=nothing-of-that-name",
        "colour=red",
        "incident=",
        "token=secret",
    ],
)
async def test_an_address_of_nonsense_ends_with_a_reason(query: str, address: str, runtime: Runtime) -> None:
    async with following(address, f"?{query}") as client:
        code, reason = await client.ended()
    assert code in (4404, 4422)
    assert reason
    await _goes_on(address, runtime)


async def test_a_frame_that_is_huge_ends_it(address: str, runtime: Runtime) -> None:
    async with following(address) as client:
        await client.connection.send("x" * 200_000)
        assert (await client.ended())[0] == 1009
    await _goes_on(address, runtime)


async def test_too_many_frames_end_it(address: str) -> None:
    async with following(address) as client:
        for _ in range(70):
            try:
                await client.connection.send("{}")
            except ConnectionClosed:
                break
        code, reason = await client.ended()
    assert code == 1008
    assert "frames" in reason


@pytest.mark.parametrize("number", range(12))
async def test_bytes_that_are_no_frames_at_all_hurt_nobody(number: int, address: str, runtime: Runtime) -> None:
    """After a good handshake: reserved bits, unmasked frames, lengths that lie, a close frame with a bad code."""
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    key = base64.b64encode(os.urandom(16)).decode()
    upgrade = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
    writer.write(f"GET /api/live HTTP/1.1\r\nHost: {host}\r\n{upgrade}\r\n".encode())
    async with asyncio.timeout(PATIENCE):
        assert b" 101 " in await reader.readline()
        pieces = [
            b"\xff" * 20,
            b"\x81\x05hello",  # not masked
            b"\x81\xff" + b"\x7f" + b"\xff" * 7,  # says that it is as long as there are numbers
            b"\x88\x82\x00\x00\x00\x00\x00\x01",  # closed with the code 1
            b"\x81\x82\x00\x00\x00\x00\xff\xfe",  # text that is no UTF-8
            b"\x80\x80\x00\x00\x00\x00",  # goes on with what was not begun
            b"\x89\xfe\x00\x7e\x00\x00\x00\x00" + b"x" * 126,  # a ping too long
        ]
        writer.write(pieces[number] if number < len(pieces) else random.Random(number).randbytes(300))
        if number >= len(pieces):
            writer.write_eof()
        while await reader.read(65536):
            pass
    writer.close()
    await _goes_on(address, runtime)


async def _goes_on(address: str, runtime: Runtime) -> None:
    (before,) = await say(runtime, "still there")
    async with following(address, f"?kinds=test.said&after={before - 1}") as client:
        assert (await client.next("event"))["event"]["text"] == "still there"
