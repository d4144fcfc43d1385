"""How a model does now, and how it usually does: few figures, cheap enough to be asked for every few seconds.

They come out of the store, where each push is added to the profile of its minute: what such a profile has more than a
moment ago came since. So any executor has them, whichever server takes the pushes.
"""

import asyncio
import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from watchkeeper.domain import now
from watchkeeper.predictions.buckets import Bucket
from watchkeeper.predictions.figures import Row
from watchkeeper.predictions.kept import Sender
from watchkeeper_monitor import Profile
from watchkeeper_monitor.histogram import Histogram

if TYPE_CHECKING:
    from watchkeeper.predictions.predictions import Predictions

READ = timedelta(seconds=120)
"""Half of how far back is read."""
SHORTEST, LONGEST = 15.0, 120.0
"""Seconds that figures of now are of: three pushes of every process, within these."""
LEAST = 20
"""Predictions and errors from which shares and quantiles of now are told: those of fewer say nothing."""
USUALLY = timedelta(hours=6)
SPARED = timedelta(minutes=3)
"""What came so lately is not yet usual."""
LEAST_USUAL = 200
"""Predictions from which there is a usual: of fewer nothing is compared."""


@dataclass(slots=True)
class Tally:
    """What is needed of profiles; two of the same minute can be taken from each other."""

    predictions: int = 0
    errors: Counter[str] = field(default_factory=Counter[str])
    latency: Counter[int] = field(default_factory=Counter[int])
    """By bucket of `Histogram`."""
    instant: int = 0
    """Latencies that count as zero."""
    missing: Counter[str] = field(default_factory=Counter[str])
    """By feature."""
    known: Counter[str] = field(default_factory=Counter[str])

    @classmethod
    def of(cls, profile: Profile) -> "Tally":
        errors = Counter(profile.errors.kept)
        if profile.errors.other:
            errors["other"] += profile.errors.other
        known = Counter({name: each.count + each.invalid for name, each in profile.numbers.items()})
        known.update({name: each.total for name, each in profile.categories.items()})
        times = profile.latency.positive
        return cls(
            profile.predictions, errors, Counter(times.buckets), times.zeros, Counter(profile.missing.kept), known
        )

    def add(self, other: "Tally") -> None:
        self.predictions += other.predictions
        self.instant += other.instant
        for name in ("errors", "latency", "missing", "known"):
            getattr(self, name).update(getattr(other, name))

    def since(self, before: "Tally") -> "Tally":
        """What it has more than before. Counts never shrink, but for names that were folded together meanwhile."""
        return Tally(
            max(0, self.predictions - before.predictions),
            self.errors - before.errors,
            self.latency - before.latency,
            max(0, self.instant - before.instant),
            self.missing - before.missing,
            self.known - before.known,
        )

    @property
    def outcomes(self) -> int:
        """Predictions and errors."""
        return self.predictions + self.errors.total()

    def error_ratio(self) -> float:
        """Errors among predictions and errors; NaN of nothing."""
        return self.errors.total() / self.outcomes if self.outcomes else math.nan

    def latency_seconds(self, q: float) -> float:
        """The quantile, within 1 %; NaN where no latencies are told."""
        made = Histogram()
        made.buckets, made.zeros = dict(self.latency), self.instant
        made.count = self.latency.total() + self.instant
        made.minimum, made.maximum = 0.0, math.inf
        return made.quantile(q)

    @property
    def timed(self) -> int:
        return self.latency.total() + self.instant

    def missing_ratio(self) -> dict[str, float]:
        """Of each feature the share of predictions in which it is missing."""
        names = self.missing.keys() | self.known.keys()
        return {name: self.missing[name] / (self.missing[name] + self.known[name] or 1) for name in names}


Pieces = Mapping[tuple[str, Bucket], Tally]
"""By version and piece of time."""


@dataclass(frozen=True, slots=True)
class Lately:
    """A model over its last seconds, all versions together. NaN: nothing is known, or too little came."""

    at: datetime
    seconds: float
    """What the figures are of."""
    tally: Tally
    senders: Sequence[Sender]
    """Its processes that are there, of every version."""
    heard_at: datetime
    """When any of its processes was heard of last."""
    counted_at: datetime | None
    """When it predicted, or failed to, last; None where it has not for minutes."""

    @property
    def predictions_per_second(self) -> float:
        return self.tally.predictions / self.seconds

    @property
    def error_ratio(self) -> float:
        return self.tally.error_ratio() if self.tally.outcomes >= LEAST else math.nan

    def latency_seconds(self, q: float) -> float:
        return self.tally.latency_seconds(q) if self.tally.timed >= LEAST else math.nan

    @property
    def missing(self) -> dict[str, float]:
        return self.tally.missing_ratio() if self.tally.predictions >= LEAST else {}

    @property
    def versions(self) -> dict[str, int]:
        """How many processes serve each, the most first."""
        return dict(Counter(sender.version for sender in self.senders if sender.version).most_common())


@dataclass(frozen=True, slots=True)
class Usually:
    """The same model over the last hours, without the last minutes."""

    tally: Tally
    seconds: float
    """Of those in which something came."""

    @property
    def predictions_per_second(self) -> float:
        return self.tally.predictions / self.seconds if self.seconds else math.nan

    @property
    def known(self) -> bool:
        """Whether enough came to compare with."""
        return self.tally.outcomes >= LEAST_USUAL


class Recent:
    """Follows one model. `look` may be called as often as is wanted: where nothing was pushed nothing is read again."""

    def __init__(self, predictions: "Predictions", name: str) -> None:
        self._predictions = predictions
        self._name = name
        self._told: tuple[datetime, int] | None = None
        self._seen: deque[tuple[datetime, Pieces]] = deque()
        self._counted_at: datetime | None = None

    async def look(self) -> Lately:
        """How it does now. Raises NotFound where nothing is heard of such a model any more."""
        model, at = await self._predictions.model(self._name), now()
        alive = [sender for sender in model.senders if sender.serves(at)]
        told = model.seen_at, sum(sender.sequence for sender in model.senders)
        if told != self._told:
            self._take(await self._predictions.rows(self._name, None, at - 2 * READ), at)
            self._told = told
        window = min(LONGEST, max([SHORTEST, *(3 * sender.every for sender in alive)]))
        tally, seconds = self._within(at, window)
        return Lately(at, seconds, tally, alive, model.seen_at, self._counted_at)

    def _take(self, rows: Sequence[Row], at: datetime) -> None:
        pieces = {(row.version, row.bucket): Tally.of(row.profile) for row in rows}
        if not self._seen:  # nothing to take it from yet: what the newest minutes hold came lately
            newest = [bucket for _, bucket in pieces if at - bucket.ends < READ / 2]
            before = {key: tally for key, tally in pieces.items() if key[1] not in newest}
            self._seen.append((min([at - READ / 2, *(bucket.at for bucket in newest)]), before))
        self._seen.append((at, pieces))
        ended = [min(row.profile.ended, row.bucket.ends.timestamp(), at.timestamp()) for row in rows]
        if last := max((each for each in ended if math.isfinite(each)), default=None):
            self._counted_at = datetime.fromtimestamp(last, UTC)

    def _within(self, at: datetime, window: float) -> tuple[Tally, float]:
        """What came in the last seconds, and how many these are: those since the first look where that is later."""
        while len(self._seen) > 1 and (at - self._seen[1][0]).total_seconds() >= window:
            self._seen.popleft()
        (began, first), (_, last) = self._seen[0], self._seen[-1]
        made = Tally()
        for key, tally in last.items():
            made.add(tally.since(first.get(key, Tally())))
        return made, max(1.0, (at - began).total_seconds())

    async def usually(self) -> Usually:
        """How it did in the last hours."""
        at = now()
        rows = await self._predictions.rows(self._name, None, at - USUALLY, at - SPARED)
        return await asyncio.to_thread(_usual, [row for row in rows if row.bucket.ends <= at - SPARED])


def _usual(rows: Sequence[Row]) -> Usually:
    made = Tally()
    for row in rows:
        made.add(Tally.of(row.profile))
    pieces = {row.bucket.at: row.bucket.seconds for row in rows if row.profile.predictions}
    return Usually(made, float(sum(pieces.values())))
