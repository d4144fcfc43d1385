"""Readings → alerts: everything there is, looked at in parallel. What the loop, act and verify see through."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from itertools import count
from typing import Any

import structlog

from watchkeeper.connectors import Registry
from watchkeeper.domain import (
    Alert,
    Conflict,
    Event,
    Health,
    Probe,
    Reading,
    Resource,
    Rule,
    clock,
    now,
)
from watchkeeper.domain.situation import Situation
from watchkeeper.settings import Settings
from watchkeeper.sources import Sources
from watchkeeper.store import Store
from watchkeeper.watch.checks import Checks
from watchkeeper.watch.correlation import neighbours, upstream
from watchkeeper.watch.fleet import Fleet, Found, Provider
from watchkeeper.watch.keeping import Keeping, still_firing
from watchkeeper.watch.listening import Listening
from watchkeeper.watch.overrides import overridden
from watchkeeper.watch.pace import SPREAD, Pace
from watchkeeper.watch.renamed import renew
from watchkeeper.watch.rulebook import Rulebook
from watchkeeper.watch.secrecy import learned
from watchkeeper.watch.supervision import Supervision
from watchkeeper.watch.survey import Survey, asking, renewing
from watchkeeper.watch.telling import Teller
from watchkeeper.watch.tending import Tending
from watchkeeper.watch.watcher import RING, SHORTEST_RING, Turned, Watcher

log = structlog.get_logger(__name__)
RING_IN_ALL = 300_000
"""Readings kept in memory of all resources together, about 4 KB each: the more there are, the fewer of each."""
AT_ONCE = 500
"""Resources stored in one transaction."""
MORE_LOOKS = 3
"""Looks after the time to settle is over."""


class Watch:
    """Start it, and it finds what there is and keeps looking.

    `alerted` is called with every alert that began to fire or resolved, and gives it back with its incident.
    `vanished` is called with a resource that was removed.
    """

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        store: Store,
        providers: Sequence[Provider],
        alerted: Callable[[Alert], Awaitable[Alert]],
        vanished: Callable[[Resource], Awaitable[None]],
    ) -> None:
        self._tell = Teller(store)
        self.supervision = Supervision(registry, self._tell)
        self.fleet = Fleet(registry, settings, providers, self.supervision)
        self.watchers: dict[str, Watcher] = {}
        self.listening = Listening(store, settings.watch.interval)
        self._settings = settings
        self._store = store
        self._providers = list(providers)
        self._alerted = alerted
        self._vanished = vanished
        self.sources = Sources(settings, registry, self._tell, store.masker.learn)
        self.checks = Checks(settings.checks, store.masker.text, store.masker.learn)
        samples = {known.kind: registry.sample(known.kind) for known in registry}
        shipped = overridden(registry.rules, settings, samples)
        self.rulebook = Rulebook((*shipped, *self.checks.rules), samples, store)
        self.rulebook.altered = self._judge_anew
        self.keeping = Keeping(store, settings.watch, self._ring, lambda: self.rules)
        self.pace = Pace(settings.watch.interval)
        self.tending = Tending(self.watchers, settings.healers)
        self._tasks: list[asyncio.Task[None]] = []
        self._discovering = asyncio.Lock()
        self.survey = Survey(self.fleet, store, asking(self.watchers), lambda: self.busy, renewing(self.watchers))
        self.on_reading: Callable[[Reading], object] = lambda _: None
        self.turned: Turned = lambda resource, before, after, state: None
        self.held: Callable[[str], bool] = lambda _: True
        """Which of what is found is looked at from here: other executors look at the rest."""

    @property
    def busy(self) -> set[str]:
        """Resources of active incidents: their readings are kept at full rate."""
        return self.keeping.busy

    async def start(self) -> None:
        self.supervision.start()
        self.fleet.remaining.recall(await self._store.resources())
        await self.fleet.discover()
        await renew(self._store, self.fleet, self._vanished)
        await self.rulebook.load()  # after that: what people have altered may be about what is called otherwise now
        await self.rehold()
        await self.survey.begin()
        self._tasks = [
            asyncio.create_task(self.survey.run(self._settings.watch.discover), name="survey"),
            asyncio.create_task(self._discover_for_ever(), name="discover"),
            asyncio.create_task(self.keeping.run(), name="keep readings"),
            asyncio.create_task(self._mind_for_ever(), name="mind the clock"),
            *(asyncio.create_task(self._hear(p), name="host events") for p in self._providers if hasattr(p, "changes")),
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(self.listening.stop(), *(w.stop() for w in self.watchers.values()))
        await asyncio.gather(self.checks.stop(), self.sources.stop())
        self.supervision.stop()
        try:
            await self.keeping.write()
        except Exception as problem:
            log.error("the last readings could not be kept", number=self.keeping.waiting, problem=str(problem))

    # What others see through -------------------------------------------------------------------------------------

    @property
    def problems(self) -> dict[str, str]:
        """What stands in the way of watching, by what is affected."""
        own = {"store": self._store.problem, "pace": self.pace.problem, "resources": self.fleet.misnamed}
        own |= self.checks.problems(self.fleet.resources) | self.sources.problems
        return (
            {name: said for name, said in own.items() if said} | dict(self.fleet.problems) | self.supervision.problems
        )

    def resource(self, key: str) -> Resource:
        return self.fleet.resource(key)

    def session(self, resource: str) -> Any:
        watcher = self.watchers.get(resource)
        if watcher is None:
            raise Conflict(f"{resource} is gone.", "It was removed while it was being handled.")
        return watcher.session

    async def call(self, resource: str, what: str, function: Callable[[Any], Awaitable[Any]], seconds: float) -> Any:
        """What a connector's `function` makes of the open session. Raises Conflict, TimeoutError."""
        session = self.session(resource)
        return await self.watchers[resource].conduct.call(what, lambda: function(session), seconds)

    def neighbours(self, resources: tuple[str, ...]) -> tuple[str, ...]:
        return neighbours(resources, self.fleet.resources)

    def upstream(self, resource: str) -> tuple[str, ...]:
        """What the resource needs, directly or not."""
        return upstream(resource, self.fleet.resources)

    async def next_look(self, resource: str, *, quickly: bool) -> None:
        """Wait for the next reading; `quickly` asks for one soon, else it comes with its interval."""
        watcher = self.watchers.get(resource)
        if watcher is None:
            return
        if quickly:
            await asyncio.sleep(self._settings.watch.quick)  # the rate of quick looks
            watcher.poke()
        await watcher.next_reading(asyncio.get_running_loop().time())

    def present(self, resources: tuple[str, ...]) -> tuple[str, ...]:
        """Those that are still there."""
        return tuple(key for key in resources if key in self.watchers)

    async def first_looks(self) -> None:
        """Until everything that is watched now was looked at once."""
        await asyncio.gather(*(watcher.next_reading(0.0) for watcher in tuple(self.watchers.values())))

    async def look(self, resources: tuple[str, ...]) -> Situation:
        """Fresh readings of these resources, taken after the call began."""
        began, at = now(), asyncio.get_running_loop().time()
        watched = [self.watchers[key] for key in resources if key in self.watchers]
        for watcher in watched:
            watcher.poke()
        await asyncio.gather(*(watcher.next_reading(at) for watcher in watched))
        return self.situation(resources, began)

    def situation(self, resources: tuple[str, ...], at: datetime | None = None) -> Situation:
        """How they stood when last looked at."""
        watched = {key: self.watchers[key] for key in resources if key in self.watchers}
        return Situation(
            at=at or now(),
            resources={key: watcher.resource for key, watcher in watched.items()},
            readings={key: watcher.last for key, watcher in watched.items() if watcher.last},
            alerts=tuple(alert for watcher in watched.values() for alert in watcher.alerts.values()),
            health={key: watcher.health for key, watcher in watched.items()},
            showing=frozenset(alert for watcher in watched.values() for alert in watcher.showing()),
            healers={key: found for key in watched if (found := self.tending.of(key))},
        )

    async def settle(self, resources: tuple[str, ...], seconds: float) -> AsyncGenerator[Situation]:
        """Quick looks, one after the other, for so many seconds, and then a few more: on a machine that is slow, or
        where it became well at the very end, they are what the proof still needs."""
        until = asyncio.get_running_loop().time() + seconds
        more = MORE_LOOKS
        async with AsyncExitStack() as stack:
            for key in resources:
                if key in self.watchers:
                    await stack.enter_async_context(self.watchers[key].quickened())
            while True:
                began = asyncio.get_running_loop().time()
                yield await self.look(resources)
                here = asyncio.get_running_loop().time()
                if here >= until:
                    if not more:
                        return
                    more -= 1
                await asyncio.sleep(max(0.0, self._settings.watch.quick - (here - began)))  # the rate of looking

    async def probe(self, resource: str) -> Probe:
        watcher = self.watchers.get(resource)
        if watcher is None:
            return Probe(resource, now(), None, 0.0, "probe", "the resource is gone")
        return await watcher.probe()

    def health(self, resource: str) -> Health:
        watcher = self.watchers.get(resource)
        return watcher.health if watcher else Health.UNKNOWN

    @property
    def interval(self) -> float:
        """Seconds between two looks at a resource that is well."""
        return self._settings.watch.interval

    @property
    def rules(self) -> tuple[Rule, ...]:
        return self.rulebook.rules

    def _rules_of(self, resource: Resource) -> list[Rule]:
        return self.rulebook.of(resource.id, self.checks.kinds(resource))

    def _judge_anew(self) -> None:
        for one in self.watchers.values():
            one.judge_by(self._rules_of(one.resource))

    async def discover(self) -> None:
        """Find what there is now; begin to watch what is new, and stop what is gone."""
        async with self._discovering:
            await self._attend(await self.fleet.discover())

    async def rehold(self) -> None:
        """Begin to look at what is held now, and leave to others what is not any more."""
        async with self._discovering:
            await self._attend(self.fleet.found)

    async def _attend(self, found: Found) -> None:
        fresh: list[Watcher] = []
        for key, (resource, host, connector) in found.items():
            if not self.held(key):
                continue
            watcher = self.watchers.get(key)
            if watcher is not None and watcher.resource.incarnation == resource.incarnation:
                watcher.resource = resource
                continue
            if host is not None and not await learned(self._store.masker, resource, host):
                continue
            fresh.append(
                Watcher(
                    resource,
                    host,
                    self.checks.beside(resource, self.sources.through(resource, connector, self._rules_of(resource))),
                    self._rules_of(resource),
                    self._settings.watch,
                    self._alert_changed,
                    self._looked,
                    self.supervision.of(connector.kind),
                    remembers=max(SHORTEST_RING, min(RING, RING_IN_ALL // len(found))),
                    pace=self.pace,
                )
            )
        await self._begin(fresh, {resource.runs_on for resource, _, _ in found.values()})
        for key in [key for key in self.watchers if key not in found or not self.held(key)]:
            await (self._leave(key) if key in found else self._end(key))

    async def _begin(self, fresh: Sequence[Watcher], carriers: Collection[str | None]) -> None:
        """Begin to watch these; many at once are stored in few transactions, and their first looks are spread."""
        if not fresh:
            return
        firing = await still_firing(self._store)
        old = {w.resource.id: known for w in fresh if (known := self.watchers.pop(w.resource.id, None)) is not None}
        await asyncio.gather(*(watcher.stop() for watcher in old.values()))
        for start in range(0, len(fresh), AT_ONCE):
            async with self._store.transaction() as transaction:
                resources = [watcher.resource for watcher in fresh[start : start + AT_ONCE]]
                await transaction.put_resources(resources)
                for resource in resources:
                    if resource.id in old:
                        text = f"{resource.slug} is another one now (recreated)"
                        event = Event("resource.recreated", resource.id, text, now(), resource=resource.id)
                        await transaction.emit(event)
        self.pace.expect(len(self.watchers) + len(fresh))
        spread = SPREAD * len(fresh) if len(fresh) > AT_ONCE / 10 else 0.0
        for watcher in fresh:
            watcher.turned, resource = self.turned, watcher.resource
            watcher.start(await self._known_alerts(resource, firing.get(resource.id, [])), random.uniform(0.0, spread))
            self.watchers[resource.id] = watcher
            await self.listening.begin(watcher, carriers)

    async def _known_alerts(self, resource: Resource, firing: Sequence[Alert]) -> list[Alert]:
        """Those that fire still; one whose rule is no more can never clear, and ends."""
        rules = {rule.id for rule in self._rules_of(resource)} if firing else set[str]()
        for alert in firing:
            if alert.rule not in rules:
                await self._resolve(alert, f"the rule {alert.rule} is no more")
        return [alert for alert in firing if alert.rule in rules]

    async def _resolve(self, alert: Alert, why: str) -> None:
        event = Event("alert.resolved", alert.id, why, now(), incident=alert.incident, resource=alert.resource)
        await self._store.save(alert.resolve(now()), event)

    async def _leave(self, key: str) -> Watcher:
        """Look at it no more."""
        watcher = self.watchers.pop(key)
        await watcher.stop()
        self.sources.forget(key)
        await self.listening.leave(key)
        return watcher

    async def _end(self, key: str) -> None:
        watcher = await self._leave(key)
        async with self._store.transaction() as transaction:
            await transaction.put_resource(watcher.resource, gone=True)
            text = f"{watcher.resource.slug} was removed"
            await transaction.emit(Event("resource.gone", key, text, now(), resource=key))
        for alert in watcher.alerts.values():
            if alert.status == "firing":
                await self._resolve(alert, f"{watcher.resource.slug} was removed")
        await self._vanished(watcher.resource)

    async def _discover_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._settings.watch.discover)  # providers without events are asked by the clock
            try:
                await self.rulebook.load()  # another executor may have been told
                await self.discover()
            except Exception:
                log.exception("discovery failed")

    async def _hear(self, provider: Any) -> None:
        """A host's own events make us look at once instead of at the next interval."""
        while True:
            try:
                async for _ in provider.changes():
                    await self.discover()
                    for watcher in self.watchers.values():
                        if watcher.host is not None:
                            watcher.poke()
            except Exception as problem:
                log.debug("host events ended", problem=str(problem))
            await asyncio.sleep(self._settings.watch.interval)  # until it can be reached again

    async def _mind_for_ever(self) -> None:
        """The clock is followed, unless somebody holds it; connectors' tasks are counted."""
        for counted in count(1):
            await asyncio.sleep(1.0)  # nothing tells that a clock was set
            self.pace.follow(len(self.watchers), 1.0)
            if jump := clock.follow():
                log.warning("the system's clock was set", seconds=round(jump, 1))
                self.keeping.clock_moved(jump)
                for watcher in self.watchers.values():
                    watcher.clock_moved(jump)
                self._tell("clock.set", "watchkeeper", f"the system's clock was set by {jump:+.0f} s")
            if counted % 10 == 0:
                self.supervision.count(Counter(watcher.resource.kind for watcher in self.watchers.values()))

    # Keeping -----------------------------------------------------------------------------------------------------

    async def _alert_changed(self, alert: Alert) -> Alert:
        if alert.status == "pending":
            for key in self.neighbours((alert.resource,)):
                if key in self.watchers:
                    self.watchers[key].poke()
            return alert
        return await self._alerted(alert)

    def _looked(self, reading: Reading) -> None:
        self.on_reading(reading)
        self.keeping.looked(reading)

    async def keep_ring(self, resource: str, since: datetime) -> None:
        """Store what the ring still has from before an incident was known."""
        if resource in self.watchers:
            await self.keeping.ring(resource, since)

    def _ring(self, resource: str, since: datetime) -> list[Reading]:
        watcher = self.watchers.get(resource)
        return [reading for reading in watcher.ring if reading.at >= since] if watcher else []
