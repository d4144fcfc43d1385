"""Incidents that were healed by what a person, an agent or a model planned: each is looked at for a runbook in it."""

import asyncio
from datetime import timedelta

import structlog

from watchkeeper.decide import Decide
from watchkeeper.domain import Event, Incident, now
from watchkeeper.store import Store

log = structlog.get_logger(__name__)
LATELY = timedelta(days=1)
"""How far back it is looked, at a start, for what was healed and not looked at any more."""


class Learner:
    """Beside everything else: nothing waits for it."""

    def __init__(self, store: Store, decide: Decide) -> None:
        self._store = store
        self._decide = decide
        self._heard: asyncio.Queue[str] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """What was accepted, and what was written while it ran, counts from here on."""
        await self._decide.lessons.load()
        await self._decide.handbook.load()
        await self._decide.amendments.load()
        for incident in await self._store.select(Incident, status="closed", limit=20):
            if incident.closed_at is not None and now() - incident.closed_at < LATELY:
                self._heard.put_nowait(incident.id)
        self._store.listen(self._hear)
        self._task = asyncio.create_task(self._run(), name="lessons")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _hear(self, event: Event) -> None:
        if event.kind == "incident.closed" and event.incident:
            self._heard.put_nowait(event.incident)

    async def _run(self) -> None:
        while True:
            key = await self._heard.get()
            try:
                incident = await self._store.find(Incident, key)
                if incident is not None:
                    await self._decide.lessons.learn(incident)
            except Exception:
                log.exception("a lesson could not be drawn", incident=key)
