"""Only one executor acts: it holds a lease, which a dead local process cannot keep."""

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from watchkeeper.domain import Conflict, now
from watchkeeper.store.schema import leases

LIFETIME = timedelta(seconds=10)


class LeaseTaken(Conflict):
    """Another executor that is alive holds the lease."""


def born(pid: int) -> str:
    """When a local process started (clock ticks after boot): a pid alone may be somebody else's by now.

    Empty for one that is dead, also where nobody has reaped it yet.
    """
    with suppress(OSError, IndexError):
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return "" if state in "ZX" else rest[18]
    return ""


@dataclass(frozen=True)
class Lease:
    """A name held by this process until `until`; renew well before."""

    name: str
    holder: str

    async def take(self, connection: AsyncConnection) -> datetime:
        """Take or renew it. Raises LeaseTaken, which names the holder."""
        row = await self._row(connection)
        until = now() + LIFETIME
        mine = {
            "holder": self.holder,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "born": born(os.getpid()),
            "until": until,
        }
        if row is None:
            try:
                await connection.execute(sa.insert(leases).values(name=self.name, **mine))
            except IntegrityError:
                raise _taken(await self._row(connection)) from None
            return until
        if row["holder"] != self.holder and not _lapsed(row["host"], row["pid"], row["born"], row["until"]):
            raise _taken(row)
        known = (leases.c.name == self.name, leases.c.holder == row["holder"])
        changed = await connection.execute(sa.update(leases).where(*known).values(**mine))
        if changed.rowcount == 0:  # another was faster
            raise _taken(await self._row(connection))
        return until

    async def _row(self, connection: AsyncConnection) -> sa.RowMapping | None:
        return (await connection.execute(sa.select(leases).where(leases.c.name == self.name))).mappings().first()

    async def release(self, connection: AsyncConnection) -> None:
        await connection.execute(sa.delete(leases).where(leases.c.name == self.name, leases.c.holder == self.holder))


def _taken(row: sa.RowMapping | None) -> LeaseTaken:
    who = f": process {row['pid']} on {row['host']}" if row else ""
    return LeaseTaken(
        f"Another watchkeeper is running on this store{who}.",
        "Stop it first, or give this one a store of its own: watchkeeper up --data DIR.",
    )


def _lapsed(host: str, pid: int, born_at: str, until: datetime) -> bool:
    """A dead local process has no lease; of a process elsewhere only the clock can tell."""
    if host == socket.gethostname():
        return not born(pid) or born(pid) != born_at
    return until.timestamp() < now().timestamp()
