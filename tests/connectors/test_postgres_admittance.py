"""A PostgreSQL that runs and takes no writes, lets nobody in, or has no room for files: seen, and set right again."""

from dataclasses import replace

import psycopg
import pytest
from postgres_fixtures import until
from tests.postgres import Postgres

from watchkeeper.connectors.hosting import Disk
from watchkeeper.connectors.postgres import admittance, connector
from watchkeeper.connectors.postgres.disk import _tell
from watchkeeper.connectors.postgres.session import PostgresSession
from watchkeeper.connectors.postgres.trouble import trouble
from watchkeeper.domain import Reading, Refused
from watchkeeper.domain.change import Difference, Fingerprint, compare

WRITES, CONNECTIONS = admittance.postgres_allow_writes, admittance.postgres_allow_connections


def firing(reading: Reading) -> set[str]:
    return {rule.id for rule in connector.rules if rule.when.holds(reading.scope())}


@pytest.mark.parametrize("before", ["", "connection failed: "])
def test_who_is_not_let_in_is_told_why_first(before: str) -> None:
    said = f'{before}connection to server at "172.26.0.3", port 5432 failed: FATAL:  role "postgres" does not exist'
    told = str(trouble(psycopg.OperationalError(said)))
    assert told.startswith('It does not let us in: role "postgres" does not exist. ')
    assert "watchkeeper.postgres.username" in told


def _known(reading: Reading) -> Fingerprint:
    return Fingerprint(reading.resource, "", reading.configuration or {}, reading.at)


async def test_one_that_was_left_read_only_takes_writes_again_and_that_can_be_taken_back(
    orders: Postgres, orders_session: PostgresSession
) -> None:
    session = orders_session

    async def look() -> Reading:
        return await connector.read(session, None)

    well = await look()
    assert WRITES.refusal(well, {}) == "It takes writes."
    assert well.configuration is not None
    assert {"started", "statement_timeout", "max_wal_size"} <= well.configuration.keys()
    assert (await connector.read(session, well)).configuration is None  # it is not asked for with each look
    orders.run("ALTER SYSTEM SET default_transaction_read_only = on")
    orders.run("SELECT pg_reload_conf()")
    reading = await connector.read(session, well)
    while reading.metrics["read_only"] < 1 or reading.configuration is None:
        reading = await connector.read(session, reading)  # what was changed is told with the next look
    assert compare(_known(well), _known(reading)) == (Difference("default_transaction_read_only", "off", "on"),)
    assert "postgres-read-only" in firing(reading)
    assert WRITES.refusal(reading, {}) is None
    assert (await connector.probe(session)).ok is False
    before = await admittance.read_only(session)
    assert before == {"value": True, "altered": True, "narrower": False}
    await WRITES.run(session)
    assert (await connector.probe(session)).ok
    assert "postgres-read-only" not in firing(await look())
    assert WRITES.undo_run
    await WRITES.undo_run(session, before)
    assert await admittance.read_only(session) == before
    orders.run("ALTER SYSTEM RESET default_transaction_read_only")
    orders.run("SELECT pg_reload_conf()")
    await until(look, lambda r: r.metrics["read_only"] < 1)


async def test_a_full_disk_is_a_reason_to_take_no_writes(orders_session: PostgresSession) -> None:
    reading = await connector.read(orders_session, None)
    full = Reading(reading.resource, reading.at, 0.1, {**reading.metrics, "read_only": 1.0, "disk_used_ratio": 0.97})
    assert "97% full" in (WRITES.refusal(full, {}) or "")


async def test_a_database_that_was_closed_and_left_so_is_opened_and_can_be_closed_again(
    orders: Postgres, orders_session: PostgresSession
) -> None:
    session = orders_session

    async def look() -> Reading:
        return await connector.read(session, None)

    name = await session.database()
    assert CONNECTIONS.refusal(await look(), {}) == "Its database takes connections."
    with pytest.raises(Refused, match="takes connections"):
        await CONNECTIONS.run(session)
    with psycopg.connect(orders.url("template1"), autocommit=True) as beside:
        beside.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        reading = await look()
        assert "postgres-connections-forbidden" in firing(reading), "seen by whoever is in still"
        await session.aclose()
        reading = await look()
        assert "postgres-connections-forbidden" in firing(reading), "and by whoever is kept out"
        assert firing(reading) == {"postgres-connections-forbidden"}, "it is neither down nor silent"
        assert CONNECTIONS.refusal(reading, {}) is None
        before = await admittance.admits(session)
        assert before == {"database": name, "admits": False}
        await CONNECTIONS.run(session)
        assert "postgres-connections-forbidden" not in firing(await look())
        assert CONNECTIONS.undo_run
        await CONNECTIONS.undo_run(session, before)
        assert await admittance.admits(session) == before
        beside.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())


def test_a_disk_without_inodes_is_told_though_it_has_room() -> None:
    sample = connector.sample
    metrics = dict(sample.metrics)
    _tell(metrics, Disk(size=1e9, free=9e8, inodes=30_000, inodes_free=12))
    assert firing(Reading(sample.resource, sample.at, 0.1, metrics)) >= {"postgres-inodes-out"}
    _tell(metrics, Disk(size=1e9, free=9e8))
    assert "inodes_free_ratio" in metrics, "one that counts none says nothing new"


async def test_inodes_stay_known_between_the_looks_at_the_disk(orders_session: PostgresSession) -> None:
    """Or the loop would wait for a reading that shows the fault."""
    first = await connector.read(orders_session, None)
    few = replace(first, metrics={**first.metrics, "inodes_free_ratio": 0.001})
    assert "postgres-inodes-out" in firing(await connector.read(orders_session, few))
