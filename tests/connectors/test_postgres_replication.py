"""PostgreSQL as teams run it: a primary with a standby, slots, old and prepared transactions, checkpoints."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pgbouncer_fixtures import free_port
from postgres_fixtures import PostgresHost
from tests.postgres import QUICK, Postgres

from watchkeeper.connectors.postgres import connector, replication
from watchkeeper.connectors.postgres.rights import PostgresAccess
from watchkeeper.connectors.postgres.session import PostgresSession
from watchkeeper.connectors.postgres.statements import compared
from watchkeeper.domain import Reading, Refused, Resource, Tool
from watchkeeper.watch.rules import next_alert

TOOLS: dict[str, Tool[PostgresSession]] = {tool.name: tool for tool in connector.tools}
MB = 1048576.0
SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    "max_wal_size": "32MB",
    "min_wal_size": "32MB",
    "max_prepared_transactions": "5",
    "autovacuum": "off",
    "max_standby_streaming_delay": "-1",
    "wal_receiver_status_interval": "1s",
    "wal_retrieve_retry_interval": "500ms",
}


class Eye:
    """Looks one after the other, at everything each time."""

    def __init__(self, session: PostgresSession) -> None:
        self.session = session
        self.last: Reading | None = None
        self.what = "standing"
        """What is looked at each time."""

    async def __call__(self) -> Reading:
        self.session.soon(self.what)
        self.last = await connector.read(self.session, self.last)
        return self.last

    async def good(self) -> Reading:
        """One that was not starved."""
        return await self.until("responding")

    async def until(self, what: str, least: float = 1.0, most: float = float("inf")) -> Reading:
        """Look until a metric lies between."""
        async with asyncio.timeout(60):
            while not (reading := await self()).ok or not least <= reading.metrics.get(what, -1.0) <= most:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            return reading


def after(reading: Reading, **metrics: float) -> Reading:
    """The same, had it lasted."""
    return replace(reading, metrics={**reading.metrics, **metrics})


def firing(reading: Reading) -> set[str]:
    return {rule.id for rule in connector.rules if rule.when.holds(reading.scope())}


@contextlib.asynccontextmanager
async def undone(tool: Tool[Any], session: PostgresSession) -> AsyncIterator[None]:
    """What is done inside with a tool is taken back as the executor would."""
    assert tool.state
    assert tool.undo_run
    before = await tool.state(session)
    yield
    assert await tool.state(session) != before
    await tool.undo_run(session, before)
    assert await tool.state(session) == before


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="watchkeeper-pair-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def first(folder: Path) -> Iterator[Postgres]:
    server = Postgres(folder / "first", free_port(), {**QUICK, **SETTINGS}).create()
    yield server
    with contextlib.suppress(RuntimeError):  # a test may have stopped it
        server.stop()


@pytest.fixture(scope="module")
def second(first: Postgres, folder: Path) -> Iterator[Postgres]:
    server = first.standby(folder / "second", free_port(), "second")
    yield server
    with contextlib.suppress(RuntimeError):
        server.stop()


async def eye(server: Postgres, name: str, **settings: str) -> AsyncIterator[Eye]:
    resource = Resource(f"docker/lab/postgres/{name}", name, may_act=True, settings=settings)
    host = PostgresHost(server, server.folder / "data")
    async with connector.connect(resource, host) as session:  # type: ignore[arg-type]
        yield Eye(session)


@pytest.fixture
async def primary(first: Postgres) -> AsyncIterator[Eye]:
    async for found in eye(first, "first"):
        yield found


@pytest.fixture
async def standby(second: Postgres) -> AsyncIterator[Eye]:
    async for found in eye(second, "second"):
        yield found


def write(server: Postgres, megabytes: int = 1) -> None:
    """So much of the write-ahead log, and nothing in a table."""
    server.run(f"SELECT pg_logical_emit_message(true, 'x', repeat('x', 1048576)) FROM generate_series(1, {megabytes})")


async def replayed(standby: Eye, condition: str) -> None:
    """Wait until the standby has come so far."""
    async with asyncio.timeout(60):
        while not (await standby.session.query(f"SELECT coalesce({condition}, false) AS there"))[0]["there"]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_healthy_pair_raises_nothing_and_the_standby_is_never_taken_for_a_primary(
    primary: Eye, standby: Eye
) -> None:
    reading = await standby.until("receivers")
    assert (reading.metrics["is_replica"], reading.metrics["wants_primary"]) == (1.0, 1.0)
    assert firing(reading) == set()
    assert set(reading.metrics) <= set(connector.sample.metrics)
    assert set(reading.facts) <= set(connector.sample.facts)
    assert (await connector.probe(standby.session)).ok  # it reads: writing fails there
    full = after(reading, dead_rows_ratio=0.9, autovacuum_enabled=0.0)
    for name in ("postgres_vacuum", "postgres_enable_autovacuum", "postgres_set_max_wal_size"):
        assert "at its primary" in (TOOLS[name].refusal(full, {"table": "public.t"}) or "")
    reading = await primary.until("replicas")
    assert (firing(reading), reading.metrics["slots"], reading.metrics["slots_unused"]) == (set(), 1.0, 0.0)
    assert "no standby" in (TOOLS["postgres_resume_replay"].refusal(reading, {}) or "")


async def test_a_standby_whose_replay_was_paused_is_resumed_with_no_more_than_that_right(
    standby: Eye, first: Postgres, second: Postgres
) -> None:
    tool = TOOLS["postgres_resume_replay"]
    resource = Resource("docker/lab/postgres/second", "second", settings={"username": "keeper", "database": "postgres"})
    said = PostgresAccess().grant((*PostgresAccess().look, *tool.rights), resource, version="15.4")
    for statement in said.splitlines():
        if not statement.startswith("--"):
            first.run(statement)
    granted = "SELECT has_function_privilege(oid, 'pg_wal_replay_pause()', 'EXECUTE') FROM pg_roles"
    await replayed(standby, f"({granted} WHERE rolname = 'keeper')")
    second.run("SELECT pg_wal_replay_pause()")
    write(first)
    reading = await standby.until("replay_behind_bytes")
    assert (reading.metrics["replay_paused"], firing(reading)) == (1.0, set())
    late = after(reading, replication_lag_seconds=90.0)
    assert firing(late) == {"postgres-replica-lags"}
    assert tool.refusal(late, {}) is None
    assert "for no query" in (TOOLS["postgres_end_replay_blocker"].refusal(late, {"pid": 1, "started": ""}) or "")
    async for keeper in eye(second, "second", username="keeper", database="postgres"):
        async with undone(tool, keeper.session):
            assert await tool.run(keeper.session) == {"paused": False}
            await keeper.until("replay_behind_bytes", 0, 0)
    second.run("SELECT pg_wal_replay_resume()")


async def test_the_query_that_replay_waits_for_is_ended_and_a_dump_is_not(
    standby: Eye, first: Postgres, second: Postgres
) -> None:
    first.run("CREATE TABLE shelf AS SELECT generate_series(1, 1000) AS id")
    write(first)
    tool = TOOLS["postgres_end_replay_blocker"]
    await replayed(standby, "to_regclass('shelf') IS NOT NULL")
    reader = await psycopg.AsyncConnection.connect(second.url("postgres"), application_name="report")
    await reader.execute("SET default_transaction_isolation = 'repeatable read'")
    await reader.commit()
    await reader.execute("SELECT count(*) FROM shelf")
    first.run("DELETE FROM shelf")
    first.run("VACUUM shelf")
    reading = await standby.until("replay_blocked")
    assert reading.facts["replay_blocker"].startswith("report: SELECT count(*)")
    assert "protected" in (tool.refusal(after(reading, replay_blocker_protected=1.0), {}) or "")
    named = {"pid": int(reading.facts["replay_blocker_pid"]), "started": reading.facts["replay_blocker_started"]}
    assert tool.refusal(reading, named) is None
    with pytest.raises(Refused, match="not the one"):
        await tool.run(standby.session, pid=named["pid"], started="2001-01-01")
    assert (await tool.run(standby.session, **named))["ended"] == 1
    await standby.until("replay_blocked", 0, 0)
    await standby.until("replay_behind_bytes", 0, 0)
    reader.pgconn.finish()


async def test_a_slot_that_nobody_reads_is_told_before_the_disk_is_full_and_dropped_only_as_the_last_step(
    primary: Eye, first: Postgres
) -> None:
    first.run("SELECT pg_create_physical_replication_slot('forgotten', true)")
    write(first, 70)
    reading = await primary.until("slot_retained_bytes", 65 * MB)
    assert (reading.facts["slot"], firing(reading)) == ("forgotten", set())  # its reader may be restarting
    long = after(reading, slot_unused_seconds=90.0)
    assert firing(long) == {"postgres-slot-fills-disk"}
    assert reading.facts["slot_detail"].startswith("nobody reads the physical slot forgotten, since 20")
    assert firing(after(long, slot_retained_bytes=20 * MB, slot_fills_disk_seconds=9.0)) == set()
    growing = after(long, max_wal_bytes=1024 * MB, slot_fills_disk_seconds=3600.0)
    assert firing(growing) == {"postgres-slot-fills-disk"}
    (book,) = [one for one in connector.runbooks if one.name == "slot-fills-disk"]
    assert [step.tool for rung in book.ladder for step in rung] == [
        "postgres_limit_slot_wal",
        "postgres_drop_replication_slot",
    ]
    limit, drop = TOOLS["postgres_limit_slot_wal"], TOOLS["postgres_drop_replication_slot"]
    assert "useless at once" in (limit.refusal(long, {"megabytes": 60}) or "")
    assert "would protect" in (limit.refusal(after(long, disk_free_bytes=100 * MB), {"megabytes": 900}) or "")
    async with undone(limit, primary.session):
        assert await limit.run(primary.session, megabytes=200) == {"before": -1, "now": 200}
        bounded = await primary.until("slot_bounded")
        assert firing(after(bounded, slot_unused_seconds=90.0)) == set()
    assert "the disk has room" in (drop.refusal(after(long, slot_retained_bytes=1 * MB), {"name": "forgotten"}) or "")
    assert "is not the one" in (drop.refusal(long, {"name": "second"}) or "")
    assert (drop.effect.value, drop.refusal(long, {"name": "forgotten"})) == ("destructive", None)
    with pytest.raises(Refused, match="being read"):
        await drop.run(primary.session, name="second")
    assert (await drop.run(primary.session, name="forgotten"))["dropped"] == "forgotten"
    assert (await primary.good()).metrics["slots_unused"] == 0.0


async def test_what_holds_vacuum_back_is_named_and_only_a_sessions_transaction_is_ended(
    primary: Eye, first: Postgres
) -> None:
    tool = TOOLS["postgres_end_old_transaction"]
    holder = await psycopg.AsyncConnection.connect(first.url("postgres"), application_name="report")
    await holder.execute("SET default_transaction_isolation = 'repeatable read'")
    await holder.commit()
    await holder.execute("SELECT 'secret'")
    first.run("CREATE TABLE notes (id int)")
    reading = await primary.good()
    assert reading.facts["horizon"].startswith(f"a transaction of report (process {holder.info.backend_pid})")
    assert "secret" not in reading.facts["horizon"]
    assert (reading.metrics["horizon_holds"], firing(reading)) == (0.0, set())
    old = after(reading, horizon_seconds=900.0, horizon_holds=1.0, dead_rows=5e4, dead_rows_ratio=0.7)
    assert firing(old) == {"postgres-vacuum-held-back"}  # and no vacuum that could not help
    assert firing(after(reading, multixact_age_ratio=0.6)) == {"postgres-wraparound-near"}
    assert "held back by a transaction of report" in reading.facts["oldest_database"]
    named = {"pid": int(reading.facts["horizon_pid"]), "started": reading.facts["horizon_started"]}
    assert "old only" in (tool.refusal(reading, named) or "")
    assert "is protected" in (tool.refusal(after(old, horizon_protected=1.0), named) or "")
    assert tool.refusal(old, named) is None
    with pytest.raises(Refused, match="is not there"):
        await tool.run(primary.session, pid=named["pid"], started="2001-01-01")
    assert await tool.run(primary.session, **named) == {"ended": 1}
    holder.pgconn.finish()

    async with await psycopg.AsyncConnection.connect(first.url("postgres"), autocommit=True) as other:
        for statement in ("BEGIN", "INSERT INTO notes VALUES (1)", "PREPARE TRANSACTION 'half'"):
            await other.execute(statement.encode())
        reading = await primary.good()
        assert reading.facts["prepared"].startswith("half in postgres, by watchkeeper")
        assert firing(after(reading, prepared_seconds=900.0)) == {"postgres-prepared-transaction-forgotten"}
        assert "that is for a person" in (tool.refusal(after(reading, horizon_seconds=900.0), named) or "")
        await other.execute("ROLLBACK PREPARED 'half'")


async def test_checkpoints_that_the_log_forces_are_counted_and_it_gets_more_room_only_where_the_disk_has_it(
    primary: Eye, first: Postgres
) -> None:
    before = (await primary.good()).metrics["checkpoints_requested_total"]
    for _ in range(5):
        write(first, 12)
        first.run("CHECKPOINT")
    reading = await primary.until("checkpoints_requested_total", before + 5)
    assert reading.metrics["checkpoints_forced_lately"] >= 5
    assert firing(after(reading, checkpoint_interval_seconds=9.0)) == {"postgres-checkpoints-too-frequent"}
    tool = TOOLS["postgres_set_max_wal_size"]
    assert tool.refusal(reading, {"megabytes": 64}) is None
    assert "already" in (tool.refusal(reading, {"megabytes": 32}) or "")
    assert "four times" in (tool.refusal(reading, {"megabytes": 200}) or "")
    assert "too much" in (tool.refusal(after(reading, disk_free_bytes=50 * MB), {"megabytes": 64}) or "")
    async for fresh in eye(first, "first"):
        await fresh.good()
        for _ in range(5):
            first.run("CHECKPOINT")
        assert (await fresh.good()).metrics["checkpoints_forced_lately"] == 0  # somebody asked for them


async def test_a_statement_that_reads_a_large_table_from_end_to_end_is_told_with_the_index_that_is_missing(
    primary: Eye, first: Postgres
) -> None:
    await primary.good()
    primary.what = "statements"
    assert (await primary.until("statements_told", 0, 0)).facts.get("slow_scan_advice", "") == ""
    first.run("CREATE EXTENSION pg_stat_statements")
    first.run('CREATE TABLE "Sales" AS SELECT i AS id, i % 5000 AS customer FROM generate_series(1, 400000) AS i')
    first.run('ANALYZE "Sales"')
    await primary.until("statements_told")
    compared("SELECT 1", "x", ())  # loads the parser
    async with asyncio.timeout(60):
        while (reading := await primary()).metrics.get("slow_scan_share", 0.0) <= 0:
            first.run("""SELECT count(*) FROM "Sales" s WHERE s.customer = 7 AND 'secret' <> ''""")
    assert reading.facts["slow_scan_table"] == 'public."Sales"'
    advice = reading.facts["slow_scan_advice"]
    assert advice.endswith('CREATE INDEX CONCURRENTLY ON public."Sales" (customer);')
    assert "secret" not in advice
    (rule,) = [one for one in connector.rules if one.id == "postgres-missing-index"]
    busy = after(reading, slow_scan_share=0.5, slow_scan_mean_seconds=0.2)
    alert = next_alert(rule, None, busy, busy.scope(), busy.at)
    assert alert
    assert alert.why.endswith(advice)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT * FROM orders WHERE customer = $1 AND total > $2", ["customer"]),
        ("SELECT 1 FROM x.orders o JOIN c ON c.id = o.id WHERE o.total BETWEEN $1 AND $2 AND c.n = $3", ["total"]),
        ("UPDATE orders SET total = $1 WHERE customer = ANY($2)", ["customer"]),
        ("SELECT * FROM orders, others WHERE customer = $1", []),
        ("SELECT * FROM orders WHERE lower(customer) = $1", []),
        ("SELECT * FROM orders WHERE customer = $1 OR total = $2", []),
        ("SELECT * FROM orders WHERE customer IN (SELECT id FROM others)", []),
        ("SELECT * FROM orders WHERE customer = id", []),
        ("no SQL at all (", []),
    ],
)
def test_a_column_is_named_only_where_the_statement_says_for_certain(query: str, expected: list[str]) -> None:
    assert compared(query, "orders", ("customer", "total", "id")) == expected


async def test_a_standby_that_is_gone_is_missed_and_one_whose_primary_is_gone_says_so(
    primary: Eye, standby: Eye, first: Postgres, second: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replication, "_KNOWN_AFTER", 0.0)
    await primary.until("replicas")
    await standby.until("receivers")
    await asyncio.to_thread(second.stop, "fast")
    reading = await primary.until("standbys_lost")
    assert (firing(reading), reading.facts["lost_standby"]) == ({"postgres-standby-lost"}, "second")
    await asyncio.to_thread(second.start)
    await primary.until("standbys_lost", 0, 0)
    await standby.until("receivers")
    await asyncio.to_thread(first.stop, "immediate")
    assert firing(await standby.until("receivers", 0, 0)) == {"postgres-replica-detached"}
