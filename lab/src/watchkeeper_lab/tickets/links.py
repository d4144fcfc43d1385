"""Connections of the lab's own through the desk's pooler."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import psycopg

from watchkeeper_lab.instance import Instance

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


@asynccontextmanager
async def through_pooler(instance: Instance, database: str, user: str) -> AsyncGenerator[Connection]:
    """A connection of one of the pooler's users: in autocommit, nothing prepared."""
    where = f"127.0.0.1:{instance.ports['POOLER_PORT']}/{database}"
    connection = await psycopg.AsyncConnection.connect(
        f"postgresql://{user}:{instance.secret(user)}@{where}",
        autocommit=True,
        connect_timeout=4,
        prepare_threshold=None,
        cursor_factory=psycopg.AsyncClientCursor,  # its console knows no extended protocol
    )
    try:
        yield connection
    finally:
        await connection.close()


def pooler_admin(instance: Instance) -> AbstractAsyncContextManager[Connection]:
    """The pooler's own console."""
    return through_pooler(instance, "pgbouncer", "pooladmin")
