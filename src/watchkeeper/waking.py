"""Calls for one incident again whenever something it may wait for has changed: one call at a time for each."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog

from watchkeeper.domain import now
from watchkeeper.store import LeaseLost, StoreAway

log = structlog.get_logger(__name__)
STORE_PAUSE = 2.0
"""Seconds until an incident is taken up again whose change could not be recorded."""
FIRST_PAUSE = 1.0
"""Seconds after a call that failed by an error of ours; after each further one twice as long."""
LONGEST_PAUSE = 60.0
"""Seconds it is at most."""


class Waking:
    """`call` is awaited with the incident's id until it ends without an error: what cannot be recorded waits, and what
    fails is called less and less often."""

    def __init__(self, call: Callable[[str], Awaitable[object]]) -> None:
        self._call = call
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._held: dict[str, asyncio.TimerHandle] = {}
        self._stopped = False

    def wake(self, incident: str) -> None:
        """Now, or once more after the call that is under way."""
        if self._stopped:
            return  # what it would need is being taken down; the next start takes it up
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
        """Cut off what is under way; nothing is called any more."""
        self._stopped = True
        for timer in self._held.values():
            timer.cancel()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, key: str) -> None:
        failed = 0
        try:
            more = True
            while more:
                self._again.discard(key)
                try:
                    await self._call(key)
                    more, failed = key in self._again, 0
                except (StoreAway, LeaseLost) as problem:
                    log.warning("healing waits", incident=key, problem=problem.what)
                    await asyncio.sleep(STORE_PAUSE)  # nothing tells when there is room again
                except Exception:
                    pause = min(FIRST_PAUSE * 2**failed, LONGEST_PAUSE)
                    failed += 1
                    log.exception("healing failed", incident=key, again_in_seconds=pause)
                    await asyncio.sleep(pause)  # an error of ours: nothing tells when it is over
        finally:
            self._tasks.pop(key, None)
            if key in self._again:
                self.wake(key)
