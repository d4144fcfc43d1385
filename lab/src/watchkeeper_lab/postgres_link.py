"""A connection of the lab's own to its PostgreSQL, straight to the published port."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


@asynccontextmanager
async def postgres_link(url: str, *, timeout: float = 2.0) -> AsyncGenerator[Connection]:
    """Open a connection in autocommit; `timeout` in seconds, for connecting and for each statement."""
    options = f"-c statement_timeout={int(timeout * 1000)} -c lock_timeout={int(timeout * 1000)}"
    connection = await psycopg.AsyncConnection.connect(
        url, autocommit=True, connect_timeout=max(2, int(timeout)), options=options
    )
    try:
        yield connection
    finally:
        await connection.close()
