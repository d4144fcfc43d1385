"""PostgreSQL as a resource, against a real server."""

import asyncio
import contextlib
import os
import signal
from dataclasses import replace

import psycopg
import pytest
from postgres_fixtures import SLOTS, PostgresHost, Sit, until
from tests.postgres import USER, Postgres

from watchkeeper.connectors.postgres import connector
from watchkeeper.connectors.postgres import tools as hands
from watchkeeper.connectors.postgres.access import is_server, port
from watchkeeper.connectors.postgres.discovery import discover
from watchkeeper.connectors.postgres.figures import head_of, normalised
from watchkeeper.connectors.postgres.session import PostgresSession
from watchkeeper.connectors.postgres.trouble import Trouble
from watchkeeper.connectors.speaking import Refusals
from watchkeeper.domain import ConfigurationError, Reading, Refused, Resource

HOUR = "SELECT pg_sleep(3600)"


class Eye:
    """Looks one after the other, as the watcher does."""

    def __init__(self, session: PostgresSession) -> None:
        self.session = session
        self.last: Reading | None = None

    async def __call__(self) -> Reading:
        self.last = await connector.read(self.session, self.last)
        return self.last


@pytest.fixture
def look(orders_session: PostgresSession) -> Eye:
    return Eye(orders_session)


def firing(reading: Reading) -> set[str]:
    """The rules whose condition holds."""
    return {rule.id for rule in connector.rules if rule.when.holds(reading.scope())}


async def test_a_healthy_server_raises_nothing_and_tells_all_that_rules_name(look: Eye) -> None:
    reading = await look()
    assert reading.error is None
    assert firing(reading) == set()
    standby = {name for name in connector.sample.metrics if name.startswith(("replay_", "replication_lag"))}
    lazy = standby | {
        "receivers",
        "statements_told",
        "slow_scan_share",
        "slow_scan_mean_seconds",
        "slow_scan_table_bytes",
        "wants_primary",
        "commits_per_second",
        "rollbacks_per_second",
        "deadlocks_per_second",
        "stray_bytes",
        "spare_free_bytes",
    }
    crowd = {name for name in connector.sample.metrics if name.startswith(("crowd_", "head_"))}
    tables = {"table_bytes"}
    assert set(connector.sample.metrics) - set(reading.metrics) <= lazy | crowd | tables
    assert set(reading.metrics) <= set(connector.sample.metrics)
    assert reading.metrics["max_connections"] == SLOTS
    assert 0 < reading.metrics["disk_used_ratio"] < 1


async def test_the_probe_writes_and_reads_and_leaves_nothing(look: Eye, orders: Postgres) -> None:
    assert (await connector.probe(look.session)).ok is True
    async with await psycopg.AsyncConnection.connect(orders.url("postgres")) as other:
        found = await other.execute("SELECT count(*) FROM pg_class WHERE relname = 'watchkeeper_probe'")
        assert await found.fetchone() == (0,)


async def test_a_statement_that_holds_the_connections_is_ended_and_a_dump_beside_it_is_not(look: Eye, sit: Sit) -> None:
    (dump,) = await sit(1, HOUR, application="pg_dump", last_hangs=True)
    await sit(SLOTS - 3, HOUR, last_hangs=True)
    reading = await until(look, lambda r: r.metrics.get("crowd_seconds", 0) > 2.0)
    assert "postgres-connections-exhausted" in firing(reading)
    assert reading.metrics["connections_ratio"] == 1.0, "the last three are for administrators"
    assert reading.facts["crowd_query"] == "SELECT pg_sleep(?)"
    tool, arguments = hands.postgres_kill_long_queries, {"query_hash": reading.facts["crowd_query_hash"]}
    assert "may be plain traffic" in (tool.refusal(reading, tool.parse(arguments)) or "")
    told = await tool.run(look.session, min_seconds=1.0, **arguments)
    assert told["cancelled"] == SLOTS - 3
    reading = await until(look, lambda r: r.metrics["active_sessions"] == 1)
    assert [row["pid"] for row in await hands.postgres_activity.run(look.session) if row["state"] == "active"] == [dump]
    assert "postgres-connections-exhausted" not in firing(await look())


async def test_idle_sessions_that_nobody_gave_back_are_ended_and_those_of_others_are_not(look: Eye, sit: Sit) -> None:
    kept = await sit(2, "SELECT 1", application="billing")
    await sit(SLOTS - 4, "SELECT 1")
    reading = await until(look, lambda r: r.metrics.get("crowd_seconds", 0) > 2.0)
    assert (reading.facts["crowd_application"], reading.metrics["crowd_active"]) == ("shop", 0.0)
    assert "no statement to end" in (hands.postgres_kill_long_queries.refusal(reading, {"min_seconds": 1}) or "")
    told = await hands.postgres_kill_idle_sessions.run(look.session, application="shop", user=USER, min_seconds=1.0)
    assert told["ended"] == SLOTS - 4
    left = await hands.postgres_activity.run(look.session)
    assert {row["pid"] for row in left} == set(kept)


async def test_with_every_slot_taken_and_no_session_open_it_still_gets_in(
    orders: Postgres, orders_host: PostgresHost, sit: Sit
) -> None:
    orders.run("CREATE ROLE billing LOGIN SUPERUSER")
    await sit(SLOTS - 3, HOUR, last_hangs=True)
    with pytest.raises(psycopg.OperationalError, match="too many clients"):
        await sit(4, HOUR, user="billing", last_hangs=True)
    resource = Resource("docker/lab/postgres/orders", "orders", may_act=True, settings={"protect": "billing"})
    session = PostgresSession(resource, orders_host)  # type: ignore[arg-type]
    reading = await connector.read(session, None)
    assert reading.facts["error"] == "exhausted"
    assert "postgres-connections-exhausted" in firing(reading)
    await asyncio.sleep(1.1)  # each statement is to be a second old
    told = await hands.postgres_kill_long_queries.run(session, min_seconds=1.0)
    assert told["freed_to_get_in"] >= 1
    left = await hands.postgres_activity.run(session)
    assert [row["user"] for row in left if row["state"] == "active"] == ["billing"] * 3
    await session.aclose()


async def test_the_head_of_a_chain_four_deep_is_found_and_ended(look: Eye, sit: Sit) -> None:
    await sit(1, "CREATE TABLE IF NOT EXISTS stock AS SELECT generate_series(1, 9) AS id, 0 AS n")
    heads = await sit(1, "BEGIN", "UPDATE stock SET n = 1 WHERE id = 1")
    for row in (2, 3, 4):  # each holds a row that the next one wants
        own, wanted = (f"UPDATE stock SET n = 1 WHERE id = {one}" for one in (row, row - 1))
        await sit(1, "BEGIN", own, wanted, last_hangs=True)
    await sit(1, "UPDATE stock SET n = 'secret'::text::int WHERE id = 1 AND 'hunter2' <> ''", last_hangs=True)
    reading = await until(look, lambda r: r.metrics["blocked_sessions"] >= 3)
    assert reading.facts["head_pid"] == str(heads[0])
    assert reading.metrics["blocking_depth"] >= 3
    locks = await hands.postgres_locks.run(look.session)
    assert locks["head"]["state"] == "idle in transaction"
    assert "hunter2" not in repr(locks)
    kill = hands.postgres_kill_blocker
    with pytest.raises(Refused, match="not at the head"):
        await kill.run(look.session, pid=heads[0], started="2001-01-01 00:00:00+00")
    told = await kill.run(look.session, pid=heads[0], started=reading.facts["head_started"])
    assert told["ended"] == 1
    await until(look, lambda r: r.facts.get("head_pid") != str(heads[0]))


async def test_a_dump_at_the_head_of_a_chain_is_waited_for(look: Eye, sit: Sit) -> None:
    await sit(1, "CREATE TABLE IF NOT EXISTS stock AS SELECT generate_series(1, 9) AS id, 0 AS n")
    await sit(1, "BEGIN", "LOCK TABLE stock IN ACCESS SHARE MODE", application="pg_dump")
    await sit(1, "TRUNCATE stock", last_hangs=True)
    reading = await until(look, lambda r: r.metrics["blocked_sessions"] == 1)
    assert "is protected (pg_dump)" in (hands.postgres_kill_blocker.refusal(reading, {}) or "")
    pid, started = int(reading.facts["head_pid"]), reading.facts["head_started"]
    with pytest.raises(Refused, match="protected"):
        await hands.postgres_kill_blocker.run(look.session, pid=pid, started=started)


async def test_who_idles_in_a_transaction_is_ended_and_who_works_is_not(look: Eye, sit: Sit) -> None:
    await sit(1, "BEGIN", "SELECT 1")
    works = await sit(1, HOUR, last_hangs=True)
    await until(look, lambda r: r.metrics["longest_idle_in_transaction_seconds"] > 1.0)
    tool = hands.postgres_kill_idle_in_transaction
    assert "less than 60 s" in (tool.refusal(await look(), {"min_seconds": 60.0}) or "")
    assert await tool.run(look.session, min_seconds=1.0) == {"ended": 1}
    assert [row["pid"] for row in await hands.postgres_activity.run(look.session)] == works


async def test_open_transactions_that_hold_the_connections_are_ended_and_no_connections_are_added(
    look: Eye, sit: Sit
) -> None:
    (other,) = await sit(1, "BEGIN", "SELECT 1", application="billing")
    for statement in ("SELECT 1", "SELECT 2", "SELECT 3"):  # which one was their last says nothing
        await sit((SLOTS - 3) // 3, "BEGIN", statement)
    reading = await until(look, lambda r: r.metrics.get("crowd_seconds", 0) > 2.0)
    asked = {"application": reading.facts["crowd_application"], "user": reading.facts["crowd_user"], "min_seconds": 1.0}
    assert asked["application"] == "shop"
    assert "have transactions open" in (hands.postgres_kill_idle_sessions.refusal(reading, asked) or "")
    more = hands.postgres_scale_connections.refusal(reading, {"value": 30}) or ""
    assert "held by sessions of shop that sit in open transactions: it would take more, too" in more
    tool = hands.postgres_kill_idle_in_transaction
    assert tool.refusal(reading, asked) is None
    assert await tool.run(look.session, **asked) == {"ended": (SLOTS - 3) // 3 * 3}
    assert [row["pid"] for row in await hands.postgres_activity.run(look.session)] == [other]
    assert "no transaction open" in (tool.refusal(await look(), asked | {"min_seconds": 0.0}) or "")


async def test_more_connections_need_a_restart_and_can_be_taken_back(look: Eye, orders_host: PostgresHost) -> None:
    reading = await look()
    tool = hands.postgres_scale_connections
    assert "more memory" in (tool.refusal(reading, tool.parse({"value": 9000})) or "")
    before = await hands.max_connections(look.session)
    assert await tool.run(look.session, value=30) == {"before": SLOTS, "now": 30}
    assert tool.undo_run
    await tool.undo_run(look.session, before)
    assert (await hands.max_connections(look.session))["value"] == SLOTS
    assert orders_host.starts == 3


async def test_a_server_that_hangs_is_silent_and_keeps_its_session_until_it_goes_on(
    look: Eye, orders: Postgres, sit: Sit
) -> None:
    await look()
    (backend,) = [row["pid"] for row in await look.session.query("SELECT pg_backend_pid() AS pid")]
    for pid in (int((orders.folder / "data" / "postmaster.pid").read_text().split()[0]), backend):
        os.kill(pid, signal.SIGSTOP)
    try:
        await until(look, lambda r: "postgres-unresponsive" in firing(r))
    finally:
        for pid in (int((orders.folder / "data" / "postmaster.pid").read_text().split()[0]), backend):
            os.kill(pid, signal.SIGCONT)
    await until(look, lambda r: r.ok)


async def test_a_killed_server_is_down_and_is_there_again_after_a_restart(
    look: Eye, orders: Postgres, orders_host: PostgresHost
) -> None:
    await look()
    await asyncio.to_thread(orders.stop, "immediate")
    orders_host.status, orders_host.stopped_by = "exited", "killed"
    assert "postgres-down" in firing(await look())
    orders_host.stopped_by = "on_purpose"
    stopped = await look()
    assert (firing(stopped), stopped.off) == (set(), True)
    orders_host.stopped_by = "killed"
    await asyncio.to_thread(orders.start)
    orders_host.status = "running"
    reading = await until(look, lambda r: r.ok)
    assert firing(reading) == set()
    assert (await hands.postgres_restart.run(look.session))["start_count"] == 2
    assert (await look()).ok


async def test_a_wrong_password_is_told_with_what_to_do(orders: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    orders.run("CREATE ROLE locked LOGIN PASSWORD 'right'")
    monkeypatch.setenv("ORDERS_PASSWORD", "wrong-one")
    settings = {
        "url": f"postgresql://127.0.0.1:{orders.port}/postgres",
        "username": "locked",
        "password": "env:ORDERS_PASSWORD",
    }
    session = PostgresSession(Resource("local/production/postgres/orders", "orders", settings=settings), None)
    reading = await connector.read(session, None)
    assert reading.facts["error"] == "password"
    assert "watchkeeper.yaml" in (reading.error or "")
    assert "wrong-one" not in (reading.error or "")
    assert (await connector.probe(session)).ok is None
    for _ in range(20):
        assert (await connector.read(session, reading)).error == reading.error
    tried = (orders.folder / "log").read_text().count('authentication failed for user "locked"')
    assert tried == 1, "each try is a line in its log: what was refused is not tried at every look"
    monkeypatch.setenv("ORDERS_PASSWORD", "right")  # what is named anew is tried at once
    reading = await connector.read(session, None)
    assert reading.ok, reading.error
    assert reading.metrics["may_end_sessions"] == 0.0
    with pytest.raises(Trouble, match="permission denied"):
        await session.query("SELECT pg_read_file('/etc/passwd') AS nothing")
    await session.aclose()


async def test_what_is_named_is_found_and_bad_addresses_are_refused() -> None:
    entry = {
        "name": "orders",
        "kind": "postgres",
        "url": "postgresql://10.0.0.5/shop",
        "environment": "staging",
        "act": True,
    }
    (resource,) = [r async for r in discover([], {"resources": [entry]})]
    assert (resource.id, resource.may_act) == ("remote/staging/postgres/orders", True)
    for url in ("mysql://h/x", "postgresql://u:pw@h/x", "postgresql://h:port/x"):
        with pytest.raises(ConfigurationError):
            _ = [r async for r in discover([], {"resources": [entry | {"url": url}]})]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("postgres -D /data", True),
        ("/usr/lib/postgresql/15/bin/postgres -c config_file=/etc/x -p 5433", True),
        ("/bin/sh /usr/local/bin/docker-entrypoint.sh postgres", True),
        ("docker-entrypoint.sh postgres", True),
        ("postgres: shop shop 172.18.0.5(1234) idle", False),
        ("postgres_exporter --web", False),
        ("psql -h postgres", False),
    ],
)
def test_servers_are_told_from_what_only_has_their_name(command: str, expected: bool) -> None:
    assert is_server([command]) is expected


def test_the_port_is_found() -> None:
    assert port(["postgres -p 5433"], {}) == 5433
    assert port(["postgres -c port=5434"], {}) == 5434
    assert port(["postgres"], {"PGPORT": "5435"}) == 5435
    assert port(["postgres"], {}) == 5432


def test_literals_are_taken_out_of_statements() -> None:
    assert normalised("SELECT 'it''s',  $x$a$x$, 1.5 FROM t2 WHERE id=7 AND n=$1") == (
        "SELECT ?, ?, ? FROM t2 WHERE id=? AND n=$1"
    )


def test_a_ring_of_waiting_sessions_has_no_head() -> None:
    rows = [{"pid": 1, "blockers": [2], "query_seconds": 1.0}, {"pid": 2, "blockers": [1], "query_seconds": 1.0}]
    assert head_of(rows) is None


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("2026-01-01 12:00:00 UTC [1] FATAL:  sorry, too many clients already", "CRITICAL"),
        ("2026-01-01 12:00:00 UTC [1] ERROR:  relation x does not exist", "ERROR"),
        ("2026-01-01 12:00:00 UTC [1] ERROR:  canceling statement due to user request", "WARNING"),
        ("2026-01-01 12:00:00 UTC [1] WARNING:  oldest xmin is far in the past", "WARNING"),
        ("2026-01-01 12:00:00 UTC [1] LOG:  checkpoint complete", None),
    ],
)
def test_levels_are_the_servers_own(line: str, level: str | None) -> None:
    assert connector.level(line) == level


async def test_what_is_refused_is_tried_ever_more_seldom_and_no_more_seldom_than_once_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = 0.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: clock)
    refusals, tried = Refusals(), list[float]()
    while clock < 300:
        with contextlib.suppress(psycopg.OperationalError), refusals.heeded("ada", refused=lambda _: True):
            tried.append(clock)
            raise psycopg.OperationalError("no")
        clock += 1.0
    assert tried == [0.0, 5.0, 15.0, 35.0, 75.0, 135.0, 195.0, 255.0]
    with refusals.heeded("grace", refused=lambda _: True):
        tried.append(clock)
    assert tried[-1] == clock, "another login is tried at once"


async def test_a_login_that_is_refused_does_not_fill_the_servers_log(
    orders: Postgres, orders_host: PostgresHost
) -> None:
    def tries() -> int:
        return (orders.folder / "log").read_text().count('role "nobody-there" does not exist')

    resource = Resource("local/lab/postgres/orders", "orders", settings={"username": "nobody-there"})
    session = PostgresSession(resource, orders_host)  # type: ignore[arg-type]
    before = tries()
    for _ in range(10):
        with pytest.raises(Trouble) as refused:
            await session.query("SELECT 1")
        assert refused.value.category == "password"
    assert tries() == before + 1
    session.resource = replace(resource, settings={"username": USER})
    assert await session.query("SELECT 1 AS one") == [{"one": 1}]
    await session.aclose()
