"""The ledger: what the shop acknowledged, and how each request went. Rows are added, never changed.

An acknowledged write must be there for as long as its `expires_at` allows, unless a later row says that it may be gone
(a cart that is being checked out) or was written off (found lost, and told, once).
"""

import hashlib
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal, Self

Kind = Literal["cart", "draft", "job", "order", "session", "ticket"]
Removal = Literal["maybe_gone", "written_off"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, method TEXT NOT NULL, route TEXT NOT NULL,
    status INTEGER NOT NULL, seconds REAL NOT NULL);
CREATE INDEX IF NOT EXISTS requests_at ON requests (at);
CREATE TABLE IF NOT EXISTS writes (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, op TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
    field TEXT NOT NULL, digest TEXT NOT NULL, expires_at REAL);
CREATE INDEX IF NOT EXISTS writes_key ON writes (key, op);
CREATE TABLE IF NOT EXISTS added (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS requests_stay BEFORE UPDATE ON requests BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER IF NOT EXISTS requests_kept BEFORE DELETE ON requests BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER IF NOT EXISTS writes_stay BEFORE UPDATE ON writes BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER IF NOT EXISTS writes_kept BEFORE DELETE ON writes BEGIN SELECT RAISE(ABORT, 'append only'); END;
"""

EXPIRY_MARGIN = 60.0
"""Seconds before its expiry from which a write is no longer asked for."""


@dataclass(frozen=True, slots=True)
class Write:
    """An acknowledged write: key (and field, for carts), digest of the value, when it expires (Unix time)."""

    kind: Kind
    key: str
    field: str
    digest: str
    expires_at: float | None

    @classmethod
    def of(cls, kind: Kind, key: str, value: bytes | str, *, field: str = "", expires_at: float | None = None) -> Self:
        """The write of `value`."""
        return cls(kind, key, field, digest(value), expires_at)


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests in a span of time. `downtime` in seconds: the longest stretch in which no request succeeded."""

    total: int
    failed: int
    downtime: float


def digest(value: bytes | str) -> str:
    """A short digest of a stored value."""
    return hashlib.blake2b(value if isinstance(value, bytes) else value.encode(), digest_size=8).hexdigest()


class Ledger:
    """The ledger of one lab. Several processes may add to it at once."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None, timeout=10.0)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.executescript(SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Record a request that has ended: its status (0 for no answer) and how long it took, in seconds."""
        self._database.execute(
            "INSERT INTO requests (at, method, route, status, seconds) VALUES (?, ?, ?, ?, ?)",
            (time.time(), method, route, status, seconds),
        )

    def acknowledged(self, writes: Iterable[Write]) -> None:
        """Record writes that were acknowledged, in one transaction."""
        rows = [(time.time(), "put", w.kind, w.key, w.field, w.digest, w.expires_at) for w in writes]
        self._add(rows)

    def removed(self, op: Removal, keys: Iterable[str]) -> None:
        """Record that keys may be gone from here on, or that they were lost and are written off."""
        self._add([(time.time(), op, "", key, "", "", None) for key in keys])

    def _add(self, rows: Sequence[tuple[object, ...]]) -> None:
        with self._transaction():
            self._database.executemany(
                "INSERT INTO writes (at, op, kind, key, field, digest, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)", rows
            )

    def expected(self) -> list[Write]:
        """All writes that have to be there now."""
        found = self._database.execute(
            "SELECT kind, key, field, digest, expires_at FROM writes AS w WHERE op = 'put'"
            " AND (expires_at IS NULL OR expires_at > ?) AND NOT EXISTS (SELECT 1 FROM writes AS later"
            " WHERE later.key = w.key AND later.op IN ('maybe_gone', 'written_off') AND later.id > w.id)",
            (time.time() + EXPIRY_MARGIN,),
        )
        return [Write(*row) for row in found]

    def requests(self, since: float, until: float | None = None) -> Requests:
        """How requests went between two moments (Unix time)."""
        until = time.time() if until is None else until
        rows: list[tuple[float, int]] = self._database.execute(
            "SELECT at, status FROM requests WHERE at BETWEEN ? AND ? ORDER BY at", (since, until)
        ).fetchall()
        good = [since, *(at for at, status in rows if succeeded(status)), until]
        bad = [at for at, status in rows if not succeeded(status)]
        gaps = [later - earlier for earlier, later in pairwise(good)]
        return Requests(len(rows), len(bad), max(gaps) if bad else 0.0)

    def added(self) -> list[str]:
        """Keys the lab itself put into Redis and has not taken out again."""
        return [row[0] for row in self._database.execute("SELECT key FROM added")]

    def note_added(self, keys: Iterable[str]) -> None:
        """Remember keys the lab is about to put into Redis, so that `reset` can take them out."""
        with self._transaction():
            self._database.executemany("INSERT OR IGNORE INTO added VALUES (?)", [(key,) for key in keys])

    def forget_added(self) -> None:
        """Forget them: they have been taken out."""
        self._database.execute("DELETE FROM added")

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._database)


class _Transaction:
    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._database.execute("COMMIT" if kind is None else "ROLLBACK")


def succeeded(status: int) -> bool:
    """Whether a request with this status went well: refusals by the shop's own rules (4xx) count as answers."""
    return 200 <= status < 500
