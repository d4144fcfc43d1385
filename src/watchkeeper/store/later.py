"""Events that nobody waits for: of what was only looked at. They are written together, a moment later."""

import asyncio
from contextlib import suppress

import structlog

from watchkeeper.domain import Event
from watchkeeper.store.store import Store

log = structlog.get_logger(__name__)
WITHIN = 0.5
"""Seconds after which they are written: a commit of its own for each costs more than the look-up it tells of."""
HELD = 1000
"""Events held while the store cannot be written; beyond it the oldest are let go, which is logged."""


class Later:
    """Of what changes nothing, so that no intent must be on disk before it is done. A crash may lose the last half of a
    second of it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._held: list[Event] = []
        self._ends = asyncio.Event()
        self._writes: asyncio.Task[None] | None = None

    def emit(self, event: Event) -> None:
        """It is written with those that come meanwhile."""
        self._held.append(event)
        if len(self._held) > HELD:
            log.warning("a look-up is not in the history: the store cannot be written", event=self._held.pop(0).text)
        if self._writes is None or self._writes.done():
            self._writes = asyncio.create_task(self._write_soon(), name="write later")

    async def stop(self) -> None:
        """What is held is written now."""
        self._ends.set()
        if self._writes is not None:
            await self._writes

    async def _write_soon(self) -> None:
        while self._held:
            with suppress(TimeoutError):
                async with asyncio.timeout(WITHIN):  # those that come meanwhile go with it
                    await self._ends.wait()
            batch, self._held = self._held, []
            try:
                await self._store.emit(*batch)
            except Exception as problem:
                self._held = [*batch, *self._held]
                log.warning("look-ups are not in the history yet", number=len(self._held), problem=str(problem))
                if self._ends.is_set():
                    return
