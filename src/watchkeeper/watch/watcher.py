"""One resource, looked at again and again: its session, its ring of readings, its alerts."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from watchkeeper.domain import (
    Alert,
    Conflict,
    Connector,
    Health,
    Host,
    Probe,
    Reading,
    Resource,
    Rule,
    now,
)
from watchkeeper.settings import WatchSettings
from watchkeeper.watch.rules import next_alert

log = structlog.get_logger(__name__)
RING = 1800
"""Readings kept in memory per resource: an hour at the default interval."""

AlertChange = Callable[[Alert], Awaitable[Alert]]
"""Called with an alert that began, fired or resolved; gives it back as it is to be kept (with its incident)."""


class Watcher:
    """Looks at one resource every `interval` seconds, quickly while an alert is pending or somebody waits.

    A look that hangs is cut off after `timeout`; it slows no other resource. Whatever a connector raises becomes a
    Reading with an error.
    """

    def __init__(
        self,
        resource: Resource,
        host: Host | None,
        connector: Connector[Any],
        rules: Sequence[Rule],
        settings: WatchSettings,
        changed: AlertChange,
        looked: Callable[[Reading], None],
    ) -> None:
        self.resource = resource
        self.host = host
        self.connector = connector
        self.ring: deque[Reading] = deque(maxlen=RING)
        self.alerts: dict[str, Alert] = {}
        self.since: datetime = now()
        self._rules = rules
        self._settings = settings
        self._changed = changed
        self._looked = looked
        self._session: Any = None
        self._poke = asyncio.Event()
        self._next = asyncio.Condition()
        self._waiting = 0
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self._assessed: Reading | None = None

    def start(self, alerts: Sequence[Alert] = ()) -> None:
        """Begin to look. `alerts` are those the store still has as firing: they live on over a restart."""
        self.alerts = {alert.rule: alert for alert in alerts}
        self._task = asyncio.create_task(self._run(), name=f"watch {self.resource.slug}")

    async def stop(self) -> None:
        """Look no more; whoever waits for a reading is let go."""
        self._stopped = True
        self._poke.set()
        if self._task:
            # A library may swallow it (asyncio.wait_for before Python 3.12); then the flag ends it.
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        async with self._next:
            self._next.notify_all()

    @property
    def session(self) -> Any:
        """Raises Conflict where none is open yet."""
        if self._session is None:
            raise Conflict(f"There is no open session with {self.resource.slug} yet.", "Try again in a moment.")
        return self._session

    @property
    def last(self) -> Reading | None:
        return self.ring[-1] if self.ring else None

    @property
    def health(self) -> Health:
        """The worst of what fires; `UNKNOWN` without a reading that tells anything."""
        firing = [alert.health for alert in self.alerts.values() if alert.status == "firing"]
        if firing:
            return max(firing, key=lambda health: health.rank)
        if self.last is None or not self.last.ok or self.last.off:
            return Health.UNKNOWN
        return Health.HEALTHY

    def poke(self) -> None:
        """Look now rather than after the interval."""
        self._poke.set()

    @asynccontextmanager
    async def quickened(self) -> AsyncGenerator[None]:
        """Quick looks while inside."""
        self._waiting += 1
        self.poke()
        try:
            yield
        finally:
            self._waiting -= 1

    async def next_reading(self, after: datetime) -> Reading | None:
        """The first reading of a look that began at or after `after`; None when it is looked at no more."""
        async with self._next:
            while self._assessed is None or self._assessed.at < after:
                if self._stopped:
                    return None
                await self._next.wait()
            return self._assessed

    async def probe(self) -> Probe:
        """The end-to-end check; one that hangs or raises has failed to tell, or failed."""
        began = now()
        try:
            async with asyncio.timeout(self._settings.timeout):
                probe = await self.connector.probe(self.session)
        except TimeoutError:
            probe = Probe(self.resource.id, began, False, self._settings.timeout, "probe", "no answer in time")
        except Conflict as problem:
            probe = Probe(self.resource.id, began, None, 0.0, "probe", problem.what)
        except Exception as problem:
            probe = Probe(self.resource.id, began, None, 0.0, "probe", f"{type(problem).__name__}: {problem}")
        return probe

    async def _run(self) -> None:
        while not self._stopped:
            try:
                async with AsyncExitStack() as stack:
                    async with asyncio.timeout(self._settings.timeout):
                        way_in = self.connector.connect(self.resource, self.host)
                        self._session = await stack.enter_async_context(way_in)
                    await self._look_for_ever()
            except asyncio.CancelledError:
                self._session = None
                raise
            except TimeoutError:
                self._session = None
                await self._take(self._failed(now(), self._settings.timeout, self._too_late()))
            except Exception as problem:
                self._session = None
                await self._take(self._failed(now(), 0.0, problem))
            await self._pause(self._settings.interval)

    async def _look_for_ever(self) -> None:
        while not self._stopped:
            await self._take(await self._look())
            quick = self._waiting or any(alert.status == "pending" for alert in self.alerts.values())
            interval = self._settings.quick if quick else self._settings.interval * random.uniform(0.9, 1.1)
            await self._pause(interval)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._poke.wait()
        except TimeoutError:
            pass
        if not self._stopped:
            self._poke.clear()

    async def _look(self) -> Reading:
        began = now()
        clock = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._settings.timeout):
                reading = await self.connector.read(self._session, self.last)
            return replace(reading, at=began, resource=self.resource.id)
        except TimeoutError:
            seconds = asyncio.get_running_loop().time() - clock
            return self._failed(began, seconds, self._too_late())
        except Exception as problem:
            return self._failed(began, asyncio.get_running_loop().time() - clock, problem)

    def _too_late(self) -> TimeoutError:
        return TimeoutError(f"no answer within {self._settings.timeout:g} s")

    def _failed(self, at: datetime, seconds: float, problem: Exception) -> Reading:
        said = str(problem).strip() or type(problem).__name__
        return Reading(self.resource.id, at, seconds, state="no data", error=said)

    async def _take(self, reading: Reading) -> None:
        before = self.health
        self.ring.append(reading)
        self._looked(reading)
        within = reading.scope()
        at = now()
        for rule in self._rules:
            known = self.alerts.get(rule.id)
            after = next_alert(rule, known, reading, within, at)
            if after is known:
                continue
            if after is None:
                del self.alerts[rule.id]
                continue
            try:
                after = await self._changed(after)
            except Exception:
                log.exception("an alert could not be recorded", rule=rule.id, resource=self.resource.id)
                continue  # it is tried again with the next reading
            if after.status == "resolved":
                del self.alerts[rule.id]
            else:
                self.alerts[rule.id] = after
        if self.health is not before:
            self.since = at
        self._assessed = reading  # only now: whoever waits shall see the alerts that belong to it
        async with self._next:
            self._next.notify_all()

    def showing(self) -> frozenset[str]:
        """Ids of the firing alerts whose condition holds on the last reading."""
        if self.last is None:
            return frozenset()
        within = self.last.scope()
        rules = {rule.id: rule for rule in self._rules}
        return frozenset(
            alert.id
            for alert in self.alerts.values()
            if alert.status == "firing" and alert.rule in rules and rules[alert.rule].when.holds(within)
        )
