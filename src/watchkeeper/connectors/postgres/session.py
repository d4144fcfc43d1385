"""An open session with one PostgreSQL: one connection is kept, for an exhausted server is when we must get in."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import psycopg

from watchkeeper.connectors.postgres import access
from watchkeeper.connectors.postgres.trouble import Trouble, trouble
from watchkeeper.connectors.speaking import Connection, Refusals, Row, connected
from watchkeeper.domain import ExecResult, Host, Resource, WatchkeeperError
from watchkeeper.domain.saying import say

CALL_SECONDS = 1.0
_POLL_SECONDS = 0.1
_OVERDUE_SECONDS = 4.0
"""After this long without a reply a second connection is tried: the kept one may be dead without knowing."""


class Ask(Protocol):
    """Asks one database: the rows of one statement. Raises Trouble."""

    async def __call__(
        self, statement: str, parameters: Mapping[str, Any] | Sequence[Any] = (), *, timeout: float = CALL_SECONDS
    ) -> list[Row]: ...


class PostgresSession:
    """What looks and tools work on. Opening it never fails; it connects when it is asked, and again by itself.

    A statement that is not answered in time is left to end by itself (`statement_timeout` ends it on the server), and
    until then the session is silent: the connection is the way in, and is not thrown away for one late reply.
    """

    def __init__(self, resource: Resource, host: Host | None) -> None:
        self.resource = resource
        self.host = host
        self.protect = access.protected(resource.settings.get("protect"))
        self.spare = str(resource.settings.get("spare_folder") or "").rstrip("/")
        """A folder on another disk, for what fills this one; empty where none is named."""
        self.silent_since: float | None = None
        """Loop time since when it has not answered though it ought to."""
        self.answered = False
        self.configured: dict[str, str] | None = None
        """What it was found to be configured with, until a reading has told it."""
        self.tables: dict[str, list[Row]] = {}
        """By database, the table with the most dead rows, as it was when that database was last looked at."""
        self.autovacuum = True
        """Whether it is on for the server."""
        self.tables_seconds = 0.0
        """How long it took last to look at those of the database it is connected to."""
        self.looked: dict[str, float] = {}
        """Loop time of the last look at each other database."""
        self.bloated: tuple[str, float] = ("", 0.0)
        """The table that is full of dead rows, and the loop time since when."""
        self.stray_metrics: dict[str, float] = {}
        self.stray_facts: dict[str, str] = {}
        """What was found last to fill the disk."""
        self.searching: asyncio.Task[ExecResult] | None = None
        """Looks for what fills the disk."""
        self.spared: tuple[int, ...] = ()
        """Process ids of the protected sessions, as they were when it was last asked who is there."""
        self.totals: tuple[datetime, dict[str, float]] | None = None
        """The counters of the last time they were asked for: rates come from them."""
        self.poolers = access.protected(resource.settings.get("poolers"))
        """Addresses of poolers, as the settings name them."""
        self.pooler_at: dict[str, tuple[bool, float]] = {}
        """By address of clients, whether that is a pooler, and until when (loop time) that stands."""
        self.statements: Any = None
        """What statements and scans were counted the last time (`statements`)."""
        self.streamed = False
        """Whether this standby was seen to receive from a primary."""
        self.standbys: dict[tuple[str, int], tuple[float, float]] = {}
        """By name and number, the loop times when a standby was first and last seen."""
        self.slots: dict[str, tuple[float, float]] = {}
        """By name of a slot that nobody reads, since when (loop time) and what it kept then, in bytes."""
        self.checkpoints: deque[tuple[float, float, float]] = deque()
        """Loop time, requested checkpoints, and bytes of the write-ahead log, of the last few minutes."""
        self._connection: Connection | None = None
        self._owed: asyncio.Task[list[Row]] | None = None
        self._refusals = Refusals()
        self._turn = asyncio.Lock()
        self._due: dict[str, float] = {}
        self._limits: WeakKeyDictionary[Connection, int] = WeakKeyDictionary()
        """`statement_timeout` in milliseconds, as it was set on each connection."""

    async def aclose(self) -> None:
        """Without waiting for anybody: the server notices."""
        if self.searching is not None:
            self.searching.cancel()
            self.searching = None
        if self._owed is not None:
            self._owed.cancel()
            self._owed = None
        if self._connection is not None:
            self._connection.pgconn.finish()
            self._connection = None

    def due(self, what: str, every: float) -> bool:
        """True at most every so many seconds: for what is looked at less often."""
        present = asyncio.get_running_loop().time()
        if present < self._due.get(what, 0.0):
            return False
        self._due[what] = present + every
        return True

    def soon(self, what: str) -> None:
        """What is looked at less often is looked at with the next look."""
        self._due.pop(what, None)

    async def query(
        self,
        statement: str,
        parameters: Mapping[str, Any] | Sequence[Any] = (),
        *,
        timeout: float = CALL_SECONDS,
    ) -> list[Row]:
        """The rows of one statement. Raises Trouble."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with self._turn:
            try:
                async with asyncio.timeout(timeout):
                    rows = await self._once(statement, parameters, timeout)
            except (psycopg.Error, OSError) as problem:  # TimeoutError is an OSError
                found = trouble(problem)
                if found.category == "silent":
                    self.silent_since = self.silent_since or begun
                elif found.category in ("refused", "lost"):
                    self.silent_since = None  # nobody there is not silence
                else:
                    self._heard()
                if self._connection is not None and self._connection.closed:
                    await self.aclose()
                raise found from None
            except WatchkeeperError as problem:
                raise Trouble("password", str(problem)) from None
            self._heard()
            return rows

    @contextlib.asynccontextmanager
    async def beside(self, database: str = "") -> AsyncGenerator[Ask]:
        """Ask another database, over a connection that is closed again; `""` and its own name are this one, over the
        one that is kept. Raises Trouble."""
        if not database or (self._connection is not None and database == self._connection.info.dbname):
            yield self.query
            return
        try:
            connection = await self._connect(database)
        except (psycopg.Error, OSError) as problem:
            raise trouble(problem) from None
        except WatchkeeperError as problem:
            raise Trouble("password", str(problem)) from None

        async def ask(
            statement: str, parameters: Mapping[str, Any] | Sequence[Any] = (), *, timeout: float = CALL_SECONDS
        ) -> list[Row]:
            try:
                async with asyncio.timeout(timeout), connection.cursor() as cursor:
                    await cursor.execute(f"SET statement_timeout = {int(timeout * 1000) + 500}".encode())
                    await cursor.execute(statement.encode(), parameters or None)
                    return await cursor.fetchall() if cursor.description else []
            except (psycopg.Error, OSError) as problem:
                raise trouble(problem) from None

        try:
            yield ask
        finally:
            connection.pgconn.finish()  # without waiting for anybody: the server notices

    def ought_not_answer(self) -> None:
        """Its host is paused or stopped: silence says nothing of the server."""
        self.silent_since = None

    def _heard(self) -> None:
        self.answered = True
        self.silent_since = None

    async def _once(self, statement: str, parameters: Mapping[str, Any] | Sequence[Any], timeout: float) -> list[Row]:
        await self._settle_owed()
        connection = self._connection
        if connection is None or connection.closed:
            connection = self._connection = await self._connect()
        try:
            return await self._asked(connection, statement, parameters, timeout)
        except psycopg.OperationalError as problem:
            if not connection.closed or trouble(problem).category != "lost" or not _only_reads(statement):
                raise
        # An idle connection that the server had closed (a restart): once more on a new one.
        connection = self._connection = await self._connect()
        return await self._asked(connection, statement, parameters, timeout)

    async def _settle_owed(self) -> None:
        """Wait for the late reply that is owed; after long, try another connection in its place."""
        if self._owed is None:
            return
        loop = asyncio.get_running_loop()
        overdue = self.silent_since is not None and loop.time() - self.silent_since > _OVERDUE_SECONDS
        if overdue and not self._owed.done() and self.due("beside", _OVERDUE_SECONDS):
            with contextlib.suppress(psycopg.Error, OSError, WatchkeeperError):
                fresh = await self._connect()
                await self.aclose()
                self._connection = fresh
                return
        await asyncio.wait({self._owed})
        if not self._owed.cancelled():
            self._owed.exception()  # whoever asked has long been told
        self._owed = None

    async def _asked(
        self,
        connection: Connection,
        statement: str,
        parameters: Mapping[str, Any] | Sequence[Any],
        timeout: float,
    ) -> list[Row]:
        async def ask() -> list[Row]:
            async with connection.cursor() as cursor:
                limit = int(timeout * 1000) + 500
                if self._limits.get(connection) != limit:
                    await cursor.execute("SELECT set_config('statement_timeout', %s, false)", (str(limit),))
                    self._limits[connection] = limit
                await cursor.execute(statement.encode(), parameters or None)
                return await cursor.fetchall() if cursor.description else []

        # A task of its own: psycopg answers a cancelled wait by waiting for the server, which may be what hangs.
        self._owed = asyncio.create_task(ask(), name=f"query {self.resource.slug}")
        rows = await asyncio.shield(self._owed)
        self._owed = None
        return rows

    async def addresses(self) -> list[tuple[str, int]]:
        """Where it may be reached, best first."""
        if url := self.resource.settings.get("url"):
            parts = urlsplit(str(url))
            return [(parts.hostname or "127.0.0.1", parts.port or 5432)]
        if self.host is None:
            return [("127.0.0.1", 5432)]
        return list(await self.host.endpoints(await self.port()))

    async def database(self) -> str:
        """The one that is watched, by name."""
        return (await access.login(self.resource, self.host)).database

    async def port(self) -> int:
        """The port it listens on, inside its host."""
        if self.host is None:
            return (await self.addresses())[0][1]
        return access.port(await self.host.processes(), await self.host.environment())

    async def _connect(self, database: str = "") -> Connection:
        login = await access.login(self.resource, self.host)
        addresses, database = await self.addresses(), database or login.database
        note = f" (`{login.user}` is a guess: nobody named a user)" if login.guessed else ""
        with self._refusals.heeded(login, database, *addresses, refused=_not_let_in, note=note):
            return await connected(
                addresses,
                user=login.user,
                password=login.password,
                database=database,
                refused=lambda problem: trouble(problem).category == "refused",
            )


def _not_let_in(problem: psycopg.OperationalError) -> bool:
    return trouble(problem).category == "password"


def _only_reads(statement: str) -> bool:
    return statement.lstrip().upper().startswith(("SELECT", "WITH", "SHOW"))


async def until_it_answers(session: PostgresSession, seconds: float) -> None:
    """Wait for an answer. Raises the last Trouble when none comes."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while True:
        try:
            await session.query("SELECT 1")
            return
        except Trouble as problem:
            if loop.time() >= until or problem.category in ("password", "denied"):
                raise
            say(problem.what)
        await asyncio.sleep(_POLL_SECONDS)
