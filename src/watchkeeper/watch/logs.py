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
        self._second = 0
        self._read = 0
        self._unread = 0
        self._minute = 0
        self._kept = 0
        self._dropped = 0
        self._task = asyncio.create_task(self._run(), name=f"logs {resource.slug}")

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        since = now()
        while True:
            try:
                async for at, text in entries(self._host.logs(since=since)):
                    since = at  # not the latest of all: a clock may have been set back
                    if not await self._reads(at):
                        continue
                    level = "ERROR" if text.startswith(_TRACEBACK) else self._connector.level(text)
                    self._learn(text, level, now())
                    if level:
                        await self._offer(at, level, text)
            except Exception as problem:
                log.debug("a log cannot be read now", resource=self._resource.id, problem=str(problem))
            await asyncio.sleep(self._pause)  # the stream ended with its host; nothing tells when there is a new one

    async def _reads(self, at: datetime) -> bool:
        """Whether the line is read: of a flood only so many a second are, and the others are counted."""
        second = int(asyncio.get_running_loop().time())
        if second != self._second:
            if self._unread:
                self._missed(self._unread)
                said = f"{self._unread:,} lines were not read: more than {PER_SECOND:,} came within a second"
                await self._keep(LogLine(at, "WARNING", said, self._resource.id))
            self._second, self._read, self._unread = second, 0, 0
        self._read += 1
        if self._read % 100 == 0:
            await asyncio.sleep(0)  # others have their turn
        if self._read > PER_SECOND:
            self._unread += 1
        return self._read <= PER_SECOND

    async def _offer(self, at: datetime, level: Level, text: str) -> None:
        minute = int(at.timestamp() // 60)
        if minute != self._minute:
            if self._dropped:
                said = f"{self._dropped} entries that came within a minute were not kept"
                await self._keep(LogLine(at, "WARNING", said, self._resource.id))
            self._minute, self._kept, self._dropped = minute, 0, 0
        if self._kept >= PER_MINUTE:
            self._dropped += 1
            if self._dropped == 1:
                said = f"more than {PER_MINUTE} entries within a minute: the rest is not kept"
                await self._keep(LogLine(at, "WARNING", said, self._resource.id))
            return
        self._kept += 1
        if len(text) > LONGEST:
            text = f"{text[:LONGEST]} … ({len(text) - LONGEST} more characters were cut)"
        await self._keep(LogLine(at, level, text, self._resource.id))
