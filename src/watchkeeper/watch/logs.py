"""Logs followed as they grow: entries made whole, the worthless left out, floods bounded and told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import datetime

import structlog

from watchkeeper.domain import Connector, Host, Level, LogLine, Resource, now

log = structlog.get_logger(__name__)
LONGEST = 8192
"""Characters kept of one entry; what is cut is said in it."""
PER_MINUTE = 300
"""Entries kept per resource and minute; what is dropped is counted in an entry of its own."""
PER_SECOND = 2000
"""Lines read per resource and second; of a flood the rest is counted, and that is said."""
SAY_AFTER = 5.0
"""Seconds after which it is said how much of a flood was left out, and again while it goes on."""
_TRACEBACK = "Traceback (most recent call last):"
_CHAINED = ("During handling of the above exception", "The above exception was the direct cause")
_HELD = 8 * LONGEST
"""Characters of one traceback that are put together; what is longer comes in pieces."""


class _Traceback:
    """The lines of one traceback, from its first to the exception it ends with, and those it is chained to."""

    def __init__(self, at: datetime, first: str) -> None:
        self.at = at
        self._lines = [first]
        self._size = len(first)
        self._ended = False
        self._chained = False

    def takes(self, line: str) -> bool:
        """Whether the line belongs to it; then it is taken."""
        if not line.strip() or line[0].isspace():
            pass
        elif not self._ended:
            self._ended = True  # the exception itself: the first line that is not indented, whatever its name
        elif line.startswith(_CHAINED):
            self._chained = True
        elif self._chained and line.startswith(_TRACEBACK):
            self._ended = self._chained = False
        else:
            return False
        self._lines.append(line)
        self._size += len(line)
        return True

    def piece(self, *, whole: bool) -> str:
        """What is to be given out now: all of it, or what has grown too long to be held."""
        if not whole and self._size < _HELD:
            return ""
        text = "\n".join(self._lines)
        self._lines, self._size = [], 0
        return text.rstrip() if whole else text


async def entries(
    lines: AsyncIterator[tuple[datetime, str]], quiet: float = 0.5
) -> AsyncIterator[tuple[datetime, str]]:
    """Lines put together to entries: a traceback is one, from its first line to the exception it ends with.

    An unfinished traceback is given out when nothing has followed for `quiet` seconds, and when the stream breaks.
    """
    held: _Traceback | None = None
    pending: asyncio.Task[tuple[datetime, str]] | None = None
    broken: Exception | None = None
    iterator = aiter(lines)
    try:
        while True:
            if held is None and pending is None:  # nothing is to be given out meanwhile, so nothing is timed
                try:
                    at, line = await anext(iterator)
                except StopAsyncIteration:
                    break
                if line.startswith(_TRACEBACK):
                    held = _Traceback(at, line)
                else:
                    yield at, line
                continue
            if pending is None:
                pending = asyncio.ensure_future(anext(iterator))
            done, _ = await asyncio.wait({pending}, timeout=quiet if held else None)
            if not done:
                if held and (text := held.piece(whole=True)):
                    yield held.at, text
                held = None
                continue
            try:
                at, line = pending.result()
            except StopAsyncIteration:
                break
            except Exception as problem:
                broken = problem
                break
            finally:
                pending = None
            if held and held.takes(line):
                if text := held.piece(whole=False):
                    yield held.at, text
                continue
            if held and (text := held.piece(whole=True)):
                yield held.at, text
            held = _Traceback(at, line) if line.startswith(_TRACEBACK) else None
            if held is None:
                yield at, line
        if held and (text := held.piece(whole=True)):
            yield held.at, text
        if broken is not None:
            raise broken
    finally:
        if pending is not None:
            pending.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await pending


class Flood:
    """Lets so many lines a second through and counts the others, which `said` is called with within seconds, whether or
    not more comes after them."""

    def __init__(self, said: Callable[[datetime, int], Awaitable[None]]) -> None:
        self._unread = Counted(said, SAY_AFTER)

    async def bounded(self, lines: AsyncIterator[tuple[datetime, str]]) -> AsyncIterator[tuple[datetime, str]]:
        """Those that are read."""
        time = asyncio.get_running_loop().time
        second = read = 0
        async for at, line in lines:
            if (present := int(time())) != second:
                second, read = present, 0
            read += 1
            if read % 100 == 0:
                await asyncio.sleep(0)  # others have their turn
            if read <= PER_SECOND:
                yield at, line
            else:
                self._unread.one(at)

    async def stop(self) -> None:
        await self._unread.stop()


class Counted:
    """How many there were of what is left out, until that is said: `seconds` after the first, or when asked to."""

    def __init__(self, said: Callable[[datetime, int], Awaitable[None]], seconds: float) -> None:
        self._said = said
        self._seconds = seconds
        self._at = now()
        self._task: asyncio.Task[None] | None = None
        self.number = 0

    def one(self, at: datetime) -> None:
        """One more."""
        self.number += 1
        self._at = at
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._later(), name="tell of a flood")

    async def tell(self) -> None:
        """Say it now; what cannot be said now is said with the next."""
        number, self.number = self.number, 0
        try:
            if number:
                await self._said(self._at, number)
        except BaseException:
            self.number += number
            raise

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self.tell()
        except Exception as problem:
            log.warning(
                "lines of a log were not read, which could not be kept", lines=self.number, problem=str(problem)
            )

    async def _later(self) -> None:
        while self.number:
            await asyncio.sleep(self._seconds)  # one entry tells of all that came meanwhile
            try:
                await self.tell()
            except Exception as problem:
                log.debug("it cannot be told now how much was not read", problem=str(problem))


class LogFollower:
    """Follows one host's log for one resource until stopped; begins again when the host was restarted.

    `learn` is called with every entry that is read, its level and when it came; `unread` with how many were not.
    """

    def __init__(
        self,
        resource: Resource,
        host: Host,
        connector: Connector[object],
        keep: Callable[[LogLine], Awaitable[None]],
        pause: float,
        learn: Callable[[str, Level | None, datetime], None] = lambda text, level, at: None,
        unread: Callable[[int], None] = lambda number: None,
    ) -> None:
        self._learn = learn
        self._missed = unread
        self._resource = resource
        self._host = host
        self._connector = connector
        self._keep = keep
        self._pause = pause
        self._flood = Flood(self._not_read)
        self._minute = 0
        self._kept = 0
        self._dropped = Counted(self._not_kept, SAY_AFTER)
        self._task = asyncio.create_task(self._run(), name=f"logs {resource.slug}")

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._flood.stop()
        await self._dropped.stop()

    async def _run(self) -> None:
        since = now()
        while True:
            try:
                async for at, text in entries(self._flood.bounded(self._host.logs(since=since))):
                    since = at  # not the latest of all: a clock may have been set back
                    level = "ERROR" if text.startswith(_TRACEBACK) else self._connector.level(text)
                    self._learn(text, level, now())
                    if level:
                        await self._offer(at, level, text)
            except Exception as problem:
                log.debug("a log cannot be read now", resource=self._resource.id, problem=str(problem))
            await asyncio.sleep(self._pause)  # the stream ended with its host; nothing tells when there is a new one

    async def _not_read(self, at: datetime, number: int) -> None:
        said = f"{number:,} lines were not read: more than {PER_SECOND:,} came within a second"
        await self._keep(LogLine(at, "WARNING", said, self._resource.id))
        self._missed(number)

    async def _not_kept(self, at: datetime, number: int) -> None:
        said = f"{number:,} entries were not kept: more than {PER_MINUTE} came within a minute"
        await self._keep(LogLine(at, "WARNING", said, self._resource.id))

    async def _offer(self, at: datetime, level: Level, text: str) -> None:
        minute = int(at.timestamp() // 60)
        if minute != self._minute:
            await self._dropped.tell()
            self._minute, self._kept = minute, 0
        if self._kept >= PER_MINUTE:
            if not self._dropped.number:
                said = f"more than {PER_MINUTE} entries within a minute: the rest is not kept"
                await self._keep(LogLine(at, "WARNING", said, self._resource.id))
            self._dropped.one(at)
            return
        self._kept += 1
        if len(text) > LONGEST:
            text = f"{text[:LONGEST]} … ({len(text) - LONGEST} more characters were cut)"
        await self._keep(LogLine(at, level, text, self._resource.id))
