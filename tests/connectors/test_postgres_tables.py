"""Dead rows, in whichever database: seen, vacuumed, and kept from coming back."""

import psycopg
import pytest
from postgres_fixtures import PostgresHost, Sit, until
from tests.postgres import Postgres

from watchkeeper.connectors.postgres import connector
from watchkeeper.connectors.postgres import tables as hands
from watchkeeper.connectors.postgres.session import PostgresSession
from watchkeeper.domain import Reading, Refused


class Eye:
    """Looks one after the other; at the tables each time."""

    def __init__(self, session: PostgresSession) -> None:
        self.session = session
        self.last: Reading | None = None

    async def __call__(self) -> Reading:
        self.session.soon("seldom")
        self.last = await connector.read(self.session, self.last)
        return self.last


@pytest.fixture
def look(orders_session: PostgresSession) -> Eye:
    return Eye(orders_session)


def firing(reading: Reading) -> set[str]:
    return {rule.id for rule in connector.rules if rule.when.holds(reading.scope())}


def bloat(server: Postgres, table: str, *, database: str = "postgres", option: str = "") -> None:
    """18,000 of 20,000 rows dead."""
    server.run(f"CREATE TABLE {table} {option} AS SELECT generate_series(1, 20000) AS id", database)
    server.run(f"DELETE FROM {table} WHERE id > 2000", database)


async def test_dead_rows_of_the_table_that_autovacuum_is_kept_from_are_vacuumed_and_it_is_let_in_again(
    look: Eye, orders: Postgres
) -> None:
    orders.run("ALTER SYSTEM SET autovacuum_naptime = '1h'")  # only what is done here is to be seen
    orders.run("SELECT pg_reload_conf()")
    bloat(orders, '"Odd.Name"', option="WITH (autovacuum_enabled = false)")
    reading = await until(look, lambda r: r.metrics.get("dead_rows", 0) > 10_000)
    assert "postgres-bloat" in firing(reading)
    assert (reading.facts["bloated_database"], reading.facts["bloated_table"]) == ("postgres", 'public."Odd.Name"')
    table = {"table": 'public."Odd.Name"', "database": "postgres"}
    await hands.postgres_vacuum.run(look.session, **table)
    await until(look, lambda r: r.metrics["dead_rows_ratio"] < 0.2)

    before = await hands.autovacuum_off(look.session)
    assert before["tables"] == {':public."Odd.Name"': "false"}
    assert (await hands.postgres_enable_autovacuum.run(look.session, **table))["table_option"] == "false"
    assert (await hands.autovacuum_off(look.session))["tables"] == {}
    assert hands.postgres_enable_autovacuum.undo_run
    await hands.postgres_enable_autovacuum.undo_run(look.session, before)
    assert await hands.autovacuum_off(look.session) == before

    with pytest.raises(Refused, match="no table"):
        await hands.postgres_vacuum.run(look.session, table="public.nothing")
    orders.run('DROP TABLE "Odd.Name"')


async def test_a_server_without_autovacuum_gets_it_and_it_can_be_taken_back(look: Eye, orders: Postgres) -> None:
    orders.run("CREATE TABLE plain (id int)")
    before = await hands.autovacuum_off(look.session)
    assert before["server"] is False
    tool = hands.postgres_enable_autovacuum
    assert tool.refusal(await look(), {"table": "public.plain"}) is None
    orders_said = await tool.run(look.session, table="public.plain")
    assert orders_said == {"table_option": None, "server_was_on": False}
    await until(look, lambda r: r.metrics["autovacuum_enabled"] > 0)
    assert "is on" in (tool.refusal(await look(), {"table": "public.plain"}) or "")
    assert tool.undo_run
    await tool.undo_run(look.session, before)
    assert await hands.autovacuum_off(look.session) == before


async def test_where_autovacuum_is_on_it_is_given_its_time(look: Eye, orders: Postgres) -> None:
    reading = Reading(
        "docker/lab/postgres/orders",
        connector.sample.at,
        0.0,
        dict(connector.sample.metrics) | {"dead_rows": 90_000.0, "dead_rows_ratio": 0.9, "bloated_seconds": 20.0},
    )
    assert firing(reading) == set()
    later = dict(reading.metrics) | {"bloated_seconds": 200.0}
    assert firing(Reading(reading.resource, reading.at, 0.0, later)) == {"postgres-bloat"}


async def test_dead_rows_in_another_database_are_found_and_vacuumed(look: Eye, orders: Postgres) -> None:
    orders.run("CREATE DATABASE warehouse")
    bloat(orders, "stock", database="warehouse")
    reading = await until(look, lambda r: r.facts.get("bloated_database") == "warehouse")
    assert reading.facts["bloated_table"] == "public.stock"
    await hands.postgres_vacuum.run(look.session, table="public.stock", database="warehouse")
    await until(look, lambda r: r.metrics["dead_rows_ratio"] < 0.2)
    orders.run("DROP DATABASE warehouse")  # nothing of ours is connected to it
    await until(look, lambda r: r.facts.get("bloated_database") != "warehouse")


async def test_only_those_who_idle_and_are_waited_for_are_ended(look: Eye, sit: Sit, orders_host: PostgresHost) -> None:
    await sit(1, "CREATE TABLE IF NOT EXISTS shelf AS SELECT generate_series(1, 9) AS id, 0 AS n")
    blockers = [(await sit(1, "BEGIN", f"UPDATE shelf SET n = 1 WHERE id = {row}"))[0] for row in (1, 2)]
    idle = await sit(1, "BEGIN", "SELECT 1")
    waiting = [(await sit(1, f"UPDATE shelf SET n = 2 WHERE id = {row}", last_hangs=True))[0] for row in (1, 2)]
    await until(
        look, lambda r: r.metrics["longest_idle_in_transaction_seconds"] > 1 and r.metrics["waiting_sessions"] == 2
    )
    from watchkeeper.connectors.postgres.tools import postgres_activity, postgres_kill_idle_in_transaction

    told = await postgres_kill_idle_in_transaction.run(look.session, min_seconds=1.0, only_blocking=True)
    assert told == {"ended": 2}
    left = {row["pid"] for row in await postgres_activity.run(look.session)}
    assert not left & set(blockers)
    assert left >= {*idle, *waiting}
    with pytest.raises(Refused, match="that others wait for"):
        await postgres_kill_idle_in_transaction.run(look.session, min_seconds=1.0, only_blocking=True)
    async with await psycopg.AsyncConnection.connect(orders_host.server.url("postgres")) as other:
        found = await other.execute("SELECT sum(n) FROM shelf WHERE id < 3")
        assert await found.fetchone() == (4,)
