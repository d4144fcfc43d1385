"""Changes of health, written into the history as they happen."""

import asyncio
from collections import deque
from collections.abc import Callable

import structlog

from watchkeeper.domain import Event, Health, Resource, now
from watchkeeper.store import Store

log = structlog.get_logger(__name__)
KIND = "health.changed"
MOST = 10_000
"""Changes that may wait while the store cannot be written."""


def _nobody(event: Event, resource: Resource) -> None: ...


class Turns:
    """Those of one moment are one transaction. What the first look at something finds is no change: `first` is told,
    and the history is not."""

    def __init__(self, store: Store, first: Callable[[Event, Resource], object] = _nobody) -> None:
        self._store = store
        self._first = first
        self.also: Callable[[Resource, Health | None, Health, str], object] = lambda resource, before, after, state: (
            None
        )
        """Whoever else wants to hear of each."""
        self._waiting: deque[Event] = deque()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def turned(self, resource: Resource, before: Health | None, after: Health, state: str) -> None:
        """Called after a look that found another health than the look before."""
        was = before.value if before else None
        self.also(resource, before, after, state)
        text = f"{resource.slug} is {after.value}" + (f", was {was}" if was else "") + f": {state}"
        data: dict[str, object] = {"before": was, "after": after.value, "state": state}
        event = Event(KIND, resource.id, text, now(), resource=resource.id, data=data)
        if before is None:
            self._first(self._store.masker.value(event), resource)
        else:
            self._put(event)

    def tell(self, kind: str, subject: str, text: str) -> None:
        """Of more than one resource, in the order of what happened."""
        self._put(Event(kind, subject, text, now()))

    def _put(self, event: Event) -> None:
        if len(self._waiting) < MOST:
            self._waiting.append(event)
            self._news.set()
        else:
            log.warning("a change is not recorded: too many wait for the store", kind=event.kind, subject=event.subject)

    def start(self) -> None:
        self._task = asyncio.create_task(self._write(), name="changes of health")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _write(self) -> None:
        store = self._store.patiently()
        while True:
            await self._news.wait()
            self._news.clear()
            batch = list(self._waiting)
            try:
                await store.emit(*batch)
            except Exception:
                log.exception("changes of health could not be recorded", number=len(batch))
            for _ in batch:
                self._waiting.popleft()
