"""A session with what speaks PostgreSQL's language: the server itself, or a pooler before it."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import psycopg
from psycopg.rows import dict_row

CONNECT_SECONDS = 1.0
NAME = "watchkeeper"
"""What we call ourselves to it."""
Row = dict[str, Any]
Connection = psycopg.AsyncConnection[Row]


async def connected(
    addresses: Iterable[tuple[str, int]],
    *,
    user: str,
    password: str | None,
    database: str,
    refused: Callable[[psycopg.OperationalError], bool],
) -> Connection:
    """A connection to the first address that takes one. `refused` says of an error whether nothing listens there: then
    the next is tried. No statement is prepared: a pooler may hand each to another server.

    Raises psycopg.OperationalError, OSError (a TimeoutError where it is silent).
    """
    last: Exception = ConnectionRefusedError("it has no address while it does not run")
    for host, port in addresses:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await psycopg.AsyncConnection[Row].connect(
                    host=host,
                    port=port,
                    user=user,
                    password=password,
                    dbname=database,
                    application_name=NAME,
                    client_encoding="UTF8",  # a database in SQL_ASCII would give bytes for text
                    connect_timeout=2,
                    autocommit=True,
                    prepare_threshold=None,
                    row_factory=dict_row,
                )
        except psycopg.OperationalError as problem:
            if not refused(problem):
                raise
            last = problem
        except OSError as problem:
            last = problem
            if isinstance(problem, TimeoutError):
                break
    raise last
