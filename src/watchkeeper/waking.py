"""Calls for one incident again whenever something it may wait for has changed: one call at a time for each."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from watchkeeper.domain import now


class Waking:
    """`call` is awaited with the incident's id; it says whether it wants to be called again at once."""

    def __init__(self, call: Callable[[str], Awaitable[bool]]) -> None:
        self._call = call
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._held: dict[str, asyncio.TimerHandle] = {}

    def wake(self, incident: str) -> None:
        """Now, or once more after the call that is under way."""
        if incident in self._tasks:
            self._again.add(incident)
        else:
            self._tasks[incident] = asyncio.create_task(self._run(incident), name=f"heal {incident}")

    def later(self, incident: str, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self.wake, incident)

    def at(self, incident: str, until: datetime) -> None:
        """Once for each time; when it comes, whoever is woken looks whether it still holds."""
        known = self._held.pop(incident, None)
        if known is not None:
            known.cancel()
        seconds = max(0.1, (until - now()).total_seconds())
        self._held[incident] = asyncio.get_running_loop().call_later(seconds, self.wake, incident)

    async def stop(self) -> None:
        for timer in self._held.values():
            timer.cancel()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, key: str) -> None:
        try:
            more = True
            while more:
                self._again.discard(key)
                more = await self._call(key) or key in self._again
        finally:
            self._tasks.pop(key, None)
            if key in self._again:
                self.wake(key)
