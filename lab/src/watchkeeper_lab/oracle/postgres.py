"""PostgreSQL as its clients see it: a write and a read, connections, who waits for whom, its disk."""

import hashlib
import os
import uuid

import psycopg

from watchkeeper_lab.oracle.finding import Finding, Place, brief
from watchkeeper_lab.postgres_link import Connection, postgres_link

CONNECTION_LIMIT = 0.85
"""Share of max_connections from which PostgreSQL counts as exhausted, as in the reference."""
DISK_LIMIT = 0.92
"""Share of its volume from which the disk counts as full; only for a volume that is a file system of its own."""
BLOCKED_SECONDS = 2.0
"""How long a session may wait for another's lock."""
PROBE_SECONDS = 3.0

SESSIONS = """
SELECT count(*), current_setting('max_connections')::int,
  count(*) FILTER (WHERE state LIKE 'idle in transaction%%'),
  count(*) FILTER (WHERE wait_event_type = 'Lock' AND now() - state_change > make_interval(secs => %s)
                   AND cardinality(pg_blocking_pids(pid)) > 0)
FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
VISITS = """
SELECT obj_description(c.oid), s.n_dead_tup, s.n_live_tup,
  'autovacuum_enabled=false' = ANY (coalesce(c.reloptions, '{}'))
FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid WHERE c.relname = 'visits'
"""
SETTINGS = "SELECT name, setting FROM pg_settings WHERE source <> 'client' AND source <> 'session' ORDER BY name"


async def look(place: Place) -> Finding:
    """Write, read, and measure."""
    found = Finding()
    _disk(place, found)
    try:
        async with postgres_link(place.instance.database_url, timeout=PROBE_SECONDS) as connection:
            await _sessions(connection, found)
            settings = await (await connection.execute(SETTINGS)).fetchall()
            found.untouched["postgres config"] = hashlib.blake2b(repr(settings).encode(), digest_size=8).hexdigest()
            await _write_and_read(connection, found)
            await _visits(connection, found)
    except (psycopg.Error, OSError) as error:
        found.reasons.append(f"PostgreSQL did not serve a write and a read: {brief(error)}")
    return found


async def _sessions(connection: Connection, found: Finding) -> None:
    row = await (await connection.execute(SESSIONS, (BLOCKED_SECONDS,))).fetchone()
    used, most, idle_in_transaction, blocked = row or (0, 1, 0, 0)
    found.facts |= {
        "postgres_connection_ratio": round(used / most, 4),
        "postgres_idle_in_transaction": idle_in_transaction,
        "postgres_blocked_sessions": blocked,
    }
    if used / most >= CONNECTION_LIMIT:
        found.reasons.append(f"PostgreSQL has {used / most:.1%} of max_connections connected")
    if blocked:
        found.reasons.append(f"{blocked} sessions of PostgreSQL wait for another's lock")


async def _write_and_read(connection: Connection, found: Finding) -> None:
    """One row of a table of the lab's own: written again and again, so that it does not grow."""
    exists = await (await connection.execute("SELECT to_regclass('lab_probe')")).fetchone()
    if exists is None or exists[0] is None:
        await connection.execute("CREATE TABLE IF NOT EXISTS lab_probe (id int PRIMARY KEY, value text NOT NULL)")
    value, upsert = uuid.uuid4().hex, "ON CONFLICT (id) DO UPDATE SET value = excluded.value"
    async with connection.transaction():
        await connection.execute(f"INSERT INTO lab_probe VALUES (1, %s) {upsert}", (value,))
        row = await (await connection.execute("SELECT value FROM lab_probe WHERE id = 1")).fetchone()
    if row != (value,):
        found.reasons.append("PostgreSQL did not return what was written")


async def seconds_of_count(connection: Connection) -> float:
    """How long the server takes to count the rows of `visits`; the least of three."""
    took: list[float] = []
    for _ in range(3):
        row = await (await connection.execute("EXPLAIN (ANALYZE, FORMAT JSON) SELECT count(*) FROM visits")).fetchone()
        assert row is not None
        took.append(float(row[0][0]["Execution Time"]) / 1000)
    return min(took)


async def _visits(connection: Connection, found: Finding) -> None:
    """The table that the fault makes: its comment says how long a count took with all the dead rows in it."""
    row = await (await connection.execute(VISITS)).fetchone()
    if row is None or row[0] is None:
        return
    slow, dead, live, off = float(row[0]), *row[1:]
    seconds = await seconds_of_count(connection)
    found.facts |= {"postgres_slow_query_seconds": round(seconds, 5), "postgres_dead_rows": dead}
    if dead > live:
        found.reasons.append(f"{dead} of {dead + live} rows of visits are dead")
    if seconds > slow / 2:
        found.reasons.append(f"the slow query takes {seconds * 1000:.1f} ms still, as it did ({slow * 1000:.1f} ms)")
    if off:
        found.reasons.append("autovacuum is switched off for visits")


def _disk(place: Place, found: Finding) -> None:
    """The volume with its files, where it is a file system of its own that this machine may look at."""
    state = place.states.get(place.instance.stack.postgres)
    for folder in state.volumes.values() if state else ():
        if os.path.ismount(folder):
            size = os.statvfs(folder)
            ratio = 1 - size.f_bavail / size.f_blocks
            found.facts["postgres_disk_ratio"] = round(ratio, 4)
            if size.f_files and size.f_favail < 100:
                found.reasons.append("the disk of PostgreSQL takes no more files")
            if ratio >= DISK_LIMIT:
                found.reasons.append(f"the disk of PostgreSQL is {ratio:.1%} full")
