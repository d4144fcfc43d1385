"""An open session with the console of one PgBouncer, and a way through it to a database."""

import asyncio
from contextlib import nullcontext
from urllib.parse import urlsplit

import psycopg

from watchkeeper.connectors.pgbouncer import access
from watchkeeper.connectors.pgbouncer.logs import Logs
from watchkeeper.connectors.pgbouncer.trouble import Trouble, trouble
from watchkeeper.connectors.speaking import Connection, Refusals, Row, connected
from watchkeeper.domain import Host, Resource, WatchkeeperError
from watchkeeper.domain.saying import say

CALL_SECONDS = 1.0
CONSOLE = "pgbouncer"
"""The name of the database that is the console, and of no other."""


class PgbouncerSession:
    """What looks and tools work on. Opening it never fails; it connects when it is asked, and again by itself.

    The console speaks the simple protocol alone and knows no transactions: no parameters, no prepared statements,
    autocommit.
    """

    def __init__(self, resource: Resource, host: Host | None) -> None:
        self.resource = resource
        self.host = host
        self.database = _database(resource)
        """Through which it is tried that queries get to a server; empty where none is named."""
        self.silent_since: float | None = None
        """Loop time since when it has not answered though it ought to."""
        self.answered = False
        self.tells_state = True
        """Whether it knows SHOW STATE; PgBouncer 1.18 does not."""
        self.since: dict[str, float] = {}
        """Loop time since when something has been so in each look."""
        self.unserved: dict[tuple[str, str], tuple[float, float]] = {}
        """By pool without a server, the loop times when a client was first and last seen to wait for one."""
        self.refused: tuple[float, str] | None = None
        """Since when no query gets through to the database that is named, and what is said of it."""
        self.own_error = ""
        """Why no query of ours gets through, though that says nothing of others; empty where one does."""
        self.ours_waiting = 0
        """Queries of our own that the pooler holds still: it does not notice that who waits has gone."""
        self.others_served = False
        """Whether others have connections to the server of the database that is named."""
        self.others_active = False
        """Whether clients of others were served when it was asked last who they are."""
        self.logs = Logs(host, resource.slug, self.user)
        self.totals: tuple[float, dict[str, float]] | None = None
        """The counters of the last time they were asked for, with the loop time: rates come from them."""
        self._connection: Connection | None = None
        self._refusals = Refusals()
        self._turn = asyncio.Lock()
        self._due: dict[str, float] = {}

    async def aclose(self) -> None:
        """Follow its log no more, and hang up."""
        self.hang_up()
        await self.logs.close()

    def hang_up(self) -> None:
        """Without waiting for anybody: the pooler notices."""
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

    def lasting(self, what: str, holds: bool) -> float:
        """For how many seconds something has been so, in every look."""
        if not holds:
            self.since.pop(what, None)
            return 0.0
        present = asyncio.get_running_loop().time()
        return present - self.since.setdefault(what, present)

    async def console(self, command: str, *, timeout: float = CALL_SECONDS) -> list[Row]:
        """The rows of one command of the console. Raises Trouble."""
        begun = asyncio.get_running_loop().time()
        async with self._turn:
            try:
                rows = await self._asked(command, timeout)
            except (psycopg.Error, OSError) as problem:  # TimeoutError is an OSError
                found = trouble(problem)
                if found.category == "silent":
                    self.silent_since = self.silent_since or begun
                else:
                    self.silent_since = None
                    self.answered |= found.category not in ("refused", "lost")
                raise found from None
            except WatchkeeperError as problem:
                raise Trouble("password", str(problem)) from None
        self.answered, self.silent_since = True, None
        return rows

    async def _asked(self, command: str, timeout: float) -> list[Row]:
        kept = self._connection is not None and not self._connection.closed
        try:
            return await self._once(command, timeout)
        except psycopg.OperationalError as problem:
            # An idle connection that the pooler had closed (a restart): once more on a new one.
            if not kept or trouble(problem).category != "lost" or not command.startswith("SHOW"):
                raise
        return await self._once(command, timeout)

    async def _once(self, command: str, timeout: float) -> list[Row]:
        connection = self._connection
        if connection is None or connection.closed:
            connection = self._connection = await self._connect(CONSOLE)

        async def ask() -> list[Row]:
            async with connection.cursor() as cursor:
                await cursor.execute(command.encode())
                return await cursor.fetchall() if cursor.description else []

        # A task of its own: psycopg answers a cancelled wait by waiting for the server, which may be what hangs.
        task = asyncio.create_task(ask(), name=f"console {self.resource.slug}")
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.shield(task)
        finally:
            if not task.done() or connection.closed:
                task.cancel()
                self.hang_up()

    @property
    def user(self) -> str:
        """As whom it asks."""
        return access.user(self.resource)

    async def through(self, statement: str, *, timeout: float = CALL_SECONDS) -> list[Row]:
        """The rows of a statement sent through the pooler to the database that is named. Raises Trouble."""
        try:
            async with asyncio.timeout(timeout):
                connection = await self._connect(self.database)
        except (psycopg.Error, OSError) as problem:
            raise self._refused(problem) from None
        except WatchkeeperError as problem:
            raise Trouble("password", str(problem)) from None
        try:
            async with asyncio.timeout(timeout), connection.cursor() as cursor:
                await cursor.execute(statement.encode())
                return await cursor.fetchall() if cursor.description else []
        except (psycopg.Error, OSError) as problem:
            raise self._refused(problem) from None
        finally:
            connection.pgconn.finish()

    def _refused(self, problem: BaseException) -> Trouble:
        """What keeps a query from getting through. A refused password is one of the server behind."""
        found = trouble(problem)
        if found.category != "password":
            return found
        said = " ".join(str(problem).split()).rstrip(".")
        return Trouble(found.category, f"{self.user} is not let into {self.database} by the server behind it: {said}")

    def ought_not_answer(self) -> None:
        """Its host is paused or stopped: silence says nothing of the pooler."""
        self.silent_since = None

    async def addresses(self) -> list[tuple[str, int]]:
        """Where it may be reached, best first."""
        if url := self.resource.settings.get("url"):
            parts = urlsplit(str(url))
            return [(parts.hostname or "127.0.0.1", parts.port or access.PORT)]
        port = self.resource.ports[0] if self.resource.ports else access.PORT
        return list(await self.host.endpoints(port)) if self.host is not None else [("127.0.0.1", port)]

    async def _connect(self, database: str) -> Connection:
        login = access.login(self.resource)
        addresses = await self.addresses()
        console = self._refusals.heeded(login, *addresses, refused=_not_let_in)
        with console if database == CONSOLE else nullcontext():  # what is behind it refuses for reasons of its own
            return await connected(
                addresses,
                user=login.user,
                password=login.password,
                database=database,
                refused=lambda problem: trouble(problem).category == "refused",
            )


def _not_let_in(problem: psycopg.OperationalError) -> bool:
    return trouble(problem).category == "password"


def _database(resource: Resource) -> str:
    """From the settings, else from the path of the URL; the console is none."""
    path = urlsplit(str(resource.settings.get("url") or "")).path.strip("/")
    said = str(resource.settings.get("database") or path)
    return "" if said == CONSOLE else said


async def until_it_answers(session: PgbouncerSession, seconds: float) -> None:
    """Wait for an answer. Raises the last Trouble when none comes."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while True:
        try:
            await session.console("SHOW VERSION")
            return
        except Trouble as problem:
            if loop.time() >= until or problem.category in ("password", "denied"):
                raise
            say(problem.what)
        await asyncio.sleep(0.1)
