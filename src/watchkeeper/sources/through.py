"""A connector whose readings come from a source: its hands, rules and runbooks stay its own."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from watchkeeper.connectors import hosting
from watchkeeper.domain import Connector, Host, Probe, Reading, Resource, Rule, now, numbers, scope
from watchkeeper.domain.source import ReadingSource, Seen, Told
from watchkeeper.sources.known import known_as

KEY = "source"
"""Where a resource's settings say what comes from which source."""
CLOSER = 60.0
"""Seconds for which the server itself is asked besides, from when something was last suspect: whether a fix has helped,
and whether an alert is over, is told by the same figures as the fault."""
_NAMED = re.compile(r"\breading\.(\w+)")


def needed(rules: Sequence[Rule]) -> dict[str, list[str]]:
    """The metrics that rules name, with the rules."""
    found: dict[str, list[str]] = {}
    for rule in rules:
        said = f"{rule.when.source} {rule.clear.source if rule.clear else ''}"
        for name in dict.fromkeys(_NAMED.findall(said)):
            found.setdefault(name, []).append(rule.id)
    return found


@dataclass(frozen=True, slots=True)
class Lately:
    """How the last look through a source went: told to whoever wants to know. `problem` is empty where it had data."""

    resource: Resource
    source: str
    problem: str


class Through:
    """One resource's connector. Where the resource has neither an address nor a host, nothing reaches it: its tools are
    refused, and its probe is the exporter's."""

    def __init__(
        self,
        connector: Connector[Any],
        resource: Resource,
        source: ReadingSource,
        seen: Seen,
        rules: Sequence[Rule],
        told: Callable[[Lately], None],
    ) -> None:
        self._connector = connector
        self._resource = resource
        self._source = source
        self._seen = seen
        self._told = told
        self._rules = rules
        self._needed = needed(rules)
        self._host: Host | None = None
        self._closer_until = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connector, name)

    @property
    def _way_in(self) -> bool:
        return self._host is not None or bool(self._resource.settings.get("url"))

    @property
    def whose(self) -> str:
        """The labels of its series, for a person."""
        return self._source.whose(self._resource.id)

    @asynccontextmanager
    async def connect(self, resource: Resource, host: Host | None) -> AsyncGenerator[Any]:
        """The connector's own session, for tools and the probe; None where there is no way in."""
        self._host = host
        try:
            if not self._way_in:
                yield None
                return
            async with self._connector.connect(_without_source(resource), host) as session:
                yield session
        finally:
            self._source.forget(resource.id)

    async def read(self, session: Any, last: Reading | None) -> Reading:
        """What the source tells. While a rule holds, or its figures are suspect, what only the server itself tells is
        asked of it, where it can be reached, and for some time after: who holds the connections, who waits for whom,
        what a tool may do. An exporter that cannot reach its server does not know why: then the server alone is
        asked."""
        begun, at = time.perf_counter(), now()
        seen = await self._known_as()
        if not self._seen.whole:
            reading, told = await asyncio.gather(
                self._connector.read(session, last), self._source.tell(self._resource, seen, {})
            )
            return _with(reading, told)
        told = await self._source.tell(self._resource, seen, last.metrics if last else {})
        self._told(Lately(self._resource, self._source.name, told.problem))
        if session is None or told.problem:
            return await self._reading(session, told, at, begun)
        if told.metrics.get("up") == 0.0:
            direct = await self._connector.read(session, last)
            own = {name: told.metrics[name] for name in self._seen.metrics if name in told.metrics}
            state = f"{direct.state} (looked at directly: to {self._source.name} it is down)"
            return replace(direct, metrics={**direct.metrics, **own}, state=state)
        within = scope(reading=numbers(told.metrics), facts=dict(told.facts), state="")
        if told.suspect or any(rule.when.holds(within) for rule in self._rules):
            self._closer_until = time.monotonic() + CLOSER
        if time.monotonic() > self._closer_until:
            return await self._reading(session, told, at, begun)
        try:
            direct = await self._connector.read(session, last)
            problem = direct.error
        except Exception as raised:  # what the source tells is not lost for that
            direct, problem = None, f"{type(raised).__name__}: {raised}"
        if direct is None or problem is not None:
            told = replace(told, notes=(*told.notes, f"what only it tells itself: {problem}"))
            return await self._reading(session, told, at, begun)
        metrics, facts = {**direct.metrics, **told.metrics}, {**direct.facts, **told.facts}
        reading = await self._reading(session, replace(told, metrics=metrics, facts=facts), at, begun)
        return replace(reading, state=f"{reading.state}; the rest looked at directly")

    async def _reading(self, session: Any, told: Told, at: datetime, begun: float) -> Reading:
        metrics, facts = dict(told.metrics), dict(told.facts)
        down = metrics.get("up") == 0.0
        error = told.problem or ("Its exporter cannot reach it." if down else None)
        if down and "responding" in self._connector.sample.metrics:
            metrics["responding"] = 0.0
        off = await self._of_host(metrics, answered=not error)
        if session is None:
            metrics["no_way_in"] = 1.0
        state = f"seen through {self._source.name}"
        if not error:
            lacks = [name for name in self._needed if name not in metrics and name not in told.may_lack]
            missing = [f"{name} ({', '.join(self._needed[name])})" for name in lacks]
            facts["not_read"] = "; ".join([*missing, *told.notes])
            state += f", without {len(lacks)} metrics that rules need" if lacks else ""
        seconds = time.perf_counter() - begun
        return Reading(self._resource.id, at, seconds, metrics, facts, state, error, off, age=told.age)

    async def _of_host(self, metrics: dict[str, float], *, answered: bool) -> bool:
        """How its host is, where it has one. Returns whether it is meant to be off."""
        known = self._connector.sample.metrics
        if "host_running" not in known:
            return False
        state = None if answered else await hosting.state_of(self._host)
        metrics |= hosting.metrics_of(state, answered=answered)
        if "host_known" in known:
            metrics["host_known"] = float(self._host is not None)
        return any(metrics.get(name) for name in hosting.OFF)

    async def probe(self, session: Any) -> Probe:
        """The connector's own; where there is no way in, what the exporter says of the server now."""
        if session is not None:
            return await self._connector.probe(session)
        begun, at = time.perf_counter(), now()
        told = await self._source.tell(self._resource, await self._known_as(), {})
        up = told.metrics.get("up", told.metrics.get("running"))
        what = f"its exporter reaches it, as {self._source.name} has it"
        error = told.problem or (None if up else "its exporter cannot reach it" if up == 0.0 else "that is not told")
        ok = None if told.problem or up is None else up > 0
        return Probe(self._resource.id, at, ok, time.perf_counter() - begun, what, error)

    async def _known_as(self) -> Seen:
        """Its addresses and names, by which its series may be found."""
        if self._seen.match or not self._seen.whole:
            return self._seen
        known = await known_as(self._resource, self._host)
        return replace(self._seen, addresses=known.addresses, names=known.names)


def _without_source(resource: Resource) -> Resource:
    """As its connector knows it: where its readings come from is none of its settings."""
    return replace(resource, settings={name: said for name, said in resource.settings.items() if name != KEY})


def _with(reading: Reading, told: Told) -> Reading:
    """The connector's own look, and the user's own metrics beside it."""
    notes = [told.problem] if told.problem else list(told.notes)
    facts: Mapping[str, str] = reading.facts
    if notes:
        before = facts.get("not_read")
        facts = {**facts, "not_read": "; ".join([*([before] if before else []), *notes])}
    return replace(reading, metrics={**reading.metrics, **told.metrics}, facts=facts)
