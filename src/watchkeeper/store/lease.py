"""Only one executor acts: it holds a lease, which a dead local process cannot keep."""

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from watchkeeper.domain import Conflict, now
from watchkeeper.store.schema import leases

LIFETIME = timedelta(seconds=10)


class LeaseTaken(Conflict):
    """Another executor that is alive holds the lease."""


def born(pid: int) -> str:
    """When a local process started (clock ticks after boot): a pid alone may be somebody else's by now."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    return ""


@dataclass(frozen=True)
class Lease:
    """A name held by this process until `until`; renew well before."""

    name: str
    holder: str

    async def take(self, connection: AsyncConnection) -> datetime:
        """Take or renew it. Raises LeaseTaken, which names the holder."""
        row = (await connection.execute(sa.select(leases).where(leases.c.name == self.name))).mappings().first()
        until = now() + LIFETIME
        mine = {
            "holder": self.holder,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "born": born(os.getpid()),
            "until": until,
        }
        if row is None:
            await connection.execute(sa.insert(leases).values(name=self.name, **mine))
            return until
        if row["holder"] != self.holder and not _lapsed(row["host"], row["pid"], row["born"], row["until"]):
            raise LeaseTaken(
                f"Another watchkeeper is running on this store: process {row['pid']} on {row['host']}.",
                "Stop it first, or give this one a store of its own: watchkeeper up --data DIR.",
            )
        await connection.execute(sa.update(leases).where(leases.c.name == self.name).values(**mine))
        return until

    async def release(self, connection: AsyncConnection) -> None:
        await connection.execute(sa.delete(leases).where(leases.c.name == self.name, leases.c.holder == self.holder))


def _lapsed(host: str, pid: int, born_at: str, until: datetime) -> bool:
    """A dead local process has no lease; of a process elsewhere only the clock can tell."""
    if host == socket.gethostname():
        return not born(pid) or born(pid) != born_at
    return until.timestamp() < now().timestamp()
