"""Since when something is as it is: what was counted, in windows of time, and where their shares changed.

Memory is bounded: at most `WINDOWS` windows, the wider the older they are.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from watchkeeper_monitor.changes import LEAST, change_points, cohens_h, population_shift
from watchkeeper_monitor.counts import Counts
from watchkeeper_monitor.numbers import Numbers, Shares
from watchkeeper_monitor.profile import Profile
from watchkeeper_monitor.ranking import NDCG
from watchkeeper_monitor.words import KNOWN, UNKNOWN

ROWS, SECONDS = 100, 5.0
"""What a window holds at least."""
WINDOWS = 256
NAMES = 30
"""Categories of a stream that are told apart; the rest is one."""
SHIFTED = 0.1
"""PSI from which shares have changed (Siddiqi, "Credit Risk Scorecards", 2006)."""
RATE = 0.2
"""Cohen's h from which a rate has."""
RATES = ("accuracy", "error_rate", "escalation_rate", "oov_rate")


@dataclass(frozen=True, slots=True)
class Change:
    """What a stream did last: a column, `prediction`, `confidence`, `latency_seconds`, `accuracy`, `error_rate`…"""

    stream: str
    since: str
    """When the first window begins that is as now: RFC 3339, UTC. It changed between this and `until`."""
    effect: float
    """How far: PSI (from 0.1 on), of rates Cohen's h (from 0.2 on)."""
    before: float
    """Mean, or rate, between this change and the one before it; NaN of categories."""
    after: float
    until: str = ""
    """When that window ends: nothing is known more exactly."""


@dataclass(slots=True)
class Seen:
    """One stream in one window."""

    counts: NDArray[np.int64]
    number: int = 0
    total: float = 0.0

    def __add__(self, other: "Seen") -> "Seen":
        return Seen(self.counts + other.counts, self.number + other.number, self.total + other.total)

    @property
    def mean(self) -> float:
        return self.total / self.number if self.number else math.nan


@dataclass(slots=True)
class Window:
    at: float
    """Seconds since 1970."""
    ends: float
    seen: dict[str, Seen] = field(default_factory=dict[str, Seen])


Binned = Callable[[Profile], Seen | None]


class Streams:
    """Takes profiles in the order of time. Bins of each stream are those of the first window that has it."""

    def __init__(self, windows: int = WINDOWS, rows: int = ROWS) -> None:
        self._most = windows
        self._rows = rows
        self._edges: dict[str, NDArray[np.float64]] = {}
        self._names: dict[str, dict[str, int]] = {}
        self._open: Profile | None = None
        self.windows: list[Window] = []

    def take(self, profile: Profile) -> None:
        """Its parts are not kept, and may change afterwards."""
        if self._open is None and profile.predictions + profile.errors.total >= self._rows:
            self._close(profile)
            return
        if self._open is None:
            self._open = Profile(profile.model, profile.version)
        self._open.merge(profile)
        if self._open.predictions + self._open.errors.total >= self._rows:
            self._close(self._open)
            self._open = None

    def _close(self, profile: Profile) -> None:
        self.windows.append(self._window(profile))
        if len(self.windows) > self._most:
            # The two neighbours that are shortest for their age: what is old is known less exactly.
            began = np.array([window.at for window in self.windows])
            place = int(((began[2:] - began[:-2]) / (began[-1] - began[2:] + SECONDS)).argmin())
            self.windows[place : place + 2] = [_joined(*self.windows[place : place + 2])]

    def _window(self, profile: Profile) -> Window:
        made = Window(profile.began, max(profile.began, profile.ended))
        for name, part in _parts(profile):
            if isinstance(part, tuple):
                right, of = part
                if of:
                    made.seen[name] = Seen(np.array([right, of - right], np.int64), of, float(right))
            elif isinstance(part, Counts):
                if part.total and name not in self._edges:
                    made.seen[name] = self._named(name, part, profile.missing.kept.get(name, 0))
            elif part.count and name not in self._names:
                made.seen[name] = self._numbered(name, part, profile.missing.kept.get(name, 0))
        return made

    def _named(self, name: str, counts: Counts, missing: int) -> Seen:
        known = self._names.setdefault(name, {each: place for place, (each, _) in enumerate(counts.top(NAMES))})
        made = np.zeros(NAMES + 2, np.int64)
        for each, times in counts.found().items():
            made[known.get(each, NAMES)] += times
        made[NAMES] += counts.other - sum(counts.frequent.values())
        made[NAMES + 1] = missing
        return Seen(made)

    def _numbered(self, name: str, numbers: "Numbers | Shares", missing: int) -> Seen:
        values, times = _weighted(numbers)
        if name not in self._edges:
            self._edges[name] = _edges(values, times)
        edges = self._edges[name]
        made = np.zeros(edges.size + 2, np.int64)
        np.add.at(made, np.searchsorted(edges, values, side="right"), times)
        made[-1] = missing + (numbers.invalid if isinstance(numbers, Numbers) else 0)
        return Seen(made, numbers.count, numbers.total)

    def _all(self) -> list[Window]:
        unfinished = self._open
        if unfinished is None or unfinished.predictions + unfinished.errors.total < LEAST:
            return self.windows
        return [*self.windows, self._window(unfinished)]

    def changes(self) -> list[Change]:
        """The latest of each stream that had one, newest first."""
        windows = self._all()
        made: list[Change] = []
        for name in sorted({name for window in windows for name in window.seen}):
            there = [window for window in windows if name in window.seen]
            places = self._places(name, there)
            if places:
                first = places[-2] if len(places) > 1 else 0
                before, after = _sum(name, there[first : places[-1]]), _sum(name, there[places[-1] :])
                effect = _effect(name, before, after)
                since, until = _when(there[places[-1]])
                made.append(Change(name, since, effect, before.mean, after.mean, until))
        return sorted(made, key=lambda each: each.since, reverse=True)

    def _places(self, name: str, there: list[Window]) -> list[int]:
        """Windows that begin something new that matters."""
        places = change_points(np.stack([window.seen[name].counts for window in there])) if there else []
        while places:
            ends = [0, *places, len(there)]
            parts = [_sum(name, there[a:b]) for a, b in pairwise(ends)]
            effects = [_effect(name, a, b) for a, b in pairwise(parts)]
            least = min(range(len(effects)), key=effects.__getitem__)
            if effects[least] >= (RATE if name in RATES else SHIFTED):
                break
            del places[least]
        return places

    def apart(self, name: str, values: "NDArray[np.float64] | dict[str, int]") -> tuple[str, str] | None:
        """Between when and when a stream came to lie apart from these values of a reference; None where it does not lie
        apart, or that is not known."""
        windows = self._all()
        there = [window for window in windows if name in window.seen]
        usual = self._binned(name, values)
        if not there or usual is None:
            return None
        ends = [0, *self._places(name, there), len(there)]
        since = None
        for a, b in reversed(list(pairwise(ends))):
            if population_shift(usual, _sum(name, there[a:b]).counts) < SHIFTED:
                break
            since = _when(there[a])
        return since

    def _binned(self, name: str, values: "NDArray[np.float64] | dict[str, int]") -> NDArray[np.int64] | None:
        if isinstance(values, dict):
            if name == "oov_rate" and name not in self._names:
                return np.array([values.get(UNKNOWN, 0), values.get(KNOWN, 0)], np.int64)
            if name not in self._names:
                return None
            made = np.zeros(NAMES + 2, np.int64)
            for each, times in values.items():
                made[self._names[name].get(each, NAMES)] += times
            return made
        if name not in self._edges:
            return None
        edges = self._edges[name]
        return np.bincount(np.searchsorted(edges, values, side="right"), minlength=edges.size + 2)


def _parts(profile: Profile) -> Iterator[tuple[str, "Numbers | Shares | Counts | tuple[int, int]"]]:
    truth, errors = profile.truth, profile.errors.total
    features = profile.numbers.keys() | profile.categories.keys()
    own: dict[str, Numbers | Shares | Counts | tuple[int, int]] = {
        "prediction": next((part for part in (profile.classes, profile.rankings.first) if part.total), profile.outputs),
        NDCG: profile.rankings.ndcg,
        "confidence": profile.confidence,
        "latency_seconds": profile.latency,
        "input_length": profile.input_length,
        "accuracy": (truth.correct, truth.labelled - truth.residuals.count),
        "error_rate": (errors, errors + profile.predictions),
        "escalation_rate": (profile.escalated, profile.escalation_known),
        "oov_rate": (profile.unknown_tokens, profile.tokens),
    }
    yield from ((name, part) for name, part in own.items() if name not in features)
    yield from profile.numbers.items()
    yield from profile.categories.items()


def _weighted(numbers: "Numbers | Shares") -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Values in their order, and how often each came."""
    if isinstance(numbers, Shares):
        times = np.array(numbers.bins, np.int64)
        places = np.flatnonzero(times)
        return np.maximum(0.0, (places - 0.5) / numbers.BINS), times[places]
    middles = numbers.buckets()
    return np.array([value for value, _ in middles]), np.array([times for _, times in middles], np.int64)


def _edges(values: NDArray[np.float64], times: NDArray[np.int64]) -> NDArray[np.float64]:
    """Deciles, and one edge above all, so that what has only one value can rise."""
    ranks = np.cumsum(times)
    deciles = values[np.searchsorted(ranks, np.arange(1, 10) * ranks[-1] / 10, side="left")]
    return np.unique(np.append(deciles, values[-1] + 0.02 * abs(values[-1]) + 1e-12))


def _joined(first: Window, *others: Window) -> Window:
    made = Window(first.at, max(first.ends, *(other.ends for other in others)), dict(first.seen))
    for other in others:
        for name, seen in other.seen.items():
            made.seen[name] = made.seen[name] + seen if name in made.seen else seen
    return made


def _sum(name: str, windows: list[Window]) -> Seen:
    first, *others = (window.seen[name] for window in windows)
    for other in others:
        first = first + other
    return first


def _effect(name: str, before: Seen, after: Seen) -> float:
    if name in RATES:
        return cohens_h(before.mean, after.mean)
    return population_shift(before.counts, after.counts)


def _when(window: Window) -> tuple[str, str]:
    return _told(window.at), _told(window.ends)


def _told(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
