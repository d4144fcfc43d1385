"""What one exporter's series say of many servers, from one query for all of them."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from watchkeeper.sources.exporters import Exporter, filled
from watchkeeper.sources.matching import Labels, selector
from watchkeeper.sources.prometheus import Answer, Prometheus, Sample
from watchkeeper.sources.shared import Shared

SERVERS = 100
"""Servers in one query: their names stand in each of its parts."""
LATELY = 180.0
"""Seconds within which the scrape interval is told by when samples were taken."""
UNKNOWN_INTERVAL = 60.0
"""Seconds between two scrapes, where fewer than two were seen: Prometheus' own default (scrape_interval)."""
MISSED = 3
"""Scrapes that may be missed before a sample is old."""
LEAST_AGE, MOST_AGE = 10.0, 300.0
"""Seconds: a store that others write to is late by some; and beyond five minutes Prometheus itself gives none."""
SERIES_AT = "at"
_METRIC, _FACT = "m:", "f:"


@dataclass(frozen=True, slots=True)
class Row:
    """What is told of one server. `age` in seconds is None where it has no series at all now."""

    taken: float
    """Loop time when it was asked."""
    age: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidates:
    """Every server that an exporter has series of, and how many seconds lie between two scrapes of it."""

    labels: tuple[Labels, ...]
    intervals: Mapping[frozenset[tuple[str, str]], float]

    def interval(self, labels: Labels) -> float:
        return self.intervals.get(frozenset(labels.items()), UNKNOWN_INTERVAL)


async def candidates(store: Prometheus, series: str) -> Candidates:
    """Asks for one series of each server. Raises NoAnswer, RefusedQuery."""
    answer, lately = await asyncio.gather(store.ask({"there": series}), store.sampled(series, LATELY))
    there = tuple(_plain(sample.labels) for sample in answer.samples.get("there", ()))
    intervals: dict[frozenset[tuple[str, str]], float] = {}
    for labels, times in lately:
        gaps = [later - earlier for earlier, later in pairwise(times)][-10:]
        if gaps:
            intervals[frozenset(_plain(labels).items())] = max(0.1, median(gaps))
    return Candidates(there, intervals)


def _plain(labels: Labels) -> Labels:
    return {name: value for name, value in labels.items() if name != "__name__"}


class Looks:
    """One exporter's servers whose identity has the same labels. `interval` of the quickest decides how often the store
    is asked: four times a scrape, at most once a second."""

    def __init__(self, store: Prometheus, exporter: Exporter, names: tuple[str, ...]) -> None:
        self._store = store
        self._exporter = exporter
        self._names = names
        self._queries = tuple(dict.fromkeys(query for query, _ in exporter.facts.values()))
        self._intervals: dict[tuple[str, ...], float] = {}
        self._shared: Shared[tuple[str, ...], Row] = Shared(self._fetch, 1.0)

    async def row(self, values: tuple[str, ...], interval: float) -> Row:
        """Raises NoAnswer."""
        self._intervals[values] = interval
        self._shared.keep = min(1.0, 0.25 * min(self._intervals.values()))
        return await self._shared.get(values)

    def forget(self, values: tuple[str, ...]) -> None:
        self._intervals.pop(values, None)
        self._shared.forget(values)

    async def stop(self) -> None:
        await self._shared.stop()

    async def _fetch(self, wanted: Collection[tuple[str, ...]]) -> Mapping[tuple[str, ...], Row]:
        every = sorted(wanted)
        chunks = [every[start : start + SERVERS] for start in range(0, len(every), SERVERS)]
        found = await asyncio.gather(*(self._chunk(chunk) for chunk in chunks))
        return {values: row for rows in found for values, row in rows.items()}

    async def _chunk(self, wanted: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], Row]:
        interval = max(self._intervals.get(values, UNKNOWN_INTERVAL) for values in wanted)
        taken = asyncio.get_running_loop().time()
        parts = self._parts(selector(self._names, wanted), interval)
        answer = await self._store.ask(parts, oldest(interval, self._store.settings.max_age))
        by_server: dict[tuple[str, ...], dict[str, list[Sample]]] = {values: {} for values in wanted}
        for key, samples in answer.samples.items():
            for sample in samples:
                values = tuple(sample.labels.get(name, "") for name in self._names)
                if values in by_server:
                    by_server[values].setdefault(key, []).append(sample)
        return {values: self._row(taken, found, answer) for values, found in by_server.items()}

    def _parts(self, match: str, interval: float) -> dict[str, str]:
        """Every query with a short name: it stands in the answer once for each series."""
        window = max(5.0, 4 * interval)
        said = {f"{_METRIC}{name}": query for name, query in self._exporter.metrics.items()}
        said |= {f"{_FACT}{number}": query for number, query in enumerate(self._queries)}
        parts = {key: filled(query, match=match, by=self._names, window=window) for key, query in said.items()}
        return parts | {SERIES_AT: f"timestamp({self._exporter.finds}{{{match}}})"}

    def _row(self, taken: float, found: Mapping[str, Sequence[Sample]], answer: Answer) -> Row:
        at = found.get(SERIES_AT)
        metrics: dict[str, float] = {}
        notes = [f"{key[2:]}: {why}" for key, why in answer.refused.items() if key.startswith(_METRIC)]
        for key, samples in found.items():
            if not key.startswith(_METRIC):
                continue
            if len(samples) > 1:
                notes.append(f"{key[2:]}: {len(samples)} series where one is due")
            elif samples[0].value == samples[0].value:
                metrics[key[2:]] = samples[0].value
        facts: dict[str, str] = {}
        for name, (query, label) in self._exporter.facts.items():
            samples = found.get(f"{_FACT}{self._queries.index(query)}")
            if samples and len(samples) == 1:
                facts[name] = samples[0].labels.get(label, "")
        age = max(0.0, at[0].at - at[0].value) if at else None
        return Row(taken, age, metrics, facts, (*notes, *answer.warnings))


def oldest(interval: float, said: float | None) -> float:
    """Seconds after which a sample is no data."""
    return said or min(MOST_AGE, max(LEAST_AGE, MISSED * interval))
