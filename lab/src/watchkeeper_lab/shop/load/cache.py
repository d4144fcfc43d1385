"""Connections to the cache that nobody gives back."""

import asyncio
import os
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Query

from ..stores import PATIENCE  # noqa: TID252  (its package is called `shop` where it runs)

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Leaked:
    """A connection that stays open and idle."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


_leaked: list[Leaked] = []


async def _leak() -> bool:
    """Open one more; False where the server takes no more."""
    where = urlsplit(os.environ["REDIS_URL"])
    opening = asyncio.open_connection(where.hostname, where.port)
    try:
        reader, writer = await asyncio.wait_for(opening, PATIENCE)
        writer.write(b"PING\r\n")
        answer = await asyncio.wait_for(reader.readline(), PATIENCE)
    except (OSError, TimeoutError):
        return False
    if not answer.startswith(b"+PONG"):
        writer.close()
        return False
    _leaked.append(Leaked(reader, writer))
    return True


@router.post("/load/cache/connections")
async def leak(count: Annotated[int, Query(ge=1, le=20_000)]) -> dict[str, int]:
    """Leak up to `count` connections, fewer where the server takes no more."""
    opened = 0
    while opened < count and await _leak():
        opened += 1
    return {"opened": opened, "leaked": len(_leaked)}


async def end() -> int:
    """Close all that were leaked."""
    closed = len(_leaked)
    for one in _leaked:
        one.writer.close()
    _leaked.clear()
    return closed
