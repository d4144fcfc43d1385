"""The printed role is enough for everything, none of it is too much, and what is missing is named."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import psycopg
import pytest
from postgres_fixtures import PostgresHost, Sit
from tests.postgres import Postgres

from watchkeeper.cli.rights import of_resource
from watchkeeper.connectors.postgres import connector
from watchkeeper.connectors.postgres.rights import EXAMPLE_OWNER, PostgresAccess
from watchkeeper.connectors.postgres.session import PostgresSession
from watchkeeper.domain import Resource, Right
from watchkeeper.domain.rights import of_kind

ACCESS = PostgresAccess()
TOOLS = {tool.name: tool for tool in connector.tools}
NAMED = Resource(
    "docker/lab/postgres/orders", "orders", may_act=True, settings={"username": "keeper", "database": "postgres"}
)
ACT = (*ACCESS.look, *ACCESS.probe(writes=True), *(right for tool in connector.tools for right in tool.rights))
RESTARTS = ("postgres_restart", "postgres_scale_connections")
AT_A_STANDBY = ("postgres_resume_replay", "postgres_end_replay_blocker")
REPLAY = {f"EXECUTE ON FUNCTION pg_wal_replay_{what}()" for what in ("pause", "resume")}
AT_THE_SERVER = [name for name, tool in TOOLS.items() if of_kind(tool.rights, "grant") and name not in AT_A_STANDBY]
OWNING = {"MAINTAIN ON TABLES OF", "OWNER OF TABLES OF"}
NEEDED = sorted(
    {right.what for right in of_kind(ACT, "grant")}
    - {"CONNECT ON EVERY DATABASE", "pg_use_reserved_connections"}  # a test of its own; from PostgreSQL 16 on
    - {"OWNER OF TABLES OF"}  # the same statement
    - REPLAY  # at a standby: tests/connectors/test_postgres_replication.py
)
SLEEP = "SELECT pg_sleep(3600)"
Enter = Callable[..., AbstractAsyncContextManager[PostgresSession]]


def statements(rights: Any, *, more: bool = False, version: str = "15.4") -> str:
    return ACCESS.grant(rights, NAMED, more=more, version=version).replace(EXAMPLE_OWNER, "shopkeeper")


@pytest.fixture(scope="module")
def shop(orders: Postgres) -> Postgres:
    """A server on which PUBLIC has nothing, and whose tables belong to somebody."""
    orders.run("REVOKE ALL ON DATABASE postgres FROM PUBLIC")
    orders.run("CREATE ROLE shopkeeper")
    orders.run("CREATE ROLE visitor LOGIN")
    orders.run("GRANT CONNECT ON DATABASE postgres TO visitor")
    orders.run("CREATE TABLE goods AS SELECT 1 AS id")
    orders.run("ALTER TABLE goods OWNER TO shopkeeper")
    orders.run("GRANT ALL ON TABLE goods TO visitor")
    return orders


def give(server: Postgres, said: str, *, anew: bool = True) -> None:
    """As a superuser pastes it; for a role that is made anew."""
    before = (
        "DO $$ BEGIN CREATE ROLE keeper; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        "DROP OWNED BY keeper",
        "DROP ROLE keeper",
    )
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        for statement in (*(before if anew else ()), *said.splitlines()):
            if not statement.startswith("--"):
                connection.execute(statement.encode())


@pytest.fixture
def enter(shop: Postgres) -> Enter:
    """A session of the role that was made."""

    @asynccontextmanager
    async def opened(*, act: bool = True, **settings: str) -> AsyncIterator[PostgresSession]:
        resource = Resource(NAMED.id, NAMED.slug, may_act=act, settings={**NAMED.settings, **settings})
        async with connector.connect(resource, PostgresHost(shop)) as session:  # type: ignore[arg-type]
            yield session

    return opened


async def seen(server: Postgres, *conditions: str) -> tuple[int, str]:
    """Wait until the server sees such a session: its process id, and since when it is there."""
    where = " AND ".join(("usename = 'visitor'", *conditions))
    async with await psycopg.AsyncConnection.connect(server.url("postgres"), autocommit=True) as connection:
        async with asyncio.timeout(60):
            while True:
                asked = f"SELECT pid, backend_start::text FROM pg_stat_activity WHERE {where}"
                if row := await (await connection.execute(asked.encode())).fetchone():
                    return int(row[0]), str(row[1])
                await asyncio.sleep(0.02)


async def victims(server: Postgres, sit: Sit, name: str) -> dict[str, Any]:
    """Those whom a tool is for, and the arguments that mean them."""
    who = {"application": name, "user": "visitor"}
    if name == "postgres_kill_long_queries":
        (pid,) = await sit(1, SLEEP, last_hangs=True, **who)
        await seen(server, "state = 'active'", f"pid = {pid}")
        return {"min_seconds": 0, "query_hash": await md5(server, SLEEP)}
    if name == "postgres_kill_idle_sessions":
        await sit(1, "SELECT 1", **who)
        return {**who, "min_seconds": 0}
    if name == "postgres_end_old_transaction":
        (pid,) = await sit(1, "BEGIN", "SELECT 1", **who)
        return dict(zip(("pid", "started"), await seen(server, f"pid = {pid}"), strict=True))
    if name == "postgres_kill_idle_in_transaction":
        await sit(1, "BEGIN", "SELECT 1", **who)
        return {"min_seconds": 0}
    if name == "postgres_kill_blocker":
        await sit(1, "BEGIN", "LOCK TABLE goods", **who)
        await sit(1, "SET application_name = 'waits'", "SELECT count(*) FROM goods", last_hangs=True, **who)
        await seen(server, "application_name = 'waits'", "wait_event_type = 'Lock'")
        pid, started = await seen(server, f"application_name = '{name}'")
        return {"pid": pid, "started": started}
    if name in ("postgres_vacuum", "postgres_enable_autovacuum"):
        shop_is_closed(server)
        off = (
            "ALTER TABLE goods SET (autovacuum_enabled = off)",
            "ALTER SYSTEM RESET autovacuum",
            "SELECT pg_reload_conf()",
        )
        give(server, "\n".join(off), anew=False)
        await shows(server, "autovacuum", "off")
    return {
        "postgres_vacuum": {"table": "public.goods"},
        "postgres_enable_autovacuum": {"table": "public.goods"},
        "postgres_scale_connections": {"value": 30},
        "postgres_set_max_wal_size": {"megabytes": 2048},
        "postgres_limit_slot_wal": {"megabytes": 4096},
    }.get(name, {})


def shop_is_closed(server: Postgres) -> None:
    """Nobody holds a lock on the table: a tool that was not permitted left its victims where they were."""
    server.run("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'visitor'")


async def shows(server: Postgres, name: str, value: str) -> None:
    """Wait until new sessions find the setting so."""
    async with asyncio.timeout(60):
        while True:
            async with await psycopg.AsyncConnection.connect(server.url("postgres")) as connection:
                if await (await connection.execute(f"SHOW {name}".encode())).fetchone() == (value,):
                    return


async def md5(server: Postgres, text: str) -> str:
    async with await psycopg.AsyncConnection.connect(server.url("postgres")) as connection:
        row = await (await connection.execute("SELECT md5(%s)", (text,))).fetchone()
        assert row
        return str(row[0])


async def use(session: PostgresSession, server: Postgres, sit: Sit, name: str) -> None:
    """Run a tool as the executor does: state, act, undo."""
    tool = TOOLS[name]
    given = await victims(server, sit, name)
    before = await tool.state(session) if tool.state else None
    await tool.run(session, **given)
    if tool.undo_run:
        await tool.undo_run(session, before)


async def refused(work: Awaitable[Any]) -> str:
    try:
        await work
    except Exception as problem:
        return str(problem)
    return ""


async def test_with_the_role_to_watch_every_look_works_and_nothing_is_unread(shop: Postgres, enter: Enter) -> None:
    give(shop, statements(ACCESS.look))
    async with enter(act=False) as session:
        reading = await connector.read(session, None)
        assert reading.error is None
        assert reading.facts["not_read"] == ""
        assert {"blocked_sessions", "longest_query_seconds", "database_bytes", "replicas"} <= set(reading.metrics)
        assert reading.metrics["hidden_sessions"] == reading.metrics["may_end_sessions"] == 0.0
        assert (await connector.probe(session)).ok


async def test_with_the_role_to_act_the_probe_writes_and_every_tool_works(
    shop: Postgres, enter: Enter, sit: Sit
) -> None:
    give(shop, statements(ACT))
    async with enter() as session:
        assert (await connector.probe(session)).ok
        for name in AT_THE_SERVER:
            await use(session, shop, sit, name)
        reading = await connector.read(session, None)
        assert reading.facts["not_read"] == ""
        assert reading.metrics["may_end_sessions"] == 1.0


@pytest.mark.parametrize("name", [name for name in AT_THE_SERVER if name not in RESTARTS])
async def test_the_role_for_one_tool_is_enough_for_it(name: str, shop: Postgres, enter: Enter, sit: Sit) -> None:
    give(shop, statements((*ACCESS.look, *TOOLS[name].rights)))
    async with enter() as session:
        await use(session, shop, sit, name)


@pytest.mark.parametrize("what", NEEDED)
async def test_without_one_right_just_what_needs_it_fails_and_names_it(
    what: str, shop: Postgres, enter: Enter, sit: Sit
) -> None:
    without = OWNING if what in OWNING else {what}
    give(shop, statements([right for right in ACT if right.what not in without]))
    async with enter() as session:
        said = {"look": "", "probe": (await connector.probe(session)).error or ""}
        reading = await connector.read(session, None)
        said["look"] = reading.error or reading.facts["not_read"]
        for name in AT_THE_SERVER:
            needs = any(right.what in without for right in TOOLS[name].rights)
            if needs or name not in RESTARTS:
                said[name] = await refused(use(session, shop, sit, name))
    parts = {"look": ACCESS.look, "probe": ACCESS.probe(writes=True)}
    parts |= {name: TOOLS[name].rights for name in AT_THE_SERVER}
    failed = {name for name, text in said.items() if text}
    if what == "CONNECT ON DATABASE":
        assert failed == set(said), "nothing goes without it"
    else:
        assert failed == {name for name in said if any(right.what in without for right in parts[name])}
    name = "owner of" if what in OWNING else what
    assert all(f"`{name}" in said[one] for one in failed), said


async def test_what_others_do_is_not_made_up_where_it_is_hidden(shop: Postgres, enter: Enter, sit: Sit) -> None:
    give(shop, statements([right for right in ACCESS.look if not right.gives]))
    await sit(3, "SELECT 1", user="visitor")
    async with enter() as session:
        reading = await connector.read(session, None)
        assert reading.error is None
        assert reading.metrics["hidden_sessions"] >= 3.0
        assert reading.metrics["connections"] >= 4.0
        assert {"blocked_sessions", "idle_sessions", "longest_query_seconds"}.isdisjoint(reading.metrics)


async def test_databases_that_it_is_kept_out_of_are_counted(shop: Postgres, enter: Enter) -> None:
    give(shop, statements(ACT))
    shop.run("CREATE DATABASE vault")
    shop.run("REVOKE CONNECT ON DATABASE vault FROM PUBLIC")
    async with enter() as session:
        reading = await connector.read(session, None)
        assert "the tables of other databases (needs `CONNECT` on 1 databases more)" in reading.facts["not_read"]
        held = await ACCESS.held(session, ACT)
        assert [right.said for right in held.missing] == ["CONNECT ON EVERY DATABASE vault"]
        assert "vault" in held.notes[0]
        give(shop, ACCESS.grant(held.missing, NAMED, more=True, version=held.version), anew=False)
        assert (await ACCESS.held(session, ACT)).missing == ()
    shop.run("DROP DATABASE vault")


async def test_doctor_finds_what_is_missing_and_the_statements_it_prints_give_it(shop: Postgres, enter: Enter) -> None:
    gone = {"pg_signal_backend", "TEMPORARY ON DATABASE", "ALTER SYSTEM ON PARAMETER autovacuum", *OWNING}
    give(shop, statements([right for right in ACT if right.what not in gone]))
    async with enter() as session:
        held = await ACCESS.held(session, ACT)
        assert {right.what for right in held.missing} == gone
        assert held.unknown == held.more == ()
        added = ACCESS.grant(held.missing, NAMED, more=True, version=held.version)
        assert "GRANT shopkeeper TO keeper;" in added
        give(shop, added, anew=False)
        assert (await ACCESS.held(session, ACT)).missing == ()


async def test_the_sessions_of_a_superuser_are_passed_over_and_alone_are_refused(
    shop: Postgres, enter: Enter, sit: Sit
) -> None:
    give(shop, statements(ACT))
    tool = TOOLS["postgres_kill_idle_in_transaction"]
    await sit(1, "BEGIN", "SELECT 1", user="watchkeeper")
    async with enter() as session:
        assert "`superuser`" in await refused(tool.run(session, min_seconds=0))
        (pid,) = await sit(1, "BEGIN", "SELECT 1", user="visitor")
        assert await refused(tool.run(session, min_seconds=0)) == ""
        async with asyncio.timeout(60):
            while await session.query("SELECT FROM pg_stat_activity WHERE pid = %(pid)s", {"pid": pid}):  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def test_what_doctor_says_of_it_can_be_pasted(shop: Postgres, enter: Enter) -> None:
    give(shop, statements([right for right in ACT if right.what != "pg_signal_backend"]))
    async with enter() as session:
        (said,) = await of_resource(NAMED, connector, ACCESS, session)
        assert said.found == "as the role keeper; can look: ✓; can probe: ✓; can act: lacks `pg_signal_backend`"
        assert said.advice == "GRANT pg_signal_backend TO keeper;"
        give(shop, said.advice, anew=False)
        (said,) = await of_resource(NAMED, connector, ACCESS, session)
        assert (said.state, said.advice) == ("ok", "")
    async with enter(username="watchkeeper") as session:
        ours = Resource(NAMED.id, NAMED.slug, may_act=True, settings={**NAMED.settings, "username": "watchkeeper"})
        well, more = await of_resource(ours, connector, ACCESS, session)
        assert (well.state, more.state) == ("ok", "more")
        assert more.found == "its user may also: everything (superuser)"
        assert more.advice.startswith("CREATE ROLE watchkeeper LOGIN")


async def test_asking_changes_nothing_and_tells_a_superuser(shop: Postgres, enter: Enter) -> None:
    def state() -> list[Any]:
        with psycopg.connect(shop.url("postgres")) as connection:
            asked = "SELECT rolname::text FROM pg_roles UNION ALL SELECT datacl::text FROM pg_database "
            asked += "UNION ALL SELECT parname || paracl::text FROM pg_parameter_acl ORDER BY 1"
            return connection.execute(asked.encode()).fetchall()

    give(shop, statements(ACT))
    before = state()
    async with enter() as session:
        assert (await ACCESS.held(session, ACT)).more == ()
    async with enter(username="watchkeeper") as session:
        held = await ACCESS.held(session, ACT)
        assert held.more == ("everything (superuser)",)
        assert held.missing == held.unknown == ()
    assert state() == before


async def test_what_it_has_too_much_is_named(shop: Postgres, enter: Enter) -> None:
    give(shop, statements(ACT))
    shop.run("GRANT pg_read_server_files TO keeper")
    shop.run("ALTER ROLE keeper CREATEROLE")
    async with enter() as session:
        assert (await ACCESS.held(session, ACT)).more == ("make roles", "pg_read_server_files")


def test_other_versions_get_what_they_understand() -> None:
    before = statements(ACT, version="14.9")
    assert "GRANT ALTER SYSTEM" not in before
    assert "before PostgreSQL 15 a superuser alone may" in before
    assert "pg_use_reserved_connections" not in before

    later = statements(ACT, version="17.0 (Debian)")
    assert "pg_maintain" in later
    assert "pg_use_reserved_connections" in later
    assert "--" not in statements(TOOLS["postgres_vacuum"].rights, version="17.0")
    assert "shopkeeper" not in statements(TOOLS["postgres_vacuum"].rights, version="17.0")


def test_the_rights_of_a_superuser_are_never_advised() -> None:
    said = ACCESS.grant([Right("grant", "OWNER OF TABLES OF", "postgres (superuser)")], NAMED, more=True)
    assert not any(line.startswith("GRANT") for line in said.splitlines())
    assert "give them to a role of their own" in said


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("permission denied to terminate process DETAIL: Only roles with the SUPERUSER attribute may …", "superuser"),
        (
            'permission denied to cancel query DETAIL: Only roles with privileges of the "pg_signal_backend" role …',
            "pg_signal_backend",
        ),
        (
            'permission denied to examine "data_directory" DETAIL: Only roles with privileges of the '
            '"pg_read_all_settings" role may examine this parameter.',
            "pg_read_all_settings",
        ),
        ("relation does not exist", ""),
    ],
)
def test_the_words_of_later_versions_are_understood_too(said: str, right: str) -> None:
    from watchkeeper.connectors.postgres.trouble import lacking

    assert lacking(said) == right
