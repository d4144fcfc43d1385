"""Readings on their way to the store: at full rate around incidents and for a minute after them, else one a minute.

What cannot be written is held, up to a bound, and counted beyond it.
"""

import asyncio
import random
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

import structlog

from watchkeeper.domain import Alert, Reading, Rule, now
from watchkeeper.settings import WatchSettings
from watchkeeper.store import Store
from watchkeeper.watch.traces import keep_traces

log = structlog.get_logger(__name__)
UNKEPT = 20_000
"""Readings held while the store cannot be written; beyond it the oldest are let go, and counted."""
EVERY = 60.0
"""Seconds between the readings kept of a resource that is well."""
AFTERWARDS = 60.0
"""Seconds for which they are kept at full rate after an incident: what a chart shows as after."""
PRUNED = 3600.0
"""Seconds between two deletions of what is old."""
SET_BY = 3600.0
"""Seconds by which the clock must have been set for nothing to be deleted for a while."""
NOT_PRUNED = 86_400.0
"""Seconds of that while."""
BATCH = 2.0
"""Seconds between writes."""


class Keeping:
    """`rings` gives a resource's readings in memory since a time, `rules` those in force."""

    def __init__(
        self,
        store: Store,
        settings: WatchSettings,
        rings: Callable[[str, datetime], list[Reading]],
        rules: Callable[[], Iterable[Rule]] = tuple[Rule, ...],
    ) -> None:
        self._store = store
        self._settings = settings
        self._rings = rings
        self._rules = rules
        self._kept: dict[str, float] = {}
        self._busy_at: dict[str, float] = {}
        self._waiting: list[Reading] = []
        self._prune_at = 0.0
        self.busy: set[str] = set()
        """Resources of active incidents: their readings are kept at full rate."""
        self.dropped = 0
        """Readings let go because the store could not be written for long."""
        self.problem: str | None = None
        """Why the last write failed, or None."""

    @property
    def waiting(self) -> int:
        """Readings not written yet."""
        return len(self._waiting)

    def looked(self, reading: Reading) -> None:
        """Take it, where it is to be kept."""
        present = asyncio.get_running_loop().time()
        last = self._kept.get(reading.resource)
        if last is None:  # not all of them at the same second of each minute
            self._kept[reading.resource] = present - random.uniform(0.0, EVERY)
        elif self._near(reading.resource, present) or present - last >= EVERY:
            self._kept[reading.resource] = present
        else:
            return
        self._waiting.append(reading)

    def _near(self, resource: str, present: float) -> bool:
        """Whether it is in an incident, or was a moment ago."""
        if resource in self.busy:
            self._busy_at[resource] = present
        elif present - self._busy_at.get(resource, -AFTERWARDS) >= AFTERWARDS:
            self._busy_at.pop(resource, None)
            return False
        return True

    async def ring(self, resource: str, since: datetime) -> None:
        """Have what memory still has from before an incident was known kept, too."""
        stored = {r.at for r in await self._store.readings(resource, since=since, until=now())}
        waiting = {r.at for r in self._waiting if r.resource == resource}
        self._waiting += [r for r in self._rings(resource, since) if r.at not in stored and r.at not in waiting]

    def clock_moved(self, seconds: float) -> None:
        """The system's clock was set. By hours, and what is young may look old: nothing is deleted until a day has
        passed in which somebody may set it right."""
        if abs(seconds) > SET_BY:
            self._prune_at = asyncio.get_running_loop().time() + NOT_PRUNED

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        self._prune_at = loop.time() + PRUNED
        while True:
            await asyncio.sleep(BATCH)  # readings are written in batches
            try:
                await self.write()
                if loop.time() > self._prune_at:
                    self._prune_at = loop.time() + PRUNED
                    await self._prune()
            except Exception as problem:
                log.error("readings could not be kept", waiting=self.waiting, problem=str(problem))

    async def write(self) -> None:
        """All that waits, in one transaction; what could not be written waits on."""
        batch, self._waiting = self._waiting, []
        if not batch:
            return
        try:
            async with self._store.transaction() as transaction:
                await transaction.keep_readings(batch)
            self.problem = None
        except Exception as problem:
            self.problem = str(problem)
            held = [*batch, *self._waiting]
            self.dropped += max(0, len(held) - UNKEPT)
            self._waiting = held[-UNKEPT:]
            raise

    async def _prune(self) -> None:
        present = now()
        before = present - timedelta(days=self._settings.readings_days)
        await keep_traces(self._store, self._rules(), before)
        await self._store.prune(
            readings_before=before,
            logs_before=present - timedelta(days=self._settings.logs_days),
        )


async def still_firing(store: Store) -> dict[str, list[Alert]]:
    """What the store still has as firing, by resource."""
    firing: dict[str, list[Alert]] = {}
    for alert in await store.select(Alert, status="firing", limit=100_000):
        firing.setdefault(alert.resource, []).append(alert)
    return firing
