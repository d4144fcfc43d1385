"""Sessions that hold locks, and sessions that wait for them. Prints `ready` when they do, `done` when all that waited
have got through.

Runs as a process of its own: `python -m watchkeeper_lab.sessions {chain,idle,many} NUMBER`, with the database's URL in
LAB_DATABASE_URL, and a table and one of its columns in LAB_TABLE and LAB_COLUMN. Who holds a lock never lets go of
it; who waited commits as soon as it has its lock.
"""

import asyncio
import os
import sys
from typing import Any

import psycopg
from psycopg import sql

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
TABLE, COLUMN = sql.Identifier(os.environ["LAB_TABLE"]), sql.Identifier(os.environ["LAB_COLUMN"])
TOUCH = sql.SQL("UPDATE {} SET {} = {} WHERE id = %s").format(TABLE, COLUMN, COLUMN)
"""Changes nothing; locks a row that is otherwise only read."""
BLOCKED = """
SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'lab-sessions'
"""


async def _open(**options: Any) -> Connection:
    url = os.environ["LAB_DATABASE_URL"]
    return await psycopg.AsyncConnection.connect(url, application_name="lab-sessions", **options)


async def _rows(count: int) -> list[int]:
    async with await _open() as connection:
        rows = sql.SQL("SELECT id FROM {} ORDER BY random() LIMIT %s").format(TABLE)
        found = await connection.execute(rows, (count,))
        return [row[0] for row in await found.fetchall()]


async def _wait_for(row: int, own: int | None = None) -> None:
    """Lock a row of its own where it is given one, then wait for another's, and commit."""
    async with await _open() as connection:
        if own is not None:
            await connection.execute(TOUCH, (own,))
        await connection.execute(TOUCH, (row,))


async def _until_blocked(count: int, waiting: "list[asyncio.Task[None]]") -> None:
    async with await _open(autocommit=True) as connection:
        while True:
            row = await (await connection.execute(BLOCKED)).fetchone()
            if row is not None and row[0] >= count:
                break
            for one in waiting:
                if one.done():
                    one.result()
            await asyncio.sleep(0.05)
    print("ready", flush=True)


async def idle(count: int) -> None:
    """So many sessions that changed a row and never committed, two that wait for each."""
    rows = await _rows(count)
    holders = [await _open() for _ in rows]
    for holder, row in zip(holders, rows, strict=True):
        await holder.execute(TOUCH, (row,))
    waiting = [asyncio.create_task(_wait_for(row)) for row in rows for _ in range(2)]
    await _until_blocked(len(waiting), waiting)
    await asyncio.gather(*waiting)


async def chain(depth: int) -> None:
    """A session that holds a lock, and `depth` more: each holds one and waits for that of the one before."""
    rows = await _rows(depth + 1)
    head = await _open()
    await head.execute(TOUCH, (rows[0],))
    waiting: list[asyncio.Task[None]] = []
    for number in range(depth):
        waiting.append(asyncio.create_task(_wait_for(rows[number], own=rows[number + 1])))
        await _until_there(number + 1)
    await _until_blocked(depth, waiting)
    await asyncio.gather(*waiting)


async def _until_there(blocked: int) -> None:
    async with await _open(autocommit=True) as connection:
        while True:
            row = await (await connection.execute(BLOCKED)).fetchone()
            if row is not None and row[0] >= blocked:
                return
            await asyncio.sleep(0.02)


async def many(count: int) -> None:
    """A report that runs for long, and so many idle sessions: nothing is wrong with any of them."""
    report = await _open(autocommit=True)
    running = asyncio.create_task(report.execute(sql.SQL("SELECT count(*), pg_sleep(600) FROM {}").format(TABLE)))
    held = [await _open(autocommit=True) for _ in range(count)]
    print("ready", flush=True)
    await running
    for one in held:
        await one.execute("SELECT 1")


KINDS = {"chain": chain, "idle": idle, "many": many}


def main() -> None:
    """Hold and wait until nobody waits any more."""
    asyncio.run(KINDS[sys.argv[1]](int(sys.argv[2])))
    print("done", flush=True)


if __name__ == "__main__":
    main()
