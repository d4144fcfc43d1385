"""From one reader to many: whoever follows gets what comes, and first what they missed; nobody holds up another."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Generic, Protocol, TypeVar

import structlog

from watchkeeper.domain import WatchkeeperError

log = structlog.get_logger(__name__)
PAGE = 500
"""Messages of one query for somebody who catches up."""
RING = 2000
"""The newest messages kept in memory while somebody follows: who comes back soon costs no query."""
AT_ONCE = 4
"""Who may ask the database at the same time for what they missed."""
BATCH = 200
"""Messages sent in one piece at most."""


class Message(Protocol):
    """`seq` is its number in the history, 0 where it is not part of it."""

    @property
    def seq(self) -> int: ...


M = TypeVar("M", bound=Message)
T = TypeVar("T", bound=Message, contravariant=True)
C = TypeVar("C", bound=Message, covariant=True)


class Source(Protocol[C]):
    """What is followed."""

    async def newest(self) -> int:
        """The number of the last there is."""
        ...

    def follow(self, after: int) -> AsyncIterator[C]:
        """What comes, for ever."""
        ...

    async def between(self, after: int, until: int, limit: int, wanted: "Wanted[C]") -> tuple[Sequence[C], int]:
        """What is wanted of `after < seq <= until`, oldest first, and the number up to which that is all."""
        ...


class Wanted(Protocol[T]):
    """What somebody wants to hear of."""

    def takes(self, message: T) -> bool: ...


class Cut(Exception):
    """The server ends it, and says why. `after` is where to go on."""

    def __init__(self, reason: str, after: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


class TooMany(WatchkeeperError):
    """There is room for no more of them now."""

    status = 429
    retry_after = 5


class BeyondTheEnd(WatchkeeperError):
    """The cursor is of another history."""

    status = 422


class Follower(Generic[M]):
    """One who follows. Iterate over `batches`."""

    def __init__(self, fanout: "Fanout[M]", wanted: Wanted[M], after: int, room: int) -> None:
        self.cursor = after
        """Everything up to here was given, or is not wanted."""
        self._fanout = fanout
        self._wanted = wanted
        self._room = room
        self._waiting: deque[M] = deque()
        self._live = False
        self._reason = ""
        self._news = asyncio.Event()

    async def batches(self, heartbeat: float) -> AsyncIterator[Sequence[M]]:
        """What comes, in pieces; an empty one after `heartbeat` seconds in which nothing came. Raises Cut."""
        while not self._live:
            missed = await self._missed()
            self._broken()
            if missed:
                yield missed
        while True:
            self._broken()
            if self._waiting:
                yield self._take()
                continue
            self._news.clear()
            try:
                async with asyncio.timeout(heartbeat):
                    await self._news.wait()
            except TimeoutError:
                yield ()

    async def rest(self) -> AsyncIterator[Sequence[M]]:
        """What there is already, and no more."""
        until = max(self.cursor, self._fanout.position)
        while self.cursor < until:
            if missed := await self._missed(until):
                yield missed

    def offer(self, message: M) -> None:
        """Called by the reader, in order; it never waits."""
        if not self._live or self._reason or (message.seq and message.seq <= self.cursor):
            return
        if not self._wanted.takes(message):
            if message.seq and not self._waiting:
                self.cursor = message.seq
            return
        if len(self._waiting) >= self._room:
            self.cut(f"too slow: more than {self._room} messages wait")
            return
        self._waiting.append(message)
        self._news.set()

    def cut(self, reason: str) -> None:
        """Give it no more."""
        if not self._reason:
            self._fanout.told_of_cut(reason)
        self._reason = self._reason or reason
        self._waiting.clear()
        self._news.set()

    def _broken(self) -> None:
        if self._reason:
            raise Cut(self._reason, self.cursor)

    def _take(self) -> Sequence[M]:
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        self.cursor = next((m.seq for m in reversed(batch) if m.seq), self.cursor)
        return batch

    async def _missed(self, until: int | None = None) -> Sequence[M]:
        target = max(self.cursor, self._fanout.position if until is None else until)
        found, self.cursor = await self._fanout.missed(self.cursor, target, self._wanted)
        if until is None and self.cursor >= self._fanout.position:
            self._live = True  # nothing was awaited since: what comes from now on is offered
        return found


class Fanout(Generic[M]):
    """Reads while anybody follows. `room` messages may wait for each of them, and there may be `most`."""

    def __init__(self, source: Source[M], most: int, room: int, cut: Callable[[str], object] = lambda _: None) -> None:
        self.position = 0
        """Everything up to here was offered to those who follow."""
        self.most = most
        self.room = room
        self._source = source
        self.told_of_cut = cut
        self._followers: set[Follower[M]] = set()
        self._ring: deque[M] = deque(maxlen=RING)
        self._ring_after = 0
        self._reader: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()
        self._asking = asyncio.Semaphore(AT_ONCE)

    @property
    def followers(self) -> int:
        return len(self._followers)

    @asynccontextmanager
    async def follower(self, wanted: Wanted[M], after: int | None) -> AsyncGenerator[Follower[M]]:
        """From `after` on, or from now on. Raises TooMany, BeyondTheEnd."""
        if len(self._followers) >= self.most:
            what = f"There are {self.most} clients that follow already."
            raise TooMany(what, "Try again in a moment, or raise server.limits.live_clients.")
        follower = Follower(self, wanted, 0, self.room)
        self._followers.add(follower)
        try:
            await self._begin()
            newest = max(self.position, await self._source.newest())
            if after is not None and after > newest:
                what = f"after={after} is beyond the end: the newest has the number {newest}."
                raise BeyondTheEnd(what, "Leave `after` out to begin with what comes next; 0 is from the beginning.")
            follower.cursor = newest if after is None else after
            yield follower
        finally:
            self._followers.discard(follower)
            if not self._followers:
                await self._end()

    def tell(self, message: M) -> None:
        """Offer it to everybody who follows now."""
        if message.seq:
            if len(self._ring) == RING:
                self._ring_after = self._ring[0].seq
            self._ring.append(message)
            self.position = message.seq
        for follower in self._followers:
            follower.offer(message)

    async def missed(self, after: int, until: int, wanted: Wanted[M]) -> tuple[Sequence[M], int]:
        """A page of what is wanted of `after < seq <= until`, and up to where it goes; from memory if that has it."""
        if after >= until:
            return (), until
        if after >= self._ring_after and until <= self.position:
            found = [message for message in self._ring if after < message.seq <= until and wanted.takes(message)]
            return found, until
        async with self._asking:
            return await self._source.between(after, until, PAGE, wanted)

    async def stop(self, reason: str) -> None:
        """Let everybody go."""
        for follower in self._followers:
            follower.cut(reason)
        await self._end()

    async def _begin(self) -> None:
        async with self._beginning:
            if self._reader is None:
                self._ring.clear()
                self.position = self._ring_after = await self._source.newest()
                self._reader = asyncio.create_task(self._read(self.position), name="live")

    async def _end(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _read(self, after: int) -> None:
        try:
            async for message in self._source.follow(after):
                self.tell(message)
        except Exception:
            log.exception("the live feed broke off")
            self._reader = None
            for follower in self._followers:
                follower.cut("an error of ours: the server's log has it")
