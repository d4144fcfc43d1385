"""Reading and writing the values of `domain`; each change and the event that tells it in one transaction."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from copy import copy
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.event import listen
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from watchkeeper.domain import Event, LogLine, NotFound, Reading, Resource
from watchkeeper.store import postgres, schema
from watchkeeper.store.files import Files
from watchkeeper.store.lease import Lease
from watchkeeper.store.masking import Masker
from watchkeeper.store.opening import as_json, pragmas, up_to_date
from watchkeeper.store.outage import Outage
from watchkeeper.store.told import Told
from watchkeeper.store.transaction import TABLES, E, Kept, Transaction
from watchkeeper.store.unreadable import Rows

log = structlog.get_logger(__name__)


class Store:
    """Open with `async with Store.open(url) as store`. One writer at a time; readers do not wait for it."""

    patience = 3.0
    """Seconds for which a database that is away is tried again, before StoreAway is raised."""

    def __init__(self, engine: AsyncEngine, masker: Masker) -> None:
        self._engine = engine
        self.masker = masker
        self.shared = engine.dialect.name == "postgresql"
        """Whether several executors may use it."""
        self._writing = asyncio.Lock()
        self._told = Told()
        self._outage = Outage()
        self.files = Files()
        """What must stay where it is for anything to be recorded."""
        self.made = Rows(engine.url)
        """Makes values of rows, and knows what could not be made."""
        self._listeners: list[Callable[[Event], None]] = []
        self.guard: Callable[[AsyncConnection], Awaitable[None]] | None = None
        """Asked in each transaction once nobody else writes: raises where this process may write no more."""

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, masker: Masker | None = None) -> AsyncGenerator["Store"]:
        """`url`: `sqlite+aiosqlite:///path` or `postgresql://user@host/database`. Brings the schema up to date first.

        Raises ConfigurationError where it cannot be opened.
        """
        where = postgres.normal(url)
        engine = create_async_engine(where, json_serializer=as_json, **postgres.engine_options(where))
        if engine.dialect.name == "sqlite":
            listen(engine.sync_engine, "connect", pragmas)
        store = cls(engine, masker or Masker())
        listen(engine.sync_engine, "do_connect", lambda *_: store.files.check())
        hears: asyncio.Task[None] | None = None
        try:
            await up_to_date(engine)
            if where.database and not store.shared:
                store.files.keep(Path(where.database))
            if store.shared:
                hears = asyncio.create_task(postgres.hear(where, store._told), name="hear of others")
            yield store
        finally:
            if hears is not None:
                hears.cancel()
                await asyncio.gather(hears, return_exceptions=True)
            await engine.dispose()

    def patiently(self) -> "Store":
        """The same store for whoever must not give up: it waits until the database is back, however long."""
        same = copy(self)
        same.patience = math.inf
        return same

    @asynccontextmanager
    async def transaction(self, *, alone: bool = True) -> AsyncGenerator[Transaction]:
        """All or nothing. Listeners and waiting feeds hear of its events after it is committed.

        Until it ends nobody else writes, in no other process either; `alone=False` for what only appends readings and
        log lines. Raises StoreAway.
        """
        try:
            async with AsyncExitStack() as stack:
                transaction = await self._outage.survive(lambda: self._begin(stack, alone), self.patience)
                yield transaction
                if self.shared and (transaction.emitted or transaction.tell):
                    await postgres.tell_all(transaction.connection)
        except DBAPIError as problem:
            if postgres.away(problem):
                raise self._outage.complaint(problem) from problem
            raise
        self._outage.written()
        if transaction.emitted:
            for event in transaction.emitted:
                for listener in self._listeners:
                    try:
                        listener(event)
                    except Exception:
                        log.exception("a listener failed", event_kind=event.kind)
            await self._told.more()

    @property
    def commits(self) -> int:
        """Grows with everything that is committed with an event, here, and as far as it is heard of elsewhere."""
        return self._told.count

    @property
    def problem(self) -> str | None:
        """Why nothing can be written now, for a person; None where it can."""
        return self._outage.problem

    async def _begin(self, stack: AsyncExitStack, alone: bool) -> Transaction:
        self.files.check()
        async with AsyncExitStack() as trial:
            if alone or not self.shared:
                await trial.enter_async_context(self._writing)
            connection = await trial.enter_async_context(self._engine.begin())
            if alone and self.shared:
                await postgres.become_writer(connection)
                if self.guard is not None:
                    await self.guard(connection)
            await stack.enter_async_context(trial.pop_all())
        return Transaction(connection, self.masker)

    async def rows(self, query: sa.Select[*tuple[Any, ...]]) -> Sequence[sa.RowMapping]:
        """What is committed now. Raises StoreAway."""

        async def once() -> Sequence[sa.RowMapping]:
            async with self._engine.connect() as connection:
                return (await connection.execute(query)).mappings().all()

        return await self._outage.survive(once, self.patience)

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call `listener` with each event once it is committed. It must not block."""
        self._listeners.append(listener)

    async def save(self, value: Kept, *events: Event) -> None:
        """One value and what tells of it, in one transaction."""

        async def once() -> None:
            async with self.transaction() as transaction:
                await transaction.put(value)
                for event in events:
                    await transaction.emit(event)

        await self._outage.survive(once, self.patience)

    async def emit(self, *events: Event) -> None:

        async def once() -> None:
            async with self.transaction() as transaction:
                for event in events:
                    await transaction.emit(event)

        await self._outage.survive(once, self.patience)

    async def find(self, kind: type[E], key: str) -> E | None:
        table, _ = TABLES[kind]
        found = await self.rows(sa.select(table.c.body).where(table.c.id == key))
        return self.made.made(kind, table.name, key, found[0]["body"]) if found else None

    async def get(self, kind: type[E], key: str) -> E:
        """Raises NotFound."""
        found = await self.find(kind, key)
        if found is None:
            raise NotFound(
                f"There is no {kind.__name__.lower()} {key}.", "`watchkeeper incidents` lists what there is."
            )
        return found

    async def select(
        self, kind: type[E], *, limit: int = 500, before: datetime | None = None, **where: str | Sequence[str] | None
    ) -> list[E]:
        """Newest first, by equal columns (a sequence: any of); `before`: only what is older."""
        table, _ = TABLES[kind]
        query = sa.select(table.c.id, table.c.body).order_by(table.c.at.desc()).limit(limit)
        if before is not None:
            query = query.where(table.c.at < before)
        for column, value in where.items():
            query = query.where(
                table.c[column] == value if value is None or isinstance(value, str) else table.c[column].in_(value)
            )
        return self.made.all(kind, table.name, ((row["id"], row["body"]) for row in await self.rows(query)))

    async def events(
        self,
        *,
        after: int = 0,
        incident: str | Sequence[str] | None = None,
        kinds: Iterable[str] = (),
        resources: Iterable[str] = (),
        subject: str | None = None,
        since: datetime | None = None,
        limit: int = 200,
        newest: bool = False,
    ) -> list[Event]:
        """Events with `seq > after`, oldest first; `newest` gives the last `limit` of them. Of one incident or
        several, of some kinds, about some resources, about one subject, since a time; or all."""
        table = schema.events
        query = sa.select(table).where(table.c.seq > after).limit(limit)
        query = query.order_by(table.c.seq.desc() if newest else table.c.seq)
        if incident is not None:
            query = query.where(table.c.incident.in_([incident] if isinstance(incident, str) else incident))
        if wanted := tuple(kinds):
            query = query.where(table.c.kind.in_(wanted))
        if about := tuple(resources):
            query = query.where(table.c.resource.in_(about))
        if subject is not None:
            query = query.where(table.c.subject == subject)
        if since is not None:
            query = query.where(table.c.at >= since)
        found = [Event(**dict(row)) for row in await self.rows(query)]
        return found[::-1] if newest else found

    async def follow(self, after: int = 0, *, heartbeat: float = 15.0) -> AsyncIterator[Event | None]:
        """Events as they come, from `after` on; None when nothing happened for `heartbeat` seconds."""
        clock = asyncio.get_running_loop().time
        silent = clock()
        while True:
            told = self._told.count
            found = await self.events(after=after)
            for event in found:
                after = event.seq
                yield event
            if found:
                silent = clock()
                continue
            try:
                async with asyncio.timeout(silent + heartbeat - clock()):
                    await self._told.wait(told)
            except TimeoutError:
                silent = clock()
                yield None

    async def happened(
        self,
        kinds: Iterable[str],
        *,
        since: datetime,
        until: datetime | None = None,
        resources: Iterable[str] | None = None,
        before: int | None = None,
        limit: int = 1000,
    ) -> list[Event]:
        """The last `limit` events of these kinds within a time, before another, about these resources or all, oldest
        first."""
        table = schema.events
        query = sa.select(table).where(table.c.kind.in_(tuple(kinds)), table.c.at >= since)
        if until is not None:
            query = query.where(table.c.at <= until)
        if resources is not None:
            query = query.where(table.c.resource.in_(tuple(resources)))
        if before is not None:
            query = query.where(table.c.seq < before)
        found = await self.rows(query.order_by(table.c.seq.desc()).limit(limit))
        return [Event(**dict(row)) for row in reversed(found)]

    async def news(self, seconds: float) -> None:
        """Until something was committed, here or elsewhere, at most for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._told.wait(self._told.count)

    async def resources(self) -> list[Resource]:
        """Every resource that was seen and is not gone."""
        table = schema.resources
        query = sa.select(table.c.id, table.c.body).where(table.c.gone_at.is_(None))
        return self.made.all(Resource, table.name, ((row["id"], row["body"]) for row in await self.rows(query)))

    async def resource(self, key: str) -> Resource | None:
        """One by its id, also where it is gone."""
        table = schema.resources
        found = await self.rows(sa.select(table.c.body).where(table.c.id == key))
        return self.made.made(Resource, table.name, key, found[0]["body"]) if found else None

    async def readings(self, resource: str, *, since: datetime, until: datetime, limit: int = 5000) -> list[Reading]:
        table = schema.readings
        query = (
            sa.select(table.c.at, table.c.body)
            .where(table.c.resource == resource, table.c.at >= since, table.c.at <= until)
            .order_by(table.c.at)
            .limit(limit)
        )
        found = await self.rows(query)
        return self.made.all(Reading, table.name, (((resource, row["at"]), row["body"]) for row in found))

    async def logs(self, resource: str, *, since: datetime | None = None, limit: int = 200) -> list[LogLine]:
        """The last lines kept of a resource, oldest first."""
        table = schema.logs
        query = sa.select(table).where(table.c.resource == resource).order_by(table.c.seq.desc()).limit(limit)
        if since is not None:
            query = query.where(table.c.at >= since)
        rows = await self.rows(query)
        return [LogLine(row["at"], row["level"], row["text"], row["resource"]) for row in reversed(rows)]

    async def search_logs(
        self,
        *,
        text: str = "",
        resources: Sequence[str] | None = None,
        levels: Sequence[str],
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None = None,
        after: int | None = None,
        limit: int = 100,
    ) -> list[tuple[int, LogLine]]:
        """Lines kept that hold a text in whatever case, newest first, with their numbers; `before`: only lower ones,
        `after`: only higher ones."""
        table = schema.logs
        query = sa.select(table).where(table.c.level.in_(levels)).order_by(table.c.seq.desc())
        if since is not None:
            query = query.where(table.c.at >= since)
        if until is not None:
            query = query.where(table.c.at <= until)
        if after is not None:
            query = query.where(table.c.seq > after)
        if text:
            query = query.where(table.c.text.icontains(text, autoescape=True))
        if resources is not None:
            query = query.where(table.c.resource.in_(resources))
        if before is not None:
            query = query.where(table.c.seq < before)
        return [
            (row["seq"], LogLine(row["at"], row["level"], row["text"], row["resource"]))
            for row in await self.rows(query.limit(limit))
        ]

    async def setting(self, key: str, default: Any = None) -> Any:
        query = sa.select(schema.settings.c.value).where(schema.settings.c.key == key)
        found = await self.rows(query)
        return found[0]["value"] if found else default

    async def prune(self, *, readings_before: datetime, logs_before: datetime) -> tuple[int, int]:
        """Forget old readings and log lines (never events, incidents, fixes). Returns how many of each."""
        async with self.transaction() as transaction:
            first = await transaction.connection.execute(
                sa.delete(schema.readings).where(schema.readings.c.at < readings_before)
            )
            second = await transaction.connection.execute(sa.delete(schema.logs).where(schema.logs.c.at < logs_before))
        return first.rowcount, second.rowcount

    async def take(self, lease: Lease) -> datetime:
        """Take or renew a lease. Raises LeaseTaken."""
        async with self.transaction() as transaction:
            return await lease.take(transaction.connection)

    async def release(self, lease: Lease) -> None:
        async with self.transaction() as transaction:
            await lease.release(transaction.connection)
