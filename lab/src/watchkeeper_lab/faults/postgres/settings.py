"""Somebody set PostgreSQL up wrongly while it ran, or used up what its disk has besides room."""

import random
import time
from pathlib import Path

import psycopg
from psycopg import sql

from watchkeeper_lab.disk import DATA, mounted
from watchkeeper_lab.errors import LabError
from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.postgres_link import postgres_link

MAINTENANCE = "postgres"
"""The database from which others are worked on."""
END_ALL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"


async def read_only(site: Site) -> float:
    """Maintenance that somebody forgot to end: every transaction begins read-only."""
    async with site.postgres() as connection:
        await connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        at = time.time()
        await connection.execute("SELECT pg_reload_conf()")
    return at


async def forbidden(site: Site) -> float:
    """The beginning of a restore that was given up: nobody may connect to the database, and all sessions are ended."""
    database = site.stack.database
    async with postgres_link(site.instance.database_url_of(MAINTENANCE), timeout=5.0) as connection:
        await connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(database)))
        at = time.time()
        await connection.execute(END_ALL, (database,))
    try:
        async with site.postgres():
            pass
    except psycopg.Error:
        return at
    raise LabError("PostgreSQL still lets sessions in.", "Run `watchkeeper lab reset` and try again.")


async def out_of_inodes(site: Site) -> float:
    """Millions of tiny files that an export left beside the data directory: there is room, and no file can be made."""
    states = await site.services.states()
    folder = Path(states[site.stack.postgres].volumes.get(DATA, ""))
    if not mounted(folder):
        raise LabError("PostgreSQL has no disk of its own here.", "`watchkeeper lab faults` lists what there is.")
    place = folder / random.choice(("exports", "thumbnails", "spool"))
    number = 0
    try:
        while True:
            part = place / f"{number // 4096:04}"
            part.mkdir(parents=True, exist_ok=True)
            (part / f"{number:07}").touch()
            number += 1
    except OSError:
        at = time.time()
    try:
        async with site.postgres(timeout=20.0) as connection:
            await connection.execute("CREATE TABLE filling (i int)")
    except (psycopg.Error, OSError):
        return at
    raise LabError("Files can still be made.", "Run `watchkeeper lab reset` and try again.")
