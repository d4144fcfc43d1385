"""Tables with dead rows: in which database the worst one is, and what can be done with it."""

import asyncio
from typing import Annotated, Any

from annotated_types import MaxLen
from psycopg import sql

from watchkeeper.connectors.postgres import preconditions, queries
from watchkeeper.connectors.postgres.altering import alter_system
from watchkeeper.connectors.postgres.session import Ask, PostgresSession, Row
from watchkeeper.connectors.postgres.shell import psql
from watchkeeper.connectors.postgres.trouble import Trouble, denied
from watchkeeper.domain import Effect, Refused, tool
from watchkeeper.domain.rights import DECLARED, grants

_BESIDE_SECONDS = 0.5
BLOATED = 0.4
"""Share of dead rows from which a table is looked at again soon; as in the rule."""
_LOCK_SECONDS = 2
Name = Annotated[str, MaxLen(140)]
Database = Annotated[str, MaxLen(63)]
_MAINTAIN_SINCE = 170000
"""`server_version_num` from which MAINTAIN can be granted."""
MAINTAINS = grants("MAINTAIN ON TABLES OF", on=DECLARED)
"""Before PostgreSQL 17 that is to own them."""
OWNS = grants("OWNER OF TABLES OF", on=DECLARED)


async def worst_table(session: PostgresSession, *, room: bool) -> Row | None:
    """The table with the most dead rows, of all databases: of the one it is connected to now, of each other as it was
    when its turn came (one with each call, over a connection that is closed again). Without `room` for one more
    connection only its own is looked at. Raises Trouble."""
    (here,) = await session.query("SELECT current_database() AS name")
    own = str(here["name"])
    begun = asyncio.get_running_loop().time()
    session.tables[own] = await session.query(queries.TABLES)
    session.tables_seconds = asyncio.get_running_loop().time() - begun
    others = [row["name"] for row in await session.query(queries.DATABASES)]
    for gone in set(session.tables) - {own, *others}:
        del session.tables[gone]
    if room and others:
        bloated = session.bloated[0].partition(":")[0]
        turn = bloated if bloated in others else min(others, key=lambda name: session.looked.get(name, 0.0))
        session.looked[turn] = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(_BESIDE_SECONDS), session.beside(turn) as ask:
                session.tables[turn] = await ask(queries.TABLES)
        except (Trouble, TimeoutError):
            session.tables.pop(turn, None)  # not allowed in, or not in time: with its next turn
    found = [row | {"database": name} for name, rows in session.tables.items() for row in rows]
    return max(found, key=lambda row: row["dead"], default=None)


@tool(
    Effect.REVERSIBLE,
    settle=20.0,
    timeout=300.0,
    requires=(preconditions.is_primary, preconditions.worth_vacuuming),
    rights=MAINTAINS,
    by_hand=psql("VACUUM (ANALYZE) {table}", names=("table",)),
)
async def postgres_vacuum(session: PostgresSession, table: Name, database: Database = "") -> dict[str, Any]:
    """Make the room of dead rows in a table (`schema.name`) usable again, and renew its statistics. Nobody is locked
    out, nothing is lost; it costs reading and writing. `database`: by default the one it is connected to."""
    async with session.beside(database) as ask:
        name = await _known(ask, table, database)
        await _may_vacuum(ask, table)
        await ask(sql.SQL("VACUUM (ANALYZE) {}").format(name).as_string(), timeout=290.0)
        session.soon("seldom")
        session.looked.pop(database, None)
        (row,) = await ask(
            "SELECT n_dead_tup AS dead_rows, n_live_tup AS live_rows FROM pg_stat_user_tables "
            "WHERE relid = to_regclass(%(name)s)",
            {"name": table},
        )
    return row


async def _may_vacuum(ask: Ask, table: str) -> None:
    """The server itself only warns, and passes over the table. Raises Trouble."""
    (row,) = await ask(queries.OWNED, {"name": table})
    if row["ours"]:
        return
    if row["version"] < _MAINTAIN_SINCE:
        raise denied(f"owner of {table}", f"it belongs to {row['owner']}")
    if not (await ask(queries.MAINTAINED, {"name": table}))[0]["ours"]:
        raise denied(f"MAINTAIN ON TABLE {table}", f"it belongs to {row['owner']}")


async def autovacuum_off(session: PostgresSession) -> dict[str, Any]:
    """Where autovacuum is switched off by a table's own option, in the databases that can be looked into; and whether
    it is for the whole server."""
    found: dict[str, Any] = {}
    for row in [{"name": ""}, *await session.query(queries.DATABASES)]:
        try:
            async with session.beside(row["name"]) as ask:
                for table in await ask(queries.AUTOVACUUM_OFF):
                    found[f"{row['name']}:{table['name']}"] = table["said"]
        except Trouble as problem:
            if not row["name"]:
                raise
            found[f"{row['name']}:"] = problem.category
    (server,) = await session.query(queries.SERVER_SWITCH)
    if not server["told"]:  # an undo would take back what somebody else has set
        raise denied("pg_read_all_settings", "whether ALTER SYSTEM has set autovacuum is not told")
    return {"tables": found, "server": server["on"], "altered": bool(server["altered"])}


@tool(
    Effect.REVERSIBLE,
    state=autovacuum_off,
    settle=20.0,
    timeout=30.0,
    requires=(preconditions.is_primary, preconditions.autovacuum_is_off),
    rights=(
        *OWNS,
        *grants("pg_read_all_settings", "ALTER SYSTEM ON PARAMETER autovacuum"),
        *grants("EXECUTE ON FUNCTION pg_reload_conf()"),
    ),
    by_hand=psql("ALTER TABLE {table} RESET (autovacuum_enabled)", names=("table",)),
)
async def postgres_enable_autovacuum(session: PostgresSession, table: Name, database: Database = "") -> dict[str, Any]:
    """Let autovacuum work on a table (`schema.name`) again: take back the table's own option that keeps it away, and
    switch it on for the server where it is off. Nobody is locked out, nothing restarts."""
    async with session.beside(database) as ask:
        name = await _known(ask, table, database)
        (option,) = await ask(queries.TABLE_OPTION, {"name": table})
        if option["said"] is not None:
            await _alter(ask, sql.SQL("ALTER TABLE {} RESET (autovacuum_enabled)").format(name))
    (server,) = await session.query(queries.SERVER_SWITCH)
    if not server["on"]:
        if server["source"] == "command line":
            raise Refused("Autovacuum is switched off on the command line the server is started with: change it there.")
        await _server(session, "SET autovacuum = on", on=True)
    session.soon("seldom")
    return {"table_option": option["said"], "server_was_on": server["on"]}


@postgres_enable_autovacuum.undo
async def keep_autovacuum_away(session: PostgresSession, before: dict[str, Any]) -> None:
    """Each option as it was: of tables that are there still, and of the server."""
    present = await autovacuum_off(session)
    for key, said in before["tables"].items():
        database, _, table = key.partition(":")
        if table and key not in present["tables"]:
            async with session.beside(database) as ask:
                name = await _known(ask, table, database)
                option = sql.SQL("ALTER TABLE {} SET (autovacuum_enabled = {})").format(name, sql.Literal(said))
                await _alter(ask, option)
    if before["server"] != present["server"]:
        change = f"SET autovacuum = {'on' if before['server'] else 'off'}" if before["altered"] else "RESET autovacuum"
        await _server(session, change, on=before["server"])
    session.soon("seldom")


async def _server(session: PostgresSession, change: str, *, on: bool) -> None:
    """Change the setting, and wait until the server has read it."""

    async def holds() -> bool:
        return (await session.query(queries.SERVER_SWITCH))[0]["on"] is on

    await alter_system(session, change, holds)


async def _alter(ask: Ask, statement: sql.Composed) -> None:
    """Without making others queue up behind it: the lock is had at once, or not at all."""
    await ask(f"SET lock_timeout = '{_LOCK_SECONDS}s'")
    try:
        await ask(statement.as_string(), timeout=_LOCK_SECONDS + 3.0)
    finally:
        await ask("RESET lock_timeout")


async def _known(ask: Ask, table: str, database: str) -> sql.Identifier:
    (found,) = await ask("SELECT to_regclass(%(name)s)::text AS name", {"name": table})
    if found["name"] is None:
        raise Refused(f"There is no table {table} in {'database ' + database if database else 'this database'}.")
    return sql.Identifier(*(part for part in names(table) if part))


def names(table: str) -> list[str]:
    """`public.orders` and `"Mixed"."Case"` in their parts, as format('%I.%I') writes them.

    >>> names('public."Odd.Name"')
    ['public', 'Odd.Name']
    """
    parts, quoted, word = list[str](), False, ""
    for character in table:
        if character == '"':
            quoted = not quoted
        elif character == "." and not quoted:
            parts, word = [*parts, word], ""
        else:
            word += character
    return [*parts, word]
