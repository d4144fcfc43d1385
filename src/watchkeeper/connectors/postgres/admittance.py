"""Where a PostgreSQL runs and was told to take no writes, or to let nobody into its database."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from watchkeeper.connectors.postgres import preconditions
from watchkeeper.connectors.postgres.altering import alter_system
from watchkeeper.connectors.postgres.session import Ask, PostgresSession
from watchkeeper.connectors.postgres.shell import psql
from watchkeeper.connectors.postgres.trouble import Trouble, denied
from watchkeeper.domain import Effect, Reading, Refused, tool
from watchkeeper.domain.rights import grants, machine

_FULL = 0.9
"""From so full on a disk is a good reason to take no writes."""
_BESIDE = ("postgres", "template1")
"""Databases from which another one is worked on."""
_READ_ONLY = """
SELECT setting::bool AS value, coalesce(sourcefile LIKE '%postgresql.auto.conf', false) AS altered,
  source IN ('database', 'user', 'database user') AS narrower,
  pg_has_role(current_user, 'pg_read_all_settings', 'usage') AS told
FROM pg_settings WHERE name = 'default_transaction_read_only'
"""
_ADMITS = "SELECT datallowconn AS admits FROM pg_database WHERE datname = %(name)s"


def takes_no_writes(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """It is read-only, and not because its disk is full."""
    if reading.metrics.get("read_only", 0.0) < 1.0:
        return "It takes writes."
    if reading.metrics.get("disk_used_ratio", 0.0) > _FULL:
        return f"Its disk is {reading.metrics['disk_used_ratio']:.0%} full: that may be why it takes no writes."
    return None


def admits_nobody(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Its database takes no connections."""
    return None if reading.metrics.get("connections_forbidden", 0.0) > 0 else "Its database takes connections."


async def read_only(session: PostgresSession) -> dict[str, Any]:
    """Whether transactions begin read-only, and whether ALTER SYSTEM had set that. Raises Trouble."""
    (row,) = await session.query(_READ_ONLY)
    if not row["told"]:  # an undo would take back what somebody else has set
        raise denied("pg_read_all_settings", "whether ALTER SYSTEM has set default_transaction_read_only is not told")
    return {"value": bool(row["value"]), "altered": bool(row["altered"]), "narrower": bool(row["narrower"])}


async def _set(session: PostgresSession, change: str, expected: bool) -> None:
    async def holds() -> bool:
        return (await read_only(session))["value"] == expected

    await alter_system(session, change, holds)


@tool(
    Effect.REVERSIBLE,
    state=read_only,
    settle=5.0,
    timeout=15.0,
    requires=(preconditions.is_primary, takes_no_writes),
    rights=grants(
        "pg_read_all_settings",
        "ALTER SYSTEM ON PARAMETER default_transaction_read_only",
        "EXECUTE ON FUNCTION pg_reload_conf()",
    ),
    by_hand=psql("ALTER SYSTEM SET default_transaction_read_only = off", then=" # then SELECT pg_reload_conf()"),
)
async def postgres_allow_writes(session: PostgresSession) -> dict[str, Any]:
    """Let transactions write again, where the server was set to begin each of them read-only. Nothing restarts;
    sessions that are there take it over, too. What is set for a database or a role alone is refused."""
    before = await read_only(session)
    if before["narrower"]:
        raise Refused("That is set for the database or the role alone, by somebody who meant just them.")
    await _set(session, "SET default_transaction_read_only = off", False)
    return {"before": before["value"], "now": False}


@postgres_allow_writes.undo
async def forbid_writes(session: PostgresSession, before: dict[str, Any]) -> None:
    """As it was set."""
    value = bool(before["value"])
    said = f"SET default_transaction_read_only = {'on' if value else 'off'}"
    await _set(session, said if before["altered"] else "RESET default_transaction_read_only", value)


@asynccontextmanager
async def _from_beside(session: PostgresSession) -> AsyncGenerator[Ask]:
    """From another database, which takes connections. Raises Trouble where none does."""
    watched, problem = await session.database(), Trouble("said", "There is no other database to do that from.")
    async with AsyncExitStack() as stack:
        for database in (name for name in _BESIDE if name != watched):
            try:
                ask = await stack.enter_async_context(session.beside(database))
                break
            except Trouble as found:
                problem = found
        else:
            raise problem
        yield ask


async def admits(session: PostgresSession) -> dict[str, Any]:
    """The database that is watched, and whether it takes connections. Raises Trouble."""
    name = await session.database()
    async with _from_beside(session) as ask:
        found = await ask(_ADMITS, {"name": name})
    if not found:
        raise Refused(f"There is no database {name} (any more).")
    return {"database": name, "admits": bool(found[0]["admits"])}


async def _admit(session: PostgresSession, name: str, *, to: bool) -> None:
    quoted = name.replace('"', '""')
    async with _from_beside(session) as ask:
        await ask(f'ALTER DATABASE "{quoted}" ALLOW_CONNECTIONS {"true" if to else "false"}')


@tool(
    Effect.REVERSIBLE,
    state=admits,
    settle=5.0,
    timeout=15.0,
    requires=(admits_nobody,),
    rights=machine(
        "the owner of the database as its role at the PostgreSQL, or a superuser",
        gives="a database that was closed is opened",
    ),
    by_hand='{inside}psql -U postgres -d postgres -c "ALTER DATABASE NAME ALLOW_CONNECTIONS true"',
)
async def postgres_allow_connections(session: PostgresSession) -> dict[str, Any]:
    """Let sessions into the watched database again, where somebody closed it (`ALLOW_CONNECTIONS false`, as before a
    restore or a DROP) and left it so. Nothing in it is changed."""
    before = await admits(session)
    if before["admits"]:
        raise Refused(f"The database {before['database']} takes connections (again).")
    await _admit(session, before["database"], to=True)
    return before | {"admits": True}


@postgres_allow_connections.undo
async def close_again(session: PostgresSession, before: dict[str, Any]) -> None:
    """Closed, as it was; who is in stays in."""
    await _admit(session, before["database"], to=bool(before["admits"]))
