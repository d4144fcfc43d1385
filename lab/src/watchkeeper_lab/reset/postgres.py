"""PostgreSQL as it was: it answers, nobody holds a session up, its settings and those of its tables, no table more."""

import asyncio
import shutil
import time
from pathlib import Path

import psycopg
from psycopg import sql

from watchkeeper_lab.disk import DATA, SPARE, mounted
from watchkeeper_lab.errors import LabError
from watchkeeper_lab.faults.postgres.settings import MAINTENANCE
from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.postgres_link import Connection, postgres_link
from watchkeeper_lab.reset.baseline import Kept

ANSWER_SECONDS = 20.0
BUSY_SECONDS = 1.0
"""A statement or transaction of the shop's own takes less."""
MANY = 20
"""The shop keeps at most 12 sessions open; where there are more than this, the idle ones are ended too."""

SETTINGS = "SELECT name, setting FROM pg_settings WHERE source NOT IN ('client', 'session', 'override') ORDER BY name"
TABLES = """
SELECT oid::regclass::text, reloptions FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname NOT LIKE 'bank\\_%'
"""
"""But for those of the support-bot, which may have come after the baseline was taken."""
ADMITS = "SELECT datallowconn FROM pg_database WHERE datname = %s"
END_BUSY = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle'
  AND now() - xact_start > make_interval(secs => %s)
"""
END_IDLE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND state = 'idle'
  AND (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') > %s
"""


async def keep(site: Site) -> Kept:
    """Its settings, and its tables with the options of each."""
    async with site.postgres() as connection:
        return {"settings": await _settings(connection), "tables": await _tables(connection)}


async def mend(site: Site, kept: Kept) -> None:
    """Make room on its disk, where it has one of its own: take away what a fault left there, and on the spare one."""
    states = await site.services.states()
    state = states.get(site.stack.postgres)
    volumes = dict(state.volumes) if state else dict[str, str]()
    if mounted(volumes.get(DATA, "")):
        _tidy(volumes[DATA], volumes[SPARE])


def _tidy(*folders: str) -> None:
    for path in [path for folder in folders for path in Path(folder).iterdir()]:
        if path.name in ("pgdata", "lost+found"):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


async def restore(site: Site, kept: Kept) -> None:
    """End sessions that hold others up, and undo what was set and made."""
    await _until_it_answers(site)
    async with site.postgres(timeout=20.0) as connection:
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute(END_BUSY, (BUSY_SECONDS,))
        await connection.execute(END_IDLE, (MANY,))
        await _undo_tables(connection, kept["tables"])
        if await _settings(connection) == kept["settings"]:
            return
        await connection.execute("ALTER SYSTEM RESET ALL")
        await connection.execute("SELECT pg_reload_conf()")
    if not await _as_set(site, kept, 2.0):
        await site.services.restart(site.stack.postgres)  # some settings take effect only then
        await _until_it_answers(site)


async def clear(site: Site) -> None:
    """Nothing to be taken out."""


async def _undo_tables(connection: Connection, kept: Kept) -> None:
    for name, options in (await _tables(connection)).items():
        table = sql.SQL(name)  # pyright: ignore[reportArgumentType]
        if name not in kept:
            await connection.execute(sql.SQL("DROP TABLE {} CASCADE").format(table))
        elif options != kept[name]:
            names = sql.SQL(", ").join(sql.SQL(one.split("=")[0]) for one in options)  # pyright: ignore[reportArgumentType]
            await connection.execute(sql.SQL("ALTER TABLE {} RESET ({})").format(table, names))


async def _settings(connection: Connection) -> Kept:
    return {row[0]: row[1] for row in await (await connection.execute(SETTINGS)).fetchall()}


async def _tables(connection: Connection) -> Kept:
    return {row[0]: sorted(row[1] or []) for row in await (await connection.execute(TABLES)).fetchall()}


async def _as_set(site: Site, kept: Kept, seconds: float) -> bool:
    """Whether the settings are as they were, or become so within so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        async with site.postgres() as connection:
            if await _settings(connection) == kept["settings"]:
                return True
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.1)


async def _let_in(site: Site) -> None:
    """The database takes connections, as it did."""
    name = site.stack.database
    async with postgres_link(site.instance.database_url_of(MAINTENANCE)) as connection:
        row = await (await connection.execute(ADMITS, (name,))).fetchone()
        if row == (False,):
            await connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(name)))


async def _until_it_answers(site: Site) -> None:
    """Wait until it serves queries; after half of the time it is restarted."""
    began, restarted = time.monotonic(), False
    while True:
        try:
            await _let_in(site)
            async with site.postgres(timeout=2.0) as connection:
                await connection.execute("SELECT 1")
            return
        except (psycopg.Error, OSError) as error:
            waited = time.monotonic() - began
            if waited > 2 * ANSWER_SECONDS:
                raise LabError(f"PostgreSQL does not answer: {error!r}.", "Its log may tell more.") from error
            if waited > ANSWER_SECONDS and not restarted:
                restarted = True
                await site.services.restart(site.stack.postgres)
        await asyncio.sleep(0.1)
