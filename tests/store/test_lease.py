import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from watchkeeper.store import Lease, LeaseTaken, Store

HOLDER = """
import asyncio, sys
from watchkeeper.store import Lease, Store

async def hold():
    async with Store.open(sys.argv[1]) as store:
        await store.take(Lease("executor", "other"))
        print("held", flush=True)
        await asyncio.sleep(600)

asyncio.run(hold())
"""
MINE = Lease("executor", "mine")


@pytest.fixture
def url(tmp_path: Path) -> str:
    """SQLite, where one executor has everything; those on PostgreSQL share."""
    return f"sqlite+aiosqlite:///{tmp_path / 'watchkeeper.db'}"


class Holder:
    """Another process that took the lease."""

    def __init__(self, url: str) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", HOLDER, url], stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"held\n"

    def kill(self, *, reap: bool = True) -> None:
        self.process.kill()
        if reap:
            self.process.wait()
        else:
            os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)  # dead, and nobody has asked for it yet

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
async def holder(url: str, store: Store):
    other = await asyncio.to_thread(Holder, url)
    yield other
    other.end()


async def test_a_second_executor_is_refused_while_the_first_lives(holder: Holder, store: Store) -> None:
    with pytest.raises(LeaseTaken) as told:
        await store.take(MINE)
    assert str(holder.process.pid) in told.value.what
    assert "--data" in told.value.next_step


async def test_the_lease_of_a_killed_process_is_adopted_at_once(holder: Holder, store: Store) -> None:
    await asyncio.to_thread(holder.kill)
    await store.take(MINE)


async def test_a_process_that_nobody_has_reaped_holds_no_lease(holder: Holder, store: Store) -> None:
    await asyncio.to_thread(holder.kill, reap=False)
    await store.take(MINE)


async def test_the_holder_may_renew(store: Store) -> None:
    first = await store.take(MINE)
    assert await store.take(MINE) >= first


async def test_another_holder_in_the_same_process_is_refused(store: Store) -> None:
    await store.take(MINE)
    with pytest.raises(LeaseTaken):
        await store.take(replace(MINE, holder="another"))


async def test_a_lease_given_back_can_be_taken(store: Store) -> None:
    await store.take(MINE)
    await store.release(MINE)
    await store.take(replace(MINE, holder="another"))


async def test_only_the_holder_can_give_it_back(store: Store) -> None:
    await store.take(MINE)
    await store.release(replace(MINE, holder="another"))
    with pytest.raises(LeaseTaken):
        await store.take(replace(MINE, holder="another"))


class Between:
    """A connection on which something happens right after the first look."""

    def __init__(self, connection: Any, happens: Callable[[], Any]) -> None:
        self._connection = connection
        self._happens: Callable[[], Any] | None = happens

    async def execute(self, statement: Any) -> Any:
        result = await self._connection.execute(statement)
        if self._happens is not None:
            row = result.mappings().first()
            happens, self._happens = self._happens, None
            await happens()
            return _Row(row)
        return result


class _Row:
    def __init__(self, row: Any) -> None:
        self._row = row

    def mappings(self) -> "_Row":
        return self

    def first(self) -> Any:
        return self._row


async def test_of_two_that_find_it_free_one_gets_it(url: str, store: Store) -> None:
    async with Store.open(url) as other:
        with pytest.raises(LeaseTaken):
            async with store.transaction() as transaction:
                await MINE.take(Between(transaction.connection, lambda: other.take(Lease("executor", "faster"))))  # type: ignore[arg-type]


async def test_of_two_that_find_it_lapsed_one_gets_it(url: str, store: Store, holder: Holder) -> None:
    await asyncio.to_thread(holder.kill)
    async with Store.open(url) as other:
        with pytest.raises(LeaseTaken):
            async with store.transaction() as transaction:
                await MINE.take(Between(transaction.connection, lambda: other.take(Lease("executor", "faster"))))  # type: ignore[arg-type]
