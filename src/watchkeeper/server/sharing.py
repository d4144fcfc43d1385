"""The place of this executor among those on its store: alone on SQLite, one of several on PostgreSQL."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import structlog

from watchkeeper.domain import Approval, Event, Fix, Incident, now
from watchkeeper.domain.sharing import Alone, Fence, components
from watchkeeper.incidents import ACTIVE, Desk
from watchkeeper.loop import Loop
from watchkeeper.store import Lease, LeaseLost, LeaseTaken, Member, Shares, Store, StoreAway, new_id, renewed_at
from watchkeeper.watch import Watch

log = structlog.get_logger(__name__)
RENEW = 1.5
"""Seconds between renewals of the lease; what others commit is looked at sooner."""
WATCHED = "watched_until"
"""When an executor that ended in order ended."""
SOONEST = 0.3
"""Seconds between two turns when others commit one thing after the other."""


class Sharing:
    """The one executor: it holds the store's only lease, and so everything."""

    fence: Fence = Alone()
    watched_until: datetime | None = None
    """When the one before it was last alive; None where nobody was, or others are."""

    def __init__(self, store: Store, lease: Lease) -> None:
        self.lost = asyncio.Event()
        self.name = lease.holder
        self._store = store
        self._lease = lease
        self._tasks: list[asyncio.Task[None]] = []

    async def bind(self, watch: Watch, desk: Desk) -> None:
        """What is told to begin and to end with something."""

    async def turn(self) -> None:
        """Renew what is held."""
        await self._store.take(self._lease)

    async def begin(self, loop: Loop) -> None:
        """Take up what the store says is not over; from now on keep the lease."""
        await loop.take_up()
        self._tasks = [asyncio.create_task(self._hold(), name="lease")]

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def held(self, resource: str) -> bool:
        return True

    async def members(self) -> list[Member]:
        """The executors that live, where there may be several."""
        return []

    async def _hold(self) -> None:
        while True:
            await asyncio.sleep(RENEW)  # a lease is kept by the clock
            try:
                await self.turn()
            except (LeaseTaken, LeaseLost) as problem:
                log.error("the lease was lost: this process ends", problem=str(problem))
                self.lost.set()
                return
            except Exception as problem:
                log.warning("the lease could not be renewed; it is tried again", problem=str(problem))


class Shared(Sharing):
    """One of several: it looks after its share, and takes over that of one that dies."""

    _watch: Watch
    _desk: Desk

    def __init__(self, store: Store, shares: Shares) -> None:
        super().__init__(store, Lease("", shares.id))
        self.fence = shares
        self._shares = shares
        self._loop: Loop | None = None
        self._turning = asyncio.Lock()
        self._own: set[int] = set()
        self.serve: Callable[[], Awaitable[Any]] | None = None
        """Called after each turn: tells others how what is held is, and answers what they ask."""

    async def bind(self, watch: Watch, desk: Desk) -> None:
        self._watch, self._desk = watch, desk
        watch.held = desk.held = self.held
        desk.holds = self._holds
        self._store.listen(lambda event: self._own.add(event.seq))

    def held(self, resource: str) -> bool:
        return resource in self._shares.held

    async def members(self) -> list[Member]:
        return await self._shares.members()

    async def holders(self) -> Mapping[str, str]:
        """Who holds each resource."""
        return await self._shares.holders()

    async def turn(self) -> None:
        async with self._turning:
            before = self._shares.held
            held = await self._shares.turn(components(self._watch.fleet.resources))
            if held == before:
                return
            log.info("the share has changed", gained=sorted(held - before), given=sorted(before - held))
            await self._watch.rehold()
            if self._loop is not None:
                await self._loop.take_up(held - before)

    async def begin(self, loop: Loop) -> None:
        self._loop = loop
        await loop.take_up(self._shares.held)
        newest = await self._store.events(limit=1, newest=True)
        after = newest[0].seq if newest else 0
        self._tasks = [
            asyncio.create_task(self._hold(), name="share"),
            asyncio.create_task(self._answer(), name="answer others"),
            asyncio.create_task(self._hear(after), name="hear others"),
        ]

    async def live(self) -> None:
        """Renew the lease, whatever else takes its time."""
        while not self.lost.is_set():
            await asyncio.sleep(RENEW)  # a lease is kept by the clock
            try:
                await self._shares.renew()
            except LeaseLost as problem:
                log.error("the lease was lost: this process ends", problem=problem.what)
                self.lost.set()
            except Exception as problem:
                log.warning("the lease could not be renewed; it is tried again", problem=str(problem))

    async def _hold(self) -> None:
        clock = asyncio.get_running_loop().time
        while not self.lost.is_set():
            began = clock()
            await self._store.news(RENEW)
            await asyncio.sleep(max(0.0, began + SOONEST - clock()))  # at most so often
            try:
                await self.turn()
            except LeaseLost as problem:
                log.error("the lease was lost: this process ends", problem=problem.what)
                self.lost.set()
            except Exception as problem:
                log.warning("the lease could not be renewed; it is tried again", problem=str(problem))

    async def _answer(self) -> None:
        while True:
            try:
                if self.serve is not None:
                    await self.serve()
            except Exception as problem:
                log.warning("other executors could not be told", problem=str(problem))
            await self._store.news(RENEW)

    async def _hear(self, after: int) -> None:
        """What others commit may be what an incident of ours waits for."""
        async for event in self._store.patiently().follow(after):
            if event is None:
                continue
            if event.seq in self._own:
                self._own.discard(event.seq)
                continue
            try:
                await self._heard(event)
            except Exception:
                log.exception("what another executor did could not be followed", event_kind=event.kind)

    async def _heard(self, event: Event) -> None:
        if event.kind == "incident.closed" and (over := await self._store.find(Incident, event.subject)) is not None:
            self._watch.busy.difference_update(over.resources)
        if event.kind == "resumed":
            for incident in await self._store.select(Incident, status=ACTIVE):
                self._desk.wake(incident.id)
        elif event.incident is not None:
            self._desk.wake(event.incident)
        elif event.kind == "approval.approved" and self._loop is not None:
            approval = await self._store.get(Approval, event.subject)
            if self.held(approval.plan.resources[0]) and await self._store.find(Fix, approval.fix) is None:
                await self._loop.approved_alone(approval)

    async def _holds(self, resource: str) -> bool:
        return self.held(resource) and (await self._shares.holders()).get(resource) == self._shares.id


async def watched_until(store: Store, lease: str) -> datetime | None:
    """When somebody was last known to watch: one that was killed renewed its lease until then."""
    if (renewed := await renewed_at(store, lease)) is not None:
        return renewed
    ended = await store.setting(WATCHED)
    return datetime.fromisoformat(ended) if ended else None


@asynccontextmanager
async def place(store: Store, address: str) -> AsyncGenerator[Sharing]:
    """Alone on SQLite, else with the others. Raises LeaseTaken."""
    if not store.shared:
        lease = Lease("executor", new_id("exec"))
        watched = await watched_until(store, lease.name)
        await store.take(lease)
        sharing = Sharing(store, lease)
        sharing.watched_until = watched
        try:
            yield sharing
        finally:
            try:
                async with store.transaction() as transaction:
                    await transaction.set(WATCHED, now().isoformat())
                await store.release(lease)
            except StoreAway as problem:  # a dead process' lease is adopted at once
                log.warning("that it ended could not be recorded", problem=problem.what)
        return
    shares = Shares(store, address)
    await shares.join()
    shared = Shared(store, shares)
    lives = asyncio.create_task(shared.live(), name="lease")
    try:
        yield shared
    finally:
        lives.cancel()
        await asyncio.gather(lives, return_exceptions=True)
        await shares.leave()
