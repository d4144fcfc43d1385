"""Queries that run for an hour and hold their connections: nothing ends them but somebody who ends them."""

import asyncio
import contextlib
import os
from dataclasses import dataclass
from typing import Annotated, Any

import psycopg
from fastapi import APIRouter, Query

router = APIRouter()
SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Blocking:
    """A connection that is not the pool's, and what runs on it."""

    connection: "psycopg.AsyncConnection[Any]"
    query: asyncio.Task[None]


_blocking: list[Blocking] = []


async def _run(connection: "psycopg.AsyncConnection[Any]") -> None:
    with contextlib.suppress(psycopg.Error):  # cancelled or ended: it is not tried again
        await connection.execute("SELECT pg_sleep(%s)", (SECONDS,))


@router.post("/load/database/blocking")
async def block(count: Annotated[int, Query(ge=1, le=1000)]) -> dict[str, int]:
    """Run up to `count` queries for an hour each, fewer where the server takes no more connections."""
    opened = 0
    while opened < count:
        try:
            connection = await psycopg.AsyncConnection.connect(
                os.environ["DATABASE_URL"], autocommit=True, connect_timeout=5
            )
        except psycopg.OperationalError:
            break
        _blocking.append(Blocking(connection, asyncio.create_task(_run(connection))))
        opened += 1
    return {"opened": opened, "blocking": len(_blocking)}


async def end() -> int:
    """End them all."""
    held = [one for one in _blocking if not one.query.done()]
    for one in _blocking:
        one.query.cancel()
        one.connection.pgconn.finish()
    await asyncio.gather(*(one.query for one in _blocking), return_exceptions=True)
    _blocking.clear()
    return len(held)
