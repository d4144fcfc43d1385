"""What pools tell: which of them is worst off, and why. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CONSOLE = "pgbouncer"
_SERVERS = ("sv_active", "sv_active_cancel", "sv_being_canceled", "sv_idle", "sv_used", "sv_tested")


@dataclass(frozen=True, slots=True)
class Pool:
    """The connections of one user to one database."""

    database: str
    user: str
    active: int
    """Clients that are served, or have nothing to ask."""
    waiting: int
    wait_seconds: float
    """For how long the first of them has; those that wait to be let in at all do not count."""
    servers: int
    """Connections to the server that are ready or at work."""
    servers_active: int
    login: int
    """Connections that are being opened."""
    size: int
    """How many there may be."""
    paused: bool

    @property
    def full(self) -> bool:
        """All that may be are there, and somebody waits."""
        return self.waiting > 0 and not self.paused and 0 < self.size <= self.servers

    @property
    def unserved(self) -> bool:
        """Somebody waits, and there is no connection to a server at all."""
        return self.waiting > 0 and not self.paused and not self.servers

    @property
    def said(self) -> str:
        return (
            f"{self.database} as {self.user}: {self.waiting} wait, {self.servers} of {self.size} connections are there"
        )

    @property
    def used_ratio(self) -> float:
        return self.servers_active / self.size if self.size else 0.0


def pools(rows: Iterable[Mapping[str, Any]], databases: Mapping[str, Mapping[str, Any]]) -> list[Pool]:
    """SHOW POOLS with what SHOW DATABASES says; without the console."""
    found: list[Pool] = []
    for row in rows:
        if row["database"] == CONSOLE:
            continue
        database = databases.get(row["database"], {})
        servers = sum(int(row.get(name) or 0) for name in _SERVERS)
        limit = int(database.get("max_connections") or 0)
        size = int(database.get("pool_size") or 0)
        found.append(
            Pool(
                database=str(row["database"]),
                user=str(row["user"]),
                active=int(row["cl_active"]),
                waiting=int(row["cl_waiting"]),
                wait_seconds=int(row["maxwait"]) + int(row.get("maxwait_us") or 0) / 1e6,
                servers=servers,
                servers_active=int(row["sv_active"]),
                login=int(row["sv_login"]),
                size=min(size, limit) if limit else size,
                paused=bool(database.get("paused")),
            )
        )
    return found


def worst(found: Sequence[Pool]) -> Pool | None:
    """In which most wait, longest; else the one that is fullest."""
    return max(
        found, key=lambda pool: (pool.waiting > 0, pool.wait_seconds, pool.waiting, pool.used_ratio), default=None
    )


def waiting_as(rows: Iterable[Mapping[str, Any]], database: str, user: str, application: str) -> int:
    """How many clients of a pool wait that call themselves so; those that wait to be let in count, too."""
    return sum(
        (row["database"], row["user"]) == (database, user)
        and row.get("application_name") == application
        and str(row["state"]).startswith("waiting")
        for row in rows
    )


def crowd(rows: Iterable[Mapping[str, Any]], database: str) -> tuple[str, str, int] | None:
    """Whose clients are most at a database: their address, application, and how many."""
    counts = Counter(
        (str(row.get("addr") or ""), str(row.get("application_name") or ""))
        for row in rows
        if row["database"] == database
    )
    if not counts:
        return None
    ((address, application), number) = counts.most_common(1)[0]
    return address, application, number
