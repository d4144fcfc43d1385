"""A table full of dead rows, and a query that is slow because of them."""

import random
import time

from psycopg import sql

from watchkeeper_lab.errors import LabError
from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.oracle.postgres import seconds_of_count

MAKE = """
CREATE TABLE visits (id bigint, seen timestamptz NOT NULL, page text NOT NULL) WITH (autovacuum_enabled = {autovacuum})
"""
FILL = "INSERT INTO visits SELECT i, now(), repeat(md5(i::text), 4) FROM generate_series(1, {rows}) AS i"
CLEAN = "DELETE FROM visits WHERE id > {kept}"
"""A job that clears old visits away: what it deletes stays where it was until somebody vacuums."""


async def bloated(site: Site) -> float:
    """Autovacuum is off for a table, of which 97 to 99 % are deleted; counting the rest takes as long as before."""
    at = await _fill(site, autovacuum=False)
    async with site.postgres(timeout=60.0) as connection:
        slow = await seconds_of_count(connection)
        await connection.execute(sql.SQL("COMMENT ON TABLE visits IS {}").format(sql.Literal(f"{slow:.6f}")))
        found = await connection.execute("SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'visits'")
        row = await found.fetchone()
    if row is None or row[0] < 30_000:
        raise LabError("The rows are not dead.", "Run `watchkeeper lab reset` and try again.")
    return at


async def bulk_delete(site: Site) -> float:
    """A control: the same deletion, and autovacuum is on; it comes to it by itself within a minute or two."""
    return await _fill(site, autovacuum=True)


async def _fill(site: Site, *, autovacuum: bool) -> float:
    rows = random.randint(60_000, 80_000)
    kept = int(rows * random.uniform(0.01, 0.03))
    async with site.postgres(timeout=60.0) as connection:
        await connection.execute(sql.SQL(MAKE).format(autovacuum=sql.Literal(autovacuum)))
        await connection.execute(sql.SQL(FILL).format(rows=sql.Literal(rows)))
        await connection.execute(sql.SQL(CLEAN).format(kept=sql.Literal(kept)))
        at = time.time()
        await connection.execute("SELECT pg_stat_force_next_flush()")
    return at
