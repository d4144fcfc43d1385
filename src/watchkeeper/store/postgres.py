"""PostgreSQL as the store: how to connect, one writer at a time, hearing what others commit, errors to act on."""

import asyncio
import sqlite3
from typing import Any

import psycopg
import sqlalchemy as sa
import structlog
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from watchkeeper.domain import ConfigurationError, WatchkeeperError
from watchkeeper.store.told import Told

log = structlog.get_logger(__name__)
CHANNEL = "watchkeeper"
WRITER = 0x57415443484B5052
"""The advisory lock of whoever writes: so events become visible in the order of their numbers, on every executor."""
POLL = 2.0
"""Seconds after which a feed looks anew although nothing was heard: behind a pooler no notice comes."""
LOST = ("08", "57P", "53300", "25P03", "40P01", "40001", "55P03")
"""SQLSTATEs after which the same again may succeed: connection lost, shut down, full, idle too long, deadlock."""
_SESSION = {
    "timezone": "UTC",
    "idle_in_transaction_session_timeout": "5000",  # a process that is stopped must not keep the others from writing
    "lock_timeout": "15000",
    "statement_timeout": "60000",
}
_TCP = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}


DISK_FULL = "53100"
_STANDS = "Looking goes on, nothing is changed. "
ROOM = "Make room where the data directory (`--data`) or the database lies."
_SQLITE = {
    "is full": ROOM,
    "disk I/O error": ROOM,
    "is locked": "Another program holds the store's file: end it.",
    "readonly": "Give the data directory and the files in it back to the user that runs this.",
    "unable to open": "Give the data directory and the files in it back to the user that runs this.",
    "malformed": "Its file is damaged: end this process, and put a backup in its place (docs/running.md).",
}
"""What can be done, by a part of SQLite's own words (sqlite.org/rescode.html)."""


class StoreAway(WatchkeeperError):
    """The database cannot be reached (any more). It is tried again; nothing is decided meanwhile."""

    status = 503


def normal(url: str) -> URL:
    """The URL with the driver used here. Raises ConfigurationError."""
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError("store: that is no URL of a database.", HOW) from None
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        if not parsed.database:
            raise ConfigurationError("store: the URL names no database.", HOW)
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite":
        return parsed
    raise ConfigurationError(f"store: {parsed.drivername} is not supported.", HOW)


HOW = "Write postgresql://USER@HOST/DATABASE, or leave it out for SQLite in the data directory."


def engine_options(url: URL) -> dict[str, Any]:
    """What `create_async_engine` is given for this database."""
    if url.get_backend_name() != "postgresql":
        return {}
    return {"pool_pre_ping": True, "pool_size": 6, "max_overflow": 10, "connect_args": connect_arguments()}


def connect_arguments() -> dict[str, Any]:
    """For libpq: short patience, and a session that lets go of its locks when its process stands still."""
    options = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    return {"connect_timeout": 5, "application_name": "watchkeeper", "options": options, **_TCP}


async def become_writer(connection: AsyncConnection) -> None:
    """Wait until no other transaction writes; until this one's end no other will."""
    await connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITER})


async def tell_all(connection: AsyncConnection) -> None:
    """Everybody who listens hears of it when it is committed."""
    await connection.execute(sa.text(f"NOTIFY {CHANNEL}"))


async def hear(url: URL, told: Told) -> None:
    """Until cancelled: pass on that others have committed something; look in any case every `POLL` seconds."""
    parts = url.translate_connect_args(username="user", database="dbname")
    arguments: dict[str, Any] = {**url.query, **parts, **connect_arguments()}
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(**arguments, autocommit=True) as connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                while True:
                    await told.more()
                    async for _ in connection.notifies(timeout=POLL, stop_after=1):
                        pass
        except psycopg.Error as problem:
            log.info("nothing is heard of others now; it is asked for", problem=_first_line(problem))
        await told.more()
        await asyncio.sleep(POLL / 2)  # until it can be reached again


def away(problem: BaseException) -> bool:
    """Whether it is the connection that failed, so that the same may succeed later."""
    if isinstance(problem, StoreAway | PoolTimeout):
        return True
    if unwritable(problem) is not None:
        return True
    if not isinstance(problem, DBAPIError) or not isinstance(problem.orig, psycopg.Error):
        return False
    state = problem.orig.sqlstate
    if state is None:
        return isinstance(problem.orig, psycopg.OperationalError | psycopg.InterfaceError)
    return problem.connection_invalidated or state.startswith(LOST)


def unwritable(problem: BaseException) -> str | None:
    """What a person can do where it is there and nothing can be written to it; None where that is not so."""
    if not isinstance(problem, DBAPIError):
        return None
    if isinstance(problem.orig, psycopg.Error):
        return _STANDS + ROOM if problem.orig.sqlstate == DISK_FULL else None
    if not isinstance(problem.orig, sqlite3.DatabaseError):
        return None
    said = str(problem.orig)
    return next((_STANDS + advice for part, advice in _SQLITE.items() if part in said), None)


def refused(problem: Exception, url: URL) -> ConfigurationError | None:
    """What a person can do where it could not be opened; None where it is no such error."""
    if not isinstance(problem, DBAPIError) or not isinstance(problem.orig, psycopg.Error):
        return None
    said = _first_line(problem.orig)
    where = f"{url.host or 'localhost'}:{url.port or 5432}"
    who, name = url.username or "the user", url.database
    if "password" in said or problem.orig.sqlstate == "28P01":
        what = f"PostgreSQL at {where} does not let {who} in: {said}."
        return ConfigurationError(what, "Check the password the URL refers to: ?password=env:NAME or file:PATH.")
    if "pg_hba.conf" in said or f'role "{who}" does not exist' in said:
        what = f"PostgreSQL at {where} does not let {who} in: {said}."
        return ConfigurationError(what, f"Let it in: CREATE ROLE {who} LOGIN, and a line in pg_hba.conf.")
    if "does not exist" in said and problem.orig.sqlstate in (None, "3D000"):
        return ConfigurationError(
            f"PostgreSQL at {where} has no database {name}.", f"Make it: createdb --owner {who} {name}"
        )
    if problem.orig.sqlstate == "42501":
        return ConfigurationError(
            f"{who} may not make tables in the database {name}: {said}.",
            f"Make it the owner: ALTER DATABASE {name} OWNER TO {who};",
        )
    if away(problem):
        return ConfigurationError(
            f"The store, PostgreSQL at {where}, cannot be reached: {said}.",
            "Is it running? Is the URL in `store` right?",
        )
    return None


def _first_line(problem: Exception) -> str:
    text = str(problem).strip().splitlines() or [type(problem).__name__]
    return text[0].rpartition("FATAL:")[2].rpartition("failed: ")[2].strip().rstrip(".")
