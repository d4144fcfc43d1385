"""PgBouncer as a resource, against a real one before a real server."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from pgbouncer_fixtures import POOL, TURNED_AWAY, Come, Pooler, PoolerHost, named
from postgres_fixtures import SLOTS
from tests.postgres import Postgres

from watchkeeper.cli.rights import of_resource
from watchkeeper.connectors.pgbouncer import access, connector
from watchkeeper.connectors.pgbouncer import tools as hands
from watchkeeper.connectors.pgbouncer.discovery import Discovery
from watchkeeper.connectors.pgbouncer.figures import pools
from watchkeeper.connectors.pgbouncer.session import PgbouncerSession
from watchkeeper.connectors.pgbouncer.trouble import Trouble
from watchkeeper.connectors.postgres import connector as postgres
from watchkeeper.connectors.postgres import poolers
from watchkeeper.connectors.postgres.session import PostgresSession
from watchkeeper.decide.shell import by_hand
from watchkeeper.domain import ConfigurationError, Probe, Reading, Refused, Resource, Tool


class Eye:
    """Looks one after the other, as the watcher does."""

    def __init__(self, session: PgbouncerSession) -> None:
        self.session = session
        self.last: Reading | None = None

    async def __call__(self) -> Reading:
        self.last = await connector.read(self.session, self.last)
        return self.last


@pytest.fixture
def look(console: PgbouncerSession) -> Eye:
    return Eye(console)


def firing(reading: Reading) -> set[str]:
    return {rule.id for rule in connector.rules if rule.when.holds(reading.scope())}


def after(reading: Reading, **metrics: float) -> Reading:
    """The same, had it lasted."""
    return replace(reading, metrics={**reading.metrics, **metrics})


async def until(look: Callable[[], Awaitable[Reading]], holds: Callable[[Reading], bool]) -> Reading:
    """Look again and again until it holds; a look that was starved tells nothing."""
    async with asyncio.timeout(60):
        while True:
            reading = await look()
            with contextlib.suppress(KeyError):
                if holds(reading):
                    return reading
            await asyncio.sleep(0.05)


async def good(session: PgbouncerSession) -> Reading:
    return await until(lambda: connector.read(session, None), lambda reading: reading.ok)


@contextlib.asynccontextmanager
async def undone(tool: Tool[Any], session: PgbouncerSession) -> AsyncIterator[None]:
    """What is done inside with a tool is taken back as the executor would."""
    assert tool.state
    assert tool.undo_run
    before = await tool.state(session)
    yield
    assert await tool.state(session) != before
    await tool.undo_run(session, before)
    assert await tool.state(session) == before


async def test_a_healthy_pooler_raises_nothing_and_tells_all_that_rules_name(look: Eye, come: Come) -> None:
    await come(3, "SELECT 1")
    reading = await until(look, lambda r: r.ok and "clients_refused" in r.metrics)
    assert (reading.error, firing(reading)) == (None, set())
    lazy = {"crowd_clients", "server_max_connections", "query_seconds", "wait_seconds"}
    lazy |= {"queries_per_second", "transactions_per_second"}
    assert set(connector.sample.metrics) - set(reading.metrics) <= lazy
    assert set(reading.metrics) <= set(connector.sample.metrics)
    assert set(reading.facts) <= set(connector.sample.facts)
    assert (reading.metrics["clients"], reading.metrics["max_clients"]) == (4, 60)
    assert await connector.clients(look.session) == ["127.0.0.1"] * 3


async def test_a_full_pool_is_told_with_who_waits_and_made_larger_only_where_that_is_allowed(
    look: Eye, come: Come
) -> None:
    busy = await come(POOL, "BEGIN", "SELECT 1")
    await come(2, "SELECT 2", hangs=True)
    reading = await until(look, lambda r: r.metrics["clients_waiting"] == 2)
    assert reading.metrics["pool_used_ratio"] == 1.0
    assert firing(reading) == set()  # that may be a burst
    reading = await until(look, lambda r: r.metrics["longest_wait_seconds"] > 0.1)
    assert firing(after(reading, pool_exhausted_seconds=9.0, longest_wait_seconds=9.0)) == {"pgbouncer-pool-exhausted"}
    assert firing(after(reading, pool_exhausted_seconds=0.0, longest_wait_seconds=9.0)) == {"pgbouncer-clients-waiting"}
    assert (reading.facts["pool_database"], reading.facts["crowd_address"]) == ("shop", "127.0.0.1")

    tool = hands.pgbouncer_set_pool_size
    assert tool.refusal(reading, {"value": 3}) is None
    assert "already" in (tool.refusal(reading, {"value": 2}) or "")
    assert "twice" in (tool.refusal(reading, {"value": 9}) or "")
    assert "leave too few" in (tool.refusal(after(reading, server_max_connections=3.0), {"value": 3}) or "")
    assert "size of its own" in (tool.refusal(after(reading, pool_size=1.0), {"value": 3}) or "")
    async with undone(tool, look.session):
        assert await tool.run(look.session, value=3) == {"before": 2, "now": 3}
        await until(look, lambda r: r.metrics["clients_waiting"] == 0)
        assert firing(await good(look.session)) == set()
    for connection in busy:
        await connection.execute("COMMIT")


async def test_what_was_paused_is_resumed_and_can_be_paused_again(look: Eye, come: Come, pooler: Pooler) -> None:
    await asyncio.to_thread(pooler.console, "PAUSE shop")
    await come(2, "SELECT 1", hangs=True)
    reading = await until(look, lambda r: r.metrics["paused_clients_waiting"] == 2)
    assert firing(reading) == set()  # somebody may be moving the database
    assert firing(after(reading, paused_seconds=90.0)) == {"pgbouncer-paused"}
    assert reading.facts["paused_database"] == "shop"
    assert hands.pgbouncer_resume.refusal(reading, {}) is None
    async with undone(hands.pgbouncer_resume, look.session):
        await hands.pgbouncer_resume.run(look.session, database="shop")
        await until(look, lambda r: r.metrics["clients_waiting"] == 0 and not r.metrics["paused_databases"])
        assert "Nothing is paused" in (hands.pgbouncer_resume.refusal(await good(look.session), {}) or "")
    await asyncio.to_thread(pooler.console, "RESUME shop")


async def test_a_disabled_database_is_told_and_enabled_only_when_a_person_says_so(look: Eye, pooler: Pooler) -> None:
    await asyncio.to_thread(pooler.console, "DISABLE own")
    reading = await good(look.session)
    assert (reading.metrics["disabled_databases"], reading.facts["disabled_database"]) == (1.0, "own")
    assert next(one for one in connector.runbooks if one.name == "database-disabled").confirm
    async with undone(hands.pgbouncer_enable, look.session):
        await hands.pgbouncer_enable.run(look.session, database="own")
        with pytest.raises(Refused, match="not disabled"):
            await hands.pgbouncer_enable.run(look.session, database="own")
    await asyncio.to_thread(pooler.console, "ENABLE own")
    assert (await good(look.session)).metrics["disabled_databases"] == 0


async def test_looking_needs_no_more_than_a_stats_user_and_acting_says_what_it_lacks(
    pooler: Pooler, pooler_host: PoolerHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = named(pooler, monkeypatch, "visitor", "v")
    async with connector.connect(resource, pooler_host) as session:  # type: ignore[arg-type]
        await good(session)
        with pytest.raises(Trouble, match="has to be among admin_users"):
            await hands.pgbouncer_reconnect.run(session)
        await good(session)
    resource = named(pooler, monkeypatch, "keeper", "wrong-one")
    async with connector.connect(resource, pooler_host) as session:  # type: ignore[arg-type]
        reading = await until(partial(connector.read, session, None), lambda r: r.facts["error"] == "password")
        assert firing(reading) == set()
        assert "watchkeeper.yaml" in (reading.error or "")
        assert "wrong-one" not in (reading.error or "")
        assert (await connector.probe(session)).ok is None


@pytest.mark.parametrize(("user", "acts"), [("keeper:k", True), ("visitor:v", False)])
async def test_what_its_user_may_do_is_asked_and_nothing_changed(
    pooler: Pooler, pooler_host: PoolerHost, monkeypatch: pytest.MonkeyPatch, user: str, acts: bool
) -> None:
    resource = named(pooler, monkeypatch, *user.split(":"))
    resource = replace(resource, settings={**resource.settings, "database": "lost"})
    async with connector.connect(resource, pooler_host) as session:  # type: ignore[arg-type]
        (found, *_) = await of_resource(resource, connector, connector.access, session)
    assert f"as {resource.settings['username']}; can look: ✓" in found.found
    assert ("can act: ✓" in found.found) is acts
    assert "no query gets through to lost: " in found.found
    assert found.advice == ("" if acts else "admin_users = visitor  ; in its configuration, then RELOAD")


async def probed(session: PgbouncerSession, *, again: bool) -> Probe:
    """A login at the server that failed once is tried again by the pooler after a while."""
    async with asyncio.timeout(60):
        while True:
            probe = await connector.probe(session)
            if not again or TURNED_AWAY not in (probe.error or ""):
                return probe
            await asyncio.sleep(0.2)


async def test_the_probe_goes_through_to_the_server_where_a_database_is_named(
    look: Eye, pooler: Pooler, pooler_host: PoolerHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await connector.probe(look.session)).what == "the console answers"
    monkeypatch.setenv("POOLER_PASSWORD", "s")
    for database, ok in (("shop", True), ("lost", False)):
        url = f"postgresql://shop@127.0.0.1:{pooler.port}/{database}"
        resource = Resource(
            "remote/lab/pgbouncer/pooler", "pooler", settings={"url": url, "password": "env:POOLER_PASSWORD"}
        )
        probe = await probed(PgbouncerSession(resource, None), again=ok)
        assert (probe.ok, probe.what) == (ok, f"SELECT 1 through {database}"), probe.error


async def test_where_a_database_is_named_it_is_told_what_its_server_allows_and_says(
    pooler: Pooler, pooler_host: PoolerHost, monkeypatch: pytest.MonkeyPatch, orders: Postgres
) -> None:
    orders.run("DO $$ BEGIN CREATE ROLE keeper LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    resource = named(pooler, monkeypatch)

    def tells(reading: Reading) -> bool:
        return "server_max_connections" in reading.metrics or reading.facts["server_error"] != ""

    for database in ("shop", "lost"):
        settings = {**resource.settings, "database": database}
        async with connector.connect(replace(resource, settings=settings), pooler_host) as session:  # type: ignore[arg-type]
            reading = await until(partial(connector.read, session, None), tells)
            if database == "shop":
                assert (reading.metrics["server_max_connections"], reading.facts["server_error"]) == (SLOTS, "")
            else:
                assert "does not exist" in reading.facts["server_error"]
                assert firing(after(reading, refused_seconds=9.0)) == {"pgbouncer-server-login-failing"}


async def test_that_the_server_lets_us_alone_not_in_is_no_fault_of_the_pooler(
    pooler: Pooler, pooler_host: PoolerHost, monkeypatch: pytest.MonkeyPatch, orders: Postgres, come: Come
) -> None:
    orders.run("DO $$ BEGIN CREATE ROLE keeper; EXCEPTION WHEN duplicate_object THEN ALTER ROLE keeper NOLOGIN; END $$")
    await asyncio.to_thread(pooler.console, "RECONNECT")
    resource = named(pooler, monkeypatch)
    settings = {**resource.settings, "database": "shop"}
    async with connector.connect(replace(resource, settings=settings), pooler_host) as session:  # type: ignore[arg-type]
        await come(1, "SELECT 1")
        reading = await until(partial(connector.read, session, None), lambda r: r.facts["own_error"] != "")
        assert "no query of ours gets through to shop: " in (reading.state or "")
        for _ in range(3):  # nor while the pooler holds a query of ours that has gone
            assert (await connector.probe(session)).ok is None
            reading = await connector.read(session, reading)
            assert (reading.metrics["unserved_seconds"], reading.metrics["refused_seconds"]) == (0.0, 0.0)
            assert (reading.metrics["clients_waiting"], firing(reading)) == (0.0, set())
    orders.run("ALTER ROLE keeper LOGIN")


def test_what_a_person_types_instead_reaches_the_console() -> None:
    where = Resource("local/lab/pgbouncer/pooler", "pooler", ports=(6543,), settings={"username": "keeper"})
    tool = hands.pgbouncer_resume
    assert by_hand(tool, where, {}, {}) == "psql -h 127.0.0.1 -p 6543 -U keeper pgbouncer -c RESUME"
    assert by_hand(tool, where, {"database": "a {b}"}, {}).endswith("""pgbouncer -c 'RESUME "a {b}"'""")


async def test_sessions_that_come_from_a_pooler_are_not_taken_for_forgotten_ones(
    pooler: Pooler, orders_session: PostgresSession
) -> None:
    assert await poolers.speaks_postgres("127.0.0.1", pooler.port)
    assert not await poolers.speaks_postgres("127.0.0.1", 1)
    assert not await poolers.is_pooler(orders_session, "127.0.0.1/32")  # everybody here has that address
    orders_session.poolers = ("127.0.0.1",)
    assert await poolers.is_pooler(orders_session, "127.0.0.1/32")
    tool = next(one for one in postgres.tools if one.name == "postgres_kill_idle_sessions")
    crowded = after(postgres.sample, connections_ratio=0.95, crowd_seconds=60.0)
    idle = {"application": "shop", "user": "shop", "min_seconds": 5.0}
    assert tool.refusal(crowded, idle) is None
    assert "come from a pooler (10.0.0.9)" in (tool.refusal(after(crowded, crowd_pooled=1.0), idle) or "")


async def test_the_other_tools_do_what_they_say(look: Eye, come: Come) -> None:
    await come(2, "SELECT 1")
    found = await hands.pgbouncer_pools.run(look.session)
    assert {(row["database"], row["pool_size"]) for row in found} >= {("shop", POOL)}
    assert [row["database"] for row in await hands.pgbouncer_clients.run(look.session, count=1)] == ["shop"]
    await hands.pgbouncer_reconnect.run(look.session, database="shop")
    await hands.pgbouncer_reload.run(look.session)


async def test_a_server_that_lets_nobody_in_is_told_apart_from_a_pool_that_is_full(look: Eye, come: Come) -> None:
    # The pooler does not notice when one of these goes: the next test starts it anew.
    await come(3, "SELECT 1", database="gone", hangs=True)
    reading = await until(look, lambda r: r.metrics["unserved_seconds"] > 0.2)
    assert (reading.metrics["pool_exhausted_seconds"], reading.facts["pool_database"]) == (0.0, "gone")
    assert firing(reading) == set()  # the server may be starting
    assert firing(after(reading, unserved_seconds=9.0)) == {"pgbouncer-server-login-failing"}


async def test_a_pooler_that_hangs_is_silent_and_one_that_is_killed_is_down_until_it_is_restarted(
    look: Eye, pooler: Pooler, pooler_host: PoolerHost
) -> None:
    await until(look, lambda r: r.ok)
    assert pooler.process
    pooler.process.send_signal(signal.SIGSTOP)
    await until(look, lambda r: "pgbouncer-unresponsive" in firing(r))
    pooler.process.send_signal(signal.SIGCONT)
    await until(look, lambda r: r.ok)

    pooler.stop()
    pooler_host.status, pooler_host.stopped_by = "exited", "killed"
    assert "pgbouncer-down" in firing(await until(look, lambda r: r.metrics["up"] == 0))
    pooler_host.stopped_by = "on_purpose"
    assert (firing(await look()), (await look()).off) == (set(), True)
    pooler_host.stopped_by = "killed"
    assert (await hands.pgbouncer_restart.run(look.session))["start_count"] == 2
    assert (await until(look, lambda r: r.ok)).metrics["up"] == 1.0


async def test_it_is_found_by_its_process_and_listens_where_its_configuration_says(pooler_host: PoolerHost) -> None:
    entry = {"name": "far", "kind": "pgbouncer", "url": "postgresql://10.0.0.6", "username": "keeper"}
    found = [one async for one in Discovery().discover([pooler_host], {"resources": [entry]})]  # type: ignore[list-item]
    assert [(one.id, one.ports) for one in found] == [
        ("local/production/pgbouncer/pooler", (pooler_host.pooler.port,)),
        ("remote/production/pgbouncer/far", (6432,)),
    ]
    with pytest.raises(ConfigurationError, match="contains a password"):
        _ = [one async for one in Discovery().discover([], {"resources": [entry | {"url": "postgresql://u:p@h"}]})]


async def test_a_configuration_that_may_not_be_read_leaves_the_port_at_which_it_is_seen(
    pooler_host: PoolerHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(path: str) -> bytes:
        raise PermissionError(path)

    monkeypatch.setattr(pooler_host, "read_file", refuses)
    assert await access.port_of(pooler_host, ["pgbouncer pooler.ini"]) == pooler_host.pooler.port  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("/usr/sbin/pgbouncer -d /etc/pgbouncer/pgbouncer.ini", "/etc/pgbouncer/pgbouncer.ini"),
        ("/bin/sh /entrypoint.sh pgbouncer /etc/other.ini", "/etc/other.ini"),
        ("pgbouncer", ""),
        ("pgbouncer_exporter --pgBouncer.connectionString=x.ini", None),
        ("psql -p 6432 pgbouncer", None),
    ],
)
def test_poolers_are_told_from_what_only_has_their_name(command: str, expected: str | None) -> None:
    assert access.is_pooler([command]) is (expected is not None)
    assert access.configuration([command]) == (expected or "")


def test_older_and_newer_versions_tell_the_same_with_other_columns() -> None:
    old = {"database": "shop", "user": "shop", "cl_active": 1, "cl_waiting": 2, "sv_active": 1, "sv_idle": 0}
    old |= {"sv_used": 0, "sv_tested": 0, "sv_login": 0, "maxwait": 7}
    (pool,) = pools([old], {"shop": {"pool_size": 5, "max_connections": 1}})
    assert (pool.full, pool.wait_seconds, pool.size) == (True, 7.0, 1)
    (pool,) = pools([old | {"cl_active_cancel_req": 0, "maxwait_us": 500_000}], {"shop": {"pool_size": 5}})
    assert (pool.full, pool.wait_seconds) == (False, 7.5)


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("2026-01-01 12:00:00.1 UTC [1] ERROR S-0x5: shop/shop@127.0.0.1:5432 login failed: FATAL: no", "ERROR"),
        ("2026-01-01 12:00:00.1 UTC [1] LOG S-0x5: a/b@1.2.3.4:5432 closing because: connect failed (age=0s)", "ERROR"),
        ("2026-01-01 12:00:00.1 UTC [1] WARNING C-0x5: a/b@1.2.3.4:1 pooler error: no more connections", "WARNING"),
        ("2026-01-01 12:00:00.1 UTC [1] WARNING C-0x5: pgbouncer/w@1.2.3.4:1 pooler error: invalid command 'x'", None),
        ("2026-01-01 12:00:00.1 UTC [1] LOG stats: 0 xacts/s", None),
        ("2026-01-01 12:00:00.1 UTC [1] FATAL cannot load config file", "CRITICAL"),
    ],
)
def test_levels_are_its_own(line: str, level: str | None) -> None:
    assert connector.level(line) == level
