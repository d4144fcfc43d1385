"""Events that nobody waits for: written in the background, for they are told in the log anyway."""

import asyncio

import structlog

from watchkeeper.domain import Event, now
from watchkeeper.store import Store

log = structlog.get_logger(__name__)


class Teller:
    """Call it with kind, subject and text."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, kind: str, subject: str, text: str) -> None:
        task = asyncio.create_task(self._write(kind, subject, text), name=f"tell {kind}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, kind: str, subject: str, text: str) -> None:
        try:
            await self._store.emit(Event(kind, subject, text, now()))
        except Exception as problem:
            log.error("an event could not be recorded", kind=kind, text=text, problem=str(problem))
