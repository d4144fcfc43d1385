"""One resource, looked at again and again: its session, its ring of readings, its alerts."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
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
    clock,
    now,
)
from watchkeeper.settings import WatchSettings
from watchkeeper.watch import checked
from watchkeeper.watch.conduct import Conduct, untold
from watchkeeper.watch.pace import Pace
from watchkeeper.watch.rules import next_alert

log = structlog.get_logger(__name__)
RING = 1800
"""Readings kept in memory per resource: an hour at the default interval."""
SHORTEST_RING = 60
"""Of very many resources: the two minutes before an incident."""

AlertChange = Callable[[Alert], Awaitable[Alert]]
"""Called with an alert that began, fired or resolved; gives it back as it is to be kept (with its incident)."""
Turned = Callable[[Resource, Health | None, Health, str], object]
"""Called when a look found another health than the look before (None before the first), with its state in words."""


class Watcher:
    """Looks at one resource every `interval` seconds, quickly while an alert is pending or somebody waits.

    A look that hangs is cut off after `timeout`; it slows no other resource. Whatever a connector raises becomes a
    Reading with an error. While its connector is quarantined it is not called at all, and the readings say so.
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
        conduct: Conduct | None = None,
        remembers: int = RING,
        pace: Pace | None = None,
    ) -> None:
        self.conduct = conduct or Conduct(resource.kind, untold)
        self._pace = pace or Pace(settings.interval)
        self.resource = resource
        self.host = host
        self.connector = connector
        self.ring: deque[Reading] = deque(maxlen=remembers)
        self.alerts: dict[str, Alert] = {}
        self._unrecorded: set[str] = set()
        self.turned: Turned = lambda resource, before, after, state: None
        self._found: Health | None = None
        self.since: datetime = now()
        self.revision = 0
        """Grows whenever a look found something else to say of it than the look before."""
        self._said: tuple[Health, str] | None = None
        self._rules = rules
        self._names = _named(rules)
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
        self._began = 0.0
        """Loop time at which the look that was assessed last began: wall clocks jump."""
        self._good_at: float | None = None

    def start(self, alerts: Sequence[Alert] = (), delay: float = 0.0) -> None:
        """Begin to look, after `delay` seconds. `alerts` are those that fire still: they live on over a restart."""
        self.alerts = {alert.rule: alert for alert in alerts}
        self._good_at = self._began = asyncio.get_running_loop().time()
        self._task = asyncio.create_task(self._run(delay), name=f"watch {self.resource.slug}")

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
        """Raises Conflict where none is open yet, or its connector is quarantined."""
        if self.conduct.quarantined:
            raise Conflict(f"The connector of {self.resource.slug} is {self.conduct.problem}")
        if self._session is None and self.last is not None and "no_way_in" in self.last.metrics:
            raise Conflict(f"{self.resource.slug} is only {self.last.state}.", "Give it a `url` in watchkeeper.yaml.")
        if self._session is None:
            raise Conflict(f"There is no open session with {self.resource.slug} yet.", "Try again in a moment.")
        return self._session

    @property
    def open_session(self) -> Any:
        """The session, or None where none is open or nobody may use it."""
        return None if self.conduct.quarantined else self._session

    @property
    def last(self) -> Reading | None:
        return self.ring[-1] if self.ring else None

    @property
    def state(self) -> str:
        """How it was at the last look, in words; one that has not answered yet is told from one that no longer does."""
        if self.last is None:
            return "not looked at yet"
        error = self.last.error or ""
        if self.health is Health.UNKNOWN and error.lower().startswith("no answer") and not any(r.ok for r in self.ring):
            return "no answer yet"
        return self.last.state if self.last.off else error or self.last.state

    @property
    def health(self) -> Health:
        """The worst of what fires; `UNKNOWN` without a reading that tells anything, and while nobody may look."""
        if self.conduct.quarantined:
            return Health.UNKNOWN
        firing = [alert.health for alert in self.alerts.values() if alert.status == "firing"]
        if firing:
            return max(firing, key=lambda health: health.rank)
        if self.last is None or not self.last.ok or self.last.off:
            return Health.UNKNOWN
        return Health.HEALTHY

    def judge_by(self, rules: Sequence[Rule]) -> None:
        """From the next look on, which comes at once where they are others."""
        if [*rules] != [*self._rules]:
            self._rules, self._names = rules, _named(rules)
            self.poke()

    def poke(self) -> None:
        """Look now rather than after the interval."""
        self._poke.set()

    @asynccontextmanager
    async def quickened(self) -> AsyncGenerator[None]:
        """Quick looks while inside."""
        self._waiting += 1
        self.poke()
        try:
            with clock.held():
                yield
        finally:
            self._waiting -= 1

    async def next_reading(self, after: float) -> Reading | None:
        """The first reading of a look that began at or after `after`, in the event loop's time; None when it is
        looked at no more."""
        async with self._next:
            while self._assessed is None or self._began < after:
                if self._stopped:
                    return None
                await self._next.wait()
            return self._assessed

    @property
    def blind_for(self) -> timedelta:
        """For how long no look has given data, since it is watched."""
        if self._good_at is None or (self.last is not None and self.last.ok):
            return timedelta(0)
        return timedelta(seconds=asyncio.get_running_loop().time() - self._good_at)

    def clock_moved(self, seconds: float) -> None:
        """The system's clock was set: what is pending has lasted neither longer nor shorter for it."""
        for rule, alert in self.alerts.items():
            if alert.status == "pending":
                self.alerts[rule] = replace(alert, pending_at=alert.pending_at + timedelta(seconds=seconds))

    async def probe(self) -> Probe:
        """The end-to-end check; one that hangs or raises has failed to tell, or failed."""
        began, loop = now(), asyncio.get_running_loop()
        at = loop.time()
        try:
            session = self.session
            found = await self.conduct.call("probe", lambda: self.connector.probe(session), self._settings.timeout)
            return checked.probe(found, self.resource.id, began, loop.time() - at)
        except TimeoutError:
            return Probe(self.resource.id, began, False, self._settings.timeout, "probe", "no answer in time")
        except Conflict as problem:
            return Probe(self.resource.id, began, None, 0.0, "probe", problem.what)
        except Exception as problem:
            self.conduct.failed("probe", problem)
            said = checked.text(f"{type(problem).__name__}: {problem}")
            return Probe(self.resource.id, began, None, 0.0, "probe", said)

    async def _run(self, delay: float) -> None:
        if delay:
            await self._pause(delay)
        while not self._stopped:
            if self.conduct.quarantined:
                await self._take(
                    self._failed(now(), 0.0, Conflict(f"its connector is {self.conduct.problem}")), _time()
                )
            else:
                await self._with_a_session()
            await self._pause(self._settings.interval)

    async def _with_a_session(self) -> None:
        """Look until it must end, or the way in breaks."""
        way_in: AbstractAsyncContextManager[Any] | None = None

        async def enter() -> Any:
            nonlocal way_in
            opening = self.connector.connect(self.resource, self.host)
            session = await opening.__aenter__()
            way_in = opening
            return session

        began, at = now(), _time()
        try:
            self._session = await self.conduct.call("connect", enter, self._settings.timeout)
        except Exception as problem:
            self.conduct.failed("connect", problem)
            await self._take(self._failed(began, _time() - at, problem), at)
            return
        try:
            await self._look_for_ever()
        finally:
            self._session = None
            if way_in is not None:
                await self._leave(way_in)

    async def _leave(self, way_in: AbstractAsyncContextManager[Any]) -> None:
        """Close the session; one that cannot be closed is left."""
        try:
            await self.conduct.call("close", lambda: way_in.__aexit__(None, None, None), self._settings.timeout)
        except Exception as problem:
            self.conduct.failed("close", problem)
            log.info("a session could not be closed", resource=self.resource.id, problem=str(problem))

    async def _look_for_ever(self) -> None:
        while not self._stopped and not self.conduct.quarantined:
            at = _time()
            reading = await self._look()
            await self._take(reading, at - reading.age)  # what a source took before this look proves nothing newer
            quick = self._waiting or any(alert.status == "pending" for alert in self.alerts.values())
            usual = self._settings.interval * self._pace.factor * random.uniform(0.9, 1.1)
            interval = self._settings.quick if quick else usual
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
        began, at = now(), _time()
        last = self.last
        try:
            found = await self.conduct.call(
                "read", lambda: self.connector.read(self._session, last), self._settings.timeout
            )
            reading = checked.reading(found, self.resource.id, began, _time() - at)
        except Exception as problem:
            self.conduct.failed("read", problem)
            return self._failed(began, _time() - at, problem)
        if reading.error is not None and found.error is None:
            self.conduct.note("figures", f"{self.resource.slug}: {reading.error}")
        self.conduct.good()
        return reading

    def _failed(self, at: datetime, seconds: float, problem: Exception) -> Reading:
        said = str(problem).strip() or type(problem).__name__
        if isinstance(problem, TimeoutError) and not str(problem):
            said = f"no answer within {self._settings.timeout:g} s"
        state = "quarantined" if self.conduct.quarantined else "no data"
        return Reading(self.resource.id, at, seconds, state=state, error=checked.text(said))

    async def _take(self, reading: Reading, began: float) -> None:
        before = self.health
        if reading.ok:
            self._good_at = began
        self.ring.append(reading)
        self._looked(reading)
        within = reading.scope(self._names)
        at, rules = now(), self._rules
        for rule in rules:
            known = self.alerts.get(rule.id)
            after = next_alert(rule, known, reading, within, at)
            if after is not known:
                await self._become(rule.id, after)
        for gone in self.alerts.keys() - {rule.id for rule in rules}:  # switched off while it fired
            alert = self.alerts[gone]
            await self._become(gone, alert.resolve(at) if alert.status == "firing" else None)
        if self.health is not before:
            self.since = at
        if self.health is not self._found:
            last, self._found = self._found, self.health
            self.turned(self.resource, last, self.health, self.state)
        if (said := (self.health, self.state)) != self._said:
            self._said, self.revision = said, self.revision + 1
        self._began = began
        self._assessed = reading  # only now: whoever waits shall see the alerts that belong to it
        async with self._next:
            self._next.notify_all()

    async def _become(self, rule: str, alert: Alert | None) -> None:
        """What has become of the alert of a rule."""
        if alert is None:
            del self.alerts[rule]
            return
        try:
            alert = await self._changed(alert)
        except Exception as problem:
            if rule not in self._unrecorded:  # said once: a full disk must not be filled further by its log
                named = {"rule": rule, "resource": self.resource.id}
                log.warning("an alert cannot be recorded", **named, exc_info=problem)
                self._unrecorded.add(rule)
            return  # it is tried again with the next reading
        self._unrecorded.discard(rule)
        if alert.status == "resolved":
            del self.alerts[rule]
        else:
            self.alerts[rule] = alert

    def showing(self) -> frozenset[str]:
        """Ids of the firing alerts whose condition holds on the last reading."""
        if self.last is None or not any(alert.status == "firing" for alert in self.alerts.values()):
            return frozenset()
        within = self.last.scope(self._names)
        rules = {rule.id: rule for rule in self._rules}
        return frozenset(
            alert.id
            for alert in self.alerts.values()
            if alert.status == "firing" and alert.rule in rules and rules[alert.rule].when.holds(within)
        )


def _named(rules: Sequence[Rule]) -> frozenset[str] | None:
    """All that these rules name of a reading; None where that cannot be told."""
    conditions = [condition for rule in rules for condition in (rule.when, rule.clear) if condition]
    known = [names for condition in conditions if (names := condition.names) is not None]
    return frozenset[str]().union(*known) if len(known) == len(conditions) else None


def _time() -> float:
    return asyncio.get_running_loop().time()
