"""What can be done with a PgBouncer. Nothing of it touches a server that somebody else uses."""

from collections.abc import Callable, Mapping
from shlex import quote
from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen
from psycopg import sql

from watchkeeper.connectors import hosting
from watchkeeper.connectors.pgbouncer import preconditions
from watchkeeper.connectors.pgbouncer.figures import CONSOLE
from watchkeeper.connectors.pgbouncer.read import ACTS, LOOK
from watchkeeper.connectors.pgbouncer.session import PgbouncerSession, Row, until_it_answers
from watchkeeper.connectors.pgbouncer.trouble import Trouble
from watchkeeper.domain import Effect, Refused, Tool, tool
from watchkeeper.hosts.rights import RESTARTS

_CONSOLE = "{inside}psql -h {address} -p {port} -U {user} pgbouncer -c "
Database = Annotated[str, MaxLen(63)]


async def paused(session: PgbouncerSession) -> dict[str, Any]:
    """Which databases are, and whether all are; None where this version does not tell."""
    everything: bool | None = None
    if session.tells_state:
        try:
            told = {str(row.get("key")): str(row.get("value")) for row in await session.console("SHOW STATE")}
            everything = told.get("paused") == "yes"
        except Trouble as problem:
            if problem.category != "said":
                raise
    return {"databases": sorted(row["name"] for row in await _databases(session) if row["paused"]), "all": everything}


async def disabled(session: PgbouncerSession) -> list[str]:
    """Which databases are."""
    return sorted(row["name"] for row in await _databases(session) if row["disabled"])


async def default_pool_size(session: PgbouncerSession) -> int:
    """Connections to the server for each pair of user and database that has no size of its own."""
    rows = await session.console("SHOW CONFIG")
    return next(int(row["value"]) for row in rows if row["key"] == "default_pool_size")


async def start_count(session: PgbouncerSession) -> dict[str, Any]:
    """Changes with every start of what it runs on."""
    return await hosting.start_count(session.host)


async def _databases(session: PgbouncerSession) -> list[Row]:
    return [row for row in await session.console("SHOW DATABASES") if row["name"] != CONSOLE]


def _named(database: str) -> str:
    """A name as the console reads it."""
    return " " + sql.Identifier(database).as_string() if database else ""


def _typed(command: str) -> Callable[[Mapping[str, Any], Mapping[str, str]], str]:
    """What a person would type instead, about the database that is named, or all."""

    def template(arguments: Mapping[str, Any], facts: Mapping[str, str]) -> str:
        said = command + _named(str(arguments.get("database") or ""))
        return _CONSOLE + quote(said).replace("{", "{{").replace("}", "}}")

    return template


@tool(Effect.READ, timeout=5.0, rights=LOOK, by_hand=_CONSOLE + "'SHOW POOLS'")
async def pgbouncer_pools(session: PgbouncerSession) -> list[Row]:
    """Each pool (database and user): clients served and waiting, for how long, connections to the server at work and
    idle; and the size it may have."""
    sizes = {row["name"]: row["pool_size"] for row in await _databases(session)}
    rows = await session.console("SHOW POOLS", timeout=3.0)
    return [row | {"pool_size": sizes.get(row["database"])} for row in rows if row["database"] != CONSOLE]


@tool(Effect.READ, timeout=5.0, rights=LOOK, by_hand=_CONSOLE + "'SHOW CLIENTS'")
async def pgbouncer_clients(
    session: PgbouncerSession, count: Annotated[int, Ge(1), Le(500)] = 50
) -> list[dict[str, Any]]:
    """Who is connected to it, those that wait first: address, application, database, user, state, since when."""
    rows = [row for row in await session.console("SHOW CLIENTS", timeout=3.0) if row["database"] != CONSOLE]
    rows.sort(key=lambda row: (row["state"] != "waiting", -(row.get("wait") or 0)))
    names = ("database", "user", "state", "addr", "application_name", "connect_time", "wait")
    return [{name: row[name] for name in names if name in row} for row in rows[:count]]


@tool(
    Effect.REVERSIBLE,
    state=paused,
    settle=5.0,
    timeout=10.0,
    requires=(preconditions.may_be_paused,),
    rights=ACTS,
    by_hand=_typed("RESUME"),
)
async def pgbouncer_resume(session: PgbouncerSession, database: Database = "") -> dict[str, Any]:
    """Let queries through again after PAUSE or SUSPEND: to one database, or (without a name) to all of them. Clients
    that wait go on; nothing is lost."""
    await session.console(f"RESUME{_named(database)}", timeout=5.0)
    return await paused(session)


@pgbouncer_resume.undo
async def pause_again(session: PgbouncerSession, before: dict[str, Any]) -> None:
    """What was paused before, paused again. PAUSE waits for queries that run: it is told, not waited for."""
    present = await paused(session)
    if before["all"] and not present["all"]:
        await session.console("PAUSE", timeout=5.0)
    for name in set(before["databases"]) - set(present["databases"]):
        await session.console(f"PAUSE{_named(name)}", timeout=5.0)


@tool(
    Effect.REVERSIBLE,
    state=disabled,
    settle=5.0,
    timeout=10.0,
    requires=(preconditions.is_disabled,),
    rights=ACTS,
    by_hand=_typed("ENABLE"),
)
async def pgbouncer_enable(session: PgbouncerSession, database: Annotated[str, MaxLen(63)]) -> dict[str, Any]:
    """Let clients connect to a database again that was disabled on the console (DISABLE)."""
    if database not in await disabled(session):
        raise Refused(f"The database {database} is not disabled (any more).")
    await session.console(f"ENABLE{_named(database)}")
    return {"disabled": await disabled(session)}


@pgbouncer_enable.undo
async def disable_again(session: PgbouncerSession, before: list[str]) -> None:
    """Those that were."""
    for name in set(before) - set(await disabled(session)):
        await session.console(f"DISABLE{_named(name)}")


@tool(
    Effect.REVERSIBLE,
    state=default_pool_size,
    settle=10.0,
    timeout=10.0,
    requires=(preconditions.pool_is_exhausted, preconditions.server_has_room),
    rights=ACTS,
    by_hand=_CONSOLE + "'SET default_pool_size = {value}'",
)
async def pgbouncer_set_pool_size(session: PgbouncerSession, value: Annotated[int, Ge(1), Le(1000)]) -> dict[str, int]:
    """Let each pool open more connections to the server, until the pooler is started anew or its configuration is
    loaded again: the file is not changed. Each costs the server memory and a process."""
    before = await default_pool_size(session)
    await session.console(f"SET default_pool_size = {int(value)}")
    return {"before": before, "now": await default_pool_size(session)}


@pgbouncer_set_pool_size.undo
async def restore_pool_size(session: PgbouncerSession, before: int) -> None:
    """The size as it was; connections too many are closed as they become idle."""
    await session.console(f"SET default_pool_size = {int(before)}")


@tool(Effect.DISRUPTIVE, settle=5.0, timeout=10.0, rights=ACTS, by_hand=_typed("RECONNECT"))
async def pgbouncer_reconnect(session: PgbouncerSession, database: Database = "") -> dict[str, str]:
    """Close each connection to the server as soon as it is given back, and open new ones: after a failover, or where
    its address has changed. No query is cut off; each pays for a new connection once."""
    await session.console(f"RECONNECT{_named(database)}", timeout=5.0)
    return {"reconnects": database or "every database"}


@tool(Effect.DISRUPTIVE, settle=5.0, timeout=10.0, rights=ACTS, by_hand=_CONSOLE + "'RELOAD'")
async def pgbouncer_reload(session: PgbouncerSession) -> dict[str, str]:
    """Have it read its configuration and its file of users again. What was set on the console is lost, what was changed
    in the files and not meant yet begins to count: nobody is disconnected."""
    await session.console("RELOAD", timeout=5.0)
    return {"reloaded": "its configuration"}


@tool(
    Effect.DISRUPTIVE,
    state=start_count,
    settle=10.0,
    timeout=60.0,
    requires=(hosting.has_a_host,),
    rights=RESTARTS,
    by_hand="{restart}",
)
async def pgbouncer_restart(session: PgbouncerSession) -> dict[str, Any]:
    """Restart what it runs on and wait until it answers. Every client and every transaction that is under way is cut
    off; what is committed stays."""
    if session.host is None:
        raise Refused("It is known only by its address; nothing here can restart it.")
    await session.host.restart()
    session.hang_up()
    await until_it_answers(session, 40.0)
    return await start_count(session)


TOOLS: tuple[Tool[PgbouncerSession], ...] = (
    pgbouncer_pools,
    pgbouncer_clients,
    pgbouncer_resume,
    pgbouncer_enable,
    pgbouncer_set_pool_size,
    pgbouncer_reconnect,
    pgbouncer_reload,
    pgbouncer_restart,
)
