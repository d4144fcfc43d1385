"""Logs followed as they grow: entries made whole, the worthless left out, floods bounded and told."""

import asyncio
import re
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
_TRACEBACK = "Traceback (most recent call last):"
_INSIDE = re.compile(
    r"^(\s+|Traceback |During handling|The above exception|[\w.]+(Error|Exception|Exit|Interrupt|Warning)\b)"
)


async def entries(
    lines: AsyncIterator[tuple[datetime, str]], quiet: float = 0.5
) -> AsyncIterator[tuple[datetime, str]]:
    """Lines put together to entries: a traceback is one, from its first line to the exception it ends with.

    An unfinished traceback is given out when nothing has followed for `quiet` seconds.
    """
    held: list[str] = []
    held_at: datetime | None = None
    pending: asyncio.Task[tuple[datetime, str]] | None = None
    iterator = aiter(lines)
    try:
        while True:
            if pending is None:
                pending = asyncio.ensure_future(anext(iterator))
            done, _ = await asyncio.wait({pending}, timeout=quiet if held else None)
            if not done:
                yield held_at or now(), "\n".join(held)
                held = []
                continue
            try:
                at, line = pending.result()
            except StopAsyncIteration:
                break
            finally:
                pending = None
            if held and (_INSIDE.match(line) or not line.strip()):
                held.append(line)
                continue
            if held:
                yield held_at or at, "\n".join(held)
                held = []
            if line.startswith(_TRACEBACK):
                held, held_at = [line], at
            else:
                yield at, line
        if held:
            yield held_at or now(), "\n".join(held)
    finally:
        if pending is not None:
            pending.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await pending


class LogFollower:
    """Follows one host's log for one resource until stopped; begins again when the host was restarted."""

    def __init__(
        self,
        resource: Resource,
        host: Host,
        connector: Connector[object],
        keep: Callable[[LogLine], Awaitable[None]],
        pause: float,
    ) -> None:
        self._resource = resource
        self._host = host
        self._connector = connector
        self._keep = keep
        self._pause = pause
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
                    since = max(since, at)
                    level = "ERROR" if text.startswith(_TRACEBACK) else self._connector.level(text)
                    if level:
                        await self._offer(at, level, text)
            except Exception as problem:
                log.debug("a log cannot be read now", resource=self._resource.id, problem=str(problem))
            await asyncio.sleep(self._pause)  # the stream ended with its host; nothing tells when there is a new one

    async def _offer(self, at: datetime, level: Level, text: str) -> None:
        minute = int(at.timestamp() // 60)
        if minute != self._minute:
            if self._dropped:
                said = f"{self._dropped} more entries came within a minute and were not kept"
                await self._keep(LogLine(at, "WARNING", said, self._resource.id))
            self._minute, self._kept, self._dropped = minute, 0, 0
        if self._kept >= PER_MINUTE:
            self._dropped += 1
            return
        self._kept += 1
        if len(text) > LONGEST:
            text = f"{text[:LONGEST]} … ({len(text) - LONGEST} more characters were cut)"
        await self._keep(LogLine(at, level, text, self._resource.id))
