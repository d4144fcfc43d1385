"""A store of PromQL as a source of readings: finds out which series are a resource's, and tells what they say."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from watchkeeper.domain import Resource, numbers, scope
from watchkeeper.domain.source import Seen, Told
from watchkeeper.settings.sources import SourceSettings
from watchkeeper.sources.exporters import Exporter
from watchkeeper.sources.looks import UNKNOWN_INTERVAL, Candidates, Looks, Row, candidates, oldest
from watchkeeper.sources.matching import Identity, NotMatched, find
from watchkeeper.sources.prometheus import NoAnswer, Prometheus, RefusedQuery, Sample
from watchkeeper.sources.shared import Shared

FIND_EVERY = 5.0
"""Seconds between two searches for the series of what has none."""
OWN_SECONDS = 0.5
"""For so long answers to the user's own queries stand."""
_HERE = ("127.0.0.1:", "localhost:", "[::1]:", "::1:")


@dataclass
class _Found:
    """What is known of one resource's series."""

    exporter: Exporter | None = None
    identity: Identity | None = None
    interval: float = UNKNOWN_INTERVAL
    due: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Own:
    """What a query of the user's own gave."""

    taken: float
    samples: Sequence[Sample] = ()
    refused: str = ""
    age: float | None = None


@dataclass
class PrometheusSource:
    """One of `sources`. `exporters`: what standard exporters say, by kind of resource."""

    name: str
    settings: SourceSettings
    exporters: Mapping[str, Sequence[Exporter]]
    store: Prometheus = field(init=False)

    def __post_init__(self) -> None:
        self.store = Prometheus(self.name, self.settings)
        self._found: dict[str, _Found] = {}
        self._looks: dict[tuple[str, tuple[str, ...]], Looks] = {}
        self._taken: dict[tuple[str, Identity], str] = {}
        """Whose series they are: by exporter and identity, the resource."""
        self._there: Shared[str, Candidates] = Shared(self._candidates, FIND_EVERY)
        self._own: Shared[str, _Own] = Shared(self._own_queries, OWN_SECONDS)

    @property
    def problem(self) -> str | None:
        return self.store.problem

    async def close(self) -> None:
        await asyncio.gather(self._there.stop(), self._own.stop(), *(looks.stop() for looks in self._looks.values()))
        await self.store.close()

    def forget(self, resource: str) -> None:
        found = self._found.pop(resource, None)
        if found is not None and found.exporter is not None and found.identity is not None:
            self._leave(found.exporter, found.identity)

    def whose(self, resource: str) -> str:
        """The labels by which its series are told, for a person; empty where they are not found."""
        found = self._found.get(resource)
        return f"{{{found.identity.selector}}}" if found is not None and found.identity is not None else ""

    def patience(self, resource: str) -> float:
        """Seconds without data after which it is worth telling."""
        found = self._found.get(resource)
        return oldest(found.interval if found is not None else UNKNOWN_INTERVAL, self.settings.max_age)

    async def tell(self, resource: Resource, seen: Seen, last: Mapping[str, float]) -> Told:
        """Never raises for what may happen to a store."""
        try:
            own = await asyncio.gather(*(self._own.get(query) for query in seen.metrics.values()))
            told = await self._whole(resource, seen, last) if seen.whole and self.exporters.get(resource.kind) else None
        except (NoAnswer, RefusedQuery) as problem:
            return Told(problem=str(problem))
        return self._with_own(told, dict(zip(seen.metrics, own, strict=True)), seen, self.patience(resource.id))

    # Its standard series -----------------------------------------------------------------------------------------

    async def _whole(self, resource: Resource, seen: Seen, last: Mapping[str, float]) -> Told:
        found = self._found.setdefault(resource.id, _Found())
        if found.identity is None:
            await self._find(resource, seen, found)
        row = await self._row(found)
        limit = oldest(found.interval, self.settings.max_age)
        if found.identity is not None and (row is None or row.age is None or self._age(row) > limit):
            why = f"{self.name} has no sample of {self._series(found)} from the last {limit:.0f} s"
            if row is not None and row.age is not None:
                why = f"the last sample of {self._series(found)} in {self.name} is {self._age(row):.0f} s old"
            found.why = f"{why}: {await self._scraped(found, found.identity)}"
            if row is None or row.age is None:
                await self._find(resource, seen, found)  # it may have come back under another address
        elif row is not None and found.exporter is not None:
            metrics = dict(row.metrics)
            if metrics.get("up") == 0.0:  # what does not change by itself stays known
                metrics = {name: last[name] for name in found.exporter.carried if name in last} | metrics
            suspect = found.exporter.suspect
            alarming = suspect is not None and suspect.holds(scope(reading=numbers(metrics))) is True
            return Told(metrics, row.facts, row.notes, found.exporter.optional, self._age(row), suspect=alarming)
        return Told(problem=found.why)

    async def _row(self, found: _Found) -> Row | None:
        if found.identity is None or found.exporter is None:
            return None
        key = (found.exporter.name, found.identity.names)
        looks = self._looks.setdefault(key, Looks(self.store, found.exporter, found.identity.names))
        return await looks.row(found.identity.values, found.interval)

    def _age(self, row: Row) -> float:
        return (row.age or 0.0) + asyncio.get_running_loop().time() - row.taken

    async def _find(self, resource: Resource, seen: Seen, found: _Found) -> None:
        """Search for its series, now and then. One that was found stays until another is."""
        present = asyncio.get_running_loop().time()
        if present < found.due:
            return
        found.due = present + FIND_EVERY
        said: list[str] = []
        addresses = [one for one in seen.addresses if self._is_here or not one.startswith(_HERE)]
        for exporter in self.exporters[resource.kind]:
            there = await self._there.get(exporter.finds)
            try:
                identity = find(exporter.finds, there.labels, exporter.identity, seen.match, addresses, seen.names)
            except NotMatched as problem:
                said.append(str(problem))
                continue
            holder = self._taken.get((exporter.name, identity), resource.id)
            if holder != resource.id:
                said.append(f"{{{identity.selector}}} is taken for {holder} already; say whose it is with `match`")
                continue
            if found.identity is not None and found.exporter is not None and found.identity != identity:
                self._leave(found.exporter, found.identity)
            self._taken[(exporter.name, identity)] = resource.id
            labels = dict(zip(identity.names, identity.values, strict=True))
            whole = next((one for one in there.labels if labels.items() <= one.items()), labels)
            found.exporter, found.identity, found.interval = exporter, identity, there.interval(whole)
            return
        if found.identity is None:
            found.why = f"{self.name}: {'; '.join(said)}"

    @property
    def _is_here(self) -> bool:
        """Whether this machine's own addresses mean the same to the store."""
        return urlsplit(self.settings.url).hostname in ("127.0.0.1", "localhost", "::1")

    def _leave(self, exporter: Exporter, identity: Identity) -> None:
        self._taken.pop((exporter.name, identity), None)
        if looks := self._looks.get((exporter.name, identity.names)):
            looks.forget(identity.values)

    def _series(self, found: _Found) -> str:
        return f"{found.exporter.finds}{{{found.identity.selector}}}" if found.exporter and found.identity else "it"

    async def _scraped(self, found: _Found, identity: Identity) -> str:
        """Why there is nothing, as far as the store itself knows."""
        labels = dict(zip(identity.names, identity.values, strict=True))
        target = {name: labels[name] for name in ("instance", "job") if name in labels}
        if not target:
            return "nothing writes it any more"
        matchers = Identity(tuple(target), tuple(target.values())).selector
        answer = await self.store.ask({"up": f"up{{{matchers}}}", "at": f"timestamp(up{{{matchers}}})"})
        limit = oldest(found.interval, self.settings.max_age)
        fresh = [sample for sample in answer.samples.get("at", ()) if sample.at - sample.value <= limit]
        up = [sample.value for sample in answer.samples.get("up", ())]
        if not up or not fresh:
            return "it is not scraped any more"
        return "its exporter tells nothing of it" if max(up) > 0 else "its exporter does not answer (up is 0)"

    async def _candidates(self, wanted: Collection[str]) -> Mapping[str, Candidates]:
        every = list(wanted)
        found = await asyncio.gather(*(candidates(self.store, series) for series in every))
        return dict(zip(every, found, strict=True))

    # The user's own queries --------------------------------------------------------------------------------------

    async def _own_queries(self, wanted: Collection[str]) -> Mapping[str, _Own]:
        """All of them in one query, and when their samples were taken, as far as the store can tell."""
        every = sorted(wanted)
        taken = asyncio.get_running_loop().time()
        parts = {f"m:{number}": query for number, query in enumerate(every)}
        parts |= {f"t:{number}": f"min(timestamp({query}))" for number, query in enumerate(every)}
        answer = await self.store.ask(parts, self._lookback)
        found: dict[str, _Own] = {}
        for number, query in enumerate(every):
            samples = answer.samples.get(f"m:{number}", ())
            times = answer.samples.get(f"t:{number}", ())
            age = max(0.0, times[0].at - times[0].value) if times else None
            found[query] = _Own(taken, samples, answer.refused.get(f"m:{number}", ""), age)
        return found

    @property
    def _lookback(self) -> float:
        known = [oldest(found.interval, None) for found in self._found.values() if found.identity is not None]
        return self.settings.max_age or max(known, default=oldest(UNKNOWN_INTERVAL, None))

    def _with_own(self, told: Told | None, own: Mapping[str, _Own], seen: Seen, limit: float) -> Told:
        """The user's own metrics over the exporter's. Where there is no exporter they are all there is."""
        if told is not None and told.problem:
            return told
        metrics: dict[str, float] = {}
        notes: list[str] = []
        ages: list[float] = []
        present = asyncio.get_running_loop().time()
        for name, one in own.items():
            if one.refused or len(one.samples) != 1 or one.samples[0].value != one.samples[0].value:
                several = f"{len(one.samples)} series where one is due" if len(one.samples) > 1 else "no data"
                notes.append(f"{name}: {one.refused or several}")
                continue
            age = (one.age or 0.0) + present - one.taken
            if age > limit:
                notes.append(f"{name}: its last sample is {age:.0f} s old")
                continue
            metrics[name] = one.samples[0].value
            ages.append(age)
        if told is not None:
            return replace(told, metrics={**told.metrics, **metrics}, notes=(*told.notes, *notes))
        if seen.whole and not metrics:
            said = "; ".join(notes) or "no exporter of this kind is known: say what to read with `metrics`"
            return Told(problem=f"{self.name}: {said}")
        return Told(metrics, {}, notes, frozenset(), max(ages, default=0.0))
