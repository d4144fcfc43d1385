"""A session with what speaks PostgreSQL's language: the server itself, or a pooler before it."""

import asyncio
from collections.abc import Callable, Generator, Hashable, Iterable
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row

CONNECT_SECONDS = 1.0
NAME = "watchkeeper"
"""What we call ourselves to it."""
Row = dict[str, Any]
Connection = psycopg.AsyncConnection[Row]


class Refusals:
    """A login that was refused is tried again ever more seldom: each try is a line in the server's log, and may lock
    somebody out. Another login, or another address, is tried at once."""

    FIRST = 5.0
    """Seconds until the second try; then twice as long each time."""
    MOST = 60.0

    def __init__(self) -> None:
        self._of = 0
        self._said = ""
        self._wait = 0.0
        self._until = 0.0

    @contextmanager
    def heeded(
        self, *login: Hashable, refused: Callable[[psycopg.OperationalError], bool], note: str = ""
    ) -> Generator[None]:
        """Around an attempt. While it is too soon it is refused here, in the server's words and with the `note`.
        `login`: who asks, and where; `refused`: whether an error says that this one is not let in.

        Raises psycopg.OperationalError.
        """
        of, clock = hash(login), asyncio.get_running_loop().time  # a hash: no password is kept for it
        if of != self._of:
            self._of, self._wait, self._until = of, 0.0, 0.0
        if clock() < self._until:
            raise psycopg.OperationalError(self._said)
        try:
            yield
        except psycopg.OperationalError as problem:
            if not refused(problem):
                raise
            self._said = f"{problem}{note}"
            self._wait = min(self.MOST, self._wait * 2 or self.FIRST)
            self._until = clock() + self._wait
            raise psycopg.OperationalError(self._said) from None
        self._wait = 0.0


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
